"""Phone numbers: libphonenumber's numbering plans, and what tells a phone number from a date.

A number counts when it

- has an international prefix and a possible length,
- stands near a word that says phone, with a possible length (many real numbers, as new ranges and
  local ones, are in no numbering plan), or
- is written as hardly anything but phone numbers is, and valid where that is the way to write them.
"""

import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from corpusmill.privacy.candidates import NUMBER
from corpusmill.privacy.checks import digits_of
from corpusmill.privacy.context import PLACEHOLDER, stands_free
from corpusmill.privacy.finding import ANNOUNCED, CHECKED, PLAUSIBLE, SHAPED, Finding
from corpusmill.privacy.recognizer import Recognizer

if TYPE_CHECKING:
    import phonenumbers

_split = str.split

REGIONS = tuple(
    _split(
        "GB DE FR IT ES NL BE CH AT SE FI PL PT IE DK NO CZ HU RO BG GR TR UA RU IL IN PK CN JP"
        " KR TW"
        " TH MY ID PH VN AU NZ ZA EG NG KE SA BR AR MX CO CL PE VE EC"
    )
)
"""Whose national numbers, with a trunk prefix, are found without a word for it."""

_WORDS = frozenset(
    _split(
        "call calling liga chama trovi queries appje cell dial sms hotline portable fixe ligue"
        " ligar bel bellen gsm puh soita"
        " mob tlf mobiel numaram cep når trova tel tele tels telegram"
        " ph fone tfno tfn mobitel tālr tālrunis mobiil"
        " zadzwoń sdt cellulare telefonu telefonszám volejte volat tlf. číslo reachable myphone dm"
    )
)
"""Words that say phone, in small letters ..."""
_WEAK_WORDS = frozenset(
    _split(
        "text desk registered answering messages contact reach number nr nummer office numero"
        " número numer numéro"
    )
)
"""... also of other things: only for numbers in groups ..."""
_WORD_BEGINNINGS = tuple(
    _split(
        "phone telephone telef teléf telem tél télé cellphone fax mobil handy ruf anruf durchwahl"
        " appel"
        " joindre joign móvil movil celular llam llám chiam telemóvel ring dzwon komórk тел"
        " моб звон"
        " позвон"
        " τηλ κινητ tālr gsm мобіл contato puhel matkapuh recapito telep"
        " whats viber contact kontakt erreich rückfrag bereik raggiung reperib ulaş"
    )
)
"""... and beginnings of such words ..."""
_WORDS_WITHOUT_SPACES = tuple(
    _split(
        "📞 ☎ 📱 📲 اتصل للتواصل 拨打 撥打 致电 致電 कॉल संपर्क 電話 电话 手机 手機 携帯 联系"
        " 連絡 전화 휴대폰 핸드폰 연락처 هاتف جوال फ़"
        "ोन फोन दूरभाष मोबाइल thoại โทร טלפון נייד טל פלאפון มือถือ เบอร์ thoại điện"
    )
)
"""... and those of scripts in which words are not told apart by spaces."""
_WORDS_AFTER = (
    "office|fax|mobile|cell|desk|home|work|mobil|privat|dienstlich|numaradan|numaralı"
    "|numarasından|numaram|nolu|arayın"
    "|पर कॉल|पर फ़ोन|पर फोन|पर संपर्क|に電話|로 전화|으로 연락|로 연락"
)
_WORD = re.compile(r"[^\W\d_]+")
_EMAIL_AFTER = re.compile(
    r"[ \t]{0,3}[|,;·•\n][ \t]{0,4}(?:e-?mail:? ?)?<?[\w.+'-]{1,64}"
    r"(?: ?@ ?|\s?[\[({<]\s?(?:at|@|arroba|ät)\s?[\])}>]\s?| (?:at|arroba) )[^\W_]",
    re.IGNORECASE,
)
"""An address right after the number: a signature or a list of contacts."""
_EMAIL_BEFORE = re.compile(
    r"@[\w-]{1,40}(?:\.[\w-]{1,20}){1,3}[>)\"']{0,2}(?:\s?[,;|/·•]\s?| (?:or|oder|ou|o|of|lub"
    r"|eller|veya|или) )"
    r"[+(\"']{0,2}\Z"
)
_MY_NUMBER = re.compile(
    r"\b(?:my|mein|meine|mon|mi|mio|meu|mijn|mój|mojego|min|mitt|мой)(?: [^\W\d_]{1,12})?"
    r" (?:number|nummer|num[eé]ro|número|numer|num|номер)"
    r"(?: (?:is|ist|est|es|è|é|to|är|er|:))?(?: (?:el|le|il|the|o|das|die))?[ :]{1,3}[+(]{0,2}\Z",
    re.IGNORECASE,
)
_LETTER = re.compile(
    r"(?<![\w.])[\[(*|]{0,2}(?:[TPMFC]\*\*:?|[TPMFCtpmf](?:[:)]|\]))[*` ]{0,4}[(+]?\Z"
)
"""`T: 030 1234567`, as signatures have it."""
_MINE_AFTER = re.compile(
    r"[ ,]{1,2}(?:is|as|was) (?:the|my|his|her|their|our|your)(?: \w{1,12})?"
    r" (?:phone|tel\w{0,8}|mobile|cell\w{0,8}|fax|whatsapp|number|contact|call)\b",
    re.IGNORECASE,
)
_WORD_AFTER = re.compile(rf"[ \-,:(]{{0,3}}(?:{_WORDS_AFTER})\b", re.IGNORECASE)
_REACH_BEFORE, _REACH_AFTER, _REACH_OF_EMAIL = 56, 14, 90
_MOST_WORDS = 5
"""Words between: "call me tomorrow at my office"."""

LEAST_DIGITS, MOST_DIGITS, MOST_NATIONAL_DIGITS = 7, 15, 13
"""Local numbers of North America; ITU-T E.164; with a trunk prefix and room for an extension."""
LONGEST_RUN, MOST_PIECES = 80, 13
"""Longer runs of digits are tables: a word before them does not announce all of it."""

_EXTENSION = re.compile(r"\s?(?:x|ext\.?|#)\s?\d{1,6}\Z", re.IGNORECASE)
_DATE = re.compile(
    r"(?:1[5-9]|20)\d\d[-./ ]{1,3}(?:0?[1-9]|1[0-2])[-./ ]{1,3}(?:0?[1-9]|[12]\d|3[01])(?!\d)"
    r"|(?<!\d)(?:0?[1-9]|[12]\d|3[01])[-./ ]{1,3}(?:0?[1-9]|[12]\d|3[01])[-./ ]{1,3}(?:1[5-9]|20)"
    r"\d\d(?!\d)"
)
_OTHER_NUMBER = re.compile(
    r"\(?(?:1[0-9]|20)\d\d\)?\W{1,4}\(?(?:1[0-9]|20)?\d\d\)?\Z"  # years
    r"|\(?[+-]?\d+\.\d+\Z"  # a decimal fraction
    r"|(?!\d\d(?:\.\d\d){3,4}\Z|\d\d\.\d{3}\.\d\d\.\d\d\Z"
    r"|\d{3}(?:\.\d\d){3}\Z)[1-9]\d*(?:\.\d+){3,}"  # an address or a section
    r"|\d{1,4}(?: +\d{1,4}){0,3}(?: +\d{1,4}\.\d+)"  # a table
    r"|.*\b\d \d \d \d|.*\d{14}|.*[\[\]]|[1-9]0{6,}\Z"
)
"""Numbers of other sorts, even near a word that says phone."""

_SEPARATOR = r"[ \u00a0\u2009\u202f.\-\u2010-\u2013/]"
_LIKELY = re.compile(
    r"(?P<international>[+\uff0b]\d|00[1-9]|00[ -][1-9])"
    r"[\d() \u00a0\u202f.\-\u2010-\u2013/]{5,24}(?<=\d)(?:\s?(?:x|ext\.?)\s?\d{1,5})?"
    r"|(?P<american>(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}"
    r"(?:\s?(?:x|ext\.?)\s?\d{1,5})?)"
    r"|(?P<russian>8[ -]?\(\d{3,5}\)[ -]?\d{1,3}-\d\d-\d\d)"
    r"|(?P<turkish>0 ?\(\d{3}\) ?\d{3} ?\d\d ?\d\d|0 \d{3} \d{3} \d\d \d\d)"
    r"|(?P<national>\(0?\d{1,5}\) ?\d(?:[ -]?\d){4,10}"
    r"|0\d{1,5}(?:[ .\-\u00a0]\d{2,8}){1,5}(?:-\d)?(?!\d)|0\d{1,5} - \d{5,8}"
    r"|0 ?\d{1,5} ?/ ?\d{2,8}(?:[ .-]\d{1,6}){0,3})"
    r"|(?P<apart>\d{3}(?P<joint>[ -])\d{3}(?P=joint)\d{3}|\d{2,3}[ -]\d\d(?:[ -]\d\d){2}"
    r"|\d{2,3}[ -]\d{3}(?:[ -]\d\d){2}|[1-9]\d\d[/-]\d{6,7}|[6-9]\d{4} \d{5}|[689]\d{3} \d{4}"
    r"|\d{3} \d\d \d\d \d\d|\d\d? \d{4,5}[ -]\d{4})(?![\w-]| \d)"
)
"""How hardly anything but phone numbers is written, and where it is written so."""
_HOME = {
    "american": ("US",),
    "russian": ("RU",),
    "turkish": ("TR",),
    "national": REGIONS,
    "apart": ("ES", "PT", "PL", "IT", "IN", "SG", "MX", "CL", "AR", "BR", "CZ", "NO", "DK"),
}
"""`apart`: without a trunk prefix, but alone on a line, in a cell, quotes or brackets."""


_CARRIER = re.compile(r"\(0xx\d\d\) ?", re.IGNORECASE)
_BRAZILIAN = re.compile(r"9?\d{4}[ -]?\d{4}(?!\w)")
"""After `(0xx11)`, where the carrier's code belongs."""


def near_phone_word(text: str, start: int, end: int) -> bool:
    """Whether words around the span say that it is a phone number."""
    before = text[max(0, start - _REACH_BEFORE) : start]
    if "<" in before:
        before = before[before.rindex("<") :] if ">" not in before else PLACEHOLDER.sub(" ", before)
    if _LETTER.search(before) or _MY_NUMBER.search(before) or _EMAIL_BEFORE.search(before):
        return True
    if "@" in before:
        before = re.sub(r"[\w.+'-]+@[\w.-]+", " ", before)
    known = _WORDS if text[start:end].isdecimal() and text[start] != "0" else _WORDS | _WEAK_WORDS
    for word in _WORD.findall(before.lower())[-_MOST_WORDS:]:
        if word in known or word.startswith(_WORD_BEGINNINGS):
            return True
    if not before.isascii() and any(word in before for word in _WORDS_WITHOUT_SPACES):
        return True
    if _WORD_AFTER.match(text, end, end + _REACH_AFTER):
        return True
    if _MINE_AFTER.match(text, end, end + 48):
        return True
    return _EMAIL_AFTER.match(text, end, end + _REACH_OF_EMAIL) is not None


def phones(text: str, start: int, end: int) -> Iterator[Finding]:
    """Phone numbers in a run of digits, with the sign or bracket before it."""
    while start and text[start - 1] in "+(\uff0b\uff08":
        start -= 1
    if broken := _broken(text, start, end):
        yield broken
        return
    if end - start <= LONGEST_RUN and near_phone_word(text, start, end):
        found = list(_announced_in(text, start, end))
        if found:
            yield from found
            return
    carrier = _CARRIER.search(text, max(0, start - 8), min(end, start + 4))
    if carrier and (local := _BRAZILIAN.match(text, carrier.end())):
        yield Finding(carrier.start(), local.end(), "PHONE_NUMBER", SHAPED, "phones")
        return
    for match in _LIKELY.finditer(text, start, min(len(text), end + 14)):
        if match.start() < end and (finding := _likely(text, match)):
            yield finding


_LINE_BEFORE = re.compile(r"(?<![\w.])\+?\(?\d[\d() .-]{0,14}\r?\n[> ]{0,3}\Z")
_LINE_AFTER = re.compile(r"[ -]?\r?\n[> ]{0,3}\(?\d[\d() .-]{0,14}(?<=\d)(?![\w:/-]|\.\d)")


def _broken(text: str, start: int, end: int) -> Finding | None:
    """A number that the end of a line divides, near a word for it: valid only as a whole."""
    if text[start - 1 : start] in ("\n", " ", ">"):
        before = _LINE_BEFORE.search(text, max(0, start - 24), start)
        begin = before.start() if before else start
    else:
        begin = start
    after = _LINE_AFTER.match(text, end, end + 24) if begin == start else None
    stop = after.end() if after else end
    if (begin, stop) == (start, end) or not near_phone_word(text, begin, stop):
        return None
    first, second = text[begin:stop].split("\n")
    prefix = first[0] in "+(0" if after is None else len(digits_of(second)) < LEAST_DIGITS
    whole_before = "+" in first and _dialled(first)
    if not prefix or whole_before or not _dialled(text[begin:stop]):
        return None
    return Finding(begin, stop, "PHONE_NUMBER", ANNOUNCED, "phones")


def _dialled(value: str) -> bool:
    """Whether a numbering plan knows the number."""
    digits = digits_of(value.replace("(0)", "") if "+" in value else value)
    if not LEAST_DIGITS + 1 <= len(digits) <= MOST_DIGITS or len(set(digits)) < 3:
        return False
    if "+" in value or digits.startswith("00"):
        found = _international(0, len(value), value.strip(), digits)
        return found is not None and found.score == CHECKED
    return _valid_in(digits, (*REGIONS, "US"))


_BETWEEN_TWO = re.compile(r" ?/ (?=[+(\d])|; ?(?=[+(\d])")


def _announced_in(text: str, start: int, end: int) -> Iterator[Finding]:
    """The number of the run, or the two of `91 126 89 12 / 602 903 300`."""
    between = _BETWEEN_TWO.search(text, start + LEAST_DIGITS, end - LEAST_DIGITS)
    parts = [(start, between.start()), (between.end(), end)] if between else []
    if not parts or any(len(digits_of(text[a:b])) <= LEAST_DIGITS for a, b in parts):
        parts = [(start, end)]
    for part in parts:
        if finding := _longest_announced(text, *part):
            yield finding


def _longest_announced(text: str, start: int, end: int) -> Finding | None:
    """The run, or what is left of it without the pieces at its ends ("450 0840 2 days")."""
    extension = re.compile(r"\s?(?:x|ext\.?|#)\s?\d{1,6}(?![\w])", re.IGNORECASE).match(text, end)
    if extension:
        end = extension.end()
    pieces = [m.span() for m in re.compile(r"\S+").finditer(text, start, end)]
    spans = [(a[0], b[1]) for i, a in enumerate(pieces) for b in pieces[i : i + MOST_PIECES]]
    for begin, stop in sorted(spans, key=lambda span: (span[0] - span[1], span[0]))[:40]:
        if stop - begin >= LEAST_DIGITS and (finding := _announced(text, begin, stop)):
            return finding
    return None


def _announced(text: str, start: int, end: int) -> Finding | None:
    """The span as a number of possible length, if it is no number of another sort."""
    value = text[start:end]
    if value.count("(") != value.count(")"):
        if value[0] != "(" or value.count("(") != value.count(")") + 1:
            return None
        start, value = start + 1, value[1:]
    body = _EXTENSION.sub("", value)
    digits = digits_of(body)
    international = value[0] in "+\uff0b" or digits.startswith("00")
    most = MOST_DIGITS + 2 if international else MOST_NATIONAL_DIGITS + (digits[0] == "0")
    if not LEAST_DIGITS <= len(digits) <= most or len(set(digits)) == 1:
        return None
    if not stands_free(text, start, _end_of_word_after(text, end)):
        return None
    if _DATE.search(value) or _OTHER_NUMBER.match(value) or text[start - 1 : start] == "#":
        return None
    return Finding(start, end, "PHONE_NUMBER", ANNOUNCED, "phones")


_APART_BEFORE = re.compile(r"(?:\A|\A-|\n-|[\n|;(>'\"*•])[ \t]{0,2}\Z")
_APART_AFTER = re.compile(r"[ \t]{0,2}(?:[\n|;)<'\",]|\Z)")
_IN_TABLE_BEFORE = re.compile(r"\d[ \t]{1,2}\Z")
_IN_TABLE_AFTER = re.compile(r"[ \t]{1,2}\d")
_UNLIKELY = re.compile(r"0\d(?: 0\d){3,}|\d{5}-\d{4}|\d{3}\.\d{3}-\d{4}|(?:\d{3} ){3,}\d{3}")
"""Bytes, postcodes of the United States, clauses of regulations, lists of octal numbers."""


def _likely(text: str, match: re.Match[str]) -> Finding | None:
    """A number that is written as phone numbers are, if a numbering plan knows it."""
    value = match[0]
    start, end = match.span()
    kind = str(match.lastgroup)
    body = _EXTENSION.sub("", value)
    digits = digits_of(body)
    if not LEAST_DIGITS + 1 <= len(digits) <= MOST_DIGITS + 2 or len(set(digits)) < 3:
        return None
    if not stands_free(text, start, _end_of_word_after(text, end)):
        return None
    if kind == "international":
        decimal = re.fullmatch(r"\S\d+\.\d+", body) is not None
        return None if decimal else _international(start, end, body, digits)
    if _IN_TABLE_BEFORE.search(text, max(0, start - 3), start) or _IN_TABLE_AFTER.match(text, end):
        return None
    if kind == "apart" and not (
        _APART_BEFORE.search(text, max(0, start - 4), start) and _APART_AFTER.match(text, end)
    ):
        return None
    if _DATE.search(value) or _UNLIKELY.fullmatch(value) or not _valid_in(digits, _HOME[kind]):
        return None
    return Finding(start, end, "PHONE_NUMBER", PLAUSIBLE, "phones")


def _end_of_word_after(text: str, end: int) -> int:
    """After `-Office` and the like, which is no part of another number."""
    word = _WORD_AFTER.match(text, end, end + _REACH_AFTER)
    return word.end() if word else end


def _international(start: int, end: int, body: str, digits: str) -> Finding | None:
    """Valid, or of possible length: new ranges are in no plan. Zeros in front may be anything."""
    import phonenumbers

    number = _parse("+" + digits.removeprefix("00"), None)
    if number is not None and phonenumbers.is_valid_number(number):
        return Finding(start, end, "PHONE_NUMBER", CHECKED, "phones")
    if digits.startswith("00"):
        return None
    # Without the trunk prefix in +44 (0)20.
    number = _parse("+" + digits_of(body.replace("(0)", "")), None)
    if number is not None and len(digits) >= 9 and phonenumbers.is_possible_number(number):
        return Finding(start, end, "PHONE_NUMBER", SHAPED, "phones")
    return None


@functools.lru_cache(maxsize=4096)
def _valid_in(digits: str, regions: tuple[str, ...]) -> bool:
    """Whether one of the regions dials this number so; two zeros lead abroad."""
    import phonenumbers

    return not digits.startswith("00") and any(
        (number := _parse(digits, region)) is not None and phonenumbers.is_valid_number(number)
        for region in regions
        if _conceivable(digits, region)
    )


def _conceivable(digits: str, region: str) -> bool:
    """Whether the region's plan has numbers of this form, at a fiftieth of what asking it costs."""
    plan, trunk, rewrites = _plan(region)
    if rewrites or plan.fullmatch(digits):
        return True
    prefix = trunk.match(digits) if trunk else None
    return prefix is not None and plan.fullmatch(digits, prefix.end()) is not None


@functools.cache
def _plan(region: str) -> tuple[re.Pattern[str], re.Pattern[str] | None, bool]:
    """All of a region's numbers, what is dialled before them, and whether that rewrites them."""
    from phonenumbers import PhoneMetadata

    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    assert metadata.general_desc is not None
    trunk = metadata.national_prefix_for_parsing
    return (
        re.compile(metadata.general_desc.national_number_pattern or "(?!)"),
        re.compile(trunk) if trunk else None,
        metadata.national_prefix_transform_rule is not None,
    )


@functools.lru_cache(maxsize=256)
def _parse(value: str, region: str | None) -> "phonenumbers.PhoneNumber | None":
    import phonenumbers

    try:
        return phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None


RECOGNIZERS = (Recognizer(name="phones", entities=("PHONE_NUMBER",), kinds=(NUMBER,), find=phones),)
