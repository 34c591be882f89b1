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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpusmill import storage
from corpusmill.errors import RunError, UsageError, one_of
from corpusmill.stages.index_pieces import Piece, read_checked, write_files

MANIFEST = "manifest.json"
FORMAT = 1


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


# ---- a new generation ----


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


def indexed_ids(path: str) -> Iterator[str]:
    """The ids of all documents of an index."""
    for generation in load_index(path).generations:
        for piece in generation.pieces:
            yield from read_checked(path, piece, "documents").column("id").to_pylist()


def forget_documents(path: str, ids: pa.Array) -> int:
    """Take documents out of an index by their ids (string); returns how many were there.

    What they had displaced goes with them, as with `remove_source`.
    """
    with storage.folder_lock(path):
        index = load_index(path)
        tables = [
            read_checked(path, piece, "documents") for g in index.generations for piece in g.pieces
        ]
        chunks = [
            table.filter(pc.is_in(table.column("id"), value_set=ids)).column("place").chunks
            for table in tables
        ]
        lost = pa.chunked_array([chunk for some in chunks for chunk in some], pa.int64())
        if len(lost):
            generations = tuple(_without(path, g, lost, g.pieces) for g in index.generations)
            left = Index(path=path, settings=index.settings, generations=generations)
            left.save()
            _remove_strangers(left)
    return len(lost)


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
            [c for p in gone for c in read_checked(path, p, "documents")["place"].chunks],
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
    """A generation with some of its pieces, and in these without the lost (places) and what was
    removed for them."""
    revision = generation.revision + 1
    kept = []
    for number, piece in enumerate(pieces):
        documents = read_checked(path, piece, "documents")
        goes = [pc.is_in(documents.column(name), value_set=lost) for name in ("place", "keeper")]
        stays = pc.invert(pc.or_(*goes))
        if not pc.all(stays, min_count=0).as_py():
            stored = read_checked(path, piece, "signatures")
            left = documents.filter(stays)
            folder = generation.fingerprint
            piece = write_files(path, folder, number, revision, piece.source, left, stored)
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
