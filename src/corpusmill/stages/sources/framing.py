"""Where the records of a web archive begin and end, in damaged files too.

Frames are cut here and parsed by fastwarc: a parser that stops at the first damaged byte cannot
say where the next good record is. A gzip member that does not unpack is given up, and reading goes
on at the next member that begins with a record; a record that is not followed by a record is given
up, and reading goes on at the next line that looks like a record's first.
"""

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Literal

from corpusmill.stages.sources.limits import MAX_DAMAGES, MAX_HEADER, MAX_PAYLOAD

GZIP_MAGIC = b"\x1f\x8b\x08"
_INPUT_BLOCK = 1 << 15
_OUTPUT_BLOCK = 1 << 18
_AFTER_RECORD = 8192
"""Bytes looked at behind a record: blank lines (two by the standard, more in practice) and the
first line of the next one."""

_SLACK = 16
"""Bytes between a record and the next one that do not yet make it a damaged one: some writers
count a few bytes too few. The bytes themselves are then reported as damage."""

Ended = Literal["whole", "truncated", "broken"]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One record: its header lines and its block."""

    locator: str
    header: bytes
    block: bytes
    problem: str | None = None
    """`too_large` or `truncated_record`; the block is empty then."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A place at which a record was lost."""

    locator: str
    reason: str = "damaged_record"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the records of one format look like."""

    first_line: re.Pattern[bytes]
    """Matches the first line of a record."""
    start: re.Pattern[bytes]
    """The same, at the start of any line."""
    signature: bytes
    """What every record begins with; empty when the format has no such thing."""
    separator: tuple[bytes, ...]
    """Behind a record, what confirms its length whatever comes then; none if that says nothing."""
    header: Callable[[bytes | bytearray], tuple[int, int] | None]
    """Length of the header and of the block behind it, or None if the header is not whole."""


_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_BLANK = re.compile(rb"[\r\n]*")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_ARC_LINE = rb"[a-z][a-z0-9+.-]{1,20}:[^\s]{1,4096} [0-9a-fA-F.:]{2,45} \d{12,17} [^\s]{1,200} "
_ARC_HEADER = re.compile(_ARC_LINE + rb"(\d{1,15})\r?\n")


def _warc_header(data: bytes | bytearray) -> tuple[int, int] | None:
    end = _HEADER_END.search(data, 0, MAX_HEADER)
    length = end and _LENGTH.search(data, 0, end.end())
    return (end.end(), int(length[1])) if end and length else None


def _arc_header(data: bytes | bytearray) -> tuple[int, int] | None:
    line = _ARC_HEADER.match(data)
    return (line.end(), int(line[1])) if line else None


_WARC_LINE = rb"WARC/[01]\.\d{1,2}\r?\n"
WARC = Layout(
    first_line=re.compile(_WARC_LINE),
    start=re.compile(rb"^" + _WARC_LINE, re.MULTILINE),
    signature=b"WARC/",
    separator=(b"\r\n\r\n", b"\n\n"),
    header=_warc_header,
)
ARC = Layout(
    first_line=_ARC_HEADER,
    start=re.compile(rb"^" + _ARC_HEADER.pattern, re.MULTILINE),
    signature=b"",
    separator=(),
    header=_arc_header,
)


class Window:
    """The unpacked bytes from the current place on, as far as they have been asked for."""

    def __init__(self, stream: IO[bytes], layout: Layout) -> None:
        self._stream = stream
        self._layout = layout
        self._input = stream.read(_INPUT_BLOCK)
        self._position = 0  # of the first byte of _input, in the file
        self._inflater: zlib._Decompress | None = None
        self._members: deque[tuple[int, int]] = deque()  # place unpacked, place in the file
        self._produced = 0  # unpacked bytes so far
        self._verified = 0  # of which so many are from members that ended well
        self.data = bytearray()
        self.ended: Ended | None = None
        plain = layout.first_line.match(self._input.lstrip(b"\r\n"))
        self._packed = GZIP_MAGIC in self._input and not plain  # the first member may be damaged

    @property
    def place(self) -> int:
        """Unpacked offset of the window's first byte."""
        return self._produced - len(self.data)

    def locator(self) -> str:
        """Offset in the file; behind `+` the offset in the unpacked gzip member, where it holds
        more than one record."""
        if not self._packed:
            return str(self.place)
        if not self._members:
            return str(self._position)
        unpacked, packed = self._members[0]
        inside = self.place - unpacked
        return f"{packed}+{inside}" if inside else str(packed)

    def need(self, n: int) -> bool:
        """Have at least n bytes, unless the stream ends or breaks before."""
        while len(self.data) < n and self.ended is None:
            block = self._inflate() if self._packed else self._read_plain()
            self.data += block
            self._produced += len(block)
        return len(self.data) >= n

    def drop(self, n: int) -> None:
        """Move on by n bytes that the window has."""
        del self.data[:n]
        while len(self._members) > 1 and self._members[1][0] <= self.place:
            self._members.popleft()

    def drop_blank_lines(self) -> None:
        """Move on to the next byte that ends no line."""
        while self.need(1):
            self.drop(_BLANK.match(self.data).end())  # type: ignore[union-attr]
            if self.data:
                return

    def pass_over(self, n: int) -> None:
        """Move on by n bytes, or to the end, without holding them."""
        while n and self.need(1):
            step = min(n, len(self.data))
            self.drop(step)
            n -= step

    def member_begins(self, first: int, last: int) -> bool:
        """Whether a gzip member begins at one of these places of the window; then what stands
        before it is from members whose checksums were right."""
        return any(first <= start - self.place <= last for start, _ in self._members)

    def verified(self, n: int) -> bool:
        """Whether the first n bytes are from gzip members whose checksums were right."""
        return not self._packed or self.place + n <= self._verified

    def _read_plain(self) -> bytes:
        block = self._input or self._stream.read(_OUTPUT_BLOCK)
        self._input = b""
        if not block:
            self.ended = "whole"
        return block

    def _inflate(self) -> bytes:
        if not self._input:
            self._input = self._stream.read(_INPUT_BLOCK)
        if self._inflater is None:
            self._skip(len(self._input) - len(self._input.lstrip(b"\0")))  # padding
            if not self._input:
                self._input = self._stream.read(_INPUT_BLOCK)
            if not self._input:
                self.ended = "whole"
                return b""
            if self._members and self._members[-1][0] == self._produced:
                self._members.pop()  # an empty member
            self._members.append((self._produced, self._position))
            self._inflater = zlib.decompressobj(31)
        elif not self._input:
            self.ended = "truncated"
            return b""
        before = self._inflater.copy()
        try:
            block = self._inflater.decompress(self._input, _OUTPUT_BLOCK)
        except zlib.error:
            self.ended = "broken"
            return _up_to_the_error(before, self._input)
        left = self._inflater.unconsumed_tail
        if self._inflater.eof:
            left = self._inflater.unused_data
            self._inflater = None
            self._verified = self._produced + len(block)
        self._skip(len(self._input) - len(left))
        return block

    def _skip(self, n: int) -> None:
        self._input = self._input[n:]
        self._position += n

    def next_start(self) -> int | None:
        """Where behind its first byte the window has a record's first line: at the start of a line
        or of a gzip member."""
        lines = self._layout.start.search(self.data, 1)
        found = [] if lines is None else [lines.start()]
        places = (start - self.place for start, _ in self._members)
        found += [p for p in places if p > 0 and self._layout.first_line.match(self.data, p)]
        return min(found, default=None)

    def resume(self) -> bool:
        """Go on behind a broken gzip member, at the next one that begins with a record."""
        self.data.clear()
        at = self._members[-1][1] + 1
        self._stream.seek(at)
        self._input = b""
        while True:
            block = self._stream.read(_INPUT_BLOCK)
            self._input += block
            found = self._input.find(GZIP_MAGIC)
            while found >= 0 and (len(self._input) - found >= _INPUT_BLOCK or not block):
                if _begins_with_record(self._input[found : found + _INPUT_BLOCK], self._layout):
                    self._input = self._input[found:]
                    self._position = at + found
                    self._inflater, self.ended = None, None
                    self._members.clear()
                    return True
                found = self._input.find(GZIP_MAGIC, found + 1)
            if not block:
                return False
            used = found if found >= 0 else max(0, len(self._input) - len(GZIP_MAGIC) + 1)
            self._input = self._input[used:]
            at += used


def _up_to_the_error(inflater: "zlib._Decompress", data: bytes) -> bytes:
    """What a broken gzip member still gives; records before the damage lie in it."""
    whole = b""
    try:
        for start in range(0, len(data), 16):
            whole += inflater.decompress(data[start : start + 16])
    except zlib.error:
        pass
    return whole


def _begins_with_record(data: bytes, layout: Layout) -> bool:
    try:
        text = zlib.decompressobj(31).decompress(data, 8192)
    except zlib.error:
        return False
    return layout.first_line.match(text.lstrip(b"\r\n")) is not None


def frames(stream: IO[bytes], layout: Layout) -> Iterator[Frame | Damage]:
    """Cut a web archive into records. `stream` is at its start and can seek."""
    window = Window(stream, layout)
    damages = 0
    while found := _next_frame(window, layout):
        yield found
        if isinstance(found, Damage):
            damages += 1
            if damages == MAX_DAMAGES:
                yield Frame(locator=window.locator(), header=b"", block=b"", problem="too_damaged")
                return
            if not _find_start(window):
                return


def _next_frame(window: Window, layout: Layout) -> Frame | Damage | None:
    """The record at the window's place, behind which the window stands then. None at the end."""
    window.drop_blank_lines()
    locator = window.locator()
    if not window.need(1) and window.ended == "whole":
        return None
    header = None
    for enough in (4096, MAX_HEADER):  # hardly any header is longer than the first
        window.need(enough)
        header = layout.header(window.data)
        if header:
            break
    if not header and window.ended and _may_be_cut(window, layout):
        return _cut_off(window, locator)
    if not header or not window.data.startswith(layout.signature):
        return Damage(locator=locator)
    start, length = header
    if length > MAX_PAYLOAD:
        head = bytes(window.data[:start])
        window.pass_over(start + length)
        return Frame(locator=locator, header=head, block=b"", problem="too_large")
    end = start + length
    if not window.need(end):
        return _cut_off(window, locator)
    if not _ends_well(window, layout, end):
        return Damage(locator=locator)
    if window.ended == "truncated" and not window.verified(end):
        return _cut_off(window, locator)
    frame = Frame(
        locator=locator, header=bytes(window.data[:start]), block=bytes(window.data[start:end])
    )
    window.drop(end)
    return frame


def _may_be_cut(window: Window, layout: Layout) -> bool:
    """Whether the last bytes of a file can be the beginning of a header."""
    if not layout.signature:
        return window.ended == "truncated"
    begun = bytes(window.data[: len(layout.signature)])
    return layout.signature.startswith(begun) and not _HEADER_END.search(window.data)


def _ends_well(window: Window, layout: Layout, end: int) -> bool:
    """Whether what follows the record confirms its length, and its gzip member is sound."""
    window.need(end + _AFTER_RECORD)
    following = bytes(window.data[end : end + _AFTER_RECORD])
    behind = following.lstrip(b"\r\n")
    if window.member_begins(end, end + len(following) - len(behind)):
        return True
    if not behind:
        return window.ended != "broken"
    if following.startswith(layout.separator):
        return True
    next_start = layout.start.search(behind)
    return next_start is not None and next_start.start() <= _SLACK


def _cut_off(window: Window, locator: str) -> Frame | Damage:
    """A record that the end of the file cuts; but not if others stand in what it claims."""
    if window.ended == "broken" or window.next_start() is not None:
        return Damage(locator=locator)
    header = _HEADER_END.search(window.data)
    head = bytes(window.data[: header.end()]) if header else b""
    window.data.clear()
    window.ended = "whole"  # it is reported
    return Frame(locator=locator, header=head, block=b"", problem="truncated_record")


def _find_start(window: Window) -> bool:
    """Move on to the next record's first line, behind the window's first byte."""
    while True:
        window.need(MAX_HEADER)
        start = window.next_start()
        if start is not None:
            window.drop(start)
            return True
        if window.ended:
            return window.ended == "broken" and window.resume()
        window.drop(len(window.data) - MAX_HEADER // 2)
