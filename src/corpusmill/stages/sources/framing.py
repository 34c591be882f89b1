"""What a record of a web archive looks like: its first line, its header, its length."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from corpusmill.stages.sources.limits import MAX_HEADER

GZIP_MAGIC = b"\x1f\x8b\x08"


class Frame(NamedTuple):
    """One record: its header lines and its block."""

    locator: str
    data: bytes
    """Header and block; perhaps the blank lines that follow. Empty with most problems."""
    body: int = 0
    """Where in data the block begins."""
    end: int = 0
    """Where in data the block ends."""
    problem: str | None = None
    """`too_large`, `truncated_record` or `too_damaged`; there is no block then."""

    @property
    def header(self) -> bytes:
        """The header lines, with the blank line behind them."""
        return self.data[: self.body]

    @property
    def block(self) -> bytes:
        """What the header describes."""
        return self.data[self.body : self.end]


DAMAGED = "damaged_record"


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


_ARC_LINE = rb"[a-z][a-z0-9+.-]{1,20}:[^\s]{1,4096} [0-9a-fA-F.:]{2,45} \d{12,17} [^\s]{1,200} "
_ARC_HEADER = re.compile(_ARC_LINE + rb"(\d{1,15})\r?\n")


def header_end(data: bytes | bytearray, start: int = 0) -> int:
    """Where the header lines and the blank line behind them end, or -1 when they do not within
    MAX_HEADER bytes. Lines may end with LF alone, as those of wget and of hand-made archives do."""
    limit = start + MAX_HEADER
    with_cr = data.find(b"\n\r\n", start, limit)
    alone = data.find(b"\n\n", start, limit if with_cr < 0 else with_cr)
    if alone >= 0:
        return alone + 2
    return with_cr + 3 if with_cr >= 0 else -1


def _warc_header(data: bytes | bytearray) -> tuple[int, int] | None:
    end = header_end(data)
    if end < 0:
        return None
    lower = data[:end].lower()
    found = lower.find(b"\ncontent-length:")
    length = lower[found + 16 : lower.find(b"\n", found + 16)].strip()
    return (end, int(length)) if found >= 0 and length.isdigit() and len(length) < 16 else None


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
