"""Which values stand behind their names? Facts of "key: value" lines, lists and tables.

Tables are those of Markdown and HTML, and lines with tabs, commas or semicolons: with a heading,
its cells say what the others are; without one, only what a list knows is found.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from corpusmill.privacy.gazetteer import gazetteer
from corpusmill.privacy.nationalities import NATIONALITIES
from corpusmill.privacy.occupations import OCCUPATIONS, in_fields, is_title
from corpusmill.privacy.quasi_patterns import GROWN
from corpusmill.privacy.quasi_values import NORMAL, as_written


@dataclass(frozen=True)
class Fact:
    """A value of an attribute, and where it stands."""

    attribute: str
    value: str
    """Normalised: equal facts have equal values."""
    start: int
    end: int
    """Characters of the text."""


_KEYS = {
    key: attribute
    for attribute, keys in {
        "age": "age|years|alter|âge|edad",
        "sex": "sex|gender|geschlecht|sexe|sexo",
        "birth_date": "dob|d.o.b.|date of birth|year of birth|birth year|birth date|birthdate"
        "|birth_date|date_of_birth|birthday|born|geburtsdatum|geboren|geboren am"
        "|date de naissance|né le|née le|fecha de nacimiento",
        "postcode": "postcode|post code|postal code|zip|zip code|postalcode|postal_code|zip_code"
        "|plz|postleitzahl|code postal|código postal",
        "city": "home|city|town|residence|hometown|home town|current city|location|lives"
        "|address|lives in|place of residence|wohnort|stadt|ville|domicile|ciudad"
        "|residencia",
        "nationality": "nationality|citizenship|citizen of|country of citizenship"
        "|staatsangehörigkeit"
        "|nationalität|nationalité|nacionalidad",
        "occupation": "occupation|profession|job|jobtitle|job title|current job|present occupation"
        "|role|works as|trade|beruf|métier|ocupación|profesión",
        "employer": "employer|employed by|name of employer|organisation|organization|firm|company"
        "|workplace|works at|works for|arbeitgeber|employeur|empleador|empresa",
    }.items()
    for key in keys.split("|")
}
_VAGUE = frozenset(
    {
        "job",
        "role",
        "trade",
        "lives",
        "address",
        "years",
        "company",
        "organisation",
        "organization",
        "firm",
        "home",
        "location",
        "city",
        "town",
        "residence",
    }
)
"""Keys that other things have as well: what no list knows behind them is a person's only where
something else is."""
_AS_WRITTEN = ("city", "nationality", "occupation", "employer")
_KEY = "|".join(sorted(map(re.escape, _KEYS), key=len, reverse=True))
_LABELLED = re.compile(
    rf"(?<![\w-])(?P<key>{_KEY})[\"'*_ ]{{0,4}}(?:[:=?]|\.{{3,40}}|_{{3,40}})[\"'*_ ]{{0,6}}"
    r"(?P<v>[^\n|;:=()\"]{1,80})(?P<sep>[:=]?)",
    re.IGNORECASE,
)
_UNMARKED = re.compile(
    rf"(?:^|[.;|,\n] {{0,3}})(?P<key>{_KEY}) {{1,4}}(?P<v>[^\n|;:=().,\"]{{1,60}})(?=[.,;|\n]|$)",
    re.IGNORECASE,
)
"""A key and its value without a sign between: | CITY Leeds |; Nationality German."""
_NOT_UNMARKED = frozenset({"lives", "home", "address", "born", "years"})
_NEXT_KEY = re.compile(r"(?:[.,;(]|\s)\s{0,3}[^\W\d_][^\W\d]{0,20}(?: [^\W\d]{1,20})?$")
_SENTENCE = re.compile(r"(?<!\bSt)(?<!\bDr)(?<!\bCo)\. |,? {1,3}(?:and|who|which) ")
_FULL_STOP = re.compile(r"(?<!\bSt)(?<!\bDr)(?<!\bCo)\. |,? {1,3}(?:who|which) | and (?=[a-z])")
_CELLS = (re.compile(r"[^|\n]+"), re.compile(r"[^\t\n]+"), re.compile(r"[^,\n]+"),
          re.compile(r"[^;\n]+"), re.compile(r'"[^"\n]{0,200}"|[^,\n]+'))  # fmt: skip
_LONGEST_ROW = 2000
"""Characters of a line that is read as cells."""
_MOST_CELLS = 50


def names_attribute(key: str) -> bool:
    """Is that the name of a quasi-identifier?"""
    return key.lower().replace("_", " ") in _KEYS


def labelled(text: str, *, places: bool) -> tuple[list[Fact], list[Fact]]:
    """Facts with a name beside them: those that speak of a person, and those that may.

    `text` has tags and tabs as rows and cells have them (corpusmill.privacy.quasi_identifiers);
    without `places` no city is looked for.
    """
    certain: list[Fact] = []
    possible: list[Fact] = []
    for match in _LABELLED.finditer(text):
        key = match["key"].lower()
        raw = match["v"]
        if match["sep"]:  # the next key was taken as well
            raw = _NEXT_KEY.sub("", raw)
        _add(key, raw, match.start("v"), certain, possible, places)
    for match in _UNMARKED.finditer(text):
        if match["key"].lower() not in _NOT_UNMARKED and match["key"][0].isupper():
            _add(match["key"].lower(), match["v"], match.start("v"), possible, possible, places)
    heading: list[str] = []
    start = 0
    for line in text.split("\n"):
        if 3 <= len(line) <= _LONGEST_ROW:
            heading = _row(line, start, heading, certain, possible, places)
        elif line:
            heading = []
        start += len(line) + 1
    return certain, possible


def _add(
    key: str, raw: str, start: int, certain: list[Fact], possible: list[Fact], places: bool
) -> None:
    attribute = _KEYS[key]
    if attribute == "city" and not places:
        return
    end_of_sentence = (_SENTENCE if attribute != "employer" else _FULL_STOP).search(raw)
    cut = raw[: end_of_sentence.start()] if end_of_sentence else raw
    for piece in (raw, cut, re.split("[,(]", cut)[0]):
        span = _trimmed(piece)
        value = (
            NORMAL[attribute](piece[slice(*span)])
            if attribute not in ("occupation", "employer")
            else ""
        )
        if value:
            certain.append(Fact(attribute, value, start + span[0], start + span[1]))
            return
    if attribute not in _AS_WRITTEN:
        return
    if attribute == "city" or (attribute == "occupation" and not _qualified(cut)):
        cut = cut.split(",")[0]
    span = _trimmed(cut)
    value = as_written(cut[slice(*span)])
    if any(c.isalnum() for c in value):
        known = key not in _VAGUE or value in OCCUPATIONS
        facts = certain if known else possible
        facts.append(Fact(attribute, value, start + span[0], start + span[1]))


def _qualified(title: str) -> bool:
    """A title and its field, and nothing else: teacher, adult education."""
    head, comma, field = title.partition(", ")
    return bool(comma) and as_written(head).split()[-1:] != [] and in_fields(field)


def _trimmed(text: str) -> tuple[int, int]:
    """Where a value begins and ends without the signs around it."""
    end = len(text.rstrip(' .,*_"\r\t\0'))
    return min(len(text) - len(text.lstrip(" *_\t\"'")), end), end


# ---- rows ----


def _row(
    line: str,
    start: int,
    heading: list[str],
    certain: list[Fact],
    possible: list[Fact],
    places: bool,
) -> list[str]:
    """Read a line as cells; returns the heading that holds for the next line."""
    ways = [[(m.start(), m[0]) for m in cell.finditer(line)] for cell in _CELLS]
    as_heading = (cells for cells in ways if heading and len(cells) == len(heading))
    cells = next(as_heading, next((cells for cells in ways if len(cells) > 1), []))[:_MOST_CELLS]
    if not cells:
        return []
    names = [cell.strip(" *_\"'\t").lower().replace("_", " ") for _, cell in cells]
    if sum(name in _KEYS for name in names) >= 2:
        return names
    if all(not name.strip("-: ") for name in names):  # the rule below a heading
        return heading
    if len(heading) == len(names):
        for name, (at, raw) in zip(heading, cells, strict=True):
            if name in _KEYS:
                _add(name, raw, start + at, certain, certain, places)
        return heading
    keyed = [i for i, name in enumerate(names[:-1]) if name in _KEYS and "|" in line]
    for i in keyed:
        _add(names[i], cells[i + 1][1], start + cells[i + 1][0], certain, possible, places)
    if not keyed:
        known = list(_known_cells(cells, start, places))
        kinds = {fact.attribute for fact in known}
        (certain if "age" in kinds and len(kinds) > 1 else possible).extend(known)
    return []


def _known_cells(cells: Sequence[tuple[int, str]], start: int, places: bool) -> Iterator[Fact]:
    for at, raw in cells:
        first, last = _trimmed(raw)
        cell = raw[first:last]
        name = as_written(cell)
        if re.fullmatch(GROWN, cell):
            fact = "age", name
        elif is_title(name) or (", " in name and is_title(name.split(",")[0])):
            fact = "occupation", name
        elif name.replace("-", " ") in NATIONALITIES:
            fact = "nationality", name.replace("-", " ")
        elif places and name in gazetteer() and cell[:1].isupper():
            fact = "city", gazetteer()[name][0]
        else:
            continue
        yield Fact(*fact, start + at + first, start + at + last)
