"""A web archive cut into records, in damaged files too.

A parser that stops at the first damaged byte cannot say where the next good record is, so frames
are cut here. A member that does not unpack is given up, and reading goes on at the next member that
begins with a record. A record that is not followed by a record is given up, and reading goes on at
the next line that looks like a record's first.

What this cannot do: find the way back into a gzip member or zstd frame behind the damage. Where one
holds all records of a file, those behind the damage are lost, and counted as one damaged place. Nor
can it see damage that no checksum covers: bytes changed in the block of a plain file, or in a zstd
frame written without one. In a gzip member with many records the checksum comes last, so bytes
changed in one of them show only if they no longer unpack, or at the end of the member.
"""

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import IO

from corpusmill.stages.sources.framing import DAMAGED, Frame, Layout, header_end
from corpusmill.stages.sources.limits import MAX_HEADER, MAX_PAYLOAD
from corpusmill.stages.sources.packings import (
    FIRST_BYTES,
    Archive,
    GzipArchive,
    followed_well,
    open_archive,
)
from corpusmill.stages.sources.records import Found, Skipped
from corpusmill.stages.sources.zstd_frames import Ended

_BLANK = re.compile(rb"[\r\n]*")


def frames(
    stream: IO[bytes],
    layout: Layout,
    start: int = 0,
    end: int | None = None,
    short_way: Callable[[int], Generator[Found, None, int]] | None = None,
) -> Iterator[Frame | Found]:
    """The records whose members begin at offsets from `start` to before `end`.

    Neighbouring ranges give together what one range over the file gives: a range other than the
    first begins at the first offset at which a record can be seen to begin (`Archive.is_start`),
    and a range ends at such an offset only. What lies in between, damage or the rest of a member,
    belongs to the range before. What is accepted: a cut inside a payload that quotes whole records
    gives these too, and counts them, whether pages or not; see `is_start` for what it takes. In a
    packed archive, records that are not packed are damage.

    `short_way` reads gzip archives from the beginning of a member on as long as all is well, and
    gives the offset from which on it is not; then a record is cut out here, and it is tried again.
    """
    if end is not None and start >= end:
        return
    archive = open_archive(stream, layout)
    if not isinstance(archive, GzipArchive) or not archive.one_record_each():
        short_way = None

    def over(at: int) -> bool:
        return end is not None and at >= end and archive.is_start(at)

    at = 0 if start == 0 else archive.next_start(start, end)
    while at is not None and not over(at):
        if short_way:
            at = yield from short_way(at)
            if over(at):
                return
        at = yield from _through_window(archive, layout, at, over, one=short_way is not None)


def _through_window(
    archive: Archive, layout: Layout, at: int, over: Callable[[int], bool], *, one: bool
) -> Generator[Frame | Skipped, None, int | None]:
    """All that can be in a web archive, from `at` on, until the range is over, damage leads to
    another place in the file, or, with `one`, the next member begins with a record. Gives the
    offset at which reading goes on; None at the end."""
    window = Window(archive, layout, at)
    while True:
        begins = window.to_next_record()
        if begins and begins > at and (one or over(begins)):
            return begins
        found = _next_frame(window, layout)
        if found is None:
            return None
        yield found
        if isinstance(found, Skipped):
            if not archive.packed:
                return archive.next_start(window.file_place + 1)
            if not window.find_start():
                return window.start_behind()


class Window:
    """The unpacked bytes from the current place on, as far as they have been asked for."""

    def __init__(self, archive: Archive, layout: Layout, at: int) -> None:
        self._archive = archive
        self._layout = layout
        self._member = archive.open(at)
        self._members: deque[tuple[int, int]] = deque()  # place unpacked, offset in the file
        self._produced = 0  # unpacked bytes so far
        self._verified = 0  # of which so many are from members that ended well
        self.data = bytearray()
        self.ended: Ended | None = None
        self._begin_member(at)

    def _begin_member(self, at: int) -> None:
        self._opened = at
        self._member = self._archive.open(at)
        if self._member is None:
            self.ended = "whole"
            return
        if self._members and self._members[-1][0] == self._produced:
            self._members.pop()  # an empty member
        self._members.append((self._produced, self._member.at))

    def start_behind(self) -> int | None:
        """Offset at which a record begins behind the start of the last member, if that did not end
        well: what it unpacked to says nothing about where the next one begins."""
        return None if self.ended == "whole" else self._archive.next_start(self._opened + 1)

    @property
    def place(self) -> int:
        """Unpacked offset of the window's first byte, from where the window was opened."""
        return self._produced - len(self.data)

    @property
    def file_place(self) -> int:
        """Offset in the file of the window's first byte, or of its member."""
        at = self._members[0][1] if self._members else 0
        return at if self._archive.packed else at + self.place

    def locator(self) -> str:
        """Offset in the file; behind `+` the offset in the unpacked member, where it holds more
        than one record."""
        place = str(self.file_place)
        if not self._archive.packed or not self._members or self.place == self._members[0][0]:
            return place
        return f"{place}+{self.place - self._members[0][0]}"

    def need(self, n: int) -> bool:
        """Have at least n bytes, unless the file ends or its packing breaks before."""
        while len(self.data) < n and self.ended is None and self._member:
            block = self._member.read()
            self.data += block
            self._produced += len(block)
            if self._member.ended == "whole":
                self._verified = self._produced
                self._begin_member(self._member.end)
            else:
                self.ended = self._member.ended
        return len(self.data) >= n

    def drop(self, n: int) -> None:
        """Move on by n bytes that the window has."""
        del self.data[:n]
        while len(self._members) > 1 and self._members[1][0] <= self.place:
            self._members.popleft()

    def to_next_record(self) -> int | None:
        """Move on over blank lines; the offset in the file if the record there is the first of its
        member. In a plain file every record is."""
        before = self.place
        while self.need(1):
            self.drop(_BLANK.match(self.data).end())  # type: ignore[union-attr]
            if self.data:
                break
        if not self._members or (self._archive.packed and self._members[0][0] < before):
            return None
        return self.file_place

    def pass_over(self, n: int) -> bool:
        """Move on by n bytes, or to the end, without holding them. False, and one byte before it,
        when on the way a member begins with a record: then n is wrong."""
        while n and (self.need(2 * FIRST_BYTES) or self.data):
            for start in (start - self.place for start, _ in self._members):
                if 0 < start < n and self._layout.first_line.match(self.data, start):
                    self.drop(start - 1)
                    return False
            step = min(n, len(self.data) if self.ended else len(self.data) - FIRST_BYTES)
            self.drop(step)
            n -= step
        return True

    def confirms_length(self) -> bool:
        """Whether what follows the record here confirms its length. What is packed cannot be asked
        without unpacking it."""
        return self._archive.packed or self._archive.is_start(self.file_place)

    def member_begins(self, first: int, last: int) -> bool:
        """Whether a packed member begins at one of these places of the window; then what stands
        before it is from members whose checksums were right."""
        return self._archive.packed and any(
            first <= start - self.place <= last for start, _ in self._members
        )

    def verified(self, n: int) -> bool:
        """Whether the first n bytes are from members that ended well."""
        return not self._archive.packed or self.place + n <= self._verified

    def next_start(self) -> int | None:
        """Where behind its first byte the window has a record's first line: at the start of a line
        or of a member."""
        lines = self._layout.start.search(self.data, 1)
        found = [] if lines is None else [lines.start()]
        places = (start - self.place for start, _ in self._members)
        found += [p for p in places if p > 0 and self._layout.first_line.match(self.data, p)]
        return min(found, default=None)

    def find_start(self) -> bool:
        """Move on to the next record's first line, behind the window's first byte; if there is
        none that can be unpacked, to the end, which may be the member that broke."""
        while True:
            self.need(MAX_HEADER)
            start = self.next_start()
            if start is not None:
                self.drop(start)
                return True
            if self.ended:
                self.drop(len(self.data))
                return False
            self.drop(len(self.data) - MAX_HEADER // 2)


def _next_frame(window: Window, layout: Layout) -> Frame | Skipped | None:
    """The record at the window's place, behind which the window stands then. None at the end."""
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
        return Skipped(reason=DAMAGED, locator=locator)
    start, length = header
    if length > MAX_PAYLOAD:
        head = bytes(window.data[:start])
        if not window.confirms_length() or not window.pass_over(start + length):
            return Skipped(reason=DAMAGED, locator=locator)
        return Frame(locator, head, start, start, problem="too_large")
    end = start + length
    if not window.need(end):
        return _cut_off(window, locator)
    if not _ends_well(window, layout, end):
        return Skipped(reason=DAMAGED, locator=locator)
    if window.ended == "truncated" and not window.verified(end):
        return _cut_off(window, locator)
    frame = Frame(locator, bytes(window.data[:end]), start, end)
    window.drop(end)
    return frame


def _may_be_cut(window: Window, layout: Layout) -> bool:
    """Whether the last bytes of a file can be the beginning of a header."""
    if not layout.signature:
        return window.ended == "truncated"
    begun = bytes(window.data[: len(layout.signature)])
    return layout.signature.startswith(begun) and header_end(window.data) < 0


def _ends_well(window: Window, layout: Layout, end: int) -> bool:
    """Whether what follows the record confirms its length, and its member is sound."""
    window.need(end + FIRST_BYTES)
    following = bytes(window.data[end : end + FIRST_BYTES])
    behind = following.lstrip(b"\r\n")
    if window.member_begins(end, end + len(following) - len(behind)):
        return True
    if not behind:
        return window.ended != "broken"
    return followed_well(following, layout)


def _cut_off(window: Window, locator: str) -> Frame | Skipped:
    """A record that the end of the file cuts; but not if others stand in what it claims."""
    others = window.next_start() is not None or window.start_behind() is not None
    if window.ended == "broken" or others:
        return Skipped(reason=DAMAGED, locator=locator)
    end = header_end(window.data)
    head = bytes(window.data[:end]) if end > 0 else b""
    window.drop(len(window.data))
    window.ended = "whole"  # it is reported
    return Frame(locator, head, len(head), len(head), problem="truncated_record")
