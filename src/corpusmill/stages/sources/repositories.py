"""A whole repository as one raw document: its files in one payload, packed and unpacked here."""

import json
from collections.abc import Iterator, Sequence

from corpusmill.stages.sources import sniff
from corpusmill.stages.sources.limits import MAX_PAYLOAD, Refused
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
        self._files: dict[str, bytes] = {}
        self._licence = ""
        self._size = 0

    def add(self, relative: str, record: RawDocument) -> None:
        """Take a file: of an archive or git repository, or of the repository's folder."""
        self._size += len(record.payload)
        if self._size <= MAX_PAYLOAD:
            path = record.locator or relative.removeprefix(f"{self._name}/")
            self._files[path] = record.payload
            self._licence = self._licence or record.metadata.get("repository_licence", "")

    def document(self) -> Iterator[RawDocument]:
        """The repository as one raw document; none if it has no file."""
        if self._size > MAX_PAYLOAD:
            yield refused(self._name, "too_large")
        elif self._files:
            yield RawDocument(
                locator="",
                uri=self._name,
                payload=packed(list(self._files), list(self._files.values())),
                media="repository",
                metadata={"repository_licence": self._licence},
            )


def packed(names: Sequence[str], payloads: Sequence[bytes]) -> bytes:
    """A line of JSON, names and sizes, and behind it the files."""
    sizes = [[name, len(data)] for name, data in zip(names, payloads, strict=True)]
    return b"".join([json.dumps(sizes).encode(), b"\n", *payloads])


def unpacked(payload: bytes) -> list[tuple[str, bytes]]:
    """The files of a repository that `packed` has put together."""
    contents, newline, _ = payload.partition(b"\n")
    if not newline:
        raise Refused("damaged_file")
    files = []
    at = len(contents) + 1
    for name, size in json.loads(contents):
        files.append((name, payload[at : at + size]))
        at += size
    return files
