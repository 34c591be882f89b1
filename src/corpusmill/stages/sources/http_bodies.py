"""HTTP bodies as browsers see them: without the framing of the transfer and without encodings."""

import io
import re
import zlib
from collections.abc import Callable

from corpusmill.stages.sources.limits import MAX_PAYLOAD, Refused
from corpusmill.stages.sources.sniff import looks_like_html

_CHUNK = re.compile(rb"(?:\r?\n)?([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")
_STEP = 1 << 16
_SMALL_STEP = 4096
"""Bytes asked for at a time where a read that meets the end of a cut body gives nothing."""


def unchunked(body: bytes) -> bytes:
    """The body without the framing of HTTP's chunked transfer.

    Many archives declare chunks that the crawler has already removed, or cut the last one: a body
    that does not begin with a chunk is taken as it is, and one that ends early as far as it goes.
    """
    parts = []
    at = 0
    while header := _CHUNK.match(body, at):
        size = int(header[1], 16)
        if size == 0:
            break
        parts.append(body[header.end() : header.end() + size])
        at = header.end() + size
    return b"".join(parts) if at else body


def decoded(body: bytes, encodings: str) -> tuple[bytes, bool]:
    """The body without its content encodings, and whether it was all there.

    A body that declares an encoding but is plain HTML is taken as it is: archives with decoded
    bodies and the original headers are common.

    Raises:
        Refused: the body cannot be decoded, or is larger than MAX_PAYLOAD.
    """
    whole = True
    for encoding in reversed([e.strip().lower() for e in encodings.split(",")]):
        if encoding in ("", "identity", "none", "utf-8"):
            continue
        if encoding not in _DECODERS:
            if looks_like_html(body):
                continue
            raise Refused("unknown_content_encoding")
        try:
            body, ended = _DECODERS[encoding](body)
            whole = whole and ended
        except (OSError, zlib.error):
            if not looks_like_html(body):
                raise Refused("bad_content_encoding") from None
        if len(body) > MAX_PAYLOAD:
            raise Refused("too_large", len(body), MAX_PAYLOAD)
    return body, whole


def _gunzip(body: bytes) -> tuple[bytes, bool]:
    return _inflate(body, zlib.MAX_WBITS | 32)


def _inflate_any(body: bytes) -> tuple[bytes, bool]:
    try:
        return _inflate(body, zlib.MAX_WBITS | 32)
    except zlib.error:  # "deflate" without the zlib header, as some servers send it
        return _inflate(body, -zlib.MAX_WBITS)


def _inflate(body: bytes, window: int) -> tuple[bytes, bool]:
    inflater = zlib.decompressobj(window)
    return inflater.decompress(body, MAX_PAYLOAD + 1), inflater.eof


def _unbrotli(body: bytes) -> tuple[bytes, bool]:
    import brotli

    decoder = brotli.Decompressor()
    parts = []
    left = MAX_PAYLOAD + 1
    try:
        part = decoder.process(body, output_buffer_limit=_STEP)
        while part and left > 0:
            parts.append(part)
            left -= len(part)
            part = decoder.process(b"", output_buffer_limit=_STEP)
    except brotli.error:
        raise OSError from None
    return b"".join(parts), decoder.is_finished()


def _unzstd(body: bytes) -> tuple[bytes, bool]:
    from fastwarc.stream_io import ZstdReader

    reader = ZstdReader(io.BytesIO(body))
    parts = []
    left = MAX_PAYLOAD + 1
    try:
        while left > 0 and (part := reader.read(min(left, _SMALL_STEP))):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        if not parts or "incomplete" not in str(error):
            raise
        return b"".join(parts), False
    return b"".join(parts), True


_DECODERS: dict[str, Callable[[bytes], tuple[bytes, bool]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate_any,
    "br": _unbrotli,
    "zstd": _unzstd,
}
