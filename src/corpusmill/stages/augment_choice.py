"""Which documents `augment` makes others of: a filter, a share, and what a budget leaves.

A budget is spent on the rarest classes first, within a class on first copies before second ones,
and within these by a keyed hash of the id. Where it ends is found by counting, in three folds that
are as small as the number of classes, of bins, and of the documents of one bin: exactly, and the
same on every engine.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from corpusmill import storage
from corpusmill.document import id_fraction, one_chunk
from corpusmill.filters.shingles import word_hashes
from corpusmill.stage import Part, Verbs
from corpusmill.stages.document_classes import class_column, class_values
from corpusmill.stages.translation.prose import looks_english

BINS = 1 << 16
"""Of the keyed hash, in which a class is counted."""

Numbers = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


class Settings(BaseModel):
    """Frozen settings, with docstrings as descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Band(Settings):
    """A range of a score."""

    score: str
    """A score that an earlier stage sets."""
    min: float | None = Field(default=None, allow_inf_nan=False)
    """The smallest value that is chosen."""
    max: float | None = Field(default=None, allow_inf_nan=False)
    """The largest."""

    @model_validator(mode="after")
    def _is_a_band(self) -> "Band":
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is more than max {self.max:g}")
        return self


class Budget(Settings):
    """How much is made, counted before it is: what is refused in the end counts as well."""

    documents: int | None = Field(default=None, ge=1, lt=1 << 62)
    """So many documents."""
    tokens: int | None = Field(default=None, ge=1, lt=1 << 62)
    """Of originals with so many words in all, once for each copy; in scripts without spaces a
    character is a word. The first one that does not fit any more ends it."""

    @model_validator(mode="after")
    def _is_one(self) -> "Budget":
        if (self.documents is None) == (self.tokens is None):
            raise ValueError("give either documents or tokens")
        return self


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which documents can be chosen."""

    languages: tuple[str, ...]
    """Empty for all."""
    band: Band | None
    max_chars: int | None
    derived: bool
    code: bool
    """Whether documents of kind `code` can."""
    rarity: str
    """What a class is made of: a column, `metadata.KEY`, or nothing for one class."""
    purpose: str
    """Tells this choice from others by the same seed."""
    seed: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The document columns that are read."""
        read = ["language", "kind", "augmented_from"]
        read += [class_column(self.rarity)] if self.rarity else []
        read += ["scores"] if self.band else []
        read += ["text"] if self.max_chars is not None or "en" in self.languages else []
        return tuple(dict.fromkeys(read))

    def rows(self, documents: pa.RecordBatch) -> Numbers:
        """The rows of documents that can be chosen."""
        wanted = np.ones(documents.num_rows, bool)
        if not self.derived:
            wanted &= _flags(documents.column("augmented_from").is_null())
        if not self.code:
            wanted &= _flags(pc.not_equal(documents.column("kind"), "code"))
        if self.max_chars is not None:
            length = pc.utf8_length(documents.column("text"))
            wanted &= _flags(pc.less_equal(length, self.max_chars))
        if self.band is not None:
            score = documents.column("scores").field(self.band.score)
            # Scores are stored as float32: the bound 0.9 is to hold for a score of 0.9.
            for bound, compare in (
                (self.band.min, pc.greater_equal),
                (self.band.max, pc.less_equal),
            ):
                if bound is not None:
                    kept = compare(score, pa.scalar(bound, pa.float32()))
                    wanted &= _flags(pc.fill_null(kept, False))
        if self.languages:
            wanted &= self._speaks(documents, wanted)
        return np.flatnonzero(wanted)

    def _speaks(self, documents: pa.RecordBatch, wanted: _Flags) -> _Flags:
        """In one of the languages; without an identified one, English ones are recognised."""
        language = documents.column("language")
        speaks = _flags(pc.is_in(language, value_set=pa.array(self.languages, pa.string())))
        if "en" in self.languages:
            text = documents.column("text")
            for row in np.flatnonzero(wanted & _flags(language.is_null())):
                speaks[row] = looks_english(text[row].as_py())
        return speaks

    def fractions(self, ids: pa.Array) -> npt.NDArray[np.float64]:
        """The keyed hash of ids, in [0, 1)."""
        return id_fraction(ids, self.seed, self.purpose)

    def classes(self, documents: pa.RecordBatch) -> pa.Array:
        """The class of each document; null where it has no value."""
        if not self.rarity:
            return pa.repeat(pa.scalar(""), documents.num_rows)
        return class_values(documents, self.rarity)


def _flags(values: pa.Array) -> _Flags:
    return np.array(values.to_numpy(zero_copy_only=False), bool)


@dataclass(frozen=True, kw_only=True)
class Cutoff:
    """Where the budget ends: all before it is made, nothing else."""

    ranks: str
    """A file with the class of each rank."""
    rank: int
    """Of the class in which it ends."""
    copy: int
    """Which copies it ends in."""
    fraction: float
    """Of the first document that gets no such copy."""
    id: str

    def copies(
        self, rank: Numbers, fraction: npt.NDArray[np.float64], ids: pa.Array, most: int
    ) -> Numbers:
        """How many copies are made of each document; shape [documents]."""
        first = fraction < self.fraction
        for row in np.flatnonzero(fraction == self.fraction):
            first[row] = ids[row].as_py() < self.id
        here = self.copy + first
        return np.where(rank < self.rank, most, np.where(rank == self.rank, here, 0))


# ---- where the budget ends ----

ROWS = pa.schema(
    [
        ("id", pa.string()),
        ("class", pa.string()),
        ("fraction", pa.float64()),
        ("documents", pa.int64()),
        ("weight", pa.int64()),
    ]
)
"""A document that can be chosen: its class, its keyed hash, 1, and what it takes of the budget (0
where the share leaves it out)."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Measures documents that can be chosen (ROWS)."""

    filter: Filter
    share: float
    tokens: bool

    @property
    def columns(self) -> Sequence[str]:
        """What the filter reads, and what is counted."""
        return (*self.filter.columns, *(["text"] if self.tokens else []))

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """The measure for one batch."""

        def measure(documents: pa.RecordBatch) -> pa.RecordBatch:
            documents = documents.take(pa.array(self.filter.rows(documents)))
            fraction = self.filter.fractions(documents.column("id"))
            ones = np.ones(len(fraction), np.int64)
            weight = word_hashes(documents.column("text")).counts() if self.tokens else ones
            columns = [
                documents.column("id"),
                self.filter.classes(documents),
                pa.array(fraction),
                pa.array(ones),
                pa.array(np.where(fraction < self.share, np.maximum(weight, 1), 0)),
            ]
            return pa.RecordBatch.from_arrays(columns, schema=ROWS)

        return measure


def find_cutoff(
    verbs: Verbs, parts: Sequence[Part], candidates: Candidates, budget: int, copies: int
) -> Cutoff | None:
    """Where the budget ends; None where it is enough for everything."""
    if not parts:
        return None
    rows = verbs.map(parts, candidates)
    order = _by_rarity(verbs.reduce(rows, by_class))
    ranks = storage.join(verbs.work, "ranks.arrow")
    storage.write_ipc(ranks, order.select(["class"]))
    weights = one_chunk(order.column("weight")).to_numpy()
    # Each class as often as there are copies.
    rank, before = _first_over(np.repeat(weights, copies), budget)
    if rank < 0:
        return None
    rank, copy = divmod(rank, copies)
    name = order.column("class")[rank].as_py()
    bins = verbs.reduce(rows, functools.partial(by_bin, name=name)).sort_by("fraction")
    found, within = _first_over(one_chunk(bins.column("weight")).to_numpy(), budget - before)
    edge = bins.column("fraction")[found].as_py()
    last = verbs.reduce(rows, functools.partial(of_bin, name=name, edge=edge))
    last = last.sort_by([("fraction", "ascending"), ("id", "ascending")])
    row, _ = _first_over(one_chunk(last.column("weight")).to_numpy(), budget - before - within)
    return Cutoff(
        ranks=ranks,
        rank=rank,
        copy=copy,
        fraction=last.column("fraction")[row].as_py(),
        id=last.column("id")[row].as_py(),
    )


def _by_rarity(classes: pa.Table) -> pa.Table:
    """Those with the fewest documents first, documents without a value last."""
    unknown = classes.column("class").is_null()
    order = [("unknown", "ascending"), ("documents", "ascending"), ("class", "ascending")]
    return classes.append_column("unknown", unknown).sort_by(order)


def _first_over(weights: Numbers, budget: int) -> tuple[int, int]:
    """The first that does not fit, -1 for none, and the sum of those before it."""
    total = np.cumsum(weights)
    row = int(np.searchsorted(total, budget, side="right"))
    if row == len(weights):
        return -1, int(total[-1]) if row else 0
    return row, int(total[row] - weights[row])


def by_class(rows: pa.Table) -> pa.Table:
    """A fold: documents and weight of each class."""
    return _summed(rows, ["class"])


def by_bin(rows: pa.Table, name: str | None) -> pa.Table:
    """A fold: documents and weight of each bin of the keyed hash, of one class."""
    rows = _of_class(rows, name)
    return _summed(rows.set_column(2, ROWS.field("fraction"), _edges(rows)), ["class", "fraction"])


def of_bin(rows: pa.Table, name: str | None, edge: float) -> pa.Table:
    """A fold: the documents of one bin of one class."""
    rows = _of_class(rows, name)
    return rows.filter(pc.equal(_edges(rows), edge))


def _of_class(rows: pa.Table, name: str | None) -> pa.Table:
    column = rows.column("class")
    return rows.filter(column.is_null() if name is None else pc.equal(column, name))


def _edges(rows: pa.Table) -> pa.ChunkedArray:
    """Where the bin of each hash begins: a float without rounding."""
    fraction = rows.column("fraction")
    return pc.divide(pc.floor(pc.multiply(fraction, float(BINS))), float(BINS))


def _summed(rows: pa.Table, by: Sequence[str]) -> pa.Table:
    """Sums by some columns; the others are empty (ROWS)."""
    found = rows.group_by(by).aggregate([("documents", "sum"), ("weight", "sum")])
    nothing: Mapping[str, pa.Scalar] = {"id": pa.scalar(""), "fraction": pa.scalar(0.0)}
    columns = []
    for field in ROWS:
        if field.name in by:
            columns.append(found.column(field.name))
        elif field.name in nothing:
            columns.append(pa.repeat(nothing[field.name], found.num_rows))
        else:
            columns.append(found.column(f"{field.name}_sum"))
    return pa.table(columns, schema=ROWS)


def ranks_of(classes: pa.Array, path: str) -> Numbers:
    """The rank of each document's class."""
    known = one_chunk(storage.read_ipc(path).column("class"))
    ranks: Numbers = pc.index_in(classes, value_set=known).cast(pa.int64()).to_numpy()
    return ranks
