"""WARC, WET and ARC: records to pages and texts."""

import functools
import io
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import IO, NamedTuple

from fastwarc import ArchiveIterator, WarcRecord, WarcRecordType
from fastwarc.warc import HeaderMap

from corpusmill.stages.sources.frames import frames
from corpusmill.stages.sources.framing import ARC, DAMAGED, GZIP_MAGIC, WARC, Frame
from corpusmill.stages.sources.http_bodies import decoded, unchunked
from corpusmill.stages.sources.limits import MAX_DAMAGES, MAX_HEADER, Refused
from corpusmill.stages.sources.records import Found, Media, RawDocument, Skipped, place, refused
from corpusmill.stages.sources.sniff import looks_like_html

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_TEXT_TYPES = ("", *_HTML_TYPES, "text/plain")
_RESPONSE, _RESOURCE, _CONVERSION = 4, 8, 128
_OTHERS = {2: "warcinfo", 16: "request", 32: "metadata", 64: "revisit", 256: "continuation"}
"""By the numbers of fastwarc.WarcRecordType, which cannot be keys themselves."""
_TYPES = {"response": _RESPONSE, "resource": _RESOURCE, "conversion": _CONVERSION} | {
    name: number for number, name in _OTHERS.items()
}
"""For records whose field names are not spelt as usual, in which fastwarc finds no type."""

_BAD_HTTP = "bad_http_headers"
"""Longer than MAX_HEADER; browsers have such bounds too."""

_LARGE = 1 << 22
"""Bytes of records that are not read the short way, for it holds three of them."""


def read_web_archive(
    stream: IO[bytes], relative: str, *, arc: bool, start: int = 0, end: int | None = None
) -> Iterator[Found]:
    """Every record of a WARC (or WET) or ARC file, damaged ones included.

    `stream` can seek. Records are those that begin (packed ones: whose gzip member or zstd frame
    begins) at offsets from `start` to before `end`; neighbouring ranges give together what the
    whole file gives, as `frames` says.
    """

    def short_way(at: int) -> Generator[Found, None, int]:
        return _sound_records(stream, relative, at, end)

    damages = 0
    for found in frames(stream, ARC if arc else WARC, start, end, None if arc else short_way):
        if isinstance(found, Frame):
            yield _from_arc(found, relative) if arc else _from_frame(found, relative)
            continue
        yield found
        if isinstance(found, Skipped) and found.reason == DAMAGED:
            damages += 1
            if damages == MAX_DAMAGES:
                yield refused(relative, "too_damaged", found.locator)
                return


def _sound_records(
    stream: IO[bytes], relative: str, at: int, end: int | None
) -> Generator[Found, None, int]:
    """Records of gzip members that hold one each, read by fastwarc as long as all is well.

    A record is given when the one after the next has been reached, each at the beginning of another
    member: then its own member unpacked to the end, and the checksum was right. (Of the second
    record in a member fastwarc says that it stands where the next member begins.) Gives the offset
    of the first record that is not so; the last two of a file are among these.
    """
    waiting: Found | None = None
    newest: Found | None = None
    newest_at = at
    stream.seek(at)
    if stream.read(len(GZIP_MAGIC)) != GZIP_MAGIC:  # fastwarc would read plain records as well
        return at
    stream.seek(at)
    try:
        # Each record is done with when the next one is asked for, so they can share one object.
        for record in ArchiveIterator(stream, parse_http=False, inplace=True):
            begins = record.stream_pos
            if begins <= newest_at if newest is not None else begins != at:
                break
            if waiting is not None:
                yield waiting
                at = newest_at
            if (end is not None and begins >= end) or record.content_length > _LARGE:
                break
            waiting, newest = newest, _from_warc(record, str(begins), relative)
            newest_at = begins
    except OSError as error:
        if error.errno is not None:  # the disk or the network, not the content
            raise
    return at


def _from_frame(frame: Frame, relative: str) -> Found:
    try:
        # quirks mode: line ends without CR, which wget and hand-made archives have
        record = WarcRecord.from_reader(io.BytesIO(frame.data[: frame.end]), quirks_mode=True)
    except OSError:
        if frame.problem:  # the end of the file cut the header
            return refused(relative, frame.problem, frame.locator)
        return Skipped(reason=DAMAGED, locator=frame.locator)
    if frame.end > frame.body and not record.content_length:  # the field is not spelt as usual
        record.set_bytes_content(frame.block)
    try:
        return _from_warc(record, frame.locator, relative, frame.problem)
    except OSError:  # all of the record is in memory: it can only be its content
        return _from_warc(record, frame.locator, relative, _BAD_HTTP)


def _from_warc(
    record: WarcRecord, locator: str, relative: str, problem: str | None = None
) -> Found:
    """A record as fastwarc gives it. OSError: its HTTP headers are too long, or what it is read
    from is damaged."""
    kind = int(record.record_type) or _TYPES.get(_field(record, "WARC-Type"), 0)
    if kind not in (_RESPONSE, _RESOURCE, _CONVERSION):
        return Skipped(reason=problem or _OTHERS.get(kind, "unknown"), locator=locator)
    http = None
    if kind != _CONVERSION and not problem and _is_http(record):
        record.is_http = True
        record.parse_http(quirks_mode=True, max_header_len=MAX_HEADER)
        status = record.http_headers.status_code
        http = _fields(record.http_headers)
        reason = _http_reason(status, http)
        if reason:
            return Skipped(reason=reason, locator=locator)
    elif kind == _RESPONSE and not problem:
        return Skipped(reason="not_http", locator=locator)
    headers = _fields(record.headers)
    url = headers.get("warc-target-uri", "").strip("<> ")
    if url.startswith("metadata:"):  # wget's arguments and log
        return Skipped(reason="metadata", locator=locator)
    metadata = {
        "id": headers.get("warc-record-id", ""),
        "crawl_date": headers.get("warc-date", ""),
    }
    truncated = headers.get("warc-truncated")
    if truncated:
        metadata["truncated"] = truncated
    page = _Page(locator, url or place(relative, locator), metadata)
    if problem:
        return page.refused("html", problem)
    block = record.reader.read()
    if http is not None:
        return _from_http(http, block, page)
    content_type = headers.get("content-type", "").lower()
    if kind == _CONVERSION:
        if not content_type.startswith("text/plain"):
            return Skipped(reason="not_text", locator=locator)
        return page.document(block, "extracted")
    return _from_block(content_type, block, page)


def _is_http(record: WarcRecord) -> bool:
    """Whether the block is HTTP; fastwarc sees it in the usual spelling only."""
    return record.is_http or _field(record, "Content-Type").startswith("application/http")


def _field(record: WarcRecord, name: str) -> str:
    """A header field, whose name may be spelt in any case, in lower case."""
    return (record.headers.get(name) or "").strip().lower()


def _from_arc(frame: Frame, relative: str) -> Found:
    line = frame.header.decode("utf-8", "replace").split(" ")
    if len(line) < 4:  # the end of the file cut it
        return refused(relative, frame.problem or DAMAGED, frame.locator)
    url, date, content_type = line[0], line[2], line[3]
    metadata = {"crawl_date": re.sub(r"(\d{4})(\d\d)(\d\d).*", r"\1-\2-\3", date)}
    if url.startswith("filedesc:"):
        return Skipped(reason="warcinfo", locator=frame.locator)
    page = _Page(frame.locator, url, metadata)
    if frame.problem:
        return page.refused("html", frame.problem)
    if not frame.data.startswith(b"HTTP/", frame.body):
        return _from_block(content_type, frame.block, page)
    record = WarcRecord()
    record.init_headers(WarcRecordType.response)
    record.set_bytes_content(frame.block)
    record.is_http = True
    try:
        record.parse_http(quirks_mode=True, max_header_len=MAX_HEADER)
    except OSError:
        return page.refused("html", _BAD_HTTP)
    headers = _fields(record.http_headers)
    reason = _http_reason(record.http_headers.status_code, headers)
    if reason:
        return Skipped(reason=reason, locator=frame.locator)
    return _from_http(headers, record.reader.read(), page)


def _fields(headers: HeaderMap) -> dict[str, str]:
    """Header fields by lower-case name; of repeated ones the first, of opt-outs all, as lines.

    One look-up in fastwarc's map costs as much as this, and a page needs ten.
    """
    pairs = headers.astuples()
    fields = {name.lower(): value for name, value in reversed(pairs)}
    for opt_out, _ in _OPT_OUTS:
        if opt_out in fields:
            values = (value for name, value in pairs if name.lower() == opt_out)
            fields[opt_out] = "\n".join(value.replace("\n", " ") for value in values)
    return fields


_OPT_OUTS = (("x-robots-tag", "x_robots_tag"), ("tdm-reservation", "tdm_reservation"))
"""What the server says on the use of the page, for extraction to judge and remove."""


class _Page(NamedTuple):
    """What is known of a page before its body is looked at."""

    locator: str
    uri: str
    metadata: dict[str, str]

    def document(self, payload: bytes, media: Media, charset: str | None = None) -> RawDocument:
        """The page with its body."""
        return RawDocument(
            locator=self.locator,
            uri=self.uri,
            payload=payload,
            media=media,
            charset=charset,
            metadata=self.metadata,
        )

    def refused(self, media: Media, problem: str) -> RawDocument:
        """The page, whose body cannot be had."""
        return replace(self.document(b"", media), problem=problem)


def _http_reason(status: int | None, headers: Mapping[str, str]) -> str | None:
    """Why an HTTP response is no page, as far as its status and headers say."""
    if status is None:
        return "not_http"
    if status == 206:
        return "partial_content"
    if status != 200:
        return "redirect" if 300 <= status < 400 else "http_error"
    return None if _declared(headers.get("content-type", "")) in _TEXT_TYPES else "not_text"


def _from_http(headers: Mapping[str, str], body: bytes, page: _Page) -> Found:
    """A page, from an HTTP response that can be one."""
    content_type = headers.get("content-type", "")
    for field, name in _OPT_OUTS:
        value = headers.get(field)
        if value:
            page.metadata[name] = value
    try:
        if headers.get("transfer-encoding", "").lower().strip() == "chunked":
            body = unchunked(body)
        encodings = headers.get("content-encoding")
        if encodings:
            body, whole = decoded(body, encodings)
            if not whole:
                page.metadata["truncated"] = "content_encoding"
    except Refused as refusal:
        plain = _declared(content_type) == "text/plain"
        return page.refused("text" if plain else "html", refusal.reason)
    return _from_block(content_type, body, page)


def _from_block(content_type: str, body: bytes, page: _Page) -> Found:
    """A page from its body, decoded, and the type that the server gave it."""
    media = _media(_declared(content_type), body)
    if media is None:
        return Skipped(reason="not_text", locator=page.locator)
    return page.document(body, media, _charset_parameter(content_type))


def _media(content_type: str, body: bytes) -> Media | None:
    if content_type.startswith(_HTML_TYPES) or (not content_type and looks_like_html(body)):
        return "html"
    return "text" if content_type.startswith("text/plain") else None


@functools.lru_cache(maxsize=1024)  # pages of one site, and of most, say the same
def _declared(content_type: str) -> str:
    return content_type.lower().partition(";")[0].strip()


@functools.lru_cache(maxsize=1024)
def _charset_parameter(content_type: str) -> str | None:
    found = re.search(r"charset\s*=\s*[\"']?([a-z0-9._:-]{1,40})", content_type.lower())
    return found[1] if found else None
