"""Names of persons, places and organisations, and whole addresses, in texts of many languages.

Sources are put together: the small neural recognizer (persons, addresses, towns), spaCy's models
(persons, places, organisations, where one is installed for the language), jieba for Chinese, words
that announce a name, patterns of addresses, and further mentions of names already found. What is
found in a text depends on that text and its language alone.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Literal

from corpusmill.errors import UsageError, one_of
from corpusmill.privacy.address_parts import COUNTRY
from corpusmill.privacy.addresses import (
    american_addresses,
    shaped_addresses,
    typed_addresses,
    whole_addresses,
)
from corpusmill.privacy.finding import PLAUSIBLE, Finding
from corpusmill.privacy.ner_jieba import JiebaNames, check_jieba
from corpusmill.privacy.ner_rampart import Rampart, Word, model_folder
from corpusmill.privacy.ner_rules import (
    announced_persons,
    before_streets,
    block_heads,
    companies,
    completed,
    further_mentions,
    listed_beside,
    lists,
)
from corpusmill.privacy.ner_spacy import MODELS, SpacyNames, check_models
from corpusmill.privacy.ner_words import ADDRESS_KINDS, addresses, persons
from corpusmill.privacy.recognizers import Scanner

Sources = Literal["auto", "rampart", "spacy", "jieba"]
SOURCES = ("auto", "rampart", "spacy", "jieba")
NAMES = ("PERSON", "STREET_ADDRESS", "LOCATION", "ORGANIZATION", "NRP")
"""What can be found, the first of overlapping ones first. NRP: nationalities, religious and
political groups, by spaCy's English model only."""
NOT_LATIN = frozenset(
    "ar am bn fa gu he hi hy ja ka kn km ko lo ml mr my ne pa ps ru sd si ta te th ug uk ur yi bg"
    " be mk sr kk ky mn tg el zh".split()
)
"""Languages that the neural recognizer, which reads Latin letters, is not asked about."""
CHINESE = frozenset(("zh", "yue", "wuu"))
SPACY_NEEDS = 0.02
"""Probability that the neural recognizer must give a person's name that only spaCy found."""
LIST_NEEDS = 0.1
"""Mean, over the names of a list, of the probability of each name's likeliest word."""

_LINK = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}|(?:https?://|www\.)\S{1,2000}")
_LETTERS = re.compile(r"[^\W\d_]{2}")
LIST_PASSES = 2
"""How often a list of names is followed from those found to their neighbours."""


@dataclass(frozen=True, kw_only=True)
class NameSettings:
    """How names are found."""

    ner: Sources = "auto"
    """`rampart`: the small neural recognizer, some 2,500 tokens per CPU-second; English, German,
    French and Spanish, and other languages in Latin letters less well. `spacy`: the models of
    `spacy_models`. `jieba`: Chinese. `auto`: all three, each for its languages."""
    spacy_models: Mapping[str, str] = field(default_factory=lambda: dict(MODELS))
    """Language and name or folder of an installed model."""
    entities: tuple[str, ...] = ("PERSON", "STREET_ADDRESS", "LOCATION", "ORGANIZATION")
    """Which of NAMES to find."""

    def check(self) -> None:
        """Raise UsageError for unknown values and models that are not installed; loads nothing."""
        if self.ner not in SOURCES:
            raise UsageError(f"ner: {one_of(self.ner, SOURCES)}")
        for entity in self.entities:
            if entity not in NAMES:
                raise UsageError(f"ner: entities: {one_of(entity, NAMES)}")
        if self.ner in ("auto", "rampart"):
            model_folder()
        if self.ner in ("auto", "spacy"):
            check_models(self.spacy_models)
        if self.ner in ("auto", "jieba"):
            check_jieba()


class NameFinder:
    """Finds names; holds loaded models, so one per worker."""

    def __init__(self, settings: NameSettings | None = None) -> None:
        """Models are loaded when a text first needs them. Raises UsageError as `check` does."""
        self._settings = settings or NameSettings()
        self._settings.check()
        self._entities = frozenset(self._settings.entities)
        self._streets = Scanner(("STREET_ADDRESS",))
        wanted = self._settings.ner
        self._spacy = (
            SpacyNames(self._settings.spacy_models) if wanted in ("auto", "spacy") else None
        )
        self._rampart: Rampart | None = None
        self._jieba: JiebaNames | None = None

    def find_all(
        self, texts: Sequence[str], languages: Sequence[str | None]
    ) -> list[list[Finding]]:
        """Findings of each text in their order; those of one text do not overlap."""
        return [self.find(text, language) for text, language in zip(texts, languages, strict=True)]

    def find(self, text: str, language: str | None = None) -> list[Finding]:
        """Findings in one text; a language that is not known is taken for English."""
        language = language or "en"
        words = self._words(text, language)
        others = list(self._others(text, language))
        pieces = [
            *addresses(text, words),
            *(f for f in others if f.entity == "STREET_ADDRESS"),
            *self._streets.find(text),
            *shaped_addresses(text),
            *typed_addresses(text),
            *american_addresses(text),
        ]
        located = whole_addresses(text, pieces)
        streets = [f for f in located if f.entity == "STREET_ADDRESS"]
        named = [
            *persons(text, words),
            *announced_persons(text),
            *(f for f in others if f.entity == "PERSON" and _likely(text, f, words)),
        ]
        starts = [f.start for f in streets]
        layout = [*block_heads(text, starts), *before_streets(text, starts)]
        named += _possible(text, layout, words, "block_heads")
        named += _listed(text, words)
        for _ in range(LIST_PASSES):
            named += _possible(text, listed_beside(text, named), words, "lists")
        linked = [
            Finding(*match.span(), "URL", recognizer="links") for match in _LINK.finditer(text)
        ]
        named = [f for f in named if not COUNTRY.fullmatch(text, f.start, f.end)]
        named = list(completed(text, named))
        firms = list(companies(text))
        taken = [*streets, *firms, *linked]
        named = list(_outside(named, taken))
        mentions = list(_outside(further_mentions(text, named), taken))
        found = _apart(
            text,
            streets,
            _joined([*named, *mentions]),
            firms,
            [f for f in located if f.entity == "LOCATION"],
            _outside((f for f in others if f.entity not in ("PERSON", "STREET_ADDRESS")), linked),
        )
        return [f for f in found if f.entity in self._entities]

    def _words(self, text: str, language: str) -> list[Word]:
        """Labels of the neural recognizer; none where it is not asked."""
        if self._settings.ner not in ("auto", "rampart") or language in NOT_LATIN:
            return []
        if self._rampart is None:
            self._rampart = Rampart()
        return list(self._rampart.words(text))

    def _others(self, text: str, language: str) -> Iterator[Finding]:
        """What the models that know one language say."""
        if language in CHINESE and self._settings.ner in ("auto", "jieba"):
            if self._jieba is None:
                self._jieba = JiebaNames()
            yield from self._jieba.find(text)
        elif self._spacy is not None:
            yield from self._spacy.find(text, language)


def _likely(text: str, finding: Finding, words: Sequence[Word]) -> bool:
    """Whether the neural recognizer, where it was asked, holds a name found by another model to be
    at least possible."""
    if any(character.isdigit() for character in text[finding.start : finding.end]):
        return False
    inside = _inside(words, finding.start, finding.end)
    return not inside or (
        max(word.person for word in inside) >= SPACY_NEEDS
        and not any(word.kind in ADDRESS_KINDS and word.score > 0.7 for word in inside)
    )


def _inside(words: Sequence[Word], start: int, end: int) -> list[Word]:
    """The words of a stretch of text."""
    first = bisect_right(words, start, key=lambda word: word.end)
    return list(takewhile(lambda word: word.start < end, words[first:]))


def _possible(
    text: str, spans: Iterable[tuple[int, int]], words: Sequence[Word], recognizer: str
) -> list[Finding]:
    """Names where a name may stand, if the neural recognizer holds them to be possible."""
    findings = (Finding(start, end, "PERSON", PLAUSIBLE, recognizer) for start, end in spans)
    return [finding for finding in findings if _likely(text, finding, words)]


def _listed(text: str, words: Sequence[Word]) -> Iterator[Finding]:
    """All names of a list whose words the neural recognizer holds, on average, for possible."""
    for spans in lists(text) if words else ():
        best = [max((word.person for word in _inside(words, *span)), default=0.0) for span in spans]
        if sum(best) >= LIST_NEEDS * len(best):
            for start, end in spans:
                yield Finding(start, end, "PERSON", PLAUSIBLE, "lists")


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """Overlapping findings of one entity as one, with the best score."""
    joined: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, f.end)):
        last = joined[-1] if joined else None
        if last and finding.start < last.end:
            best = max(last, finding, key=lambda f: f.score)
            joined[-1] = replace(best, start=last.start, end=max(last.end, finding.end))
        else:
            joined.append(finding)
    return joined


def _outside(findings: Iterable[Finding], wholes: Iterable[Finding]) -> Iterator[Finding]:
    """Findings that lie in none of `wholes`."""
    spans = _joined(wholes)
    for finding in findings:
        place = bisect_right(spans, finding.start, key=lambda f: f.start) - 1
        if place < 0 or spans[place].end < finding.end:
            yield finding


def _apart(text: str, *groups: Iterable[Finding]) -> list[Finding]:
    """Findings that do not overlap. Those of earlier groups stay, then those that begin first; of
    what overlaps them, the part that is free stays."""
    kept: list[Finding] = []
    for group in groups:
        free: list[Finding] = []
        at = 0
        for finding in sorted(group, key=lambda f: (f.start, -f.end)):
            start, end = finding.start, finding.end
            if free:
                start = max(start, free[-1].end)
            while at < len(kept) and kept[at].end <= start:
                at += 1
            following = at
            if following < len(kept) and kept[following].start <= start:
                start = kept[following].end
                following += 1
            if following < len(kept):
                end = min(end, kept[following].start)
            if (start, end) != (finding.start, finding.end):
                start, end = _without_edges(text, start, end)
            if end > start:
                free.append(replace(finding, start=start, end=end))
        kept = sorted([*kept, *free], key=lambda f: f.start)
    return kept


def _without_edges(text: str, start: int, end: int) -> tuple[int, int]:
    """What is left of a clipped stretch without spaces and signs around it; empty without words."""
    word = _LETTERS.search(text, start, end)
    if word is None:
        return start, start
    return word.start(), start + len(text[start:end].rstrip(" \t\n,;:.-–—'’\"()"))
