"""Streams of xz and bzip2, unpacked with bounds on output and memory."""

import bz2
import lzma
from typing import IO

from corpusmill.stages.sources.streams import Damaged, PackedStream

_XZ_MAGIC = b"\xfd7zXZ\0"
_BZIP2_MAGIC = b"BZh"
_XZ_MEMORY = 256 << 20
"""Bytes that unpacking xz may hold. `xz -9` needs 65 MiB; a header may ask for 1.5 GiB."""
_STEP = 65_536


def is_xz_or_bzip2(head: bytes) -> bool:
    """Whether a file begins like one."""
    return head.startswith(_XZ_MAGIC) or (head.startswith(_BZIP2_MAGIC) and head[4:10] == b"1AY&SY")


class XzOrBzip2(PackedStream):
    """The bytes of an xz or bzip2 file, of one stream or several one after another."""

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        """`stream` stands at its start, `head` are its first bytes."""
        self._stream = stream
        self._is_xz = head.startswith(_XZ_MAGIC)
        self._reader = self._new_reader()
        self._packed = b""

    def read(self, n: int) -> bytes:
        """Between 1 and n bytes, or none at the end."""
        while True:
            if self._reader.eof:
                # xz files may be padded with zeros between streams.
                self._packed = self._reader.unused_data.lstrip(b"\0") or self._next_packed()
                if not self._packed:
                    return b""
                self._reader = self._new_reader()
            if self._reader.needs_input and not self._packed:
                self._packed = self._stream.read(_STEP)
                if not self._packed:
                    raise Damaged
            try:
                data = self._reader.decompress(self._packed, n)
            except (lzma.LZMAError, OSError, ValueError):
                raise Damaged from None
            self._packed = b""
            if data:
                return data

    def _new_reader(self) -> bz2.BZ2Decompressor | lzma.LZMADecompressor:
        if self._is_xz:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        return bz2.BZ2Decompressor()

    def _next_packed(self) -> bytes:
        while packed := self._stream.read(_STEP):
            if packed := packed.lstrip(b"\0"):
                return packed
        return b""
