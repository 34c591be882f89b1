"""What deduplication knows of each document: measured once, kept in files, looked up by number.

The documents of a part are a *piece*; so are those of a part that an earlier run has put into an
index. Documents are numbered through all pieces: a number says piece and row. The text is not read
again; instead a piece has these Arrow files in one folder:

    piece-K-ids         id: one row for each document
    piece-K-contents    what exact copies are found by, and what orders documents (CONTENTS)
    piece-K-signatures  row, keys, stored: of the documents that have a shingle, in row order
"""

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.filters.banding import Banding
from corpusmill.filters.permutations import permutation_signatures
from corpusmill.filters.shingles import Shingling
from corpusmill.filters.signatures import BINS, StoredBins, signatures, stored
from corpusmill.stage import Part
from corpusmill.stages.document_classes import class_column, class_values
from corpusmill.stages.keep_rules import KeepOrder
from corpusmill.stages.occurrences import DERIVED

Integers = npt.NDArray[np.int64]

Scheme = Literal["sketch", "permutations"]

_PRIME = np.uint64(0xD6E8FEB86659FD93)
BATCH_ROWS = 512
"""Documents measured at a time."""

CORPUS, SOURCE, LANGUAGE = "corpus", "source", "language"
"""Scopes; the last one is followed by a key."""


def piece_path(folder: str, piece: int, what: str) -> str:
    """The file of a piece."""
    return storage.join(folder, f"piece-{piece:05d}-{what}.arrow")


@dataclass(frozen=True, kw_only=True)
class MeasureTask:
    """One part to be measured, with at least one document."""

    part: Part
    folder: str
    piece: int
    first: int
    """The number of its first document."""
    banding: Banding
    shingling: Shingling
    keep: KeepOrder
    scheme: Scheme
    scope: str
    rows: str = ""
    """A file with the rows that are looked at; all of them without one."""
    derived: bool = False
    """Whether these are derived documents, which are compared with each other only."""


def measure(task: MeasureTask) -> None:
    """Read a part's texts and write the files of its piece."""
    wanted = ["id", "text", *scope_columns(task.scope), *task.keep.columns()]
    documents = storage.read_parquet(task.part.path, list(dict.fromkeys(wanted)))
    if task.rows:
        documents = documents.take(storage.read_ipc(task.rows).column("row"))
    documents = documents.combine_chunks()
    contents: list[pa.Table] = []
    signed: list[pa.Table] = []
    done = 0
    for batch in documents.to_batches(max_chunksize=BATCH_ROWS):
        found = signatures(batch.column("text"), task.shingling, task.banding)
        keys, bins = found.keys, found.bins
        if task.scheme == "permutations":
            keys, bins = permuted(batch.column("text"), task.shingling, task.banding)
        salt = scope_salts(batch, task.scope) ^ (DERIVED if task.derived else np.uint64(0))
        content = (found.content ^ salt[:, np.newaxis]).view(np.int64)
        number = np.arange(done, done + batch.num_rows) + task.first
        identity = {"content": content[:, 0], "other": content[:, 1], "id": number}
        contents.append(pa.table(identity | task.keep.ranks(batch, found.units)))
        has = np.flatnonzero(found.has_shingles)
        keys = as_binary(keys[has] ^ salt[has, np.newaxis].view(np.int64))
        signed.append(pa.table({"row": has + done, "keys": keys, "stored": as_binary(bins[has])}))
        done += batch.num_rows
    files = {
        "ids": documents.select(["id"]),
        "contents": pa.concat_tables(contents),
        "signatures": pa.concat_tables(signed),
    }
    for what, table in files.items():
        storage.write_ipc(piece_path(task.folder, task.piece, what), table)


def permuted(
    texts: pa.Array, shingling: Shingling, banding: Banding
) -> tuple[Integers, StoredBins]:
    """Band keys and stored bins of signatures by permutations, as `signatures` gives them."""
    values = permutation_signatures(texts, shingling, BINS).astype(np.uint64)
    rows = values[:, : banding.bands * banding.rows].reshape(-1, banding.bands, banding.rows)
    keys = np.broadcast_to(np.arange(1, banding.bands + 1, dtype=np.uint64), rows.shape[:2])
    for row in range(banding.rows):
        keys = (keys ^ rows[:, :, row]) * _PRIME
        keys = keys ^ (keys >> np.uint64(32))
    return keys.view(np.int64), stored(values)


def scope_columns(scope: str) -> tuple[str, ...]:
    """The columns, besides id and text, that a scope is read from."""
    if scope == CORPUS:
        return ()
    return (class_column(scope),)


def scope_salts(documents: pa.RecordBatch, scope: str) -> npt.NDArray[np.uint64]:
    """What tells the keys of one scope from those of another; shape [documents].

    Documents without a value make up a scope of their own.
    """
    if scope == CORPUS:
        return np.zeros(documents.num_rows, np.uint64)
    values = class_values(documents, scope).to_pylist()
    salts = {
        value: xxhash.xxh3_64_intdigest(f"={value}".encode() if value else b"")
        for value in set(values)
    }
    return np.fromiter((salts[value] for value in values), np.uint64, len(values))


def integers(table: pa.Table, name: str) -> Integers:
    """A column of integers; what another dataset lacks is 0."""
    column = one_chunk(table.column(name))
    if column.null_count:
        column = column.fill_null(0)
    result: Integers = column.to_numpy()
    return result


def as_binary(rows: npt.NDArray[np.generic]) -> pa.Array:
    """A matrix as one binary value of fixed size for each row."""
    rows = np.ascontiguousarray(rows)
    width = rows.shape[1] * rows.itemsize
    return pa.Array.from_buffers(pa.binary(width), len(rows), [None, pa.py_buffer(rows)])


def as_matrix(column: pa.ChunkedArray | pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """The matrix that `as_binary` was given, without a copy."""
    values = one_chunk(column) if isinstance(column, pa.ChunkedArray) else column
    width = values.type.byte_width // np.dtype(dtype).itemsize
    flat = np.frombuffer(values.buffers()[1] or b"", dtype)
    result: npt.NDArray[np.generic] = flat.reshape(-1, width)[
        values.offset : values.offset + len(values)
    ]
    return result


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Looks documents up by their numbers. A look reads only what it needs: local files are
    memory-mapped, the last few of others are held."""

    folder: str
    firsts: tuple[int, ...]
    """The number of each piece's first document, and at the end the number of all documents."""

    def path(self, piece: int, what: str) -> str:
        """The file of a piece."""
        return piece_path(self.folder, piece, what)

    def ids(self, numbers: Integers) -> pa.Array:
        """The ids of documents, in the order asked for."""
        order, pieces = self._by_piece(numbers)
        found = [_read(self.path(piece, "ids")).column("id").take(rows) for piece, rows in pieces]
        ids = pa.chunked_array([c for f in found for c in f.chunks], pa.string())
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return one_chunk(ids.take(pa.array(back)))

    def stored(self, numbers: Integers) -> StoredBins:
        """The stored bins of documents that have a signature; shape [numbers, BINS]."""
        order, pieces = self._by_piece(numbers)
        result = np.empty((len(numbers), BINS), np.uint8)
        done = 0
        for piece, rows in pieces:
            table = _read(self.path(piece, "signatures"))
            place = np.searchsorted(one_chunk(table.column("row")).to_numpy(), rows.to_numpy())
            result[order[done : done + len(place)]] = as_matrix(table.column("stored"), np.uint8)[
                place
            ]
            done += len(place)
        return result

    def _by_piece(self, numbers: Integers) -> tuple[Integers, list[tuple[int, pa.Array]]]:
        """The numbers' order, and in this order for each piece its rows."""
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        ends = np.searchsorted(ordered, self.firsts)
        pieces = []
        for piece in np.flatnonzero(np.diff(ends)):
            rows = ordered[ends[piece] : ends[piece + 1]] - self.firsts[piece]
            pieces.append((int(piece), pa.array(rows)))
        return order, pieces


@functools.lru_cache(maxsize=8)
def _read(path: str) -> pa.Table:
    # A path below a fingerprint's work folder stands for the same bytes for ever.
    return storage.read_ipc(path)
