"""The files of an index of duplicates: pieces, as tasks write and read them.

What an index is, and its manifest: `duplicate_index`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.errors import RunError
from corpusmill.stages.signature_files import Integers, as_binary, as_matrix, piece_path

DOCUMENTS = ("id", "place", "content", "other", "keeper", "similarity", "keys")
"""Columns: the place in the order of preference over all generations; 128 bits of the content; the
place of the document that was kept (its own for accepted ones), and how similar the two are."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The documents of one part of a run, all of one source."""

    source: str
    documents: int
    accepted: int
    files: dict[str, dict[str, Any]]
    """documents, signatures -> {name, bytes, xxh3}; the name is relative to the index."""


# ---- reading: an index's pieces become pieces of the run ----


@dataclass(frozen=True, kw_only=True)
class UnpackTask:
    """A piece of an index to be laid beside the new ones."""

    index: str
    indexed: Piece
    folder: str
    piece: int
    filter: str = ""
    """A file with the bits of the new documents' band keys; for `unpack_signatures`."""


def unpack_documents(task: UnpackTask) -> None:
    """Write the ids and contents of a piece of the index."""
    table = read_checked(task.index, task.indexed, "documents")
    contents = table.select(["content", "other", "keeper", "similarity"])
    contents = contents.append_column("id", table.column("place"))
    storage.write_ipc(piece_path(task.folder, task.piece, "ids"), table.select(["id"]))
    storage.write_ipc(piece_path(task.folder, task.piece, "contents"), contents)


def unpack_signatures(task: UnpackTask) -> None:
    """Write the bands that may meet a new document, and the signatures of their documents."""
    table = read_checked(task.index, task.indexed, "documents")
    rows = np.flatnonzero(pc.is_valid(table.column("keys")).to_numpy())
    keys = as_matrix(table.column("keys").take(pa.array(rows)), np.int64)
    bits = one_chunk(storage.read_ipc(task.filter).column("bits")).to_numpy()
    hit = may_contain(bits, keys.astype(np.int64).ravel()).reshape(keys.shape)
    places = one_chunk(table.column("place")).to_numpy()
    row, band = np.nonzero(hit)
    bands = pa.table({"band": keys[row, band], "id": places[rows[row]]})
    storage.write_ipc(piece_path(task.folder, task.piece, "bands"), bands)
    signatures = read_checked(task.index, task.indexed, "signatures")
    own_rows = np.searchsorted(places, one_chunk(signatures.column("place")).to_numpy())
    wanted = np.isin(own_rows, rows[hit.any(axis=1)])
    stored = as_matrix(signatures.column("stored").filter(pa.array(wanted)), np.uint8)
    table = pa.table({"row": own_rows[wanted], "stored": as_binary(stored)})
    storage.write_ipc(piece_path(task.folder, task.piece, "signatures"), table)


def read_checked(index: str, piece: Piece, what: str) -> pa.Table:
    """A file of a piece, when its checksum is the manifest's."""
    path = storage.join(index, piece.files[what]["name"])
    try:
        intact = storage.checksum_file(path) == piece.files[what]["xxh3"]
    except OSError:
        intact = False
    if not intact:
        raise RunError(f"{path} is missing or damaged: its checksum is not the manifest's")
    return storage.read_parquet(path).combine_chunks()


FILTER_BITS = 16
"""Bits for each key of a filter: one key in 16 passes it without having been put in."""


def key_filter(tables: Sequence[str], keys: int) -> npt.NDArray[np.uint64]:
    """A bit set for each of so many band keys, from files of bands."""
    bits = np.zeros(1 << max(0, int(keys * FILTER_BITS - 1).bit_length() - 6), np.uint64)
    for path in tables:
        _set_bits(bits, one_chunk(storage.read_ipc(path).column("band")).to_numpy())
    return bits


@numba.njit(cache=True)
def _bit(key: np.int64, words: int) -> np.int64:
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(1)) % (64 * words)


@numba.njit(cache=True)
def _set_bits(bits: npt.NDArray[np.uint64], keys: Integers) -> None:
    for key in keys:
        bit = _bit(key, len(bits))
        bits[bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)


@numba.njit(cache=True)
def may_contain(bits: npt.NDArray[np.uint64], keys: Integers) -> npt.NDArray[np.bool_]:
    """Whether each key's bit is set: never false for a key that was put in; shape [keys]."""
    found = np.zeros(len(keys), np.bool_)
    for i in range(len(keys)):
        bit = _bit(keys[i], len(bits))
        found[i] = (bits[bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1)
    return found


# ---- writing: the pieces of a run become a generation ----


@dataclass(frozen=True, kw_only=True)
class StoreTask:
    """A piece of a run to be put into an index."""

    index: str
    fingerprint: str
    source: str
    folder: str
    piece: int
    first: int
    """The row of its first document in `fates`."""
    rows: int
    fates: str
    number: int
    """Of the piece in the generation."""
    receipt: str


def store_piece(task: StoreTask) -> None:
    """Write the originals of a piece into the index, and beside them what they are."""
    fates = storage.read_ipc(task.fates).slice(task.first, task.rows).combine_chunks()
    place = one_chunk(fates.column("place")).to_numpy()
    rows = np.flatnonzero(place >= 0)
    rows = rows[np.argsort(place[rows])]
    own = pa.array(rows)
    contents = storage.read_ipc(piece_path(task.folder, task.piece, "contents"))
    signatures = storage.read_ipc(piece_path(task.folder, task.piece, "signatures"))
    keeper = one_chunk(fates.column("keeper")).to_numpy()[rows]
    accepted = keeper < 0
    signed = pc.index_in(own, value_set=one_chunk(signatures.column("row")))
    ids = storage.read_ipc(piece_path(task.folder, task.piece, "ids"))
    documents = pa.table(
        [
            ids.column("id").take(own),
            pa.array(place[rows]),
            contents.column("content").take(own),
            contents.column("other").take(own),
            pa.array(np.where(accepted, place[rows], keeper)),
            fates.column("similarity").take(own),
            signatures.column("keys").take(signed),
        ],
        names=DOCUMENTS,
    )
    holds = pa.array(accepted & signed.is_valid().to_numpy(zero_copy_only=False))
    stored = pa.table(
        {
            "place": pa.array(place[rows]).filter(holds),
            "stored": signatures.column("stored").take(signed.filter(holds)),
        }
    )
    piece = write_files(
        task.index, task.fingerprint, task.number, 0, task.source, documents, stored
    )
    storage.write_json(task.receipt, asdict(piece))


def write_files(
    index: str,
    fingerprint: str,
    number: int,
    revision: int,
    source: str,
    documents: pa.Table,
    signatures: pa.Table,
) -> Piece:
    """Write the files of a piece into the index."""
    files = {}
    for what, table in (("documents", documents), ("signatures", signatures)):
        name = f"{fingerprint}/piece-{number:05d}-{what}-{revision}.parquet"
        info = storage.write_parquet(storage.join(index, name), table)
        files[what] = {"name": name, "bytes": info.bytes, "xxh3": info.xxh3}
    is_kept = pc.equal(documents.column("keeper"), documents.column("place"))
    accepted = pc.sum(is_kept, min_count=0).as_py()
    return Piece(source=source, documents=documents.num_rows, accepted=accepted, files=files)
