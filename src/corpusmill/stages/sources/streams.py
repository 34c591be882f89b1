"""Compressed files as streams of unpacked bytes, with damage told apart from the end."""

import gzip
import io
import zlib
from typing import IO

from fastwarc import ZstdReader

from corpusmill.stages.sources.framing import GZIP_MAGIC
from corpusmill.stages.sources.sniff import ZSTD_MAGIC


class Damaged(Exception):
    """A compressed stream that cannot be unpacked any further, or ends too early."""


class Unpacked:
    """The bytes of a plain, gzip or zstd file; reading never holds more than was asked for."""

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        """`stream` stands at its start, `head` are its first bytes."""
        self._reader: IO[bytes] | gzip.GzipFile | ZstdReader = stream
        if head.startswith(GZIP_MAGIC):
            self._reader = gzip.GzipFile(fileobj=stream)
        elif head.startswith(ZSTD_MAGIC):
            self._reader = ZstdReader(stream)

    def read(self, n: int) -> bytes:
        """Between 1 and n bytes, or none at the end.

        Raises:
            Damaged: the stream is damaged or truncated here.
        """
        try:
            return self._reader.read(n)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Damaged from None
        except OSError as error:
            if error.errno is not None:  # the disk or the network, not the content
                raise
            raise Damaged from None

    def read_up_to(self, n: int) -> bytes:
        """n bytes, or fewer at the end."""
        parts = []
        while n and (part := self.read(min(n, 1 << 20))):
            parts.append(part)
            n -= len(part)
        return b"".join(parts)


def unpacked_head(head: bytes, n: int = 4096) -> bytes:
    """The first unpacked bytes of a file whose first bytes these are, as far as they unpack."""
    reader = Unpacked(io.BytesIO(head), head)
    whole = b""
    try:
        while len(whole) < n and (part := reader.read(n - len(whole))):
            whole += part
    except Damaged:
        pass
    return whole
