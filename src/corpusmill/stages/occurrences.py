"""What occurs more than once in the documents, and where it occurs first.

"First" is by the document's id, then by the position in it. Ids do not depend on the order of input
files, and neither does what is found.

Occurrences are rows (id, position, key, check, part); key and check are a 128-bit hash of what
occurs, two of which in n are equal by chance with probability n^2 / 2^129. Memory: an exchange
holds one partition of rows, or the rows of one key: of a line that is in every document, `most + 1`
for each batch of documents. The driver holds where the rows of each part stand, no row.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.filters.repeats import Numbers, find_all, hash_slots
from corpusmill.filters.shingles import WordHashes, word_hashes
from corpusmill.stage import Part, Rows, Verbs
from corpusmill.stages.verdicts import Run, verdicts_by_part

DERIVED = np.uint64(xxhash.xxh3_64_intdigest(b"derived"))
"""Tells the hashes of words and lines of derived documents from those of others."""

OCCURRENCES = pa.schema(
    [
        ("id", pa.string()),
        ("position", pa.int64()),
        ("key", pa.int64()),
        ("check", pa.int64()),
    ]
)

LIMITS = pa.schema([*OCCURRENCES, ("home", pa.int64()), ("part", pa.int64())])
"""For each part in which a repeated thing occurs: the last occurrence that is to be kept (id,
position, in part `home`)."""


def parts_of_prose(parts: Sequence[Part], for_: tuple[str, ...]) -> list[Part]:
    """The parts to look at: without a `for:`, all but those of kind `code`."""
    return [part for part in parts if for_ or part.kind != "code"]


def word_hashes_of(documents: pa.RecordBatch) -> WordHashes:
    """The words of documents (`text`, `augmented_from`). Those of derived documents are none of
    others: what a document says again because it was made of another is no repetition.
    """
    words = word_hashes(documents.column("text"))
    derived = documents.column("augmented_from").is_valid().to_numpy(zero_copy_only=False)
    if not derived.any():
        return words
    salts = np.where(derived, DERIVED, np.uint64(0))
    return replace(words, hashes=words.hashes ^ np.repeat(salts, words.counts()))


def occurrences(
    ids: pa.Array, document: Numbers, position: Numbers, key: Numbers, check: Numbers, most: int
) -> pa.RecordBatch:
    """The occurrences in one batch (OCCURRENCES), of each thing the first `most` and the last.

    That is all that the batch can add: to the first `most` of the corpus, to the knowledge that
    there are more, and that they are in several documents. `document` is the row in `ids`; the
    arrays have shape [occurrences] and stand in ascending order of document and position.
    """
    rank = np.empty(len(ids), np.int64)
    rank[np.argsort(np.array(ids.to_pylist(), dtype=object), kind="stable")] = np.arange(len(ids))
    order = np.lexsort((rank[document], check, key))
    starts = group_starts(key[order], check[order])
    place = np.arange(len(order)) - starts
    is_last = np.append(starts[1:] != starts[:-1], True) if len(order) else np.zeros(0, bool)
    chosen = order[(place < most) | is_last]
    return pa.RecordBatch.from_arrays(
        [
            ids.take(pa.array(document[chosen])),
            pa.array(position[chosen]),
            pa.array(key[chosen]),
            pa.array(check[chosen]),
        ],
        schema=OCCURRENCES,
    )


def limits(table: pa.Table, most: int, across: bool) -> pa.Table:
    """Of whole groups with equal keys: which occurrence of each thing is the last to stay (LIMITS).

    Things that occur no more than `most` times have none; with `across`, nor have those that occur
    in one document only.
    """
    # Nearly all keys occur once: they go before anything is sorted.
    starts = group_starts(numbers(table, "key"))
    sizes = np.bincount(starts, minlength=max(len(starts), 1))
    table = table.take(pa.array(np.flatnonzero(sizes[starts] > most)))
    order = [(name, "ascending") for name in ("key", "check", "id", "position")]
    table = table.sort_by(order).combine_chunks()
    starts = group_starts(numbers(table, "key"), numbers(table, "check"))
    first = np.flatnonzero(starts == np.arange(len(starts)))
    size = np.diff(np.append(first, len(starts)))
    found = size > most
    if across:
        ids = one_chunk(table.column("id"))
        differ = pc.not_equal(ids.take(pa.array(first)), ids.take(pa.array(first + size - 1)))
        found &= differ.to_numpy(zero_copy_only=False)
    limit = np.full(len(starts), -1)
    limit[first[found]] = first[found] + most - 1
    limit = limit[starts]  # of each row: the limit of its group
    part = numbers(table, "part")
    limit, there = distinct_pairs(limit[limit >= 0], part[limit >= 0])
    chosen = table.select(OCCURRENCES.names).take(pa.array(limit))
    columns = [*chosen.columns, pa.array(part[limit]), pa.array(there)]
    return pa.table(columns, schema=LIMITS)


Runs = dict[int, tuple[Run, ...]]
"""Part -> where its rows stand."""


def runs_by_part(verbs: Verbs, rows: Rows) -> Runs:
    """Gather rows by part: where those of each part stand."""
    return verdicts_by_part(verbs, rows).runs


def of_part(runs: Runs, part: int) -> Runs:
    """What a stage that is bound to one part keeps."""
    return {part: runs.get(part, ())}


def read_runs(runs: Runs) -> pa.Table | None:
    """The rows of all these parts; None where there are none."""
    tables = [
        storage.read_ipc(file).slice(first, rows)
        for places in runs.values()
        for file, first, rows in places
    ]
    return pa.concat_tables(tables).combine_chunks() if tables else None


class Limits:
    """The limits of one part, by key and check."""

    def __init__(self, table: pa.Table) -> None:
        self.ids = one_chunk(table.column("id"))
        self.positions = numbers(table, "position")
        self.keys = numbers(table, "key")
        self.checks = numbers(table, "check")
        self.slots = hash_slots(self.keys)

    def rows(self, keys: Numbers, checks: Numbers) -> Numbers:
        """The row of each thing's limit, -1 where it has none; shape [things]."""
        return find_all(keys, checks, self.keys, self.checks, self.slots)

    def hashes(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Key and check of the limits in these rows."""
        return self.keys[rows], self.checks[rows]

    def compare(
        self, rows: Numbers, ids: pa.Array, document: Numbers, position: Numbers
    ) -> npt.NDArray[np.int64]:
        """Whether occurrences stand before (-1), at (0) or after (1) the limits in these rows."""
        limit = self.ids.take(pa.array(rows))
        mine = ids.take(pa.array(document))
        same: npt.NDArray[np.bool_] = pc.equal(mine, limit).to_numpy(zero_copy_only=False)
        after = pc.greater(mine, limit).to_numpy(zero_copy_only=False)
        return np.where(same, np.sign(position - self.positions[rows]), np.where(after, 1, -1))


def numbers(table: pa.Table, name: str) -> Numbers:
    """A column of integers; shape [rows]."""
    found: Numbers = one_chunk(table.column(name)).to_numpy()
    return found


def group_starts(*columns: Numbers) -> Numbers:
    """Of sorted rows: where the run of equal ones begins that each belongs to; shape [rows]."""
    new = np.ones(len(columns[0]), bool)
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))


def distinct_pairs(one: Numbers, other: Numbers) -> tuple[Numbers, Numbers]:
    """Each pair once, in ascending order."""
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    rows = np.flatnonzero(group_starts(one, other) == np.arange(len(one)))
    return one[rows], other[rows]
