"""The members of a packed web archive: where they begin, and their unpacked bytes.

A member is a gzip member or a zstd frame; most archives hold one record in each. A plain archive
is one endless member. Each kind of archive answers three questions: what stands at this offset
(`open`), does a record begin there (`is_start`), and where does the next one begin (`next_start`).
The last two depend on the bytes of the file alone and not on what was read before: this is why
readers of neighbouring ranges agree.
"""

import zlib
from collections.abc import Iterator
from typing import IO, Protocol

from corpusmill.stages.sources.framing import GZIP_MAGIC, Layout
from corpusmill.stages.sources.limits import MAX_HEADER
from corpusmill.stages.sources.sniff import ZSTD_MAGIC
from corpusmill.stages.sources.zstd_frames import Ended, ZstdFrame, dictionary, is_skippable

INPUT_BLOCK = 1 << 15
OUTPUT_BLOCK = 1 << 18
FIRST_BYTES = 8192
"""Unpacked bytes of a member that show whether it begins with a record; also the bytes looked at
behind a record: blank lines (two by the standard, more in practice) and the next first line."""

_SCAN_BLOCK = 1 << 18
_HEAD = 1 << 16


class Member(Protocol):
    """The bytes of one member, in order."""

    at: int
    """Offset of its first byte in the file."""
    end: int
    """Offset behind it, when it ended whole."""
    ended: Ended | None

    def read(self) -> bytes:
        """The next unpacked bytes, at most OUTPUT_BLOCK; perhaps none, and none once it ended."""


class Archive(Protocol):
    """A web archive as members."""

    packed: bool

    def open(self, at: int) -> Member | None:
        """The member at (or behind padding at) this offset, sound or not; None at the end."""

    def is_start(self, at: int) -> bool:
        """Whether a member begins here, and a record with it."""

    def next_start(self, at: int, limit: int | None = None) -> int | None:
        """The first such offset from `at` on and before `limit`."""


def open_archive(stream: IO[bytes], layout: Layout) -> Archive:
    """The archive in a stream that can seek. What it is packed with is decided by its first bytes,
    which may be damaged."""
    stream.seek(0)
    head = stream.read(_HEAD)
    begin = head.lstrip(b"\r\n")
    if layout.first_line.match(begin):
        return PlainArchive(stream, layout)
    if begin.startswith(GZIP_MAGIC):
        return GzipArchive(stream, layout)
    if begin.startswith(ZSTD_MAGIC) or is_skippable(begin):
        return ZstdArchive(stream, layout)
    if layout.start.search(head) is None:
        if GZIP_MAGIC in head:
            return GzipArchive(stream, layout)
        if ZSTD_MAGIC in head:
            return ZstdArchive(stream, layout)
    return PlainArchive(stream, layout)


def _find(stream: IO[bytes], magic: bytes, at: int, limit: int | None) -> Iterator[int]:
    """Offsets of the magic number from `at` on, found as they are asked for."""
    overlap = len(magic) - 1
    while limit is None or at < limit:
        stream.seek(at)
        block = stream.read(_SCAN_BLOCK)
        found = block.find(magic)
        while found >= 0 and (limit is None or at + found < limit):
            yield at + found
            found = block.find(magic, found + 1)
        if len(block) <= overlap:
            return
        at += len(block) - overlap


class PlainArchive:
    """An archive that is not packed: each record is its own member, so to speak."""

    packed = False

    def __init__(self, stream: IO[bytes], layout: Layout) -> None:
        self._stream = stream
        self._layout = layout
        self._size = stream.seek(0, 2)
        # What damage leaves behind in front of a record need not end with a line.
        self._first_line = layout.first_line if layout.signature else layout.start

    def open(self, at: int) -> "PlainMember | None":
        """Everything from here on."""
        return PlainMember(self._stream, at) if at < self._size else None

    def is_start(self, at: int) -> bool:
        """Whether a record begins here that is whole, and is followed by a record, a separator or
        the end of the file. A payload that quotes a whole record with what follows it passes."""
        self._stream.seek(at)
        first = self._stream.read(MAX_HEADER)
        header = self._layout.header(first) if self._layout.first_line.match(first) else None
        if header is None or at + sum(header) > self._size:
            return False
        self._stream.seek(at + sum(header))
        return followed_well(self._stream.read(FIRST_BYTES), self._layout)

    def next_start(self, at: int, limit: int | None = None) -> int | None:
        """The first record's first byte; see is_start."""
        begin = max(0, at - 1)  # with the end of the line before
        while limit is None or begin < limit:
            self._stream.seek(begin)
            block = self._stream.read(_SCAN_BLOCK)
            for line in self._first_line.finditer(block):
                found = begin + line.start()
                if limit is not None and found >= limit:
                    return None
                if found >= at and self.is_start(found):
                    return found
            if len(block) < _SCAN_BLOCK:
                return None
            begin += len(block) - FIRST_BYTES
        return None


def followed_well(following: bytes, layout: Layout) -> bool:
    """Whether what follows a record confirms its length: nothing, a separator, or a record."""
    blank = len(following) - len(following.lstrip(b"\r\n"))
    if blank == len(following) or following.startswith(layout.separator):
        return True
    start = layout.start.search(following)
    if start is None or (start.start() == 0 and not layout.signature):
        return False  # what has no signature must at least stand at the start of a line
    return start.start() <= blank + SLACK


SLACK = 16
"""Bytes between a record and the next one that do not yet make it a damaged one: some writers
count a few bytes too few. The bytes themselves are then reported as damage."""


class PlainMember:
    """The rest of a plain file."""

    def __init__(self, stream: IO[bytes], at: int) -> None:
        self.at = self.end = at
        self.ended: Ended | None = None
        self._stream = stream

    def read(self) -> bytes:
        """See Member."""
        self._stream.seek(self.end)
        block = self._stream.read(OUTPUT_BLOCK)
        self.end += len(block)
        if not block:
            self.ended = "whole"
        return block


class GzipArchive:
    """An archive of gzip members."""

    packed = True

    def __init__(self, stream: IO[bytes], layout: Layout) -> None:
        self._stream = stream
        self._layout = layout

    def one_record_each(self) -> bool:
        """Whether the first two members begin with records, as all do in an archive that is packed
        record by record."""
        member = self.open(0)
        for _ in range(16):
            if member is None or member.ended:
                break
            member.read()
        return member is not None and member.ended == "whole" and self.is_start(member.end)

    def open(self, at: int) -> "GzipMember | None":
        """See Archive; zero bytes are padding."""
        while True:
            self._stream.seek(at)
            block = self._stream.read(INPUT_BLOCK)
            if not block:
                return None
            padding = len(block) - len(block.lstrip(b"\0"))
            if padding < len(block):
                return GzipMember(self._stream, at + padding, block[padding:])
            at += padding

    def is_start(self, at: int) -> bool:
        """See Archive. A gzip file inside a payload that could not be packed any further, and that
        holds a web archive itself, passes."""
        self._stream.seek(at)
        try:
            first = zlib.decompressobj(31).decompress(self._stream.read(INPUT_BLOCK), FIRST_BYTES)
        except zlib.error:
            return False
        return self._layout.first_line.match(first.lstrip(b"\r\n")) is not None

    def next_start(self, at: int, limit: int | None = None) -> int | None:
        """See Archive."""
        found = _find(self._stream, GZIP_MAGIC, at, limit)
        return next((start for start in found if self.is_start(start)), None)


class GzipMember:
    """A gzip member, unpacked block by block."""

    def __init__(self, stream: IO[bytes], at: int, block: bytes) -> None:
        """`block`: the first bytes of the member."""
        self.at = self.end = at
        self.ended: Ended | None = None
        self._stream = stream
        self._packed = block
        self._read_to = at + len(block)
        self._inflater = zlib.decompressobj(31)

    def read(self) -> bytes:
        """See Member."""
        if not self._packed:
            self._stream.seek(self._read_to)
            self._packed = self._stream.read(INPUT_BLOCK)
            self._read_to += len(self._packed)
            if not self._packed:
                self.ended = "truncated"
                return b""
        before = self._inflater.copy()
        try:
            block = self._inflater.decompress(self._packed, OUTPUT_BLOCK)
        except zlib.error:
            self.ended = "broken"
            return _up_to_the_error(before, self._packed)
        self._packed = self._inflater.unconsumed_tail
        if self._inflater.eof:
            self.ended = "whole"
            self.end = self._read_to - len(self._inflater.unused_data)
        return block


def _up_to_the_error(inflater: "zlib._Decompress", data: bytes) -> bytes:
    """What a broken gzip member still gives; records before the damage lie in it."""
    whole = b""
    try:
        for start in range(0, len(data), 16):
            whole += inflater.decompress(data[start : start + 16])
    except zlib.error:
        pass
    return whole


class ZstdArchive:
    """An archive of zstd frames, perhaps with a dictionary in the first one.

    Source: the convention of the IIPC for `.warc.zst` files.
    """

    packed = True

    def __init__(self, stream: IO[bytes], layout: Layout) -> None:
        self._stream = stream
        self._layout = layout
        self._dictionary = dictionary(stream)

    def open(self, at: int) -> "ZstdFrame | None":
        """See Archive; skippable frames are passed over."""
        while True:
            self._stream.seek(at)
            head = self._stream.read(8)
            if not head:
                return None
            if not is_skippable(head) or len(head) < 8:
                return ZstdFrame(self._stream, at, self._dictionary)
            at += 8 + int.from_bytes(head[4:], "little")

    def is_start(self, at: int) -> bool:
        """See Archive."""
        member = ZstdFrame(self._stream, at, self._dictionary)
        first = b""
        while len(first) < FIRST_BYTES and not member.ended:
            first += member.read(FIRST_BYTES)
        return self._layout.first_line.match(first.lstrip(b"\r\n")) is not None

    def next_start(self, at: int, limit: int | None = None) -> int | None:
        """See Archive."""
        found = _find(self._stream, ZSTD_MAGIC, at, limit)
        return next((start for start in found if self.is_start(start)), None)
