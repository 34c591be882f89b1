"""Which direct identifiers are looked for, and what distinguishes them from other numbers.

Everything here is decided on the text alone, without Presidio. For each entity there is

- a **candidate** pattern: cheap, linear, and wide enough that every value the recognizer can find
  lies inside a candidate (so that the recognizer needs to read nothing else);
- an **acceptance** rule: what Presidio finds in technical text and is no personal data (versions,
  section numbers, counters, private network addresses) is refused.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Span = tuple[int, int]
"""Start and end of a stretch of text, in characters."""

PHONE_PUNCTUATION = (
    r"\-xX\u2010-\u2015\u2212\u30fc\uff0d-\uff0f \u00a0\u00ad\u200b\u2060\u3000()"
    r"\uff08\uff09\uff3b\uff3d.\[\]/~\u2053\u223c\uff5e"
)
"""What may stand between the digits of a phone number: libphonenumber's VALID_PUNCTUATION."""

MINIMUM_PHONE_DIGITS = 7
"""Local numbers of North America; shorter ones cannot be told from other numbers."""

MAXIMUM_RUN_DIGITS = 100
"""More digits than these, with nothing but phone punctuation between them, are a table of numbers:
not searched for phone numbers, of which libphonenumber would try every combination."""

LOCAL_PART = r"[!#$%&'*+\-/=?^_`{|}~.\w]"
_LOCAL_TAIL = re.compile(LOCAL_PART + r"{1,64}\Z")
_DOMAIN_HEAD = re.compile(r"[\w.-]{3,255}")


def _email_candidates(text: str) -> Iterator[Span]:
    """An at sign with what may belong to the address: 64 characters before it and 255 after it
    (RFC 5321). Looking back from the at sign keeps the cost linear in the text."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL_TAIL.search(text, max(0, at - 64), at)
        domain = _DOMAIN_HEAD.match(text, at + 1)
        if local and domain:
            yield local.start(), domain.end()
        at = text.find("@", at + 1)


def _matches_of(pattern: str) -> Callable[[str], Iterator[Span]]:
    compiled = re.compile(pattern)
    return lambda text: (match.span() for match in compiled.finditer(text))


_number_runs = _matches_of(
    rf"(?<!\d)[+\uff0b(\[]{{0,2}}\d{{1,20}}(?:[{PHONE_PUNCTUATION}+]{{0,4}}\d{{1,20}})*(?!\d)"
)
_PHONE_WORDS = (
    r"phone|telephone|tel|call|mobile|cell|cellphone|fax|contact|dial|hotline|whatsapp|sms|desk"
    r"|registered|answering|messages|telefon|t[ée]l[ée]phone|tel[ée]fono|telefone|mobil|handy"
    r"|celular|portable"
)
_PHONE_WORDS_AFTER = r"office|fax|mobile|cell|desk|home|work"
_ANY_PHONE_WORD = re.compile(rf"\b(?:{_PHONE_WORDS}|{_PHONE_WORDS_AFTER})\b", re.IGNORECASE)
_PHONE_WORD_BEFORE = re.compile(
    rf"\b(?:{_PHONE_WORDS})\b\W{{0,3}}(?:[^\W\d]+\W{{1,3}}){{0,3}}\Z", re.IGNORECASE
)
_PHONE_WORD_AFTER = re.compile(rf"[ \-,:(]{{0,3}}(?:{_PHONE_WORDS_AFTER})\b", re.IGNORECASE)
_ONE_NUMBER = re.compile(r"\(?\d+(?:\.\d+)?")
_REACH_BEFORE, _REACH_AFTER = 40, 12
"""Characters around a number in which such words count."""


def near_phone_word(text: str, start: int, end: int) -> bool:
    """Whether words around the span say that it is a phone number."""
    return (
        _PHONE_WORD_BEFORE.search(text, max(0, start - _REACH_BEFORE), start) is not None
        or _PHONE_WORD_AFTER.match(text, end, end + _REACH_AFTER) is not None
    )


def _phone_candidates(text: str) -> Iterator[Span]:
    """Runs of digits and phone punctuation that an acceptance rule could let pass."""
    for start, end in _number_runs(text):
        if MINIMUM_PHONE_DIGITS <= sum(
            map(str.isdecimal, text[start:end])
        ) <= MAXIMUM_RUN_DIGITS and (
            not _ONE_NUMBER.fullmatch(text, start, end) or _phone_word_around(text, start, end)
        ):
            yield start, end


def _announced_phone_candidates(text: str) -> Iterator[Span]:
    """Those with an international prefix, or with a word nearby that may say phone."""
    for start, end in _phone_candidates(text):
        prefixed = "+" in text[start:end] or "\uff0b" in text[start:end]
        if prefixed or _phone_word_around(text, start, end):
            yield start, end


def _phone_word_around(text: str, start: int, end: int) -> bool:
    """Wider than near_phone_word, for any number inside the span."""
    before, after = max(0, start - _REACH_BEFORE), end + _REACH_AFTER
    return _ANY_PHONE_WORD.search(text, before, after) is not None


CARD_SHAPE = (
    r"(?<![\w.+-])(?:[0-9]{12,19}"
    r"|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![\w+-]|\.[0-9])"
)
"""Twelve to nineteen digits (ISO/IEC 7812), in one piece or grouped as cards print them."""

_CARD_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:30[0-5]\d|309\d|3[689]\d\d)\d{10,15}"  # Diners Club
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}|62\d{14,17}"  # Discover, UnionPay
    r"|35\d{14,17}|(?:2131|1800)\d{11}"  # JCB
    r"|(?:50|5[6-8]|6\d)\d{10,17}"  # Maestro
)
"""Issuer prefixes and lengths, from the issuers' published ranges."""

IBAN_SHAPE = r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){8,34}"


def digits_of(value: str) -> str:
    """The digits of a value, as ASCII (other scripts' digits included)."""
    return "".join(str(int(c)) for c in value if c.isdecimal())


def luhn_digit(digits: str) -> int:
    """The check digit that Luhn's method appends to these digits (ISO/IEC 7812-1, annex B)."""
    doubled = (int(d) * 2 for d in digits[::-2])
    total = sum(d - 9 if d > 9 else d for d in doubled) + sum(int(d) for d in digits[-2::-2])
    return -total % 10


def issued_card(digits: str) -> bool:
    """Whether an issuer could have given out this number: prefix, length and check digit."""
    return bool(_CARD_ISSUERS.fullmatch(digits)) and luhn_digit(digits[:-1]) == int(digits[-1])


_DATE = re.compile(
    r"(?:1[5-9]|20)\d\d[-./ ]{1,3}(?:0?[1-9]|1[0-2])[-./ ]{1,3}(?:0?[1-9]|[12]\d|3[01])(?!\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])[-./ ]{1,3}(?:0?[1-9]|[12]\d|3[01])[-./ ]{1,3}(?:1[5-9]|20)\d\d"
    r"(?!\d)"
)
_OTHER_NUMBER = re.compile(
    r"^\(?[+-]?\d+\.\d+$"  # a decimal fraction
    r"|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"  # an address or a section
    r"|^\d{5}-\d{4,5}$"  # a US postcode, a range
    r"|\b(?:\d[ .-]){4}"  # a list of small numbers
)
_NUMBER_GOES_ON_BEFORE = re.compile(r"[\w@=%$€£]\Z|\d[.,\-/:]\Z")
_NUMBER_GOES_ON_AFTER = re.compile(r"[\w@%]|[.,/:]\d")
_YEARS = re.compile(r"\(?(?:1[0-9]|20)\d\d\)?\W{1,4}\(?(?:1[0-9]|20)?\d\d\)?")
_SSN_WORD_BEFORE = re.compile(r"\b(?:ssns?|social security)\b[^\n\d]{0,30}\Z", re.IGNORECASE)
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:version|versions|release|releases|update|build|firmware|kernel|section|sections"
    r"|chapter|appendix|clause|figure|table|rule|annex|oid|ver|sec|rev|v|r)\b[.:=]?\s{0,2}|§\s?)"
    r"[\"'(]?\Z",
    re.IGNORECASE,
)


def _could_be_phone(text: str, start: int, end: int) -> bool:
    """Refuses what is a number of another sort: too few or too many digits, part of a longer
    number or word, a date, a range of years, a dotted number such as an address or a section."""
    value = text[start:end]
    body = re.split(r"(?i)x|e|;|#", value, maxsplit=1)[0]
    if not MINIMUM_PHONE_DIGITS <= len(digits_of(body)) <= 17:
        return False
    if _NUMBER_GOES_ON_BEFORE.search(text, max(0, start - 2), start):
        return False
    if _NUMBER_GOES_ON_AFTER.match(text, end, end + 2):
        return False
    if _DATE.search(value) or _YEARS.fullmatch(value):
        return False
    return near_phone_word(text, start, end) or not _OTHER_NUMBER.search(value)


def accept_valid_phone(text: str, start: int, end: int) -> bool:
    """A number that libphonenumber calls valid in one of the regions.

    Digits in one piece are more often counters, identifiers and times: they need a word that says
    phone.
    """
    if not _could_be_phone(text, start, end):
        return False
    value = text[start:end]
    return not value.isdecimal() or near_phone_word(text, start, end)


def accept_possible_phone(text: str, start: int, end: int) -> bool:
    """A number of a possible length only: needs an international prefix, or a word that says phone,
    because many real numbers (new ranges, local ones) are in no numbering plan's patterns."""
    if not _could_be_phone(text, start, end):
        return False
    international = text[start] in "+\uff0b" and len(digits_of(text[start:end])) >= 9
    return international or near_phone_word(text, start, end)


def accept_card(text: str, start: int, end: int) -> bool:
    """Prefix and length of an issuer, besides the check digit that one number in ten has."""
    return issued_card(digits_of(text[start:end]))


def accept_ip(text: str, start: int, end: int) -> bool:
    """Public addresses, and those reserved for documentation, which stand for public ones; private
    and other reserved ranges single nobody out.

    Also refused: four numbers that are part of a longer one (1.2.3.4.5), that follow a word such as
    version or section, or that are all below 32, as those of sections and versions mostly are and
    those of one address in 4,096; IPv6 outside the global unicast block 2000::/3
    (most of what looks like one there is a name in source code: `Face::`).
    """
    value = text[start:end]
    address = ipaddress.ip_interface(value.split("%")[0]).ip
    example = any(address in network for network in EXAMPLE_NETWORKS)
    if not (address.is_global or example) or address.is_multicast:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_UNICAST
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before[-1:] in tuple(".-_") or (after[:1] in tuple(".-") and after[1:2].isalnum()):
        return False
    if all(octet < 32 for octet in address.packed):
        return False
    return _VERSION_BEFORE.search(text, max(0, start - 16), start) is None


EXAMPLE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
"""Reserved for documentation: RFC 5737 and RFC 3849."""
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def accept_ssn(text: str, start: int, end: int) -> bool:
    """Three groups joined by hyphens; joined by spaces or dots only after a word that says so."""
    if text[max(0, start - 1) : start] in tuple("-.+/") or text[end : end + 1] in tuple("-/"):
        return False
    hyphens = text[start:end].count("-") == 2
    return hyphens or _SSN_WORD_BEFORE.search(text, max(0, start - 50), start) is not None


def accept_always(text: str, start: int, end: int) -> bool:
    """The recognizer's own check digits or format are enough."""
    return True


def accept_email(text: str, start: int, end: int) -> bool:
    """A local part that is one in practice, too (see start_of_email)."""
    return text[start_of_email(text, start, end)] != "@"


def whole(text: str, start: int, end: int) -> int:
    """What the recognizer found begins where it says."""
    return start


_NOT_IN_PRACTICE = re.compile(r".*[^\w.+'-]", re.DOTALL)


def start_of_email(text: str, start: int, end: int) -> int:
    """RFC 5321 lets a local part hold `/`, `=`, `?` and the like; in text these stand before it, as
    in https://host/?to=somebody@host, and must neither vanish nor make another value of it."""
    before = _NOT_IN_PRACTICE.match(text, start, text.rindex("@", start, end))
    return before.end() if before else start


@dataclass(frozen=True, kw_only=True)
class Detector:
    """One way to find one entity."""

    entity: str
    recognizer: str
    """Name in corpusmill.privacy.recognizers.BUILDERS."""
    candidates: Callable[[str], Iterator[Span]]
    accept: Callable[[str, int, int], bool]
    """Given the text, start and end of what the recognizer found."""
    start: Callable[[str, int, int], int] = whole
    """Given the same, where the value begins."""


DETECTORS = (
    Detector(
        entity="EMAIL_ADDRESS",
        recognizer="email",
        candidates=_email_candidates,
        accept=accept_email,
        start=start_of_email,
    ),
    Detector(
        entity="IBAN_CODE",
        recognizer="iban",
        candidates=_matches_of(IBAN_SHAPE),
        accept=accept_always,
    ),
    Detector(
        entity="CREDIT_CARD",
        recognizer="card",
        candidates=_matches_of(CARD_SHAPE),
        accept=accept_card,
    ),
    Detector(
        entity="CRYPTO",
        recognizer="crypto",
        candidates=_matches_of(r"(?:[bB][cC]1|[13])[A-Za-z0-9]{25,59}"),
        accept=accept_always,
    ),
    Detector(
        entity="MAC_ADDRESS",
        recognizer="mac",
        candidates=_matches_of(
            r"\b[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}\b"
            r"|\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b"
        ),
        accept=accept_always,
    ),
    Detector(
        entity="IP_ADDRESS",
        recognizer="ip",
        candidates=_matches_of(
            r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:/[0-9]{1,3})?\b"
            r"|(?<![\w:])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,}[0-9A-Fa-f:.]*"
            r"(?:%[0-9A-Za-z]+)?(?:/[0-9]{1,3})?"
        ),
        accept=accept_ip,
    ),
    Detector(
        entity="US_SSN",
        recognizer="ssn",
        candidates=_matches_of(r"\b[0-9]{3}[- .][0-9]{2}[- .][0-9]{4}\b"),
        accept=accept_ssn,
    ),
    Detector(
        entity="PHONE_NUMBER",
        recognizer="phone_valid",
        candidates=_phone_candidates,
        accept=accept_valid_phone,
    ),
    Detector(
        entity="PHONE_NUMBER",
        recognizer="phone_possible",
        candidates=_announced_phone_candidates,
        accept=accept_possible_phone,
    ),
)
"""In order of precedence: where findings overlap, the earlier entity wins, because a checksum or a
fixed format says more than a plausible number of digits."""

ENTITIES = tuple(dict.fromkeys(detector.entity for detector in DETECTORS))
"""Every entity that can be asked for, in order of precedence."""

NEEDS_A_MODEL = ("PERSON", "LOCATION", "NRP", "ORGANIZATION", "GPE", "DATE_TIME")
"""Presidio's entities that only a named-entity model finds: not in this version."""
