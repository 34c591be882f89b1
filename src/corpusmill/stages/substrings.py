"""`substrings`: long passages that were there before, word for word, go.

What is removed is defined by `kept_plain` in filters/repeats.py. How it is found, without moving
text: of each document only the hashes of its anchors travel first, 20 bytes for about
`min_words` / 3 words. Anchors that occur again lead to the windows that may occur again; these are
known by 128 bits, come together by hash, and tell each part which of its windows are repeated, and
which of those are first.

A window that occurs a million times costs two rows for each batch of documents on the way. The
driver holds where the rows of each part stand. A worker holds one partition of an exchange, or
about 36 bytes for each repeated window of the part that it works on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpusmill import storage
from corpusmill.document import with_column
from corpusmill.filters.cuts import cut, word_runs_in_bytes
from corpusmill.filters.repeats import (
    Numbers,
    WordRuns,
    anchors,
    candidate_windows,
    hash_slots,
    known_windows,
    runs_to_remove,
    window_hashes,
)
from corpusmill.filters.shingles import word_hashes
from corpusmill.stage import (
    Action,
    Apply,
    GlobalStage,
    NarrowStage,
    Outcome,
    Part,
    Rows,
    Verbs,
    Verdicts,
)
from corpusmill.stages.occurrences import (
    OCCURRENCES,
    ByPart,
    Limits,
    distinct_pairs,
    group_starts,
    limits,
    numbers,
    occurrences,
    parts_of_prose,
    read_runs,
    runs_by_part,
)
from corpusmill.stages.verdicts import Run

BATCH_ROWS = 512
"""Documents whose windows are found at a time."""


class Substrings(GlobalStage):
    """Remove passages of many words that occur again, in the same document or in another.

    The first copy stays, in order of document id and position in the document: which files came
    first has no influence. Passages are compared by their words: case, punctuation and layout do
    not count. For each word that is removed, a run of `min_words` words around it is still there,
    whole, at its first place. Afterwards no run of 2 x `min_words` - 1 words is there twice (none
    of `min_words`, but where what follows and what precedes it is needed by other first copies).

    A document with a passage removed is `changed` (`substrings_removed`; value: words removed); one
    with too little left is dropped (`too_short_after_removal`; value: characters left). Without
    `for:`, documents of kind `code` pass: programs do not survive it.
    """

    name: ClassVar[str] = "substrings"

    min_words: int = Field(default=50, ge=5, le=1000)
    """Words of the shortest passage that is removed. 50 (tokens) as in "Deduplicating training data
    makes language models better" (Lee et al. 2022). In scripts without spaces a character counts
    as a word."""
    min_characters: int = Field(default=20, ge=1)
    """A changed document with fewer characters left is dropped. 20 as in RefinedWeb (Penedo et al.
    2023)."""

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> NarrowStage:
        """Find what is repeated, and return the stage that removes it."""
        parts = parts_of_prose(parts, self.for_)
        counted = verbs.map(parts, Anchors(min_words=self.min_words))
        repeated = runs_by_part(verbs, verbs.exchange(counted, by="key", then=repeated_anchors))
        tasks = [
            _WindowsOf(
                part=part,
                anchors=repeated[part.number],
                min_words=self.min_words,
                path=storage.join(verbs.work, "windows", f"part-{part.number:05d}.arrow"),
            )
            for part in parts
            if part.number in repeated
        ]
        verbs.each(_write_windows, tasks)
        windows = Rows(paths=tuple(task.path for task in tasks))
        found = verbs.exchange(windows, by="key", then=repeated_windows)
        return RemovePassages(
            min_words=self.min_words,
            min_characters=self.min_characters,
            runs=runs_by_part(verbs, found),
        )


# ---- anchors: which windows may occur again ----

ANCHORS = pa.schema([("id", pa.string()), ("key", pa.int64()), ("again", pa.bool_())])
"""A hash, and whether it occurs more than once in its batch. The id is empty: nobody asks."""


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """Rows (ANCHORS) of the distinct anchors of each batch."""

    min_words: int

    @property
    def columns(self) -> Sequence[str]:
        """The text alone."""
        return ("text",)

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """The measure for one batch."""

        def measure(documents: pa.RecordBatch) -> pa.RecordBatch:
            words = word_hashes(documents.column("text"))
            found = anchors(words.hashes, words.offsets, self.min_words)
            keys, counts = np.unique(found, return_counts=True)
            ids = pa.repeat(pa.scalar(""), len(keys))
            columns = [ids, pa.array(keys), pa.array(counts > 1)]
            return pa.RecordBatch.from_arrays(columns, schema=ANCHORS)

        return measure


def repeated_anchors(table: pa.Table) -> pa.Table:
    """Of whole groups: those that occur more than once, for each of their parts."""
    key, part = numbers(table, "key"), numbers(table, "part")
    starts = group_starts(key)
    rows = np.flatnonzero(starts == np.arange(len(starts)))
    several = np.diff(np.append(rows, len(starts))) > 1
    again = table.column("again").to_numpy()
    if len(rows):
        several |= np.logical_or.reduceat(again, rows)
    wanted = np.zeros(len(starts), bool)
    wanted[rows] = several
    wanted = wanted[starts]
    key, part = distinct_pairs(key[wanted], part[wanted])
    return pa.table({"id": pa.repeat(pa.scalar(""), len(key)), "key": key, "part": part})


# ---- windows: which do ----


@dataclass(frozen=True, kw_only=True)
class _WindowsOf:
    """What is needed to find the windows of one part that may occur again."""

    part: Part
    anchors: tuple[Run, ...]
    min_words: int
    path: str


def _write_windows(task: _WindowsOf) -> None:
    """Write rows (OCCURRENCES and part) of the windows whose anchors occur again."""
    wanted = read_runs(task.anchors)
    assert wanted is not None  # a part without such anchors has no task
    keys = numbers(wanted, "key")
    slots = hash_slots(keys)
    documents = storage.read_parquet(task.part.path, ["id", "text"]).combine_chunks()
    found = [OCCURRENCES.empty_table()]
    for batch in documents.to_batches(max_chunksize=BATCH_ROWS):
        words = word_hashes(batch.column("text"))
        starts = np.flatnonzero(
            candidate_windows(words.hashes, words.offsets, task.min_words, keys, slots)
        )
        document, position = places(words.offsets, starts)
        hashes = window_hashes(words.hashes, starts, task.min_words)
        rows = occurrences(batch.column("id"), document, position, *hashes, most=1)
        found.append(pa.Table.from_batches([rows]))
    table = pa.concat_tables(found)
    part = pa.array(np.full(table.num_rows, task.part.number, np.int64))
    storage.write_ipc(task.path, table.append_column("part", part))


def places(offsets: Numbers, starts: Numbers) -> tuple[Numbers, Numbers]:
    """The document of each word, and its position there; shape [starts] both."""
    document = np.searchsorted(offsets, starts, side="right") - 1
    return document, starts - offsets[document]


def repeated_windows(table: pa.Table) -> pa.Table:
    """Of whole groups: those that occur again, with their first occurrence (LIMITS).

    Its id is left out where it is in another part: there it is not asked for.
    """
    found = limits(table, most=1, across=False)
    is_home = pc.equal(found.column("home"), found.column("part"))
    ids = pc.if_else(is_home, found.column("id"), "")
    return found.set_column(0, "id", ids).drop_columns(["home"])


# ---- back to the documents ----


class RemovePassages(ByPart):
    """Removes the words that are in repeated windows, but for the first copies."""

    name: ClassVar[str] = "remove_passages"

    min_words: int
    min_characters: int

    def open(self) -> Apply:
        """Read the repeated windows of this stage's parts."""
        table = self.rows()
        if table is None:
            return lambda documents: Outcome(documents=documents)
        known = Limits(table)

        def apply(documents: pa.RecordBatch) -> Outcome:
            words = word_hashes(documents.column("text"))
            rows = known_windows(
                words.hashes, words.offsets, self.min_words, known.keys, known.checks, known.slots
            )
            starts = np.flatnonzero(rows >= 0)
            ids = documents.column("id")
            order = known.compare(rows[starts], ids, *places(words.offsets, starts))
            runs = runs_to_remove(words.offsets, self.min_words, starts, order == 0)
            return self._without(documents, runs)

        return apply

    def _without(self, documents: pa.RecordBatch, runs: WordRuns) -> Outcome:
        """The documents without these words."""
        texts = documents.column("text")
        firsts, lasts = word_runs_in_bytes(texts, runs.offsets, runs.firsts, runs.lasts)
        texts = cut(texts, runs.offsets, firsts, lasts)
        left = pc.utf8_length(pc.utf8_trim_whitespace(texts)).to_numpy()
        removed = np.concatenate([[0], np.cumsum(runs.lasts - runs.firsts)])[runs.offsets]
        ids = documents.column("id")
        verdicts = Verdicts()
        for row in np.flatnonzero(np.diff(runs.offsets)):
            document = ids[row].as_py()
            if left[row] < self.min_characters:
                verdicts.add(
                    document,
                    Action.DROPPED,
                    "too_short_after_removal",
                    value=float(left[row]),
                    threshold=float(self.min_characters),
                )
            else:
                words = float(removed[row + 1] - removed[row])
                verdicts.add(document, Action.CHANGED, "substrings_removed", value=words)
        return Outcome(documents=with_column(documents, "text", texts), verdicts=verdicts.batch())
