"""Every document of a stretch of a source, in the order of its files."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from corpusmill import storage
from corpusmill.stages.sources import git_trees, licences
from corpusmill.stages.sources.listing import InputFile
from corpusmill.stages.sources.records import Found, RawDocument, Skipped, read_file, refused
from corpusmill.stages.sources.repositories import Repository, repository_of
from corpusmill.stages.sources.source import Source


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A file, or the range [start, end) of its bytes: the documents that begin there."""

    file: InputFile
    start: int = 0
    end: int | None = None


def read_pieces(source: Source, pieces: Sequence[Piece]) -> Iterator[tuple[str, Found]]:
    """What the pieces hold, each with the relative path that is part of its id.

    Raises:
        RunError: a file was changed since the run began.
    """
    if source.unit != "repository":
        for piece in pieces:
            for found in _read(source, piece):
                yield piece.file.relative, found
        return
    for name, members in groupby(pieces, key=lambda piece: repository_of(piece.file)):
        repository = Repository(name)
        for piece in members:
            for found in _read(source, piece):
                if isinstance(found, RawDocument) and not found.problem:
                    repository.add(piece.file.relative, found)
                else:  # a repository is not lost for one file that cannot be read
                    yield piece.file.relative, found
        yield from ((name, whole) for whole in repository.document())


def _read(source: Source, piece: Piece) -> Iterator[Found]:
    file = piece.file
    if file.skipped:
        yield Skipped(reason=file.skipped, locator="")
    elif file.problem:
        yield refused(file.relative, file.problem)
    elif file.commit:
        yield from git_trees.read_repository(source, file.path, file.commit, file.relative)
    else:
        file.refuse_changed()
        licence = licences.nearest(_licences(file.licence_files), file.relative)
        for found in read_file(source, file.path, file.relative, piece.start, piece.end):
            if file.uri and isinstance(found, RawDocument) and not found.locator:
                found = replace(found, uri=file.uri)
            if licence and isinstance(found, RawDocument):
                found = replace(found, metadata={"repository_licence": licence, **found.metadata})
            yield found
        file.refuse_changed()


@functools.lru_cache(maxsize=64)
def _licences(files: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Folder -> licence, of the licence files (relative path, path) that can be read."""
    contents = []
    for relative, path in files:
        with contextlib.suppress(OSError), storage.open_read(path) as stream:
            contents.append((relative, stream.read(licences.MAX_LICENCE_FILE + 1)))
    return licences.by_folder(contents)
