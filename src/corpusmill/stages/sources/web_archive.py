"""WARC, WET and ARC: records to pages and texts."""

import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from fastwarc import WarcRecord, WarcRecordType
from fastwarc.stream_io import BrotliReader, ZstdReader

from corpusmill.stages.sources.framing import ARC, WARC, Damage, Frame, frames
from corpusmill.stages.sources.limits import MAX_PAYLOAD, Refused
from corpusmill.stages.sources.records import Found, Media, RawDocument, Skipped, place, refused
from corpusmill.stages.sources.sniff import looks_like_html

_HTML_TYPES = ("text/html", "application/xhtml+xml")


def read_web_archive(stream: IO[bytes], relative: str, *, arc: bool) -> Iterator[Found]:
    """Every record of a WARC (or WET) or ARC file, damaged ones included."""
    for frame in frames(stream, ARC if arc else WARC):
        if isinstance(frame, Damage):
            yield Skipped(reason=frame.reason, locator=frame.locator)
        else:
            yield _from_arc(frame, relative) if arc else _from_warc(frame, relative)


def _from_warc(frame: Frame, relative: str) -> Found:
    try:
        # quirks mode: line ends without CR, which wget and hand-made archives have
        record = WarcRecord.from_reader(io.BytesIO(frame.header + frame.block), quirks_mode=True)
    except OSError:
        if frame.problem:
            return refused(relative, frame.problem, frame.locator)
        return Skipped(reason="damaged_record", locator=frame.locator)
    kind = record.record_type
    headers = record.headers
    url = (headers.get("WARC-Target-URI") or "").strip("<> ")
    metadata = {
        "id": headers.get("WARC-Record-ID") or "",
        "crawl_date": headers.get("WARC-Date") or "",
    }
    truncated = headers.get("WARC-Truncated")
    if truncated:
        metadata["truncated"] = truncated
    content_type = (headers.get("Content-Type") or "").lower()
    if kind not in (WarcRecordType.response, WarcRecordType.resource, WarcRecordType.conversion):
        return Skipped(reason=frame.problem or str(kind), locator=frame.locator)
    if url.startswith("metadata:"):  # wget's arguments and log
        return Skipped(reason="metadata", locator=frame.locator)
    if frame.problem:
        return _document(frame, relative, url, b"", "html", metadata, problem=frame.problem)
    if kind == WarcRecordType.conversion:
        if not content_type.startswith("text/plain"):
            return Skipped(reason="not_text", locator=frame.locator)
        return _document(frame, relative, url, frame.block, "extracted", metadata)
    if kind == WarcRecordType.resource and not content_type.startswith("application/http"):
        media = _media(content_type, frame.block)
        if media is None:
            return Skipped(reason="not_text", locator=frame.locator)
        charset = _charset_parameter(content_type)
        return _document(frame, relative, url, frame.block, media, metadata, charset=charset)
    if not record.is_http:
        return Skipped(reason="not_http", locator=frame.locator)
    return _from_http(record, frame, relative, url, metadata)


def _from_arc(frame: Frame, relative: str) -> Found:
    line = frame.header.decode("utf-8", "replace").split(" ")
    if len(line) < 4:  # the end of the file cut it
        return refused(relative, frame.problem or "damaged_record", frame.locator)
    url, date, content_type = line[0], line[2], line[3]
    metadata = {"crawl_date": re.sub(r"(\d{4})(\d\d)(\d\d).*", r"\1-\2-\3", date)}
    if url.startswith("filedesc:"):
        return Skipped(reason="warcinfo", locator=frame.locator)
    if frame.problem:
        return _document(frame, relative, url, b"", "html", metadata, problem=frame.problem)
    if not frame.block.startswith(b"HTTP/"):
        media = _media(content_type, frame.block)
        if media is None:
            return Skipped(reason="not_text", locator=frame.locator)
        return _document(frame, relative, url, frame.block, media, metadata)
    record = WarcRecord()
    record.init_headers(WarcRecordType.response)
    record.set_bytes_content(frame.block)
    record.is_http = True
    return _from_http(record, frame, relative, url, metadata)


def _from_http(
    record: WarcRecord, frame: Frame, relative: str, url: str, metadata: dict[str, str]
) -> Found:
    record.parse_http(quirks_mode=True)
    headers = record.http_headers
    status = headers.status_code
    if status is None:
        return Skipped(reason="not_http", locator=frame.locator)
    if status != 200:
        reason = "redirect" if 300 <= status < 400 else "http_error"
        return Skipped(reason=reason, locator=frame.locator)
    content_type = (headers.get("Content-Type") or "").lower()
    declared = content_type.partition(";")[0].strip()
    if declared and declared not in (*_HTML_TYPES, "text/plain"):
        return Skipped(reason="not_text", locator=frame.locator)
    charset = _charset_parameter(content_type)
    try:
        body = record.reader.read()
        if (headers.get("Transfer-Encoding") or "").lower().strip() == "chunked":
            body = unchunked(body)
        body, whole = decoded(body, headers.get("Content-Encoding") or "")
    except Refused as refusal:
        media: Media = "text" if declared == "text/plain" else "html"
        return _document(frame, relative, url, b"", media, metadata, problem=refusal.reason)
    if not whole:
        metadata["truncated"] = "content_encoding"
    found = _media(declared, body)
    if found is None:
        return Skipped(reason="not_text", locator=frame.locator)
    return _document(frame, relative, url, body, found, metadata, charset=charset)


def _media(content_type: str, body: bytes) -> Media | None:
    if content_type.startswith(_HTML_TYPES) or (not content_type and looks_like_html(body)):
        return "html"
    return "text" if content_type.startswith("text/plain") else None


def _charset_parameter(content_type: str) -> str | None:
    found = re.search(r"charset\s*=\s*[\"']?([a-z0-9._:-]{1,40})", content_type)
    return found[1] if found else None


def _document(
    frame: Frame,
    relative: str,
    url: str,
    payload: bytes,
    media: Media,
    metadata: dict[str, str],
    *,
    charset: str | None = None,
    problem: str | None = None,
) -> RawDocument:
    return RawDocument(
        locator=frame.locator,
        uri=url or place(relative, frame.locator),
        payload=payload,
        media=media,
        charset=charset,
        metadata=metadata,
        problem=problem,
    )


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


_CHUNK = re.compile(rb"(?:\r?\n)?([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")


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
    return BrotliReader(io.BytesIO(body)).read(MAX_PAYLOAD + 1), True


def _unzstd(body: bytes) -> tuple[bytes, bool]:
    return ZstdReader(io.BytesIO(body)).read(MAX_PAYLOAD + 1), True


_DECODERS: dict[str, Callable[[bytes], tuple[bytes, bool]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate_any,
    "br": _unbrotli,
    "zstd": _unzstd,
}
