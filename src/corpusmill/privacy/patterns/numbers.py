"""Numbers with check digits or fixed shapes: payment cards, IBANs, national numbers.

A stretch of a run of digits is looked up by its shape (digits as 9, capitals as A), so that the
cost does not grow with the number of countries.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from corpusmill.privacy.candidates import CODE, NUMBER
from corpusmill.privacy.checks import IBAN_LENGTHS, luhn_digit, valid_check_digits, valid_iban
from corpusmill.privacy.context import near, stands_free, words
from corpusmill.privacy.finding import ANNOUNCED, CHECKED, PLAUSIBLE, SHAPED, Finding, Span
from corpusmill.privacy.national import shape_of, shapes, valid
from corpusmill.privacy.national_numbers import NATIONAL_NUMBERS
from corpusmill.privacy.recognizer import Recognizer

_CARD_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:30[0-5]\d|309\d|3[689]\d\d)\d{10,15}"  # Diners Club
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}|62\d{14,17}"  # Discover, UnionPay
    r"|35\d{14,17}|(?:2131|1800)\d{11}"  # JCB
    r"|(?:50|5[6-8]|6\d)\d{10,17}|0604\d{8,15}"  # Maestro
    r"|220[0-4]\d{12,15}|81\d{14,17}|9792\d{12}"  # Mir, UnionPay, Troy
)
"""Issuer prefixes and lengths, from the issuers' published ranges."""

CARD_SPELLINGS = (
    *("9" * digits for digits in range(12, 20)),
    "9999 9999 9999 9999", "9999-9999-9999-9999", "9999 9999 9999 9999 999",
    "9999-9999-9999-9999-999", "9999 999999 99999", "9999-999999-99999", "9999 999999 9999",
    "9999-999999-9999", "9999.9999.9999.9999", "9999.9999.9999.9999.999", "9999.999999.99999",
    "9999.999999.9999",
)  # fmt: skip
"""In one piece (ISO/IEC 7812: up to 19 digits), or grouped as cards print them."""


_CARD_SPELLINGS_NEAR_WORDS = (
    "9999 9999 9999 9", "9999-9999-9999-9", "9999.9999.9999.9", "9999 9999 9999", "9999-9999-9999",
)  # fmt: skip
"""Of 13 and 12 digits: much else is grouped by four."""
_CARD_WORDS = words(
    r"card\w*|visa|mastercard|maestro|amex|cc|pan|kredit\w*|kart\w*|carte|tarjeta|carta|cart[ãa]o"
    r"|kort\w*|luottokort\w*|номер карты|карт\w*"
    r"|卡号|卡號|信用卡|カード\S*|카드\S*|creditcard|cardnumber"
)


def issued_card(digits: str) -> bool:
    """Whether an issuer could have given out this number: prefix, length and check digit."""
    return bool(_CARD_ISSUERS.fullmatch(digits)) and luhn_digit(digits[:-1]) == int(digits[-1])


_SHARED_WORDS = words(
    r"ssns?|national ?(?:id\w*|insurance|number)|identity"
    r"|id ?number|identification|id[- ](?:number|no|nr|card|code)"
    r"|social (?:security|insurance)|personal (?:id\w*|number|code)|citizen\S*|tax(?:payer)?"
    r"|resident|insurance (?:number|no)|ausweis\S*|personalausweis\S*|sozialversicherung\S*"
    r"|steuer\S*|identit[àée]\w*|identidad|identidade|fiscal\w*|cedula|c[ée]dula|documento"
    r"|s[ée]curit[ée] sociale|num[ée]ro national|rijksregister\S*|person(?:al)?nummer|tożsamości"
    r"|удостоверени\w*|налог\w*|身份|身分|證號|证号|番号|등록번호"
)
"""Words that announce the number of any country."""


@dataclass(frozen=True)
class _Sort:
    """What a value of a certain shape may be."""

    entity: str
    distinctive: bool
    holds: Callable[[str], bool]
    words: re.Pattern[str]
    """Those for this number."""
    score: float
    """Where no word is needed."""


def _sorts() -> dict[str, tuple[_Sort, ...]]:
    table: defaultdict[str, list[_Sort]] = defaultdict(list)
    never = words("(?!)")
    for spelling in CARD_SPELLINGS:
        table[spelling].append(_Sort("CREDIT_CARD", True, issued_card, never, CHECKED))
    for spelling in _CARD_SPELLINGS_NEAR_WORDS:
        table[spelling].append(_Sort("CREDIT_CARD", False, issued_card, _CARD_WORDS, CHECKED))
    for number in NATIONAL_NUMBERS:
        announced = words(number.words)
        score = CHECKED if number.check else SHAPED
        for distinctive, spellings in ((True, number.distinctive), (False, number.near_words)):
            for spelling in spellings:
                for shape in shapes(spelling):
                    table[shape].append(
                        _Sort(
                            number.entity,
                            distinctive,
                            functools.partial(valid, number),
                            announced,
                            score,
                        )
                    )
    return {shape: tuple(sorts) for shape, sorts in table.items()}


_SORTS = _sorts()
_LONGEST = max(map(len, _SORTS))

_SIGNS = {ord(c): " " for c in "\u00a0\u2007\u2009\u202f\u3000"} | {
    ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2014\u2212\u00ad"
}
_LETTERS_BEFORE = re.compile(r"(?<![0-9A-Za-z_])[A-Z]{1,2}[ -]?\Z")
_LETTERS_AFTER = re.compile(r"[ -]?[A-Z]{1,2}(?![0-9A-Za-z_])")
_IBAN_JOINT = r"(?:[ \u00a0\u2007\u2009\u202f\u2010-\u2013-]|\r?\n)"
_IBAN_ACCOUNT = {
    length: re.compile(rf"[0-9]{{2}}(?:{_IBAN_JOINT}?[0-9A-Za-z]){{{length - 4}}}(?![0-9A-Za-z])")
    for length in set(IBAN_LENGTHS.values())
}
_IBAN_WORD = words("iban")
_NOT_IN_COMPACT = re.compile(r"[^0-9A-Z]+")


def _stretches(shape: str) -> Iterator[Span]:
    """The whole and, where spaces divide it, its parts of neighbouring pieces, as far as they are
    of a known shape; linear in its length."""
    if len(shape) <= _LONGEST and " " not in shape:
        if shape in _SORTS:
            yield 0, len(shape)
        return
    starts = [0, *(at + 1 for at, sign in enumerate(shape) if sign == " ")]
    ends = [start - 1 for start in starts[1:]] + [len(shape)]
    for first, start in enumerate(starts):
        last = first
        while last < len(ends) and ends[last] - start <= _LONGEST:
            if shape[start : ends[last]] in _SORTS:
                yield start, ends[last]
            last += 1


_CORSICA = ("A ", "B ")
_CORSICAN = re.compile(r"\d \d\d \d\d 2[AB] \d{3} \d{3} \d\d")
"""A French number of somebody born in Corsica: the letter ends the run of digits."""
FISCAL_GROUP = 5
_FISCAL_CODE = re.compile(r"[A-Z]{3} [A-Z]{3} \d\d[A-Z]\d\d [A-Z]\d{3}[A-Z]")
"""An Italian code in groups, found from its third one, which is FISCAL_GROUP long."""


def numbers(text: str, start: int, end: int) -> Iterator[Finding]:
    """Cards and national numbers in a run of digits or a code, with letters beside it."""
    if text[end : end + 2] in _CORSICA and (spaced := _CORSICAN.match(text, start)):
        end = spaced.end()
    elif end - start == FISCAL_GROUP and (spaced := _FISCAL_CODE.match(text, max(0, start - 8))):
        start, end = spaced.span()
    if text[max(0, start - 2) : start].strip(" -").isupper():
        before = _LETTERS_BEFORE.search(text, max(0, start - 3), start)
        start = before.start() if before else start
    if text[end : end + 2].strip(" -")[:1].isupper():
        after = _LETTERS_AFTER.match(text, end, end + 3)
        end = after.end() if after else end
    value = text[start:end]
    if not value.isascii():
        value = value.translate(_SIGNS)
    shape = shape_of(value)
    if max(shape) >= "a" and len(value) >= LEAST_IN_SMALL_LETTERS and value.isalnum():
        value = value.upper()
        shape = shape_of(value)
    if text[end : end + 1] == "\n" and (line := _SECOND_LINE.match(text, end)):
        yield from _broken_card(text, start, line.end())
    for begin, stop in _stretches(shape):
        if stands_free(text, start + begin, start + stop) and not _AFTER_COUNTRY.search(
            text, max(0, start + begin - 6), start + begin
        ):
            yield from _sorts_of(text, start + begin, start + stop, value[begin:stop])
    if text[max(0, start - 2) : start].rstrip().endswith("/"):
        yield from _card_after_holder(text, start, end, shape)


_AFTER_COUNTRY = re.compile(r"\+\d{1,3}[ .-]\(?\Z")
"""Before the rest of a phone number."""
_HOLDER = re.compile(r"(?:\A|[\s,;:(\"'>|])[^\W\d_]{2,20}(?: [^\W\d_]{2,20})?/ ?\Z")
_VALID_UNTIL = re.compile(r"(?: ?/ ?(?:0[1-9]|1[0-2])[/-]?(?:20)?\d\d)?(?![\w-]|[./]\w)")


def _card_after_holder(text: str, start: int, end: int, shape: str) -> Iterator[Finding]:
    """`Name/4111111111111111/04/24`: the slash parts a form's fields, not a path."""
    for spelling in CARD_SPELLINGS:
        stop = start + len(spelling)
        if (
            shape.startswith(spelling)
            and issued_card(re.sub(r"\D", "", text[start:stop]))
            and _VALID_UNTIL.match(text, stop, stop + 12)
            and _HOLDER.search(text, max(0, start - 46), start)
        ):
            yield Finding(start, stop, "CREDIT_CARD", CHECKED, "numbers")


_SECOND_LINE = re.compile(r"\n[> ]{0,3}(\d[\d -]{0,13})(?<=\d)(?![\w-])")


def _broken_card(text: str, start: int, end: int) -> Iterator[Finding]:
    """A card's number that the end of a line divides, near a word for it."""
    groups = re.sub(r"[^\d-]+", " ", text[start:end].translate(_SIGNS))
    card = shape_of(groups) in CARD_SPELLINGS and issued_card(re.sub(r"\D", "", groups))
    if card and stands_free(text, start, end) and near(text, start, end, _CARD_WORDS):
        yield Finding(start, end, "CREDIT_CARD", ANNOUNCED, "numbers")


LEAST_IN_SMALL_LETTERS = 16
"""Characters of codes that are written in small letters, too: the shape of shorter ones is that of
many a name in source code."""


def _sorts_of(text: str, start: int, end: int, value: str) -> Iterator[Finding]:
    compact = _NOT_IN_COMPACT.sub("", value)
    for sort in _SORTS[shape_of(value)]:
        if not sort.holds(compact):
            continue
        if sort.distinctive:
            score = sort.score
        elif near(text, start, end, sort.words):
            score = ANNOUNCED
        elif near(text, start, end, _SHARED_WORDS):
            score = PLAUSIBLE
        else:
            continue
        yield Finding(start, end, sort.entity, score, "numbers")


def ibans(text: str, start: int, end: int) -> Iterator[Finding]:
    """An IBAN that begins with this token, in groups or in one piece."""
    if text[start : start + 4].upper() == "IBAN":
        start += 4  # joined to its word, as after a script without spaces
    length = IBAN_LENGTHS.get(text[start : start + 2].upper())
    compact = text[start:end].upper()
    odd = length and len(compact) != length and valid_check_digits(compact)
    if odd and near(text, start, end, _IBAN_WORD, before=12, after=0):
        # In one piece and of another length than the country's: near the word only.
        yield Finding(start, end, "IBAN_CODE", ANNOUNCED, "ibans")
    if length and (account := _IBAN_ACCOUNT[length].match(text, start + 2)):
        value = re.sub(_IBAN_JOINT, "", text[start : account.end()]).upper()
        if valid_iban(value):
            yield Finding(start, account.end(), "IBAN_CODE", CHECKED, "ibans")


RECOGNIZERS = (
    Recognizer(
        name="numbers",
        entities=("CREDIT_CARD", *dict.fromkeys(n.entity for n in NATIONAL_NUMBERS)),
        kinds=(NUMBER, CODE),
        find=numbers,
    ),
    Recognizer(name="ibans", entities=("IBAN_CODE",), kinds=(CODE,), find=ibans),
)
