"""Compressed files as streams of unpacked bytes, with damage told apart from the end."""

import io
import zlib
from abc import ABC, abstractmethod
from typing import IO

from fastwarc import ZstdReader

from corpusmill.stages.sources.framing import GZIP_MAGIC
from corpusmill.stages.sources.sniff import ZSTD_MAGIC

_PACKED = 16_384
"""Bytes of a gzip stream that are unpacked at once."""
_UNPACKED = 65_536
"""Bytes that zstd unpacks at once, and unpacks again one by one where it breaks."""


class Damaged(Exception):
    """A compressed stream that cannot be unpacked any further, or ends too early."""


class PackedStream(ABC):
    """A compressed stream, read as its unpacked bytes."""

    @abstractmethod
    def read(self, n: int) -> bytes:
        """Between 1 and n bytes, or none at the end.

        Raises:
            Damaged: the stream is damaged or truncated here, or asks for too much memory.
        """

    def read_up_to(self, n: int) -> bytes:
        """n bytes, or fewer at the end."""
        parts = []
        while n and (part := self.read(min(n, 1 << 20))):
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def read_head(self, n: int) -> bytes:
        """As many of the first n bytes as can be unpacked."""
        whole = b""
        try:
            while len(whole) < n and (part := self.read(n - len(whole))):
                whole += part
        except Damaged:
            pass
        return whole


class Unpacked(PackedStream):
    """The bytes of a plain, gzip or zstd file; reading never holds more than was asked for.

    All that comes out in front of a damage is given before the damage is told.
    """

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        """`stream` stands at its start, `head` are its first bytes."""
        self._reader: IO[bytes] | _Gzip | _Zstd = stream
        if head.startswith(GZIP_MAGIC):
            self._reader = _Gzip(stream)
        elif head.startswith(ZSTD_MAGIC):
            self._reader = _Zstd(stream)

    def read(self, n: int) -> bytes:
        """Between 1 and n bytes, or none at the end."""
        return self._reader.read(n)


class _Gzip:
    """The bytes of a gzip file: of its members, between and behind which zeros may stand."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._reader = _gzip_member()
        self._packed = b""
        self._damaged = False

    def read(self, n: int) -> bytes:
        while not self._damaged:
            if self._reader.eof:
                self._packed = self._next_member()
                if not self._packed:
                    return b""
                self._reader = _gzip_member()
            self._packed = self._packed or self._stream.read(_PACKED)
            at_end = not self._packed
            before = self._reader.copy()
            try:
                data = self._reader.decompress(self._packed, n)
            except zlib.error:
                self._damaged = True
                data = _up_to_the_error(before, self._packed)
            self._packed = self._reader.unconsumed_tail
            if data:
                return data
            self._damaged |= at_end and not self._reader.eof
        raise Damaged

    def _next_member(self) -> bytes:
        packed = self._reader.unused_data.lstrip(b"\0")
        while not packed and (block := self._stream.read(_PACKED)):
            packed = block.lstrip(b"\0")
        return packed


def _gzip_member() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # with header and checksum


def _up_to_the_error(reader: "zlib._Decompress", packed: bytes) -> bytes:
    """What comes out of a block of which zlib, when given the whole, tells only the error."""
    whole = bytearray()
    try:
        for at in range(len(packed)):
            whole += reader.decompress(packed[at : at + 1])
    except zlib.error:
        pass
    return bytes(whole)


class _Zstd:
    """The bytes of a zstd file. Its reader drops what it has unpacked when it meets a damage: then
    the file is unpacked again up to there."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._start = stream.tell()
        self._reader = ZstdReader(stream)
        self._produced = 0
        self._damaged = False

    def read(self, n: int) -> bytes:
        if self._damaged:
            raise Damaged
        try:
            data = self._reader.read(min(n, _UNPACKED))
        except OSError as error:
            _reraise_of_storage(error)
            self._damaged = True
            data = self._up_to_the_error()
            if not data:
                raise Damaged from None
        self._produced += len(data)
        return data

    def _up_to_the_error(self) -> bytes:
        self._stream.seek(self._start)
        reader = ZstdReader(self._stream)
        whole = bytearray()
        left = self._produced
        try:
            while left and (data := reader.read(min(left, _UNPACKED))):
                left -= len(data)
            while len(whole) < _UNPACKED and (data := reader.read(1)):
                whole += data
        except OSError as error:
            _reraise_of_storage(error)
        return bytes(whole)


def _reraise_of_storage(error: OSError) -> None:
    if error.errno is not None:  # the disk or the network, not the content
        raise error


def unpacked_head(head: bytes, n: int = 4096) -> bytes:
    """The first unpacked bytes of a file whose first bytes these are, as far as they unpack."""
    return Unpacked(io.BytesIO(head), head).read_head(n)
