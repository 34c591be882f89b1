"""Zip and tar archives: each member is read as the file it is, nothing is unpacked to disk.

A member's path is only what it is called by: `../x` and `/x` lead nowhere, and stay as they are.
Links are skipped and never followed, and an archive in an archive is not opened.
"""

import contextlib
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from corpusmill.stages.sources import sniff
from corpusmill.stages.sources.code_marks import is_ignored
from corpusmill.stages.sources.languages import programming_language
from corpusmill.stages.sources.licences import (
    MAX_LICENCE_FILE,
    by_folder,
    is_licence_file,
    nearest,
)
from corpusmill.stages.sources.limits import (
    MAX_DAMAGES,
    MAX_MEMBERS,
    MAX_PAYLOAD,
    MAX_RATIO,
    SMALL_ENOUGH,
    Refused,
)
from corpusmill.stages.sources.member_names import MemberNames
from corpusmill.stages.sources.records import Found, Skipped, place, refused, whole_file
from corpusmill.stages.sources.source import Source
from corpusmill.stages.sources.streams import Damaged, Unpacked, unpacked_head
from corpusmill.stages.sources.xz_bzip2 import XzOrBzip2, is_xz_or_bzip2

_BLOCK = tarfile.BLOCKSIZE
_MAX_TAR_HEADER = 1 << 20
"""Bytes of a tar extension header (a long name, PAX records)."""

_NESTED = (
    ".zip", ".jar", ".war", ".ear", ".apk", ".whl", ".egg", ".nupkg", ".vsix", ".xpi",
    ".7z", ".rar",
)  # fmt: skip
"""Names of archives that are told by their names; a tar archive is told by its content."""

_MAX_NAME = 4096
"""Characters of a path; Linux takes no longer ones."""

_BZIP2_TAR = (".tar.bz2", ".tbz2", ".tbz")
_NESTED_HEAD = 65_536
"""Bytes of a member that are looked at."""

_MAX_LICENCES = 1000
"""Licence files of one archive that are read."""

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
    names = MemberNames()
    folders = _zip_licences(archive) if source.kind == "code" else {}
    for member in archive.infolist():
        if member.is_dir():
            continue
        locator = names.place_of(member.filename)
        passed_over = _why_passed_over(member.filename, stat.S_ISLNK(member.external_attr >> 16))
        if passed_over:
            yield Skipped(reason=passed_over, locator=locator)
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
        licence = nearest(folders, member.filename)
        yield member_file(source, relative, payload, member.filename, locator, licence)


def _zip_licences(archive: zipfile.ZipFile) -> dict[str, str]:
    """The licences of the folders in a zip archive."""
    files: list[tuple[str, bytes]] = []
    for member in archive.infolist():
        if is_licence_file(member.filename) and len(files) < _MAX_LICENCES:
            with contextlib.suppress(Refused):
                content = read_member(archive, member, MAX_LICENCE_FILE)
                files.append((member.filename, content))
    return by_folder(files)


def is_tar(head: bytes, name: str) -> bool:
    """Whether a file that begins so is a tar archive: plain, gzip, zstd, bzip2 or xz.

    A block of bzip2 is longer than `head` may be; then the name decides.
    """
    if not is_xz_or_bzip2(head):
        return sniff.is_tar(unpacked_head(head))
    first = XzOrBzip2(io.BytesIO(head), head).read_head(_BLOCK)
    return sniff.is_tar(first) or (not first and name.lower().endswith(_BZIP2_TAR))


def read_tar(source: Source, stream: IO[bytes], head: bytes, relative: str) -> Iterator[Found]:
    """The regular files in a tar archive, in its order.

    Headers are read here, in one pass over the stream: `tarfile` seeks back, and holds extension
    headers of any size. After a damaged header, reading goes on at the next sound one.
    """
    folders = _tar_licences(stream, head) if source.kind == "code" else {}
    reader = _TarReader(stream, head)
    names = MemberNames()
    try:
        for number, member in enumerate(reader.members()):
            locator = names.place_of(member.name)
            passed_over = _why_passed_over(member.name, member.is_link)
            if number == MAX_MEMBERS:
                yield refused(relative, "too_many_members")
                return
            if member.damaged:
                yield refused(relative, "damaged_member", locator)
            elif passed_over or member.is_sparse:
                yield Skipped(reason=passed_over or "sparse_file", locator=locator)
            elif member.size > MAX_PAYLOAD:
                yield refused(relative, "too_large", locator)
            else:
                licence = nearest(folders, member.name)
                yield member_file(source, relative, reader.content(), member.name, locator, licence)
    except Refused as refusal:
        yield refused(relative, refusal.reason)


def _tar_licences(stream: IO[bytes], head: bytes) -> dict[str, str]:
    """The licences of the folders in a tar archive: one pass ahead of the one that reads it, for a
    licence may stand behind the files that it is for."""
    files: list[tuple[str, bytes]] = []
    reader = _TarReader(stream, head)
    with contextlib.suppress(Refused):  # the second pass meets the same, and says it
        for number, member in enumerate(reader.members()):
            if number == MAX_MEMBERS or len(files) == _MAX_LICENCES:
                break
            if member.size <= MAX_LICENCE_FILE and is_licence_file(member.name):
                files.append((member.name, reader.content()))
    return by_folder(files)


def member_file(
    source: Source, relative: str, payload: bytes, name: str, locator: str, licence: str
) -> Found:
    """A file in an archive or a repository as a document.

    What it is, its name says, which lacks the number that the locator has when the name comes
    again. `licence` is that of the nearest folder above it that has one.
    """
    nested = _nested(source, payload[:_NESTED_HEAD], name)
    if nested:
        return Skipped(reason=nested, locator=locator)
    # As with files that are in no archive: packed data is no code, whatever it holds.
    if sniff.is_packed(payload) and (source.kind != "code" or programming_language(name)):
        try:
            payload = _unpacked_member(payload)
        except Refused as refusal:
            return refused(relative, refusal.reason, locator)
    found = whole_file(source, relative, payload, name)
    if isinstance(found, Skipped):
        return replace(found, locator=locator)
    metadata = {**found.metadata, **({"repository_licence": licence} if licence else {})}
    return replace(found, locator=locator, uri=place(relative, locator), metadata=metadata)


def _nested(source: Source, head: bytes, name: str) -> str:
    """Why a member is not read that holds further documents; empty for a single one."""
    suffix = sniff.suffix(name)
    if suffix in _NESTED or is_tar(head, name):
        return "nested_archive"
    if source.kind == "code":  # in code, tables and web archives are data
        return ""
    if suffix in sniff.WEB_ARCHIVE_SUFFIXES or unpacked_head(head).startswith(sniff.WEB_ARCHIVES):
        return "nested_archive"
    if suffix in sniff.TABLE_SUFFIXES or head.startswith(sniff.COLUMNAR):
        return "table_in_archive"
    return ""


def _unpacked_member(payload: bytes) -> bytes:
    """A gzip or zstd file. There may be many in an archive: no size is too small for the ratio."""
    limit = min(MAX_PAYLOAD, MAX_RATIO * len(payload))
    try:
        data = Unpacked(io.BytesIO(payload), payload).read_up_to(limit + 1)
    except Damaged:
        raise Refused("damaged_member") from None
    if len(data) > limit:
        raise Refused("too_large" if limit == MAX_PAYLOAD else "decompression_ratio")
    return data


@dataclass(frozen=True, kw_only=True)
class _Member:
    """A file or link in a tar archive."""

    name: str
    size: int = 0
    is_link: bool = False
    is_sparse: bool = False
    """Its holes are left out of the archive: what is there is not the file's content."""
    damaged: bool = False
    """Its header does not hold; `name` is where it stood."""


class _TarReader:
    """One pass over the members of a tar stream."""

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        self._limit = max(SMALL_ENOUGH, MAX_RATIO * stream.seek(0, 2))
        stream.seek(0)
        self._reader = XzOrBzip2(stream, head) if is_xz_or_bzip2(head) else Unpacked(stream, head)
        self._left = 0  # of the current member's blocks
        self._size = 0
        self._again = b""  # a header that was found, and is to be read
        self.position = 0

    def members(self) -> Iterator[_Member]:
        """Files and links; the content of a file may be taken before the next."""
        extension: dict[bytes, bytes] = {}
        damages = 0
        while True:
            self._pass_over(self._left)
            self._left = 0
            header = self._take(_BLOCK, may_end=True)
            if not header.strip(b"\0"):
                return
            try:
                info = tarfile.TarInfo.frombuf(header, "utf-8", "backslashreplace")
            except tarfile.HeaderError:
                damages += 1
                if damages > MAX_DAMAGES:
                    raise Refused("damaged_archive") from None
                yield _Member(name=f"@{self.position - _BLOCK}", damaged=True)
                if not self._find_header():
                    return
                continue
            self._set_size(info.size)
            if info.type == tarfile.XHDTYPE:
                extension.update(_pax_records(self._extension()))
            elif info.type == tarfile.GNUTYPE_LONGNAME:
                extension[b"path"] = self._extension().rstrip(b"\0")
            elif info.type not in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
                if info.type == tarfile.GNUTYPE_SPARSE:
                    self._pass_sparse_headers(header)
                member = self._member(info, extension)
                extension = {}
                if member is not None:
                    yield member

    def _member(self, info: tarfile.TarInfo, extension: dict[bytes, bytes]) -> _Member | None:
        size = extension.get(b"size", b"")
        if size.isdigit() and len(size) < 20:
            self._set_size(int(size))
        name = extension.get(b"path", b"").decode("utf-8", "backslashreplace") or info.name
        if len(name) > _MAX_NAME:
            return _Member(name=f"@{self.position - _BLOCK}", damaged=True)
        if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            self._set_size(0)  # as every reader has it: a hard link has no content of its own
            return _Member(name=name, is_link=True)
        sparse = any(key.startswith(b"GNU.sparse.") for key in extension)
        if info.type == tarfile.GNUTYPE_SPARSE or sparse:
            real = extension.get(b"GNU.sparse.name", b"").decode("utf-8", "backslashreplace")
            return _Member(name=real or name, is_sparse=True)
        regular = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
        return _Member(name=name, size=self._size) if regular and name[-1:] != "/" else None

    def content(self) -> bytes:
        """The current member's bytes."""
        padded = self._take(self._left)
        self._left = 0
        return padded[: self._size]

    def _set_size(self, size: int) -> None:
        self._size = max(0, size)
        self._left = -(-self._size // _BLOCK) * _BLOCK

    def _extension(self) -> bytes:
        if self._size > _MAX_TAR_HEADER:
            raise Refused("damaged_archive")
        return self.content()

    def _pass_sparse_headers(self, header: bytes) -> None:
        """Further headers of a file with many holes stand in front of its content."""
        more = header[482]
        while more:
            more = self._take(_BLOCK)[504]

    def _find_header(self) -> bool:
        """Pass over blocks to the next sound header; it is read again as the next one."""
        while block := self._take(_BLOCK, may_end=True):
            if sniff.is_tar(block):
                with contextlib.suppress(tarfile.HeaderError):
                    tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
                    self._again = block
                    return True
        return False

    def _take(self, n: int, *, may_end: bool = False) -> bytes:
        if self._again:
            block, self._again = self._again, b""
            return block
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


def _pax_records(records: bytes) -> dict[bytes, bytes]:
    """PAX records, each `LENGTH KEY=VALUE` and a newline."""
    at = 0
    found: dict[bytes, bytes] = {}
    while at < len(records):
        length, _, _ = records[at : at + 20].partition(b" ")
        if not length.isdigit() or int(length) <= len(length):
            break
        key, _, value = records[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        found[key] = value
        at += int(length)
    return found


def _why_passed_over(name: str, is_link: bool) -> str:
    if is_ignored(name):
        return "ignored_folder"
    return "link" if is_link else ""
