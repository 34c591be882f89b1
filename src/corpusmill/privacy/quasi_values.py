"""When are two facts about a person the same? The normalised values of quasi-identifiers.

Only what is such a value from its first to its last character is read (`34`, `3 May 1990`,
`1990-05-03T00:00Z`); anything else is no value, and the caller takes it as it is written: what was
read in part would be shown as a whole.
"""

import re
from collections.abc import Callable, Mapping

from corpusmill.privacy.gazetteer import gazetteer
from corpusmill.privacy.nationalities import NATIONALITIES

# ---- ages ----

UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: n for n, word in enumerate([*UNITS, *TEENS], start=1)} | {
    ten: 20 + 10 * i for i, ten in enumerate(TENS)
}
OLDEST = 120
"""Years."""


def years(text: str) -> int | None:
    """The number of years that a text spells, in digits or in English; None where it is none."""
    if text.isdecimal():
        number = int(text) if len(text) <= 3 else OLDEST + 1
    else:
        number = sum(_NUMBERS.get(word, OLDEST + 1) for word in re.split("[ -]+", text.lower()))
    return number if number <= OLDEST else None


_DECADE = re.compile(rf"([1-9])0s|({'|'.join(ten[:-2] for ten in TENS)})ties")


def _age(text: str) -> str:
    if decade := _DECADE.fullmatch(text.lower()):
        tens = 10 * (int(decade[1]) if decade[1] else TENS.index(decade[2] + "ty") + 2)
        return f"{tens}-{tens + 9}"
    number = years(text) if len(text) <= 30 else None
    return "" if number is None else str(number)


# ---- dates ----

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january januar janvier enero jan", "february februar février febrero feb",
            "march märz mars marzo mar", "april avril abril apr", "may mai mayo",
            "june juni juin junio jun", "july juli juillet julio jul",
            "august août agosto aug", "september septembre septiembre sep sept",
            "october oktober octobre octubre oct", "november novembre noviembre nov",
            "december dezember décembre diciembre dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_CLOCK = r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?"
_ISO_DAY = rf"\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}}{_CLOCK}"
FULL_DATE = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th|er|\.)? ?(?:of |de )?{_MONTH},?(?: de| del)? \d{{4}}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|{_ISO_DAY}"
    r"|\d{1,2}[./-] ?\d{1,2}[./-] ?\d{4})"
)
"""A day of a year; pattern, without regard to case."""
SHORT_DATE = r"\d{1,2}[./-]\d{1,2}[./-]\d{2}"
"""A day of a year without its century; pattern."""
DATE = rf"(?:{FULL_DATE}|{_MONTH},?(?: de| of)? \d{{4}}|\d{{4}}-\d\d|\d{{4}})"
"""A day, a month or a year; pattern, without regard to case."""
_WHOLE_DATE = re.compile(
    re.sub(r" (\??)", lambda m: r"\s{0,6}" if m[1] else r"\s{1,6}", rf"(?:{DATE}|{SHORT_DATE})"),
    re.IGNORECASE,
)
EARLIEST, LATEST = 1850, 2030
"""Years in which somebody can have been born who is written about."""


def _date(text: str) -> str:
    if len(text) > 60 or not text.isprintable() or _WHOLE_DATE.fullmatch(text) is None:
        return ""
    day_part = re.split(r"(?<=\d)[T ]\d\d:", text)[0]
    numbers = [int(n) for n in re.findall(r"\d+", day_part)]
    words = [word for word in re.findall(r"[^\W\d_]+", day_part.lower()) if word in _MONTHS]
    year_first = numbers[0] > 31
    year, others = (numbers[0], numbers[1:]) if year_first else (numbers[-1], numbers[:-1])
    if re.fullmatch(SHORT_DATE, text):
        year += 2000 if year <= LATEST - 2000 else 1900
    if words:
        month, days = _MONTHS[words[0]], others
    elif len(others) == 2:
        month, days = (others[0], others[1:]) if year_first else (others[1], others[:1])
        if month > 12:  # the American order
            month, days = days[0], [month]
    else:
        month, days = (others[0], []) if others else (0, [])
    if not EARLIEST <= year <= LATEST or month > 12 or any(not 1 <= day <= 31 for day in days):
        return ""
    if month == 0:
        return "" if others else str(year)
    return f"{year}-{month:02d}" + (f"-{days[0]:02d}" if days else "")


# ---- the others ----

_SEXES = {
    word: sex
    for sex, words in (
        ("female", "female woman girl lady mrs ms miss she her hers herself f w frau weiblich "
                   "femme féminin mujer femenino sie elle ella daughter wife widow"),
        ("male", "male man boy gentleman mr he him his himself m mann männlich herr homme "
                 "masculin hombre masculino il él son husband widower"),
    )
    for word in words.split()
}  # fmt: skip


def _sex(text: str) -> str:
    return _SEXES.get(text.lower().rstrip("."), "")


def _postcode(text: str) -> str:
    code = re.sub(r"[\s-]", "", text.upper())
    known = len(code) <= 10 and code.isascii() and code.isalnum()
    return code if known and any(c.isdigit() for c in code) else ""


def _city(text: str) -> str:
    found = gazetteer().get(as_written(text))
    return "" if found is None else found[0]


def _nationality(text: str) -> str:
    adjective = as_written(text.replace("-", " "))
    return adjective if adjective in NATIONALITIES else ""


def as_written(text: str) -> str:
    """A value of which only the spelling is known: without case, runs of white space as one."""
    return " ".join(text.casefold().split())


NORMAL: Mapping[str, Callable[[str], str]] = {
    "age": _age,
    "sex": _sex,
    "birth_date": _date,
    "postcode": _postcode,
    "city": _city,
    "nationality": _nationality,
    "occupation": as_written,
    "employer": as_written,
}
"""The normalised value of an attribute as a text has it; empty where it is none."""


def is_spelling(attribute: str, raw: str, value: str) -> bool:
    """Does the raw text say no more than the value, so that it may stand where the value may?

    A time of day behind a date of birth does, and so does a rare name of a well-known city.
    """
    if attribute == "city":
        return as_written(raw) == as_written(value)
    return attribute != "birth_date" or ":" not in raw or as_written(raw) == value
