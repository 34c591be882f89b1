"""Which facts about a person stand in a document? Quasi-identifiers, in text and metadata.

None of them names anybody; together they single people out (Sweeney 2000: date of birth, sex and
postcode are unique for most of the United States). In texts they are found in two steps: phrases
and labels that speak of a person by themselves ("aged 34", "works as a nurse at ...", "DOB: ..."),
and, where one was found, whatever else a list knows or a hint suggests: any city, title or date. In
metadata they are found by their keys. Everything is linear in the text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from corpusmill.privacy import quasi_patterns as patterns
from corpusmill.privacy.hierarchies import ATTRIBUTES
from corpusmill.privacy.quasi_labels import Fact, labelled, names_attribute
from corpusmill.privacy.quasi_places import cities, large_cities, residences, unknown_towns
from corpusmill.privacy.quasi_titles import (
    explicit_titles,
    implied_titles,
    known_title,
    nationalities,
    title,
    titles,
    unknown_titles,
)
from corpusmill.privacy.quasi_values import NORMAL, as_written

PERSONAL = ("age", "birth_date", "postcode", "nationality", "occupation", "employer")
"""A document that has none of these speaks of nobody in particular: a sex (pronouns!) or a city
alone is no quasi-identifier."""

SHORT = 3000
"""Characters of a document that is read as one passage: all of it is about the person."""
REACH = 300
"""Characters around what speaks of a person that are about the person in longer documents."""
TOGETHER = 200
"""Characters within which three kinds of hints speak of a person."""
VERY_SHORT = 800
"""Characters of a document in which two kinds of hints and a sex speak of a person."""
MOST_NAMES = 1000
"""Names of a document that are looked for everywhere in it."""

# ---- the text as it is read ----

_LABEL = re.compile(
    rf"<(?:{'|'.join(name.upper() for name in ATTRIBUTES)})(?: [^<>\n]{{0,80}})?>"
    r"(?![^<>\n]{1,80}</)"
)
_BETWEEN_CELLS = re.compile(r"</t[dh]>\s{0,40}(?=<t[dh])|<tr\b[^<>]{0,100}>\s{0,40}", re.IGNORECASE)
_CELL = re.compile(r"<t[dh]\b[^<>]{0,100}>", re.IGNORECASE)
_BLOCK = re.compile(r"</?(?:p|br|li|tr|div|h\d|dt|dd|ul|ol)\b[^<>]{0,100}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,10}(?: [^<>\n]{0,100})?/?>", re.IGNORECASE)
_RECORD = re.compile(r"<(?P<end>/?)(?P<key>[a-z][a-z_]{1,20})>", re.IGNORECASE)
_SPACES = str.maketrans(dict.fromkeys("\xa0\u2007\u202f\u2009\r\x0b\x0c", " "))
_WRAP = re.compile(r"\n(?![ \t\r]{0,20}(?:\n|[|#<*-]|[^\W\d_][\w /]{0,30}:))[ \t>]{0,6}|\t")
"""A line's end within a paragraph, with what quotes and indents the next line."""


def _lines(text: str) -> str:
    """The text, of the same length, without labels of an earlier run, tags and unusual spaces."""
    text = _LABEL.sub(lambda m: "\0" * len(m[0]), text).translate(_SPACES)
    if "<" in text:
        text = _BETWEEN_CELLS.sub(lambda m: " " * len(m[0]), text)
        text = _CELL.sub(lambda m: "|".ljust(len(m[0])), text)
        text = _BLOCK.sub(lambda m: "\n".ljust(len(m[0])), text)
        text = _RECORD.sub(_as_label, text)
        text = _TAG.sub(lambda m: " " * len(m[0]), text)
    return text


def _as_label(tag: re.Match[str]) -> str:
    """<city>Leeds</city> as city:Leeds and a line's end."""
    if not names_attribute(tag["key"]):
        return tag[0]
    return "\n".ljust(len(tag[0])) if tag["end"] else f"\n{tag['key']}:"


# ---- facts ----


def facts(text: str, attributes: Iterable[str], *, personal: bool = False) -> list[Fact]:
    """The quasi-identifiers of a text, in order, apart; none where nothing speaks of a person.

    `personal` says that the document speaks of a person for other reasons, as its metadata.
    """
    wanted = set(attributes)
    places = "city" in wanted
    lines = _lines(text)
    flow = _WRAP.sub(lambda m: " " * len(m[0]), lines)
    named, possible = labelled(lines, places=places)
    short = len(text) <= SHORT
    homes = list(residences(flow, unknown=short)) if places else []
    certain = [*_matches(flow, patterns.PHRASES), *_introduced(flow), *explicit_titles(flow)]
    likely = [*implied_titles(flow), *nationalities(flow, certain=True)]
    evidence = homes + [
        fact
        for fact in [*named, *certain, *(likely if short else ())]
        if fact.attribute in PERSONAL
    ]
    if not personal and not evidence:
        if not short:
            return []
        hints = [*_hints(flow, places=places), *possible]
        if not hints or not (patterns.CUES.search(flow) or _dense(hints, certain, len(text))):
            return []
    elif not short and not personal:
        lines_near = _near(flow, evidence)
        flow = "".join(
            flow[first:last] if near else "\0" * (last - first) for first, last, near in lines_near
        )
    if short and places:
        homes += unknown_towns(flow)
    found = [*homes, *certain, *likely, *_hints(flow, places=places)]
    named += possible
    found += _beside([*named, *found], flow)
    both = [
        [f for f in facts if f.attribute in wanted and "\0" not in flow[f.start : f.end]]
        for facts in (named, found)
    ]
    again = _mentioned_again(
        lines, [*both[0], *both[1]] if short else [f for f in evidence if f.attribute in wanted]
    )
    return list(_apart(both[0], [*both[1], *again]))


def _hints(flow: str, *, places: bool) -> Iterator[Fact]:
    """What tells something of a person where one is spoken of."""
    yield from _matches(flow, patterns.HINTS)
    yield from titles(flow)
    yield from unknown_titles(flow)
    yield from nationalities(flow, certain=False)
    if places:
        yield from cities(flow)
        yield from large_cities(flow)


def _dense(hints: Sequence[Fact], certain: Sequence[Fact], characters: int) -> bool:
    """Do so many kinds of hints stand together that they speak of somebody: 29, Irish, welder?"""
    first = 0
    somebody = {"age", "birth_date", "occupation"}
    kinds = {fact.attribute for fact in hints} - {"sex"}
    sexes = characters <= VERY_SHORT and any(fact.attribute == "sex" for fact in certain)
    if sexes and len(kinds) >= 2 and kinds & somebody:
        return True
    ordered = sorted(hints, key=lambda fact: fact.start)
    for last, fact in enumerate(ordered):
        while fact.end - ordered[first].start > TOGETHER:
            first += 1
        kinds = {f.attribute for f in ordered[first : last + 1]} - {"sex"}
        if len(kinds) >= 3 and kinds & {"age", "birth_date", "occupation"}:
            return True
    return False


def _near(text: str, evidence: Sequence[Fact]) -> Iterator[tuple[int, int, bool]]:
    """The text cut into what is near evidence and what is not: start, end, near."""
    end = 0
    for fact in sorted(evidence, key=lambda fact: fact.start):
        first, last = max(fact.start - REACH, end), min(fact.end + REACH, len(text))
        if first > end:
            yield end, first, False
        if last > first:
            yield first, last, True
            end = last
    yield end, len(text), False


def _beside(known: Sequence[Fact], text: str) -> Iterator[Fact]:
    """What stands right behind other facts: a Polish YouTuber; a nurse at Siemens."""
    for fact in known:
        craft = patterns.CRAFT_AHEAD.match(text, fact.end)
        is_craft = craft and craft["v"].split()[-1] not in patterns.NO_CRAFTS
        if fact.attribute == "nationality" and craft and is_craft:
            yield title(text, *craft.span("v"))
        firm = patterns.AT_FIRM.match(text, fact.end)
        if fact.attribute == "occupation" and firm:
            group = firm.lastgroup or "v"
            if not NORMAL["nationality"](firm[group]):
                yield Fact("employer", as_written(firm[group]), *firm.span(group))


def _matches(text: str, phrases: Iterable[tuple[str, re.Pattern[str]]]) -> Iterator[Fact]:
    for attribute, pattern in phrases:
        for match in pattern.finditer(text):
            if value := NORMAL[attribute](match["v"]):
                yield Fact(attribute, value, match.start("v"), match.end("v"))


def _introduced(text: str) -> Iterator[Fact]:
    """Anna (34), a nurse; Anna, 34, from Leeds: ages between a name and what one is."""
    for match in patterns.INTRODUCED.finditer(text):
        before, after = text[max(match.start() - 40, 0) : match.start()], text[match.end() :][:60]
        if known_title(after) or known_title(before):
            yield Fact("age", NORMAL["age"](match["v"]), match.start("v"), match.end("v"))
            unknown = patterns.AFTER_AGE.match(text, match.end())
            if unknown and not known_title(unknown["v"]):
                yield Fact("occupation", as_written(unknown["v"]), *unknown.span("v"))


def _mentioned_again(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """The same names elsewhere in the text, without the phrases that give them away."""
    known: dict[str, Fact] = {}
    for fact in found:
        if fact.attribute not in ("age", "sex"):
            known.setdefault(text[fact.start : fact.end], fact)
    names = sorted(known, key=lambda name: (-len(name), name))[:MOST_NAMES]
    if names:
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")
        for match in pattern.finditer(text):
            fact = known[match[0]]
            yield Fact(fact.attribute, fact.value, match.start(), match.end())


def _apart(first: Sequence[Fact], others: Sequence[Fact]) -> Iterator[Fact]:
    """Facts in order; of overlapping ones the first, of those one of `first`, or the longest."""
    end = 0
    ranked = [(f.start, rank, -f.end, f) for rank, fs in enumerate((first, others)) for f in fs]
    for *_, fact in sorted(ranked, key=lambda row: (*row[:3], row[3].attribute)):
        if fact.start >= end:
            yield fact
            end = fact.end
