"""What an audit counts of planted values: how many are gone, which ones leak, what else went."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from corpusmill.pipelines.anonymize_chain import AnonymizeChain
from corpusmill.pipelines.planting import Copy, Place
from corpusmill.privacy.finding import Span
from corpusmill.privacy.leaks import Comparison
from corpusmill.privacy.wilson import wilson_interval

MOST_LEAKS = 200
"""Kinds of leaks that are listed, the most frequent ones first."""

_TALLIES = ("entity", "language", "position", "not_covered")


class Counts:
    """Counts of copies that went through the stages, one by one."""

    def __init__(self, chain: AnonymizeChain) -> None:
        self._chain = chain
        self._tallies: dict[str, dict[str, list[int]]] = {name: {} for name in _TALLIES}
        self._leaks: Counter[tuple[str, str, str, str]] = Counter()
        self._copies = self._quarantined = self._hits = self._false = 0

    def add_quarantined(self) -> None:
        """A copy that a stage failed on: nobody knows what would be left in it."""
        self._copies += 1
        self._quarantined += 1

    def add(self, copy: Copy, source: str, after: Mapping[str, str] | None) -> None:
        """A copy of a document of a source, and what its fields hold afterwards; None where it was
        dropped, which leaves nothing."""
        self._copies += 1
        comparisons = {
            name: Comparison(before, after.get(name, ""))
            for name, before in {"text": copy.text, **copy.fields}.items()
            if after is not None
        }
        for place in copy.places:
            value = place.value
            comparison = comparisons.get(place.field)
            leaked = comparison is not None and comparison.leaked(value.start, value.end)
            self._count(place, source, leaked)
        for name, comparison in comparisons.items():
            places = [place for place in copy.places if place.field == name]
            hits, false = overlaps(comparison.replaced(), places)
            self._hits, self._false = self._hits + hits, self._false + false

    def _count(self, place: Place, source: str, leaked: bool) -> None:
        entity = place.value.entity
        kinds = {"entity": entity, "language": place.language, "position": place.position}
        if not self._chain.looks_for(entity, source, place.field):
            kinds = {"not_covered": entity}
        elif leaked:
            self._leaks[entity, place.language, place.position, place.value.template] += 1
        for name, key in kinds.items():
            tally = self._tallies[name].setdefault(key, [0, 0])
            tally[0] += 1
            tally[1] += leaked

    def facts(self) -> dict[str, Any]:
        """The counts as RUN/audit.json holds them."""
        tallies = self._tallies
        values = sum(tally[0] for tally in tallies["entity"].values())
        leaked = sum(tally[1] for tally in tallies["entity"].values())
        listed = sorted(self._leaks.items(), key=lambda item: (-item[1], item[0]))[:MOST_LEAKS]
        names = ("entity", "language", "position", "template")
        return {
            "copies": self._copies,
            "quarantined": self._quarantined,
            **_rate(values, leaked),
            **{
                name: {key: _rate(*tally) for key, tally in sorted(tallies[name].items())}
                for name in tallies
            },
            "precision": _share(self._hits, self._hits + self._false),
            "precision_interval_95": _interval(self._hits, self._hits + self._false),
            "false_replacements": self._false,
            "leaks": [dict(zip(names, kind, strict=True)) | {"leaks": n} for kind, n in listed],
        }


def overlaps(replaced: Sequence[Span], places: Sequence[Place]) -> tuple[int, int]:
    """Planted values that a replacement touches, and replacements that are false: of which more
    than half is nothing that was planted."""
    touched: set[int] = set()
    false = 0
    for start, end in replaced:
        planted = 0
        hit = []
        for number, place in enumerate(places):
            first, last = place.value.whole
            if first <= end and start <= last:
                hit.append(number)
                planted += max(0, min(end, last) - max(start, first))
        touched.update(hit)
        false += not hit or 2 * planted < end - start
    return len(touched), false


def _rate(values: int, leaked: int) -> dict[str, Any]:
    return {
        "values": values,
        "leaked": leaked,
        "recall": _share(values - leaked, values),
        "interval_95": _interval(values - leaked, values),
    }


def _share(part: int, whole: int) -> float | None:
    """Five digits, never rounded up: one leak in a million is no recall of 1."""
    return part * 100_000 // whole / 100_000 if whole else None


def _interval(successes: int, trials: int) -> list[float]:
    return [round(bound, 5) for bound in wilson_interval(successes, trials)]
