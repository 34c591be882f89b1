"""Which places of a text may be where somebody lives?"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from corpusmill.privacy import quasi_patterns as patterns
from corpusmill.privacy.gazetteer import gazetteer, official_names, well_known
from corpusmill.privacy.nationalities import NATIONALITIES
from corpusmill.privacy.quasi_labels import Fact
from corpusmill.privacy.quasi_values import as_written

_TAIL = ".'\u2019-"
_NO_CITIES = frozenset(
    "january february march april may june july august september october november december monday "
    "tuesday wednesday thursday friday saturday sunday english most of man best university college "
    "male female metro delta enterprise orange temple mary nancy nigel ann date name".split()
)
"""Names of towns that are other words far more often."""
_NO_PLACES = _NO_CITIES - {"delta", "temple", "mary", "nancy", "best", "university"} | frozenset(
    "i he she it they we you his her my our their the a an this that these those mr mrs ms miss dr "
    "prof sir inc ltd llc plc gmbh ag kg nhs god internet spring summer autumn winter christmas "
    "easter".split()
)
_AMBIGUOUS = frozenset(
    "reading nice split bath cork mobile battle deal rugby sandwich page hub normal police bar "
    "eden same bray wells".split()
)
"""Names of towns that begin sentences as other words."""
_PEOPLE = frozenset(
    "elizabeth victoria clinton jackson lincoln taylor beaumont hamilton santiago salvador carlos "
    "kelly allen tyler warren sterling irving vincent bernard gary eugene florence clifton".split()
)
"""Names of towns that stand alone for people."""


def residences(text: str, *, unknown: bool) -> Iterator[Fact]:
    """Where somebody lives or comes from; where `unknown`, also places that no list has, as they
    are written."""
    for match in patterns.RESIDENCE.finditer(text):
        fact = _longest_city(match["v"], match.start("v"), gazetteer())
        name = match["v"].rstrip(_TAIL)
        if (
            fact is None
            and match["home"]
            and name.casefold() not in _NO_CITIES | NATIONALITIES.keys()
        ):
            fact = Fact("city", as_written(name), match.start("v"), match.start("v") + len(name))
        if fact:
            yield fact


def cities(text: str) -> Iterator[Fact]:
    """Cities behind a preposition."""
    for match in patterns.CITY.finditer(text):
        if fact := _longest_city(match["v"], match.start("v"), gazetteer()):
            yield fact


def unknown_towns(text: str) -> Iterator[Fact]:
    """Where a place stands, and what is called as towns are: whether or not a list has it."""
    for match in patterns.ANYWHERE.finditer(text):
        group = match.lastgroup or "v"
        if fact := _as_it_stands(match[group], match.start(group)):
            yield fact
    for match in patterns.TOWN_LIKE.finditer(text):
        before = text[max(match.start() - 3, 0) : match.start()]
        after = text[match.end() : match.end() + 1]
        alone = re.search(r"(?:[,(;:|\n\"\t.] {0,2}|^)$", before) and after in ("", *',.;:)|\n"\t')
        if (alone or " " in match["v"]) and (fact := _as_it_stands(match["v"], match.start())):
            yield fact


def _as_it_stands(name: str, start: int) -> Fact | None:
    opening = re.match(r"(?:The|Our|A|An|This|My|His|Her) {1,6}", name)
    if opening:
        name, start = name[opening.end() :], start + opening.end()
    name = name.rstrip(_TAIL)
    key = as_written(name)
    words = key.split()
    initials = len(name) < 4 and name.isupper()  # TX 78701
    if not words or initials or {words[0], words[-1]} & _NO_PLACES or words[0] in NATIONALITIES:
        return None
    known = gazetteer().get(key)
    return Fact("city", known[0] if known else key, start, start + len(name))


def large_cities(text: str) -> Iterator[Fact]:
    """Cities that everybody knows, wherever they stand; smaller ones where nothing else does."""
    for match in patterns.CAPITALISED.finditer(text):
        words = [(m.start(), m[0]) for m in re.finditer("[^ ]+", match["v"])]
        end = -1
        for at, word in words:
            start = match.start("v") + at
            fact = (
                _longest_city(match["v"][at:], start, _known(text, match, at)) if at > end else None
            )
            begins = re.search(r"(?:^|[.!?\n]) {0,6}$", text[max(match.start() - 8, 0) : start])
            if fact and not (begins and word.casefold() in _AMBIGUOUS):
                yield fact
                end = fact.end - match.start("v")


def _known(text: str, match: re.Match[str], at: int) -> Mapping[str, object] | frozenset[str]:
    """The list of cities that a capitalised word may be one of."""
    before = text[max(match.start("v") - 3, 0) : match.start("v")]
    after = text[match.end("v") : match.end("v") + 1]
    listed = re.search(r"(?:[,(;:|\n] ?|^)$", before) and (not after or after in ",.;:)|\n")
    key = as_written(match["v"])
    if at == 0 and listed and key not in _PEOPLE and key in official_names():
        return gazetteer()
    return _meant_alone()


@lru_cache(maxsize=1)
def _meant_alone() -> frozenset[str]:
    return well_known() - _PEOPLE


def _longest_city(
    name: str, start: int, known: Mapping[str, object] | frozenset[str]
) -> Fact | None:
    name = name.rstrip(_TAIL)
    while name:
        key = as_written(name)
        if key in known and key not in _NO_CITIES and key not in NATIONALITIES:
            return Fact("city", gazetteer()[key][0], start, start + len(name))
        name = re.sub(r"[ -]*[^ -]*$", "", name).rstrip(_TAIL)
    return None
