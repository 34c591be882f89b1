"""Which of two documents to prefer: the keep rules of `deduplicate` as columns of integers.

Each rule gives a number that is small for what it prefers. Documents are ordered by the columns,
first rule first, and in the end by their ids: no two are equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[np.int64]

LONGEST, NEWEST, SOURCE, SCORE = "longest", "newest", "source", "score:"
"""The rules; the last one is followed by the name of a score."""

_LAST = np.iinfo(np.int64).max
"""For what a rule knows nothing of."""


@dataclass(frozen=True, kw_only=True)
class KeepOrder:
    """The rules of one stage."""

    rules: tuple[str, ...]
    sources: tuple[str, ...] = ()
    """For the rule `source`: best first."""

    def columns(self) -> tuple[str, ...]:
        """The document columns, besides id and text, that the rules read."""
        column = {NEWEST: "metadata", SOURCE: "source"}
        named = ("scores" if rule.startswith(SCORE) else column.get(rule) for rule in self.rules)
        return tuple(dict.fromkeys(name for name in named if name))

    def names(self) -> list[str]:
        """The columns of `ranks`, most important first."""
        return [*(f"rank_{i}" for i in range(len(self.rules))), "id_high", "id_low"]

    def ranks(self, documents: pa.RecordBatch, units: Integers) -> dict[str, Integers]:
        """The order of preference: one column for each rule and two for the id."""
        columns = [self._column(rule)(documents, units) for rule in self.rules]
        columns += id_halves(documents.column("id"))
        return dict(zip(self.names(), columns, strict=True))

    def _column(self, rule: str) -> Callable[[pa.RecordBatch, Integers], Integers]:
        if rule == LONGEST:
            return lambda documents, units: -units
        if rule == NEWEST:
            return _newest
        if rule == SOURCE:
            return self._source
        return lambda documents, units: _highest(documents, rule.removeprefix(SCORE))

    def _source(self, documents: pa.RecordBatch, _: Integers) -> Integers:
        place = pc.index_in(documents.column("source"), value_set=pa.array(self.sources))
        return _filled(place.cast(pa.int64()))


def _newest(documents: pa.RecordBatch, _: Integers) -> Integers:
    dates = pc.map_lookup(documents.column("metadata"), pa.scalar("date"), "first")
    seconds = (instant(date) for date in dates.to_pylist())
    return np.array([_LAST if s is None else -s for s in seconds], np.int64)


def _highest(documents: pa.RecordBatch, name: str) -> Integers:
    scores = documents.column("scores").field(name).to_numpy(zero_copy_only=False)
    # The bits of floats are in the order of their values, backwards where these are negative.
    bits = (scores.astype(np.float64) + 0.0).view(np.int64)
    ascending = np.where(bits < 0, bits ^ np.int64(_LAST), bits)
    return np.where(np.isnan(scores), _LAST, ~ascending)


def _filled(column: pa.Array) -> Integers:
    result: Integers = column.fill_null(_LAST).to_numpy(zero_copy_only=False)
    return result


def id_halves(ids: pa.Array) -> list[Integers]:
    """The two halves of ids as integers that have the ids' order."""
    data = np.frombuffer(bytes.fromhex("".join(ids.to_pylist())), ">u8").astype(np.uint64)
    signed = (data ^ np.uint64(1 << 63)).view(np.int64)
    return [signed[::2].copy(), signed[1::2].copy()]


def in_order(columns: Sequence[Integers]) -> Integers:
    """The rows in the order of the columns, the most important one first."""
    return np.lexsort(list(reversed(columns)))


def instant(date: str | None) -> int | None:
    """Seconds since 1970 of a date in ISO 8601 (a year and a month may stand alone), else None."""
    for rest in ("", "-01", "-01-01"):
        try:
            moment = datetime.fromisoformat((date or "") + rest)
        except ValueError:
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return None
