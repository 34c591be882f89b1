"""Zip and tar archives: each member is read as the file it is, nothing is unpacked to disk."""

import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from corpusmill.stages.sources.code_marks import is_ignored
from corpusmill.stages.sources.limits import (
    MAX_MEMBERS,
    MAX_PAYLOAD,
    MAX_RATIO,
    SMALL_ENOUGH,
    Refused,
)
from corpusmill.stages.sources.records import Found, Skipped, place, refused, whole_file
from corpusmill.stages.sources.source import Source
from corpusmill.stages.sources.streams import Damaged, Unpacked

_BLOCK = tarfile.BLOCKSIZE
_MAX_TAR_HEADER = 1 << 20
"""Bytes of a tar extension header (a long name, PAX records)."""

_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions of zip members that unpack with a bound: bzip2 and LZMA do not."""


def open_zip(stream: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip file after a look at how long its table of contents is.

    Raises:
        Refused: it is no zip file, or has more than MAX_MEMBERS members.
    """
    try:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 66_000))
        tail = stream.read()
        found = tail.rfind(b"PK\x05\x06")
        if found < 0 or len(tail) < found + 22:
            raise Refused("not_a_zip")
        members, contents = struct.unpack("<HI", tail[found + 10 : found + 16])
        if contents > 1000 * MAX_MEMBERS or (members < 0xFFFF and members > MAX_MEMBERS):
            raise Refused("too_many_members", members, MAX_MEMBERS)
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, struct.error):
        raise Refused("not_a_zip") from None
    if len(archive.infolist()) > MAX_MEMBERS:
        raise Refused("too_many_members", len(archive.infolist()), MAX_MEMBERS)
    return archive


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of a zip member, at most `limit`.

    Raises:
        Refused: it is encrypted, damaged, too large, packed too tightly to be honest, or packed in
            a way that cannot be unpacked within bounds.
    """
    if member.flag_bits & 0x1:
        raise Refused("encrypted")
    if member.compress_type not in _READABLE:
        raise Refused("unsupported_compression", member.compress_type)
    if member.file_size > limit:
        raise Refused("decompressed_too_large", member.file_size, limit)
    ratio = member.file_size / max(1, member.compress_size)
    if member.file_size > SMALL_ENOUGH and ratio > MAX_RATIO:
        raise Refused("decompression_ratio", ratio, MAX_RATIO)
    try:
        with archive.open(member) as stream:
            data = stream.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError):
        raise Refused("damaged_member") from None
    if len(data) > limit:
        raise Refused("decompressed_too_large", len(data), limit)
    return data


def read_zip(source: Source, stream: IO[bytes], relative: str) -> Iterator[Found]:
    """The files in a zip archive, in the order of its table of contents."""
    try:
        archive = open_zip(stream)
    except Refused as refusal:
        yield refused(relative, refusal.reason)
        return
    packed = stream.seek(0, 2)
    unpacked = 0
    names: Counter[str] = Counter()
    for member in archive.infolist():
        if member.is_dir():
            continue
        locator = _locator(member.filename, names)
        if is_ignored(member.filename):
            yield Skipped(reason="ignored_folder", locator=locator)
            continue
        try:
            payload = read_member(archive, member, MAX_PAYLOAD)
        except Refused as refusal:
            yield refused(relative, refusal.reason, locator)
            continue
        unpacked += len(payload)
        if unpacked > max(SMALL_ENOUGH, MAX_RATIO * packed):  # members that share their bytes
            yield refused(relative, "decompression_ratio", locator)
            return
        yield member_file(source, relative, payload, member.filename, locator)


def read_tar(source: Source, stream: IO[bytes], head: bytes, relative: str) -> Iterator[Found]:
    """The regular files in a tar archive, plain, gzip or zstd, in its order.

    Headers are read here, in one pass over the stream: `tarfile` seeks back, and holds extension
    headers of any size.
    """
    packed = stream.seek(0, 2)
    stream.seek(0)
    reader = _TarReader(Unpacked(stream, head), limit=max(SMALL_ENOUGH, MAX_RATIO * packed))
    names: Counter[str] = Counter()
    try:
        for number, (name, size) in enumerate(reader.members()):
            locator = _locator(name, names)
            if number == MAX_MEMBERS:
                yield refused(relative, "too_many_members")
                return
            if is_ignored(name):
                yield Skipped(reason="ignored_folder", locator=locator)
            elif size > MAX_PAYLOAD:
                yield refused(relative, "too_large", locator)
            else:
                yield member_file(source, relative, reader.content(), name, locator)
    except Refused as refusal:
        yield refused(relative, refusal.reason)


class _TarReader:
    """One pass over the members of a tar stream."""

    def __init__(self, reader: Unpacked, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._left = 0  # of the current member's blocks
        self._size = 0
        self.position = 0

    def members(self) -> Iterator[tuple[str, int]]:
        """Name and size of each regular file; its content may be taken before the next."""
        long_name = ""
        while True:
            self._pass_over(self._left)
            header = self._take(_BLOCK, may_end=True)
            if not header.strip(b"\0"):
                return
            try:
                info = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
            except tarfile.HeaderError:
                raise Refused("damaged_archive") from None
            self._size = max(0, info.size)
            self._left = -(-self._size // _BLOCK) * _BLOCK
            if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
                extension = self._extension()
                is_name = info.type == tarfile.GNUTYPE_LONGNAME
                path = extension.rstrip(b"\0") if is_name else _pax_path(extension)
                long_name = path.decode("utf-8", "replace") or long_name
            elif info.type in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
                continue
            else:
                name, long_name = long_name or info.name, ""
                if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not name.endswith("/"):
                    yield name, self._size

    def content(self) -> bytes:
        """The current member's bytes."""
        padded = self._take(self._left)
        self._left = 0
        return padded[: self._size]

    def _extension(self) -> bytes:
        if self._size > _MAX_TAR_HEADER:
            raise Refused("damaged_archive")
        return self.content()

    def _take(self, n: int, *, may_end: bool = False) -> bytes:
        try:
            data = self._reader.read_up_to(n)
        except Damaged:
            raise Refused("damaged_archive") from None
        self.position += len(data)
        if len(data) < n and (data or not may_end):
            raise Refused("truncated_archive")
        if self.position > self._limit:
            raise Refused("decompression_ratio")
        return data

    def _pass_over(self, n: int) -> None:
        while n:
            n -= len(self._take(min(n, 1 << 20)))


def _pax_path(records: bytes) -> bytes:
    """The value of `path` in PAX records, each `LENGTH KEY=VALUE` and a newline."""
    at = 0
    path = b""
    while at < len(records):
        length, _, _ = records[at : at + 20].partition(b" ")
        if not length.isdigit() or int(length) <= len(length):
            break
        key, _, value = records[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        if key == b"path":
            path = value
        at += int(length)
    return path


def _locator(name: str, names: Counter[str]) -> str:
    """A member's path; when an archive has the same path again, with its number."""
    names[name] += 1
    return name if names[name] == 1 else f"{name}#{names[name]}"


def member_file(source: Source, relative: str, payload: bytes, name: str, locator: str) -> Found:
    """A file in an archive or a repository as a document: what it is, its name says, which lacks
    the number that its locator has when the name comes again."""
    found = whole_file(source, relative, payload, name)
    if name == locator:
        return found
    if isinstance(found, Skipped):
        return replace(found, locator=locator)
    return replace(found, locator=locator, uri=place(relative, locator))
