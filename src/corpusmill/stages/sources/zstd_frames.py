"""One zstd frame of a file, read without running into the next one.

Sources: RFC 8878, section 3, and the IIPC's convention for zstd in web archives: one frame for each
record, and in front a skippable frame with the dictionary that all of them need, if any.
"""

import io
from typing import IO, Literal

from fastwarc.stream_io import ZstdReader

from corpusmill.stages.sources.sniff import ZSTD_MAGIC

Ended = Literal["whole", "truncated", "broken"]

SKIPPABLE_MAGIC = b"\x2a\x4d\x18"
"""Behind the first byte, which is 0x50 to 0x5f."""
_DICTIONARY_MAGIC = b"\x5d" + SKIPPABLE_MAGIC
_MAX_DICTIONARY = 1 << 24
"""Bytes; dictionaries of crawls have 100 kB to 1 MB."""
_INPUT_BLOCK = 1 << 16
_MAX_BLOCK = 1 << 17
_SMALL = 1024
"""Bytes unpacked at a time where a frame breaks, so that little of what is sound is lost."""


def is_skippable(head: bytes) -> bool:
    """Whether a skippable frame begins with these bytes."""
    return head[1:4] == SKIPPABLE_MAGIC and head[0] >> 4 == 5


def dictionary(stream: IO[bytes]) -> bytes | None:
    """The dictionary at the start of a `.warc.zst` file, None without a sound one."""
    stream.seek(0)
    head = stream.read(8)
    size = int.from_bytes(head[4:], "little")
    if not head.startswith(_DICTIONARY_MAGIC) or size > _MAX_DICTIONARY:
        return None
    data = stream.read(size)
    try:
        if data.startswith(ZSTD_MAGIC):
            data = ZstdReader(io.BytesIO(data)).read(_MAX_DICTIONARY)
        ZstdReader(io.BytesIO(), dictionary=data)
    except OSError:
        return None
    except BaseException as error:  # fastwarc panics over a damaged dictionary
        if type(error).__name__ != "PanicException":
            raise
        return None
    return data


class _OneFrame:
    """The packed bytes of one frame; where it ends is found by going from block to block."""

    def __init__(self, stream: IO[bytes], at: int) -> None:
        self._stream = stream
        self._at = at
        self._next_block = at  # offset of its header
        self._checksum_bytes = 0
        self.end: int | None = None
        self.ended: Ended | None = None
        stream.seek(at)
        head = stream.read(6)
        if len(head) < 6:
            self.ended = "truncated"
        elif not head.startswith(ZSTD_MAGIC):
            self.ended = "broken"
        else:
            flags = head[4]
            single = flags >> 5 & 1
            size_bytes = (single, 2, 4, 8)[flags >> 6]
            self._next_block = at + 6 - single + (0, 1, 2, 4)[flags & 3] + size_bytes
            self._checksum_bytes = 4 * (flags >> 2 & 1)

    def read(self, n: int = -1) -> bytes:
        """At most n bytes; none behind the frame."""
        if self.ended:
            return b""
        self._stream.seek(self._at)
        block = self._stream.read(_INPUT_BLOCK if n < 0 else min(n, _INPUT_BLOCK))
        if not block:
            self.ended = "truncated"
            return b""
        behind = self._at + len(block)
        while self.end is None and not self.ended and self._next_block < behind:
            self._pass_block(block)
        if self.end is not None and self.end <= behind:
            block = block[: self.end - self._at]
            self.ended = "whole"
        self._at += len(block)
        return block

    def tell(self) -> int:
        """Offset in the file."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Not needed: a reader only goes forward."""
        raise io.UnsupportedOperation

    def close(self) -> None:
        """The file stays open, it has other frames."""

    def _pass_block(self, block: bytes) -> None:
        inside = self._next_block - self._at
        header = block[inside : inside + 3]
        if len(header) < 3:
            self._stream.seek(self._next_block)
            header = self._stream.read(3)
            if len(header) < 3:
                self.ended = "truncated"
                return
        number = int.from_bytes(header, "little")
        kind, size = number >> 1 & 3, number >> 3
        if kind == 3 or size > _MAX_BLOCK:
            self.ended = "broken"
        self._next_block += 3 + (1 if kind == 1 else size)
        if number & 1:
            self.end = self._next_block + self._checksum_bytes


class ZstdFrame:
    """A zstd frame, unpacked block by block; see packings.Member."""

    def __init__(self, stream: IO[bytes], at: int, dictionary: bytes | None) -> None:
        self.at = self.end = at
        self.ended: Ended | None = None
        self._stream = stream
        self._dictionary = dictionary
        self._produced = 0
        self._open()

    def _open(self) -> None:
        self._packed = _OneFrame(self._stream, self.at)
        self._reader = ZstdReader(self._packed, dictionary=self._dictionary)

    def read(self, n: int = 1 << 18) -> bytes:
        """The next unpacked bytes; none at the end."""
        if self.ended:
            return b""
        try:
            block = self._reader.read(n)
        except OSError as error:
            if error.errno is not None:  # the disk or the network, not the content
                raise
            self.ended = "truncated" if self._packed.ended == "truncated" else "broken"
            return self._up_to_the_error()
        self._produced += len(block)
        if not block:
            self.ended = self._packed.ended
            self.end = self._packed.end or self.at
        return block

    def _up_to_the_error(self) -> bytes:
        """What a broken frame still gives behind what was read; records may lie in it."""
        self._open()
        whole = bytearray()
        left = self._produced
        try:
            while left and (block := self._reader.read(min(left, 1 << 18))):
                left -= len(block)
            while block := self._reader.read(_SMALL):
                whole += block
        except OSError:
            pass
        return bytes(whole)
