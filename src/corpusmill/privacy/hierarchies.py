"""How is a value told less exactly? The hierarchies of quasi-identifiers, from exact to nothing.

A value is a normalised text (`34`, `1980-03-12`, `SW1A1AA`, `Berlin`); level 0 is the value itself,
each level above says less, and the last says nothing (ANY). A value that a hierarchy does not know
has only these two.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping
from itertools import combinations

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.privacy.gazetteer import gazetteer
from corpusmill.privacy.nationalities import NATIONALITIES, REGIONS
from corpusmill.privacy.occupations import MAJOR_GROUPS, OCCUPATIONS

ANY = "*"
"""Nothing is said any more."""

ATTRIBUTES = (
    "age", "sex", "birth_date", "postcode", "city", "nationality", "occupation", "employer",
)  # fmt: skip
"""Attributes that are found without being told where, in the order in which tuples have them."""

LARGEST_HIERARCHY = 1 << 24
"""Bytes of a file with a hierarchy."""


def _age(value: str) -> tuple[str, ...]:
    if re.fullmatch(r"[1-9]0-[1-9]9", value):  # somebody in their thirties
        low = int(value[:2]) // 20 * 20
        return (value, value, value, f"{low}-{low + 19}", ANY)
    if not (value.isdecimal() and len(value) <= 3):
        return (value, ANY, ANY, ANY, ANY)
    age = int(value)
    bands = [f"{age // width * width}-{age // width * width + width - 1}" for width in (5, 10, 20)]
    return (value, *bands, ANY)


def _birth_date(value: str) -> tuple[str, ...]:
    if not re.fullmatch(r"\d{4}(-\d\d){0,2}", value):
        return (value, ANY, ANY, ANY, ANY)
    return (value, value[:7], value[:4], f"{value[:3]}0s", ANY)


def _postcode(value: str) -> tuple[str, ...]:
    # From the right, as postal systems number their areas: SW1A1AA, SW1A.., SW1.., S...
    shown = [value[:n] + "." * (len(value) - n) if len(value) > n else value for n in (4, 3, 1)]
    return (value, *shown, ANY)


def _nationality(value: str) -> tuple[str, ...]:
    code = NATIONALITIES.get(value.casefold(), "")
    return (value, code or ANY, REGIONS.get(code, ANY), ANY)


def _occupation(value: str) -> tuple[str, ...]:
    words = value.casefold().split()
    # "senior nurse", "nurse practitioner": the group of the longest title within
    parts = sorted(combinations(range(min(len(words), 8) + 1), 2), key=lambda p: (p[0] - p[1], p))
    titles = (" ".join(words[first:last]) for first, last in parts)
    group = next((OCCUPATIONS[title] for title in titles if title in OCCUPATIONS), None)
    return (value, ANY if group is None else MAJOR_GROUPS[group], ANY)


def _city(value: str) -> tuple[str, ...]:
    found = gazetteer().get(value.casefold())
    return (value, ANY, ANY, ANY, ANY) if found is None else (*found, ANY)


def _flat(value: str) -> tuple[str, ...]:
    return (value, ANY)


Levels = Callable[[str], tuple[str, ...]]

HIERARCHIES: Mapping[str, Levels] = {
    "age": _age,
    "sex": _flat,
    "birth_date": _birth_date,
    "postcode": _postcode,
    "city": _city,
    "nationality": _nationality,
    "occupation": _occupation,
    "employer": _flat,
}
"""Ages in bands of 5, 10 and 20 years; dates to month, year and decade; postcodes to their first
four, three and one characters; cities to region, country and continent; nationalities to
country and region of the world; occupations to ISCO-08's major groups."""


def read_hierarchy(path: str) -> Levels:
    """A hierarchy from a CSV file without a heading: value, what it is told as, and so on upwards.

    All rows have the same number of columns. Values are compared without regard to case. Raises
    UsageError for what is no such file.
    """
    try:
        if storage.file_size(path) > LARGEST_HIERARCHY:
            raise UsageError(f"{path}: a hierarchy of more than {LARGEST_HIERARCHY >> 20} MiB")
        text = storage.read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8") from None
    known: dict[str, tuple[str, ...]] = {}
    width = 0
    try:
        for line, row in enumerate(csv.reader(io.StringIO(text)), start=1):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            width = width or len(cells)
            if len(cells) != width or width < 2 or not all(cells):
                raise UsageError(
                    f"{path}:{line}: {len(cells)} columns; every line has the same number, at "
                    "least two (value, generalised value), none empty"
                )
            known[cells[0].casefold()] = (*cells, ANY)
    except csv.Error as error:
        raise UsageError(f"{path}: is not CSV: {error}") from None
    if not known:
        raise UsageError(f"{path}: has no value")

    def levels(value: str) -> tuple[str, ...]:
        return known.get(value.casefold(), (value, *[ANY] * width))

    return levels
