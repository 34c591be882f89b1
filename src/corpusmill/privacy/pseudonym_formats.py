"""How the pseudonyms of numbers and addresses are written, and how they are known again.

All lie in ranges that are reserved for examples, or that nobody can have been given:

| entity | range | reserved by |
|---|---|---|
| EMAIL_ADDRESS, URL | example.org | RFC 2606 |
| PHONE_NUMBER | 555-0100 to 555-0199, area codes 2xx, 3xx, 4xx, 6xx, 7xx | ATIS-0300115 |
| CREDIT_CARD | 9999..., check digit wrong | ISO/IEC 7812-1: 9 and a country; no country is 999 |
| IBAN_CODE | check digits 00 | ISO 7064: they run from 02 to 98 |
| IP_ADDRESS | 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32 | RFC 5737, RFC 3849 |
| MAC_ADDRESS | 00-00-5E-00-53-00 to -FF | RFC 7042, section 2.1.2 |
| CRYPTO | 1Fictitious..., letters that no address has | Base58: no I, l, O, 0 |
| US_SSN, US_ITIN, in groups | area 000 | Social Security Administration, RM 10201.035 |
| other national numbers | check digits or date wrong; letters become X | each number's own rules |
| COORDINATES | within one degree of 0° N 0° E | open sea |
| DATE_OF_BIRTH | the years 1800 to 1849 | nobody of that age lives |
"""

import functools
import ipaddress
import re
import string
from collections.abc import Callable, Iterator

from corpusmill.privacy.checks import IBAN_LENGTHS, digits_of, luhn_digit
from corpusmill.privacy.finding import Span
from corpusmill.privacy.national import valid
from corpusmill.privacy.national_numbers import NATIONAL_NUMBERS
from corpusmill.privacy.patterns.network import EXAMPLE_NETWORKS
from corpusmill.privacy.patterns.numbers import issued_card

KeyedNumber = Callable[[str], int]
"""A large number from a text and a secret key."""

NATIONAL_ENTITIES = frozenset(number.entity for number in NATIONAL_NUMBERS)

_REFUSING = tuple(n for n in NATIONAL_NUMBERS if n.check or any(map(n.body.count, "DdMmwYJ")))
"""Those that have check characters or a date; others have any digits."""


def fill(shape: str, number: int) -> str:
    """Replace each ASCII digit by a digit and each letter by a letter of its case."""
    written = []
    for character in shape:
        for alphabet in (string.digits, string.ascii_uppercase, string.ascii_lowercase):
            if character in alphabet:
                number, choice = divmod(number, len(alphabet))
                character = alphabet[choice]
                break
        written.append(character)
    return "".join(written)


def _digits_below(number: int, count: int) -> str:
    """`count` decimal digits out of a large number."""
    return f"{number % 10**count:0{count}d}"


def _into_groups(digits: str, like: str) -> str:
    """Set the digits in the places that the digits of `like` have."""
    rest = iter(digits)
    return "".join(next(rest) if c.isdecimal() else c for c in like)


def email(value: str, number: int) -> str:
    """`user-0123456789@example.org`."""
    return f"user-{number % 16**10:010x}@example.org"


def url(value: str, number: int) -> str:
    """The scheme and a page without a user or a query."""
    scheme = re.match(r"[a-z][a-z0-9+.-]{1,20}(?=://)", value.lower())
    return f"{scheme[0] if scheme else 'https'}://example.org/{number % 16**10:010x}"


_AREA_CODES = tuple(
    f"{first}{rest:02d}" for first in (2, 3, 4, 6, 7) for rest in range(1, 90) if rest != 11
)
"""Geographic ones of North America have these forms. Of 5xx, 8xx and 900, which are not geographic,
hardly any number 555-01xx is kept for fiction; 9xx is left out for simplicity."""


def phone(value: str, number: int) -> str:
    """A number of North America, as long as the value was: local, national or international.

    The region is not kept: a national spelling does not say which it is, and one number must have
    one pseudonym however it is written.
    """
    line = f"555-01{_digits_below(number, 2)}"
    if len(digits_of(value)) <= 7:
        return line
    area = _AREA_CODES[number // 100 % len(_AREA_CODES)]
    prefix = "+1 " if value[:1] in "+\uff0b" or value.startswith("00") else ""
    return f"{prefix}{area}-{line}"


_NO_ISSUER = "9999"
_LEAST_CARD_DIGITS = 12


def _failing_digit(digits: str) -> str:
    """The check digit and one: no such card number is valid."""
    return str((luhn_digit(digits) + 1) % 10)


def card(value: str, number: int) -> str | None:
    """A number of the same length and grouping; None for what is no card number."""
    length = len(digits_of(value))
    if length < _LEAST_CARD_DIGITS:
        return None
    body = _NO_ISSUER + _digits_below(number, length - len(_NO_ISSUER) - 1)
    return _into_groups(body + _failing_digit(body), value)


def iban(value: str, number: int) -> str:
    """The country, 00, and random characters in the same groups, with spaces between them."""
    return value[:2].upper() + "00" + fill(re.sub(r"\W+", " ", value[4:]).upper(), number)


def wallet(value: str, number: int) -> str:
    """An address whose first word says what it is."""
    return "1Fictitious" + fill("a" * 23, number)


def mac_address(value: str, number: int) -> str | None:
    """In the spelling of the value; None for another number of digits."""
    digits = f"00005e0053{number % 256:02x}"
    if len(alphanumerics(value)) != len(digits):
        return None
    rest = iter(digits if value.lower() == value else digits.upper())
    return "".join(next(rest) if c.isalnum() else c for c in value)


def ip_address(value: str, number: int) -> str:
    """Of the same version, with the same length of prefix."""
    suffix = value[value.index("/") :] if "/" in value else ""
    same_version = [n for n in EXAMPLE_NETWORKS if n.version == (6 if ":" in value else 4)]
    number, choice = divmod(number, len(same_version))
    network = same_version[choice]
    # Neither the first nor the last address: those mean the network and its broadcast.
    return f"{network[1 + number % (network.num_addresses - 2)]}{suffix}"


def social_security_number(value: str, number: int) -> str | None:
    """In the spelling of the value; None where nothing divides its groups."""
    if re.fullmatch(r"\d{3}([- .])\d\d\1\d{4}", value) is None:
        return None
    return _into_groups("000" + _digits_below(number, 6), value)


def coordinates(value: str, number: int) -> str:
    """Decimal degrees in the open sea."""
    return f"0.{_digits_below(number, 6)}, 0.{_digits_below(number // 10**6, 6)}"


_NUMERIC_DATE = re.compile(r"\d{1,4}([./-])\s?\d{1,2}\1\s?\d{1,4}")


def date(value: str, number: int) -> str:
    """A numeric date in the order of the value; one with a month's name becomes year-month-day."""
    year, month = f"18{number % 50:02d}", f"{1 + number // 50 % 12:02d}"
    day = f"{1 + number // 600 % 28:02d}"
    if not _NUMERIC_DATE.fullmatch(value):
        return f"{year}-{month}-{day}"
    sign = re.sub(r"[\d\s]", "", value)[0]
    if re.match(r"\d{4}", value):
        return f"{year}{sign}{month}{sign}{day}"
    # Which of the first two is the month is not known: neither is above 12.
    return f"{month}{sign}{1 + number // 600 % 12:02d}{sign}{year}"


_CHECK_DIGITS = 4
"""Of a national pseudonym: a keyed hash of its other digits, by which it is known again. One real
number in ten thousand has them by chance, and stays."""
_LEAST_DIGITS = 8
_TRIES = 64


def national(value: str, number: int, keyed: KeyedNumber) -> str | None:
    """Digits in the places of the digits, X in those of the letters, such that no state's number
    has them. None where the value is too short, or where the rules refuse nothing."""
    count = sum(character.isdecimal() for character in value)
    if count < _LEAST_DIGITS:
        return None
    spelling = re.sub(r"[^\W\d_]", "X", value)
    for attempt in range(_TRIES):
        number = keyed(f"national\0{number}\0{attempt}")
        body = _digits_below(number, count - _CHECK_DIGITS)
        made = _into_groups(body + _keyed_digits(body, keyed), spelling)
        if _is_nobodys(made):
            return made
    return None


def _keyed_digits(body: str, keyed: KeyedNumber) -> str:
    return _digits_below(keyed(f"check\0{body}"), _CHECK_DIGITS)


@functools.lru_cache(maxsize=4096)
def _is_nobodys(value: str) -> bool:
    compact = re.sub(r"[^0-9A-Z]", "", value)
    return not any(valid(sort, compact) for sort in _REFUSING) and not (
        compact.isdecimal() and len(compact) >= 12 and issued_card(compact)
    )


_NOT_A_DIGIT = re.compile("[^0-9]+")
_NATIONAL = re.compile(r"(?<!\w)[0-9X](?:[ ./+-]{0,2}[0-9X]){7,19}(?!\w)")


def national_spans(text: str, start: int, end: int, keyed: KeyedNumber) -> Iterator[Span]:
    """Where pseudonyms stand that `national` made with this key."""
    for match in _NATIONAL.finditer(text, start, end):
        digits = _NOT_A_DIGIT.sub("", match[0])
        if (
            len(digits) >= _LEAST_DIGITS
            and _keyed_digits(digits[:-_CHECK_DIGITS], keyed) == digits[-_CHECK_DIGITS:]
            and _is_nobodys(match[0])
        ):
            yield match.span()


def alphanumerics(value: str) -> str:
    """Letters and digits, in small letters."""
    return "".join(c for c in value.lower() if c.isalnum())


def plain_email(value: str) -> str:
    """`jane [at] host dot org` and `Jane@host.org` are one."""
    value = re.sub(r"\s*[\[({<]?\s*\b(?:at|arroba)\b\s*[\])}>]?\s*", "@", value.casefold())
    value = re.sub(r"\s*[\[({<]?\s*(?:\b(?:dot|punkt|punto|point)\b|\.)\s*[\])}>]?\s*", ".", value)
    return "".join(value.split())


def phone_digits(value: str) -> str:
    """The last nine digits, without country, trunk prefix and extension: +44 7700 900123 and
    07700 900123 are one, +45 12 34 56 78 and 12 34 56 78 as well."""
    number = re.split(r"(?i)x|e|;|#", value.replace("(0)", ""), maxsplit=1)[0].strip()
    digits = digits_of(number)
    if number[:1] == "+" or digits.startswith("00"):
        digits = digits.lstrip("0")
        codes = _country_codes()
        digits = next((digits[n:] for n in (1, 2, 3) if digits[:n] in codes), digits)
    return (digits.lstrip("0") or digits)[-9:]


@functools.cache
def _country_codes() -> frozenset[str]:
    """Those of E.164, without the sign; none begins with another."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


def plain_address(value: str) -> str:
    """An IP address in its one canonical form, without zone and prefix; what is none in small
    letters."""
    try:
        return str(ipaddress.ip_address(re.split("[%/]", value)[0]))
    except ValueError:  # a recognizer of the recipe's own may call anything so
        return value.lower()


_CARD = re.compile(
    r"(?<![\w.+-])(?:[0-9]{12,19}"
    r"|[0-9]{4}([ .-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![\w+-]|\.[0-9])"
)
"""Twelve to nineteen digits (ISO/IEC 7812), in one piece or grouped as cards print them."""
_RESERVED = re.compile(
    r"user-[0-9a-f]{10}@example\.org(?![A-Za-z0-9-]|\.[A-Za-z])"
    r"|[a-z][a-z0-9+.-]{1,20}://example\.org/[0-9a-f]{10}(?![\w/?#&%=@:-])"
    r"|(?<![\d+-])(?:\+1[ .-])?(?:\(?[23467](?!00|11)[0-8]\d\)?[ .-])?555[ .-]01\d\d(?!\d)"
    r"|1Fictitious[a-z]{23}|<[A-Z_]{3,40}(?:-[a-z]{10})?>"
    r"|00([:-])00\1(?i:5e)\1(?:00)\1(?:53)\1[0-9A-Fa-f]{2}|0000\.5[eE]00\.53[0-9A-Fa-f]{2}"
    r"|(?<![\d.])(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}(?:/\d{1,3})?(?!\d)"
    r"|(?<![0-9A-Fa-f:])2001:0?(?i:db8):[0-9A-Fa-f:]*(?:/\d{1,3})?"
    r"|(?<!\d)000[- .]\d\d[- .]\d{4}(?!\d)"
    r"|(?<![\w.])0\.\d{6}, 0\.\d{6}(?!\w|\.\d)"
    r"|(?<![\w./-])(?:18[0-4]\d([./-])[01]\d\2[0-3]\d|[01]\d([./-])[01]\d\3\s?18[0-4]\d)(?!\d)"
)
"""Word boundaries are left out where a pseudonym must be known again wherever it was put."""
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}00")
_ACCOUNTS = {
    country: re.compile(rf"(?: ?[A-Z0-9]){{{length - 4}}}(?![A-Za-z0-9])")
    for country, length in IBAN_LENGTHS.items()
}
"""What follows country and check digits: as long as the country has it, or a licence or a card
beside two letters and 00 would pass for one."""


def reserved_spans(text: str, start: int, end: int) -> Iterator[Span]:
    """Where values stand that are reserved for examples, pseudonyms and placeholders among them."""
    for match in _RESERVED.finditer(text, start, end):
        yield match.span()
    for match in _CARD.finditer(text, start, end):
        digits = _NOT_A_DIGIT.sub("", match[0])
        if digits.startswith(_NO_ISSUER) and _failing_digit(digits[:-1]) == digits[-1]:
            yield match.span()
    for match in _IBAN.finditer(text, start, end):
        account = _ACCOUNTS.get(match[0][:2])
        if account and (rest := account.match(text, match.end(), end)):
            yield match.start(), rest.end()
