"""`deduplicate`: of documents with the same or nearly the same words, keep one.

Documents are put in an order of preference by the keep rules. In that order, a document is removed
if and only if it is similar to a better one **that is kept**: clusters are stars around what is
kept, never chains, and a removed document removes nobody. Neither the order of parts nor their
number nor the division of the work has any influence.

Only small rows travel: band keys propose pairs, and sketches of the proposed documents verify them.
The driver holds 8 bytes for each document in any proposed pair, and about 300 bytes for each pair
that was verified as similar; a bucket of m > 64 equal band keys proposes no more than 64 m pairs.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pydantic import Field

from corpusmill import storage
from corpusmill.document import one_chunk, text_buffers
from corpusmill.filters.minhash import (
    PRESETS,
    SKETCH,
    Banding,
    PresetName,
    band_keys,
    similarities,
    sketches,
)
from corpusmill.filters.shingles import WordHashes, word_hashes
from corpusmill.stage import Action, GlobalStage, NarrowStage, Part, Rows, Verbs
from corpusmill.stages.verdicts import VERDICT_ROWS, verdicts_by_part

KeepRule = Literal["longest", "newest"]

BUCKET = 64
"""Documents with one band key of which all pairs are tried; further ones are tried against the
best 64. A template that many pages share must not make a quadratic number of pairs."""


class Deduplicate(GlobalStage):
    """Keep one of each set of documents with the same, or nearly the same, words.

    Texts with fewer words than a shingle are compared whole, and texts without any word byte by
    byte. Case, punctuation and layout do not count.
    """

    name = "deduplicate"

    preset: PresetName = "fineweb"
    """Bands, rows and words per shingle as in the corpus of that name."""
    threshold: float = Field(default=0.75, gt=0, le=1)
    """Jaccard similarity of the shingle sets from which a document is removed."""
    keep: tuple[KeepRule, ...] = ("longest",)
    """What to prefer, first rule first: `longest` (words), `newest` (metadata.date in ISO 8601;
    what has none comes last). The smallest id decides in the end."""

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> NarrowStage:
        """Compare all documents, and return the stage that drops the duplicates."""
        banding = PRESETS[self.preset]
        documents = verbs.map(parts, Identities(banding=banding, keep=self.keep))
        copies = verbs.exchange(documents, by="content", then=exact_copies)
        bands = verbs.exchange(documents, by="content", then=bands_of_originals)
        pairs = verbs.exchange(bands, by="band", then=candidate_pairs)
        edges = self._verified(verbs, parts, pairs)
        near = storage.join(verbs.work, "near-duplicates.arrow")
        storage.write_ipc(near, greedy(verbs.load(edges)))
        settle = functools.partial(settle_copies, threshold=self.threshold)
        verdicts = verbs.exchange(copies, Rows(paths=(near,)), by="original", then=settle)
        return verdicts_by_part(verbs, verdicts)

    def _verified(self, verbs: Verbs, parts: Sequence[Part], pairs: Rows) -> Rows:
        """The pairs that are similar indeed (EDGES)."""
        wanted = np.zeros(0, np.uint64)
        for table in verbs.load(pairs):
            for column in ("id", "document"):
                wanted = np.union1d(wanted, id_prefixes(one_chunk(table.column(column))))
        if not len(wanted):
            return Rows(paths=())
        path = storage.join(verbs.work, "candidates.arrow")
        storage.write_ipc(path, pa.table({"id": wanted.view(np.int64)}))
        measure = Sketches(shingle=PRESETS[self.preset].shingle, keep=self.keep, wanted=path)
        sketched = verbs.map(parts, measure)
        met = verbs.exchange(pairs, sketched, by="document", then=sketch_to_candidates)
        verify = functools.partial(similar_pairs, threshold=self.threshold)
        return verbs.exchange(met, sketched, by="document", then=verify)


# ---- measures: what is read from the texts ----


@dataclass(frozen=True, kw_only=True)
class Identities:
    """Rows (id, content, rank, bands): a hash of all words, the order of preference, band keys."""

    banding: Banding
    keep: tuple[KeepRule, ...]

    @property
    def columns(self) -> Sequence[str]:
        """The text, and what the keep rules ask for."""
        return ("text", *rank_columns(self.keep))

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """The measure for one batch."""

        def measure(documents: pa.RecordBatch) -> pa.RecordBatch:
            texts = documents.column("text")
            words = word_hashes(texts)
            banding = self.banding
            keys, ends = band_keys(
                words.hashes, words.offsets, banding.shingle, banding.bands, banding.rows
            )
            return pa.RecordBatch.from_pydict(
                {
                    "id": documents.column("id"),
                    "content": pa.array(content_hashes(texts, words), pa.string()),
                    "rank": ranks(documents, words, self.keep),
                    "bands": pa.LargeListArray.from_arrays(ends, keys),
                }
            )

        return measure


@dataclass(frozen=True, kw_only=True)
class Sketches:
    """Rows (id, document, rank, sketch) of the documents that are in a candidate pair."""

    shingle: int
    keep: tuple[KeepRule, ...]
    wanted: str
    """A file with the first 64 bits of their ids, ascending. Another document with the same bits
    costs a row, no more."""

    @property
    def columns(self) -> Sequence[str]:
        """The text, and what the keep rules ask for."""
        return ("text", *rank_columns(self.keep))

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """The measure for one batch."""
        wanted = storage.read_ipc(self.wanted).column("id").to_numpy().view(np.uint64)

        def measure(documents: pa.RecordBatch) -> pa.RecordBatch:
            found = id_prefixes(documents.column("id"))
            place = np.minimum(np.searchsorted(wanted, found), len(wanted) - 1)
            documents = documents.filter(pa.array(wanted[place] == found))
            words = word_hashes(documents.column("text"))
            flat, ends = sketches(words.hashes, words.offsets, self.shingle, SKETCH)
            return pa.RecordBatch.from_pydict(
                {
                    "id": documents.column("id"),
                    "document": documents.column("id"),
                    "rank": ranks(documents, words, self.keep),
                    "sketch": pa.LargeListArray.from_arrays(ends, flat),
                }
            )

        return measure


def content_hashes(texts: pa.Array, words: WordHashes) -> list[str]:
    """xxh3-128 of each text's words; of its bytes where there is no word (`!!!` is not `???`)."""
    data, starts = text_buffers(texts)
    return [
        xxhash.xxh3_128_hexdigest(
            words.hashes[words.offsets[i] : words.offsets[i + 1]].tobytes()
            or data[starts[i] : starts[i + 1]].tobytes()
        )
        for i in range(len(texts))
    ]


def rank_columns(keep: Iterable[KeepRule]) -> tuple[str, ...]:
    """The columns, besides the text, that `ranks` reads."""
    return ("metadata",) if "newest" in keep else ()


def ranks(documents: pa.RecordBatch, words: WordHashes, keep: Iterable[KeepRule]) -> pa.Array:
    """The order of preference as strings, best first. Each ends in the id: no two are equal.

    Each rule gives 16 hex digits of a number that is small for what it prefers.
    """
    columns: list[list[str]] = []
    for rule in keep:
        if rule == "longest":
            columns.append([f"{(1 << 62) - int(n):016x}" for n in words.counts()])
        else:
            dates = pc.map_lookup(documents.column("metadata"), pa.scalar("date"), "first")
            seconds = (instant(date) for date in dates.to_pylist())
            columns.append(["f" * 16 if s is None else f"{(1 << 62) - s:016x}" for s in seconds])
    columns.append(documents.column("id").to_pylist())
    return pa.array(["".join(row) for row in zip(*columns, strict=True)], pa.string())


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


def id_prefixes(ids: pa.Array) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each id."""
    data = bytes.fromhex("".join(ids.to_pylist()))
    return np.frombuffer(data, ">u8")[::2].astype(np.uint64)


# ---- what is done with rows that were brought together ----

COPIES = pa.schema([("id", pa.string()), ("part", pa.int64()), ("original", pa.string())])
"""A document that is no original, and the best document with the same words."""

BANDS = pa.schema([("id", pa.string()), ("rank", pa.string()), ("band", pa.int64())])

PAIRS = pa.schema([("id", pa.string()), ("document", pa.string())])
"""A document, and a better one that it may resemble."""

EDGES = pa.schema(
    [
        ("id", pa.string()),
        ("part", pa.int64()),
        ("rank", pa.string()),
        ("better", pa.string()),
        ("similarity", pa.float64()),
    ]
)
"""A document, and the rank of a better one that it resembles. Ranks end in the id."""

NEAR = pa.schema(
    [
        *COPIES,
        ("similarity", pa.float64()),
        ("kept", pa.string()),
    ]
)
"""A document to be removed (its own original), and the document that is kept instead."""

ID_DIGITS = 32


def exact_copies(table: pa.Table) -> pa.Table:
    """Of groups with equal content, all but the best-ranked (COPIES)."""
    table, first = _grouped(table, "content")
    copies = np.flatnonzero(first != np.arange(table.num_rows))
    original = table.column("id").take(first[copies])
    return table.select(["id", "part"]).take(copies).append_column("original", original)


def bands_of_originals(table: pa.Table) -> pa.Table:
    """Of groups with equal content, the best-ranked: a row for each of its bands (BANDS)."""
    table, first = _grouped(table, "content")
    originals = table.take(np.unique(first))
    bands = one_chunk(originals.column("bands"))
    rows = originals.select(["id", "rank"]).take(pc.list_parent_indices(bands))
    return rows.append_column("band", pc.list_flatten(bands))


def candidate_pairs(table: pa.Table) -> pa.Table:
    """Of groups with an equal band, each document with each better one, at most BUCKET (PAIRS)."""
    table, first = _grouped(table, "band")
    place = np.arange(table.num_rows) - first
    better = np.minimum(place, BUCKET)
    one = np.repeat(np.arange(table.num_rows), better)
    nth = np.arange(len(one)) - np.repeat(np.cumsum(better) - better, better)
    ids = table.column("id")
    return pa.table([ids.take(one), ids.take(first[one] + nth)], schema=PAIRS)


def sketch_to_candidates(table: pa.Table) -> pa.Table:
    """To each pair the better document's rank and sketch, addressed to the other document."""
    pairs, owners = _pairs_and_owners(table)
    # Two documents may share several bands; rows are sorted by (document, id).
    pairs = pairs.group_by(["document", "id"], use_threads=False).aggregate([])
    owner = pc.index_in(pairs.column("document"), value_set=owners.column("document"))
    return pa.table(
        {
            "id": pairs.column("document"),
            "document": pairs.column("id"),
            "rank": owners.column("rank").take(owner),
            "sketch": owners.column("sketch").take(owner),
        }
    )


def similar_pairs(table: pa.Table, threshold: float) -> pa.Table:
    """Of each document and its better candidates, the pairs at or above the threshold (EDGES)."""
    pairs, owners = _pairs_and_owners(table)
    owner = pc.index_in(pairs.column("document"), value_set=owners.column("document"))
    measured = similarities(
        *_flat(pairs), *_flat(owners), one_chunk(owner).to_numpy().astype(np.int64), SKETCH
    )
    found = np.flatnonzero(measured >= threshold)
    better = pairs.column("rank").take(found)
    mine = owners.take(owner.take(found))
    columns = [mine.column(name) for name in ("id", "part", "rank")]
    return pa.table([*columns, better, measured[found]], schema=EDGES)


def greedy(edges: Iterable[pa.Table]) -> pa.Table:
    """In order of rank, remove each document that resembles a kept one, the best such (NEAR)."""
    table = pa.concat_tables([EDGES.empty_table(), *edges]).sort_by(
        [("rank", "ascending"), ("better", "ascending")]
    )
    everyone = pa.chunked_array(
        [*table.column("rank").chunks, *table.column("better").chunks], pa.string()
    ).unique()
    everyone = everyone.take(pc.sort_indices(everyone))
    rank, better = (
        one_chunk(pc.index_in(table.column(name), value_set=everyone)).to_numpy()
        for name in ("rank", "better")
    )
    removed = table.take(np.flatnonzero(_first_kept(rank, better, len(everyone))))
    kept = pc.utf8_slice_codeunits(removed.column("better"), -ID_DIGITS)
    columns = [removed.column(name) for name in ("id", "part", "id", "similarity")]
    return pa.table([*columns, kept], schema=NEAR)


def settle_copies(table: pa.Table, threshold: float) -> pa.Table:
    """One verdict for each document of a group with one original (VERDICT_ROWS).

    When the original is removed as a near-duplicate, its copies are near-duplicates of what is kept
    instead: no verdict names a removed document.
    """
    is_near = pc.equal(table.column("dataset"), 1)
    near = table.filter(is_near)
    row = pc.index_in(table.column("original"), value_set=near.column("original"))
    settled = pc.is_valid(row)
    n = table.num_rows
    return pa.table(
        [
            table.column("id"),
            pa.repeat(Action.DROPPED.value, n),
            pc.if_else(settled, "near_duplicate", "exact_duplicate"),
            pc.if_else(settled, near.column("similarity").take(row), 1.0),
            pc.if_else(settled, threshold, 1.0),
            pc.if_else(settled, near.column("kept").take(row), table.column("original")),
            table.column("part"),
        ],
        schema=VERDICT_ROWS,
    )


def _grouped(table: pa.Table, key: str) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """The table sorted by (key, rank), and for each row where its group begins."""
    table = table.sort_by([(key, "ascending"), ("rank", "ascending")]).combine_chunks()
    keys = one_chunk(table.column(key))
    starts = np.ones(len(keys), bool)
    if len(keys) > 1:
        starts[1:] = pc.not_equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False)
    return table, np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))


def _pairs_and_owners(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows of the first dataset, and those of the second: each group's own document."""
    is_pair = pc.equal(table.column("dataset"), 0)
    return table.filter(is_pair).combine_chunks(), table.filter(pc.invert(is_pair)).combine_chunks()


def _flat(table: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All sketches of a table in one array, and the offsets [rows + 1] into it."""
    lists = one_chunk(table.column("sketch"))
    return lists.values.to_numpy(), lists.offsets.to_numpy()


@numba.njit(cache=True)
def _first_kept(
    rank: npt.NDArray[np.int32], better: npt.NDArray[np.int32], documents: int
) -> npt.NDArray[np.bool_]:
    """Which of the edges, sorted by (rank, better), remove their document; each is removed once."""
    removed = np.zeros(documents, np.bool_)
    removing = np.zeros(len(rank), np.bool_)
    for edge in range(len(rank)):
        if not removed[rank[edge]] and not removed[better[edge]]:
            removed[rank[edge]] = True
            removing[edge] = True
    return removing
