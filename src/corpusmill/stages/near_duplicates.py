"""Which documents go, and for whom: what `deduplicate` does with rows that were brought together.

Documents have a *place*: their position in the order of preference, over all originals (exact
copies have none). A smaller place is better. Documents of an index have the first places.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.filters.clusters import BUCKET, equal_bins
from corpusmill.filters.signatures import StoredBins
from corpusmill.stage import Rows
from corpusmill.stages.keep_rules import in_order
from corpusmill.stages.signature_files import Catalog, Integers, integers

PAIRS_AT_ONCE = 1 << 15
"""Pairs that are verified at a time: whatever the size of a bucket, no more than twice as many
signatures are in memory (32 MiB)."""

SLOT_PLACES = 16_384
"""Places whose similar pairs are brought together, and read into memory at a time."""

OVERSIZED = -1
"""The slot of rows that report a bucket of more than BUCKET documents."""

INDEXED = -1
"""The original of a document whose copy is in the index."""

COPIES = pa.schema(
    [
        ("id", pa.int64()),
        ("original", pa.int64()),
        ("keeper", pa.int64()),
        ("similarity", pa.float64()),
    ]
)
"""The number of a document that is no original, and that of its original. If this is INDEXED: the
place of the document that is kept, and where the original is not that one, how similar they are."""

PAIRS = pa.schema([(name, pa.int64()) for name in ("slot", "id", "better", "equal")])
"""Places of a document and of a better one, and the number of equal bins. In OVERSIZED rows the key
and size of a bucket."""


def exact_copies(table: pa.Table, order: list[str]) -> pa.Table:
    """Of groups with equal content, all but the original (COPIES).

    The original is the indexed document where there is one, else the first in the order.
    """
    indexed = np.zeros(table.num_rows, np.int64)
    if "dataset" in table.column_names:
        indexed = integers(table, "dataset")
    content, other = integers(table, "content"), integers(table, "other")
    ranks = [integers(table, name) for name in order]
    rows = in_order([content, other, -indexed, *ranks])
    first = _group_starts(content[rows], other[rows])
    original = rows[first]
    copies = first != np.arange(len(rows))
    rows, original = rows[copies], original[copies]
    number = integers(table, "id")
    of_index = indexed[original] == 1
    columns = [
        pa.array(number[rows]),
        pa.array(np.where(of_index, INDEXED, number[original])),
    ]
    for name in ("keeper", "similarity"):
        known = name in table.column_names
        nothing = pa.nulls(len(rows), COPIES.field(name).type)
        columns.append(one_chunk(table.column(name).take(original)) if known else nothing)
    return pa.table(columns, schema=COPIES)


@dataclass(frozen=True, kw_only=True)
class SimilarPairs:
    """Of groups with an equal band, the pairs of a new document and a better one that are similar.

    The first BUCKET of a group are compared with each other, further ones with these (PAIRS).
    """

    catalog: Catalog
    numbers: str
    """A file with the number of the document at each place, -1 where it was removed earlier."""
    first_new: int
    """The first place that is not of the index: pairs within the index are settled."""
    needed: int
    """Equal bins from which a pair is similar."""

    def __call__(self, table: pa.Table) -> pa.Table:
        """Propose, look up, compare."""
        band, place = integers(table, "band"), integers(table, "id")
        several = np.zeros(len(band), bool)
        several[1:] = band[1:] == band[:-1]
        several[:-1] |= several[1:]
        band, place = band[several], place[several]
        first = _group_starts(band)
        position = np.arange(len(band)) - first
        tried = np.minimum(position, BUCKET)
        tried[place < self.first_new] = 0
        found = [self._oversized(band, place, position)]
        numbers = integers(storage.read_ipc(self.numbers), "number")
        # Document by document, so that a pair that shares several bands is compared once.
        rows = np.argsort(place, kind="stable")
        load = np.cumsum(tried[rows]) // PAIRS_AT_ONCE
        edges = [0, *(np.flatnonzero(np.diff(load)) + 1), len(rows)]
        for start, stop in pairwise(edges):
            some = rows[start:stop]
            better = tried[some]
            one = np.repeat(some, better)
            nth = np.arange(len(one)) - np.repeat(np.cumsum(better) - better, better)
            found.append(self._similar(numbers, place[one], place[first[one] + nth]))
        return pa.concat_tables(found)

    def _similar(self, numbers: Integers, one: Integers, other: Integers) -> pa.Table:
        """The similar ones of pairs of places, given the number at each place."""
        accepted = numbers[other] >= 0
        one, other = one[accepted], other[accepted]
        places, at = np.unique(np.concatenate([one, other]), return_inverse=True)
        packed = at.astype(np.uint64)
        pairs = np.unique(packed[: len(one)] << np.uint64(32) | packed[len(one) :])

        def fetch(rows: Integers) -> StoredBins:
            return self.catalog.stored(numbers[places[rows]])

        equal = equal_bins(pairs, fetch)
        pairs, equal = pairs[equal >= self.needed], equal[equal >= self.needed]
        one = places[pairs >> np.uint64(32)]
        other = places[pairs & np.uint64(0xFFFFFFFF)]
        columns = [one // SLOT_PLACES, one, other, equal]
        return pa.table([pa.array(column) for column in columns], schema=PAIRS)

    def _oversized(self, band: Integers, place: Integers, position: Integers) -> pa.Table:
        """A report for each bucket that is too large for all pairs, and has a new document."""
        last = np.flatnonzero(np.append(band[1:] != band[:-1], True)) if len(band) else position
        # Of a bucket's rows the last has the largest place.
        last = last[(position[last] >= BUCKET) & (place[last] >= self.first_new)]
        nothing = np.zeros(len(last), np.int64)
        columns = [nothing + OVERSIZED, band[last], position[last] + 1, nothing]
        return pa.table([pa.array(column) for column in columns], schema=PAIRS)


def each_pair_once(table: pa.Table) -> pa.Table:
    """Pairs that were found in several bands, once; by slot, place and better place."""
    columns = [integers(table, name) for name in PAIRS.names]
    rows = in_order(columns[:3])
    slot, place, better = (column[rows] for column in columns[:3])
    new = np.ones(len(rows), bool)
    new[1:] = (place[1:] != place[:-1]) | (better[1:] != better[:-1]) | (slot[1:] != slot[:-1])
    return pa.table([pa.array(column[rows[new]]) for column in columns], schema=PAIRS)


@dataclass(frozen=True)
class Removals:
    """What the similar pairs have decided, for each new original, in the order of places."""

    keeper: Integers
    """The place of the document that is kept instead, -1 for one that is kept."""
    equal: npt.NDArray[np.int32]
    """Bins that both have equal."""
    oversized: int
    """Buckets with more than BUCKET documents."""
    largest: int
    """Documents in the largest of them."""


def greedy(pairs: Rows, first_new: int, originals: int) -> Removals:
    """In the order of places, remove each document that is similar to a better one that is kept.

    Holds 12 bytes for each original, and the pairs of SLOT_PLACES places.
    """
    keeper = np.full(originals, -1, np.int64)
    equal = np.zeros(originals, np.int32)
    oversized = largest = 0
    for slot, table in _by_slot(pairs):
        place, better = integers(table, "id"), integers(table, "better")
        if slot == OVERSIZED:
            oversized, largest = table.num_rows, int(better.max())
        else:
            rows = in_order([place, better])
            place, better, found = place[rows], better[rows], integers(table, "equal")[rows]
            _first_kept(place - first_new, better, first_new, found, keeper, equal)
    return Removals(keeper, equal, oversized, largest)


def _by_slot(pairs: Rows) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each slot, in the order of slots."""
    runs: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
    for path in pairs.paths:
        slots = integers(storage.read_ipc(path), "slot")
        borders = np.flatnonzero(np.diff(slots)) + 1
        for first, last in zip([0, *borders], [*borders, len(slots)], strict=True):
            if last > first:
                runs[int(slots[first])].append((path, int(first), int(last - first)))
    for slot in sorted(runs):
        tables = [storage.read_ipc(path).slice(first, n) for path, first, n in runs[slot]]
        yield slot, pa.concat_tables(tables)


@numba.njit(cache=True)
def _first_kept(
    document: Integers,
    better: Integers,
    first_new: int,
    found: Integers,
    keeper: Integers,
    equal: npt.NDArray[np.int32],
) -> None:
    """Go through pairs sorted by (document, better). What is better and of the index is kept."""
    for pair in range(len(document)):
        one = document[pair]
        other = better[pair] - first_new
        if keeper[one] == -1 and (other < 0 or keeper[other] == -1):
            keeper[one] = better[pair]
            equal[one] = found[pair]


def _group_starts(*keys: Integers) -> Integers:
    """For each of sorted rows where its group of equal keys begins; shape [rows]."""
    starts = np.ones(len(keys[0]), bool)
    if len(keys[0]) > 1:
        starts[1:] = False
        for key in keys:
            starts[1:] |= key[1:] != key[:-1]
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))
