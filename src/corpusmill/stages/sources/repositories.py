"""A whole repository as one raw document: its files in one payload, packed and unpacked here."""

import json
from collections.abc import Iterator, Sequence

from corpusmill.stages.sources import sniff
from corpusmill.stages.sources.limits import MAX_PAYLOAD
from corpusmill.stages.sources.listing import InputFile
from corpusmill.stages.sources.records import RawDocument, refused


def repository_of(file: InputFile) -> str:
    """The repository that a file of a source belongs to, by its relative path: a git repository
    and an archive are one each; else the outermost folder, and `.` for files in none."""
    if file.commit or sniff.suffix(file.relative) in sniff.ARCHIVE_SUFFIXES:
        return file.relative
    return file.relative.partition("/")[0] if "/" in file.relative else "."


class Repository:
    """The files of one repository, gathered."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._files: list[tuple[str, str, bytes]] = []
        self._size = 0

    def add(self, relative: str, record: RawDocument) -> None:
        """Take a file: of an archive or git repository, or of the repository's folder."""
        self._size += len(record.payload)
        if self._size <= MAX_PAYLOAD:
            path = record.locator or relative.removeprefix(f"{self._name}/")
            licence = record.metadata.get("repository_licence", "")
            self._files.append((path, licence, record.payload))

    def document(self) -> Iterator[RawDocument]:
        """The repository as one raw document; none if it has no file."""
        if self._size > MAX_PAYLOAD:
            yield refused(self._name, "too_large")
        elif self._files:
            yield RawDocument(
                locator="",
                uri=self._name,
                payload=packed(self._files),
                media="repository",
            )


def packed(files: Sequence[tuple[str, str, bytes]]) -> bytes:
    """Path, licence and content of files: a line of JSON, which has the sizes, and the contents."""
    sizes = [[path, licence, len(data)] for path, licence, data in files]
    return b"".join([json.dumps(sizes).encode(), b"\n", *(data for _, _, data in files)])


def unpacked(payload: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Path, licence and content of the files that `packed` has put together."""
    contents, _, _ = payload.partition(b"\n")
    at = len(contents) + 1
    for path, licence, size in json.loads(contents):
        yield path, licence, payload[at : at + size]
        at += size
