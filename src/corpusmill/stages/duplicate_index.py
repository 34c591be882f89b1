"""The index of `deduplicate`: what earlier runs have seen, without their texts.

    INDEX/manifest.json                        settings that must agree, generations, checksums
    INDEX/FINGERPRINT/piece-K-documents-R.parquet    DOCUMENTS, by place
    INDEX/FINGERPRINT/piece-K-signatures-R.parquet   place and stored bins of the accepted, by place

A generation is what one run has added: every document that had no exact copy before it, accepted or
removed as a near-duplicate. The removed ones are there for their exact copies, and because they
have a place in their buckets; they remove nobody. A generation belongs to a run by name. The run
compares with the generations in front of its own and never with its own, however often it is
repeated. The manifest is replaced as a whole, at the end: until then a generation is not there.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.errors import RunError, UsageError, one_of
from corpusmill.stages.signature_files import (
    Integers,
    as_binary,
    as_matrix,
    piece_path,
)

MANIFEST = "manifest.json"
FORMAT = 1

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


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What one run has added."""

    run: str
    """The recipe's name."""
    fingerprint: str
    """Of the stage in that run, which covers its input, its settings and the index before it."""
    first_place: int
    places: int
    """Places taken; stays when documents are removed."""
    revision: int
    """How often documents were removed from it."""
    pieces: tuple[Piece, ...]

    def digest(self) -> str:
        """A checksum of all that it holds."""
        plain = json.dumps(asdict(self), sort_keys=True)
        return xxhash.xxh3_128_hexdigest(plain.encode())


@dataclass(frozen=True, kw_only=True)
class Index:
    """The manifest."""

    path: str
    settings: dict[str, Any]
    """What signatures were made with; empty in an index that is new."""
    generations: tuple[Generation, ...]

    def before(self, run: str) -> tuple[Generation, ...]:
        """The generations that a run compares with: those in front of its own."""
        names = [generation.run for generation in self.generations]
        return self.generations[: names.index(run)] if run in names else self.generations

    def own(self, run: str) -> Generation | None:
        """The generation of a run, where it was published."""
        return next((g for g in self.generations if g.run == run), None)

    def save(self) -> None:
        """Replace the manifest. Call it under the folder's lock."""
        plain = {
            "format": FORMAT,
            "settings": self.settings,
            "generations": [asdict(generation) for generation in self.generations],
        }
        storage.write_json(storage.join(self.path, MANIFEST), plain)


def load_index(path: str) -> Index:
    """The index at a path; an empty one where nothing is."""
    manifest = storage.join(path, MANIFEST)
    if not storage.exists(manifest):
        return Index(path=path, settings={}, generations=())
    plain = storage.read_json(manifest)
    try:
        if plain["format"] != FORMAT:
            raise UsageError(f"{path}: an index of another version (format {plain['format']!r})")
        generations = [
            Generation(**{**g, "pieces": tuple(Piece(**piece) for piece in g["pieces"])})
            for g in plain["generations"]
        ]
        return Index(path=path, settings=plain["settings"], generations=tuple(generations))
    except (KeyError, TypeError):
        raise RunError(f"{manifest} is damaged: it is not an index's manifest") from None


def index_state(path: str, run: str) -> tuple[str, ...]:
    """Checksums of what a run will compare with."""
    return tuple(generation.digest() for generation in load_index(path).before(run))


def check_settings(path: str, settings: Mapping[str, Any]) -> None:
    """Raise UsageError when an index was made with other settings."""
    made_with = load_index(path).settings
    for name in settings if made_with else ():
        if made_with.get(name) != settings[name]:
            raise UsageError(
                f"index {path}: made with {name} {made_with.get(name)!r}, here it is "
                f"{settings[name]!r}: use the same settings or another index"
            )


def check_run(path: str, run: str, fingerprint: str) -> None:
    """Raise UsageError when an index holds another generation of that name."""
    own = load_index(path).own(run)
    if own is not None and own.fingerprint != fingerprint:
        raise UsageError(
            f"index {path} holds a generation {run!r} that was made of other input, with other "
            f"settings or when the index held something else: give this recipe another name, or "
            f"take that generation out with `corpusmill index {path} --forget {run}`"
        )


def open_index(
    path: str, settings: Mapping[str, Any], run: str, fingerprint: str, state: Sequence[str]
) -> Index:
    """The index for a run that holds its lock, when it is as the run needs it."""
    check_settings(path, settings)
    check_run(path, run, fingerprint)
    index = load_index(path)
    if tuple(generation.digest() for generation in index.before(run)) != tuple(state):
        raise RunError(f"index {path} has changed since this run began: run the same command again")
    return Index(path=path, settings=dict(settings), generations=index.generations)


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
    table = _read_checked(task.index, task.indexed, "documents")
    contents = table.select(["content", "other", "keeper", "similarity"])
    contents = contents.append_column("id", table.column("place"))
    storage.write_ipc(piece_path(task.folder, task.piece, "ids"), table.select(["id"]))
    storage.write_ipc(piece_path(task.folder, task.piece, "contents"), contents)


def unpack_signatures(task: UnpackTask) -> None:
    """Write the bands that may meet a new document, and the signatures of their documents."""
    table = _read_checked(task.index, task.indexed, "documents")
    rows = np.flatnonzero(pc.is_valid(table.column("keys")).to_numpy())
    keys = as_matrix(table.column("keys").take(pa.array(rows)), np.int64)
    bits = one_chunk(storage.read_ipc(task.filter).column("bits")).to_numpy()
    hit = may_contain(bits, keys.astype(np.int64).ravel()).reshape(keys.shape)
    places = one_chunk(table.column("place")).to_numpy()
    row, band = np.nonzero(hit)
    bands = pa.table({"band": keys[row, band], "id": places[rows[row]]})
    storage.write_ipc(piece_path(task.folder, task.piece, "bands"), bands)
    signatures = _read_checked(task.index, task.indexed, "signatures")
    own_rows = np.searchsorted(places, one_chunk(signatures.column("place")).to_numpy())
    wanted = np.isin(own_rows, rows[hit.any(axis=1)])
    stored = as_matrix(signatures.column("stored").filter(pa.array(wanted)), np.uint8)
    table = pa.table({"row": own_rows[wanted], "stored": as_binary(stored)})
    storage.write_ipc(piece_path(task.folder, task.piece, "signatures"), table)


def _read_checked(index: str, piece: Piece, what: str) -> pa.Table:
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
    piece = _write(task.index, task.fingerprint, task.piece, 0, task.source, documents, stored)
    storage.write_json(task.receipt, asdict(piece))


def _write(
    index: str,
    fingerprint: str,
    number: int,
    revision: int,
    source: str,
    documents: pa.Table,
    signatures: pa.Table,
) -> Piece:
    files = {}
    for what, table in (("documents", documents), ("signatures", signatures)):
        name = f"{fingerprint}/piece-{number:05d}-{what}-{revision}.parquet"
        info = storage.write_parquet(storage.join(index, name), table)
        files[what] = {"name": name, "bytes": info.bytes, "xxh3": info.xxh3}
    is_kept = pc.equal(documents.column("keeper"), documents.column("place"))
    accepted = pc.sum(is_kept, min_count=0).as_py()
    return Piece(source=source, documents=documents.num_rows, accepted=accepted, files=files)


def publish(index: Index, run: str, fingerprint: str, places: int, receipts: Sequence[str]) -> None:
    """Make the pieces that were stored the last generation."""
    last = index.generations[-1] if index.generations else None
    generation = Generation(
        run=run,
        fingerprint=fingerprint,
        first_place=last.first_place + last.places if last else 0,
        places=places,
        revision=0,
        pieces=tuple(Piece(**storage.read_json(path)) for path in receipts),
    )
    added = Index(
        path=index.path,
        settings=index.settings,
        generations=(*index.generations, generation),
    )
    added.save()
    _remove_strangers(added)


_PIECE_FILE = re.compile(r"[0-9a-f]{32}/piece-\d+-(documents|signatures)-\d+\.parquet")


def _remove_strangers(index: Index) -> None:
    """Remove pieces that no generation names: of runs that were killed, and removed documents.

    Without a lock, on object stores, another run may be writing them.
    """
    if not storage.is_local(index.path):
        return
    named = {
        file["name"]
        for generation in index.generations
        for piece in generation.pieces
        for file in piece.files.values()
    }
    for path in storage.list_files(index.path):
        name = "/".join(path.split("/")[-2:])
        if _PIECE_FILE.fullmatch(name) and name not in named:
            storage.remove(path)


# ---- taking documents out ----


def remove_source(path: str, source: str) -> int:
    """Take the documents of a source out of an index; returns how many.

    What they had displaced is taken out with them: it does not come back into the corpora that were
    made, but the next document like it is new.
    """
    return _take_out(path, "source", source, lambda generation, piece: piece.source)


def forget_run(path: str, run: str) -> int:
    """Take a generation out of an index; returns how many documents it had."""
    return _take_out(path, "run", run, lambda generation, piece: generation.run)


def _take_out(path: str, what: str, name: str, label: Callable[[Generation, Piece], str]) -> int:
    if not storage.exists(storage.join(path, MANIFEST)):
        raise UsageError(f"{path}: not an index: there is no {MANIFEST}")
    with storage.folder_lock(path):
        index = load_index(path)
        pieces = [(g, piece) for g in index.generations for piece in g.pieces]
        names = {label(g, piece) for g, piece in pieces}
        names |= {g.run for g in index.generations} if what == "run" else set()
        if name not in names:
            raise UsageError(f"index {path}: {what} {one_of(name, names)}")
        gone = [piece for g, piece in pieces if label(g, piece) == name]
        lost = pa.chunked_array(
            [c for p in gone for c in _read_checked(path, p, "documents")["place"].chunks],
            pa.int64(),
        )
        generations = [
            _without(path, g, lost, [p for p in g.pieces if label(g, p) != name])
            for g in index.generations
            if what == "source" or g.run != name
        ]
        left = Index(path=path, settings=index.settings, generations=tuple(generations))
        left.save()
        _remove_strangers(left)
    return sum(piece.documents for piece in gone)


def _without(
    path: str, generation: Generation, lost: pa.ChunkedArray, pieces: Sequence[Piece]
) -> Generation:
    """A generation with some of its pieces, and in these without what was removed for the lost."""
    revision = generation.revision + 1
    kept = []
    for number, piece in enumerate(pieces):
        documents = _read_checked(path, piece, "documents")
        stays = pc.invert(pc.is_in(documents.column("keeper"), value_set=lost))
        if not pc.all(stays, min_count=0).as_py():
            stored = _read_checked(path, piece, "signatures")
            left = documents.filter(stays)
            folder = generation.fingerprint
            piece = _write(path, folder, number, revision, piece.source, left, stored)
        kept.append(piece)
    if tuple(kept) == generation.pieces:
        return generation
    return Generation(**{**vars(generation), "revision": revision, "pieces": tuple(kept)})


def index_data(path: str) -> dict[str, Any]:
    """What an index holds, for people: settings and, of each generation, sources and bytes."""
    if not storage.exists(storage.join(path, MANIFEST)):
        raise UsageError(f"{path}: not an index: there is no {MANIFEST}")
    index = load_index(path)
    generations = []
    for generation in index.generations:
        documents: Counter[str] = Counter()
        accepted: Counter[str] = Counter()
        for piece in generation.pieces:
            documents[piece.source] += piece.documents
            accepted[piece.source] += piece.accepted
        generations.append(
            {
                "run": generation.run,
                "fingerprint": generation.fingerprint,
                "sources": {
                    name: {"documents": documents[name], "accepted": accepted[name]}
                    for name in sorted(documents)
                },
                "bytes": sum(f["bytes"] for p in generation.pieces for f in p.files.values()),
            }
        )
    return {"index": path, "settings": index.settings, "generations": generations}
