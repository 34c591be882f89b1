"""Fictitious values that take the place of real ones: same shape, nobody's, and the same each time.

A pseudonym is a keyed hash (HMAC-SHA256) of the entity and the normalised value, written in the
shape of the value: equal values have equal pseudonyms in the whole corpus, on any machine, and
without the key nobody can say which. Where a range is reserved for examples or cannot be given out
(corpusmill.privacy.pseudonym_formats), or a name can be coined (pseudonym_names), the pseudonym
lies in it, and is recognised later on and left alone. Where there is none, a made-up value might be
somebody's: then the pseudonym is the entity's name with ten letters, `<PASSPORT-qkzrmwaplf>`.
Some ranges are small (an IPv4 pseudonym is one of 762): different values may share a pseudonym.
"""

import functools
import hmac
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from corpusmill.privacy import pseudonym_formats as formats
from corpusmill.privacy import pseudonym_names as names
from corpusmill.privacy.checks import digits_of
from corpusmill.privacy.context import PLACEHOLDER
from corpusmill.privacy.finding import Finding, Span
from corpusmill.privacy.pseudonym_formats import alphanumerics

REACH = 96
"""Characters; the longest pseudonym that holds spaces is a name of seven coined words."""

HASH_CHARACTERS = 16
"""Of a value in the ledger: 64 bits, so that equal values can be told in a corpus of billions."""


def pseudonym(entity: str, value: str, key: bytes) -> str:
    """The fictitious value for `value`; a fictitious name stays as it is."""
    if entity == "PERSON":
        return names.person(value, functools.partial(_number, key))
    number = _number(key, f"{entity}\0{_normalised(entity, value)}")
    made = None
    if entity in ("US_SSN", "US_ITIN"):
        made = formats.social_security_number(value, number)
    if entity in formats.NATIONAL_ENTITIES:
        made = made or formats.national(value, number, functools.partial(_number, key))
    elif write := _WRITERS.get(entity):
        made = write(value, number)
    # Recognizers of a recipe's own may call anything a card; its shape may then be nobody's range.
    if made is None or (0, len(made)) not in fictitious_spans(made, key=key):
        return f"{mask(entity)[:-1]}-{_letters(number)}>"
    return made


def mask(entity: str) -> str:
    """The typed placeholder: `<EMAIL_ADDRESS>`."""
    return f"<{re.sub('[^A-Z_]', '_', entity.upper())[:40]:_<3}>"


def value_hash(entity: str, value: str, key: bytes) -> str:
    """What the ledger calls a value: equal for equal values, and told from it by nobody."""
    return f"{_number(key, f'hash/{entity}/{_normalised(entity, value)}'):064x}"[:HASH_CHARACTERS]


def placeholders(text: str, findings: Sequence[Finding]) -> list[bool]:
    """Of each finding, whether it lies in what masking wrote."""
    spans = (
        match.span()
        for window in _around(text, findings)
        for match in PLACEHOLDER.finditer(text, *window)
    )
    return _inside(spans, findings)


def fictitious(text: str, findings: Sequence[Finding], key: bytes) -> list[bool]:
    """Of each finding, whether it lies in a value that is reserved for examples or has been made up
    here: nobody's. A stretch that holds more than such a value does not."""
    windows = _around(text, findings)
    spans = (span for window in windows for span in fictitious_spans(text, *window, key=key))
    return [
        inside or _is_fictitious(finding.entity, text[finding.start : finding.end], key)
        for finding, inside in zip(findings, _inside(spans, findings), strict=True)
    ]


def _is_fictitious(entity: str, value: str, key: bytes) -> bool:
    """The value alone: what stands around it does not make a whole pseudonym another value."""
    return (0, len(value)) in fictitious_spans(value, key=key) or (
        entity == "PERSON" and pseudonym(entity, value, key) == value
    )


def _around(text: str, findings: Iterable[Finding]) -> list[Span]:
    """The stretches around findings, joined where they overlap: no character is looked at twice,
    however many findings there are."""
    windows: list[Span] = []
    for finding in sorted(findings, key=lambda f: f.start):
        start, end = max(0, finding.start - REACH), min(len(text), finding.end + REACH)
        if windows and start <= windows[-1][1]:
            windows[-1] = windows[-1][0], max(end, windows[-1][1])
        else:
            windows.append((start, end))
    return windows


def _inside(spans: Iterable[Span], findings: Iterable[Finding]) -> list[bool]:
    """Of each finding, whether one of the spans covers it."""
    ordered = sorted(spans)
    starts = [start for start, _ in ordered]
    reached = list(accumulate((end for _, end in ordered), max))
    places = ((bisect_right(starts, f.start), f.end) for f in findings)
    return [place > 0 and end <= reached[place - 1] for place, end in places]


def fictitious_spans(
    text: str, start: int = 0, end: int | None = None, *, key: bytes | None = None
) -> Iterator[Span]:
    """Where fictitious values stand; national numbers are told by the key they were made with."""
    end = len(text) if end is None else end
    yield from formats.reserved_spans(text, start, end)
    yield from names.fictitious_names(text, start, end)
    if key is not None:
        yield from formats.national_spans(text, start, end, functools.partial(_number, key))


def _number(key: bytes, message: str) -> int:
    digest = hmac.digest(key, message.encode("utf-8", "surrogatepass"), "sha256")
    return int.from_bytes(digest)


def _letters(number: int) -> str:
    return formats.fill("a" * 10, number)


def _normalised(entity: str, value: str) -> str:
    """What makes two spellings one value; an accent may be a character of its own or not."""
    return _NORMALISERS.get(entity, alphanumerics)(unicodedata.normalize("NFKC", value))


_NORMALISERS: dict[str, Callable[[str], str]] = {
    "EMAIL_ADDRESS": formats.plain_email,
    "PHONE_NUMBER": formats.phone_digits,
    "CREDIT_CARD": digits_of,
    "IP_ADDRESS": formats.plain_address,
    "US_SSN": digits_of,
    "US_ITIN": digits_of,
    "CRYPTO": str,
    "URL": str,
    "ACCESS_KEY": str,
    "PASSWORD": str,
    "PRIVATE_KEY": str,
    "COORDINATES": str,
}
"""By entity; of any other the letters and digits count, in small letters."""

_WRITERS: dict[str, Callable[[str, int], str | None]] = {
    "EMAIL_ADDRESS": formats.email,
    "URL": formats.url,
    "PHONE_NUMBER": formats.phone,
    "CREDIT_CARD": formats.card,
    "IBAN_CODE": formats.iban,
    "IP_ADDRESS": formats.ip_address,
    "MAC_ADDRESS": formats.mac_address,
    "CRYPTO": formats.wallet,
    "COORDINATES": formats.coordinates,
    "DATE_OF_BIRTH": formats.date,
    "STREET_ADDRESS": lambda _, number: names.street(number),
    "LOCATION": lambda _, number: names.town(number),
    "ORGANIZATION": lambda _, number: names.company(number),
}
"""How the pseudonyms of an entity are written. PERSON and national numbers have ways of their own;
any other entity becomes its name with ten letters."""
