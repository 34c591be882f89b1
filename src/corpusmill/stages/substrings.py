"""`substrings`: long passages that were there before, word for word, go.

What is removed is defined by `kept_plain` in filters/repeats.py. How it is found, without moving
text:

1. The hashes of all anchors travel, 20 bytes for about `min_words` / 3 words. Anchors that occur
   again lead to the windows that may.
2. These, known by 128 bits, come together by hash and tell each part which of its windows are
   repeated, and where the first occurrence of each is.
3. Where first occurrences overlap later ones of others, the windows are not sound: they are looked
   at once more, in the parts that have any, as they are when those of sound ones are gone.

A window that occurs a million times costs two rows for each batch of documents on the way. The
driver holds where the rows of each part stand. A worker holds one partition of an exchange, or
about 40 bytes for each repeated window of the part that it works on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpusmill import storage
from corpusmill.document import with_column
from corpusmill.filters.cuts import cut, word_runs_in_bytes
from corpusmill.filters.repeats import (
    Marks,
    Numbers,
    WordRuns,
    anchors,
    are_whole,
    candidate_windows,
    hash_slots,
    in_windows,
    known_windows,
    window_hashes,
    word_runs,
)
from corpusmill.filters.shingles import WordHashes
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
    Limits,
    Runs,
    distinct_pairs,
    group_starts,
    limits,
    numbers,
    occurrences,
    of_part,
    parts_of_prose,
    read_runs,
    runs_by_part,
    word_hashes_of,
)

COLUMNS = ["id", "text", "augmented_from"]

BATCH_ROWS = 512
"""Documents whose windows are found at a time."""


class Substrings(GlobalStage):
    """Remove passages of many words that occur again, in the same document or in another.

    The first copy stays, in order of document id and position in the document: which files came
    first has no influence. Passages are compared by their words: case, punctuation and layout do
    not count. For each word that is removed, a run of `min_words` words around it is still there,
    whole, at an earlier place. Afterwards no run of 2 x `min_words` - 1 words is there twice, and
    one of `min_words` only where other copies need what it consists of, from both sides.

    Documents that `augment` has derived are compared with each other only.

    A document with a passage removed is `changed` (`substrings_removed`; value: words removed); one
    that has nothing left is dropped (`no_text_left`). A short rest stays: it may be the first copy
    of what others lose. Without `for:`, documents of kind `code` pass: programs do not survive it.
    """

    name: ClassVar[str] = "substrings"
    version: ClassVar[int] = 2

    min_words: int = Field(default=50, ge=5, le=1000)
    """Words of the shortest passage that is removed. 50 (tokens) as in "Deduplicating training data
    makes language models better" (Lee et al. 2022). In scripts without spaces a character counts
    as a word."""

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> NarrowStage:
        """Find what is repeated, and return the stage that removes it."""
        parts = parts_of_prose(parts, self.for_)
        known = Repeats(min_words=self.min_words)

        def found(folder: str, task: _Task, known: Repeats, runs: Runs) -> Rows:
            """What the task finds in the parts that have such rows."""
            works = [
                _Work(
                    part=part,
                    known=known.of_part(part.number),
                    path=storage.join(verbs.work, folder, f"part-{part.number:05d}.arrow"),
                )
                for part in parts
                if part.number in runs
            ]
            verbs.each(task, works)
            return Rows(paths=tuple(work.path for work in works))

        counted = verbs.map(parts, Anchors(min_words=self.min_words))
        again = verbs.exchange(counted, by="key", then=repeated_anchors)
        known = replace(known, anchors=runs_by_part(verbs, again))
        windows = found("windows", write_windows, known, known.anchors)
        known = replace(known, anchors={})
        repeated = verbs.exchange(windows, by="key", then=repeated_windows)
        known = replace(known, repeated=runs_by_part(verbs, repeated))
        firsts = found("unsound", write_unsound, known, known.repeated)
        unsound = verbs.exchange(repeated, firsts, by="key", then=unsound_windows)
        known = replace(known, unsound=runs_by_part(verbs, unsound))
        left = found("left", write_left, known, known.unsound)
        repeated = verbs.exchange(left, by="key", then=repeated_windows)
        known = replace(known, left=runs_by_part(verbs, repeated))
        return RemovePassages(known=known)


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """What is known so far: for each part where its rows stand, of anchors or windows."""

    min_words: int
    anchors: Runs = field(default_factory=dict)
    """Of those that occur again."""
    repeated: Runs = field(default_factory=dict)
    """Of windows that occur again, with their first occurrences."""
    unsound: Runs = field(default_factory=dict)
    """Of those of them that are not sound."""
    left: Runs = field(default_factory=dict)
    """Of those that still occur again after the later occurrences of sound ones are gone, with the
    first occurrences that are left."""

    def of_part(self, part: int) -> "Repeats":
        """What is known of one part."""
        return Repeats(
            min_words=self.min_words,
            anchors=of_part(self.anchors, part),
            repeated=of_part(self.repeated, part),
            unsound=of_part(self.unsound, part),
            left=of_part(self.left, part),
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
        """The text, and whether it is derived."""
        return ("text", "augmented_from")

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """The measure for one batch."""

        def measure(documents: pa.RecordBatch) -> pa.RecordBatch:
            words = word_hashes_of(documents)
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
class _Work:
    """One part, what is known of it, and where to write what is found (OCCURRENCES and part)."""

    part: Part
    known: Repeats
    path: str


_Task = Callable[[_Work], None]

Finder = Callable[[WordHashes, pa.Array], tuple[Numbers, Numbers, Numbers]]
"""Words and ids of a batch -> the words with which windows begin, and the windows' hashes."""


def _write(work: _Work, find: Finder) -> None:
    """Write the windows that are found in a part, of each batch the first and the last."""
    documents = storage.read_parquet(work.part.path, COLUMNS).combine_chunks()
    found = [OCCURRENCES.empty_table()]
    for batch in documents.to_batches(max_chunksize=BATCH_ROWS):
        words, ids = word_hashes_of(batch), batch.column("id")
        starts, keys, checks = find(words, ids)
        rows = occurrences(ids, *places(words.offsets, starts), keys, checks, most=1)
        found.append(pa.Table.from_batches([rows]))
    table = pa.concat_tables(found)
    part = pa.array(np.full(table.num_rows, work.part.number, np.int64))
    storage.write_ipc(work.path, table.append_column("part", part))


def write_windows(work: _Work) -> None:
    """The windows of a part whose anchors occur again."""
    length = work.known.min_words
    anchors = read_runs(work.known.anchors)
    assert anchors is not None  # only parts with such anchors are given to it
    keys = numbers(anchors, "key")
    slots = hash_slots(keys)

    def find(words: WordHashes, ids: pa.Array) -> tuple[Numbers, Numbers, Numbers]:
        wanted = candidate_windows(words.hashes, words.offsets, length, keys, slots)
        starts = np.flatnonzero(wanted)
        return starts, *window_hashes(words.hashes, starts, length)

    _write(work, find)


def write_unsound(work: _Work) -> None:
    """First occurrences of windows, in a part, that overlap later occurrences of others."""
    rounds = Rounds(work.known)

    def find(words: WordHashes, ids: pa.Array) -> tuple[Numbers, Numbers, Numbers]:
        starts, rows, is_first = rounds.occurrences(rounds.repeated, words, ids)
        again = in_windows(len(words.hashes), starts[~is_first], rounds.length)
        unsound = is_first.copy()
        unsound[is_first] = ~are_whole(again, starts[is_first], rounds.length)
        return (
            starts[unsound],
            rounds.repeated.keys[rows[unsound]],
            rounds.repeated.checks[rows[unsound]],
        )

    _write(work, find)


def write_left(work: _Work) -> None:
    """Windows of a part that are not sound, but whole when later ones of sound ones are gone."""
    rounds = Rounds(work.known)

    def find(words: WordHashes, ids: pa.Array) -> tuple[Numbers, Numbers, Numbers]:
        starts, rows, is_first = rounds.occurrences(rounds.repeated, words, ids)
        sound = ~rounds.unsound[rows]
        removed = in_windows(len(words.hashes), starts[sound & ~is_first], rounds.length)
        left = ~sound & are_whole(removed, starts, rounds.length)
        return starts[left], *rounds.repeated.hashes(rows[left])

    _write(work, find)


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


def unsound_windows(table: pa.Table) -> pa.Table:
    """Of repeated windows (first dataset) those of which the second has an occurrence."""
    order = [(name, "ascending") for name in ("key", "check", "dataset")]
    table = table.sort_by(order).combine_chunks()
    starts = group_starts(numbers(table, "key"), numbers(table, "check"))
    is_first_dataset = numbers(table, "dataset") == 0
    unsound = np.zeros(len(starts), bool)
    unsound[starts[~is_first_dataset]] = True
    chosen = np.flatnonzero(unsound[starts] & is_first_dataset)
    return table.drop_columns(["dataset"]).take(pa.array(chosen))


# ---- back to the documents ----


class Rounds:
    """Which words of a part's documents go: first for sound windows, then for what is left."""

    def __init__(self, known: Repeats) -> None:
        repeated = read_runs(known.repeated)
        assert repeated is not None  # only parts with repeated windows have rounds
        self.length = known.min_words
        self.repeated = Limits(repeated)
        self.unsound = np.zeros(len(self.repeated.keys), bool)
        """Of the repeated windows; shape [rows of `repeated`]."""
        unsound = read_runs(known.unsound)
        if unsound is not None:
            rows = self.repeated.rows(numbers(unsound, "key"), numbers(unsound, "check"))
            self.unsound[rows] = True
        left = read_runs(known.left)
        self.left = Limits(left) if left is not None else None

    def occurrences(
        self, known: Limits, words: WordHashes, ids: pa.Array
    ) -> tuple[Numbers, Numbers, Marks]:
        """The words with which known windows begin, the windows' rows, and which are first."""
        rows = known_windows(
            words.hashes, words.offsets, self.length, known.keys, known.checks, known.slots
        )
        starts = np.flatnonzero(rows >= 0)
        order = known.compare(rows[starts], ids, *places(words.offsets, starts))
        return starts, rows[starts], order == 0

    def removed(self, words: WordHashes, ids: pa.Array) -> Marks:
        """The words that go after both rounds; shape [words]."""
        starts, rows, is_first = self.occurrences(self.repeated, words, ids)
        sound = ~self.unsound[rows]
        removed = in_windows(len(words.hashes), starts[sound & ~is_first], self.length)
        if self.left is None:
            return removed
        needed = in_windows(len(removed), starts[sound & is_first], self.length)
        starts, _, is_first = self.occurrences(self.left, words, ids)
        whole = are_whole(removed, starts, self.length)
        needed |= in_windows(len(removed), starts[whole & is_first], self.length)
        again = in_windows(len(removed), starts[whole & ~is_first], self.length)
        return removed | (again & ~needed)


class RemovePassages(NarrowStage):
    """Removes the words that are in repeated windows, but for the first copies."""

    name: ClassVar[str] = "remove_passages"

    known: Repeats
    """A bound stage has that of its part only."""

    def for_part(self, part: int) -> "RemovePassages":
        """The stage with what is known of one part."""
        return self.model_copy(update={"known": self.known.of_part(part)})

    def open(self) -> Apply:
        """Read the repeated windows of this stage's parts."""
        if not any(self.known.repeated.values()):
            return lambda documents: Outcome(documents=documents)
        rounds = Rounds(self.known)

        def apply(documents: pa.RecordBatch) -> Outcome:
            words = word_hashes_of(documents)
            removed = rounds.removed(words, documents.column("id"))
            return self._without(documents, word_runs(removed, words.offsets))

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
            if not left[row]:
                verdicts.add(document, Action.DROPPED, "no_text_left", value=0, threshold=1)
            else:
                words = float(removed[row + 1] - removed[row])
                verdicts.add(document, Action.CHANGED, "substrings_removed", value=words)
        return Outcome(documents=with_column(documents, "text", texts), verdicts=verdicts.batch())
