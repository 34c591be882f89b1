"""WARC, WET and ARC: records to pages and texts."""

import re
from collections.abc import Iterator
from typing import IO

from corpusmill.stages.sources.frames import frames
from corpusmill.stages.sources.framing import ARC, DAMAGED, WARC, Fields, Frame, header_end
from corpusmill.stages.sources.http_bodies import decoded, unchunked
from corpusmill.stages.sources.limits import MAX_DAMAGES, Refused
from corpusmill.stages.sources.records import Found, Media, RawDocument, Skipped, place, refused
from corpusmill.stages.sources.sniff import looks_like_html

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_TEXT_TYPES = (*_HTML_TYPES, "text/plain")
_PAGES = ("response", "resource", "conversion")
_OTHERS = {k.encode(): k for k in ("warcinfo", "request", "metadata", "revisit", "continuation")}
_KIND = len(b"WARC/1.0\r\nWARC-Type: ")
"""Where the type of a record stands that has it in its first field, as most have."""
_STATUS = re.compile(rb"HTTP/\d{1,2}(?:\.\d{1,2})?[ \t]+(\d{3})(?!\d)")


def read_web_archive(
    stream: IO[bytes], relative: str, *, arc: bool, start: int = 0, end: int | None = None
) -> Iterator[Found]:
    """Every record of a WARC (or WET) or ARC file, damaged ones included.

    `stream` can seek. Records are those that begin (packed ones: whose gzip member or zstd frame
    begins) at offsets from `start` to before `end`; neighbouring ranges give together what the
    whole file gives, as `frames` says.
    """
    damages = 0
    layout, convert = (ARC, _from_arc) if arc else (WARC, _from_warc)
    unwanted = _arc_reason if arc else _warc_reason
    for frame in frames(stream, layout, start, end, unwanted=unwanted):
        if isinstance(frame, Frame):
            yield convert(frame, relative)
            continue
        yield frame
        if frame.reason == DAMAGED:
            damages += 1
            if damages == MAX_DAMAGES:
                yield refused(relative, "too_damaged", frame.locator)
                return


def _warc_reason(frame: Frame) -> str | None:
    """Why the record is no document, as far as its first bytes say."""
    fields = Fields(frame.data, 0, frame.body)
    kind = fields.get(b"\nWARC-Type:").lower()
    if kind not in _PAGES:
        return kind if kind.encode() in _OTHERS else "unknown"
    content_type = fields.get(b"\nContent-Type:").lower()
    if kind != "conversion" and content_type.startswith("application/http"):
        return _http_reason(frame)
    if kind == "response":
        return "not_http"
    if fields.get(b"\nWARC-Target-URI:").startswith(("metadata:", "<metadata:")):
        return "metadata"  # wget's arguments and log
    known = ("text/plain",) if kind == "conversion" else ("", *_TEXT_TYPES)
    return None if content_type.partition(";")[0].strip() in known else "not_text"


def _from_warc(frame: Frame, relative: str) -> Found:
    other = _OTHERS.get(frame.data[_KIND : frame.data.find(b"\r", _KIND)])
    if other and not frame.problem:  # two in three records end here, so it is the shortest way
        return Skipped(reason=other, locator=frame.locator)
    if frame.problem and not frame.body:  # the end of the file cut the header
        return refused(relative, frame.problem, frame.locator)
    if not frame.problem and (reason := _warc_reason(frame)):
        return Skipped(reason=reason, locator=frame.locator)
    fields = Fields(frame.data, 0, frame.body)
    kind = fields.get(b"\nWARC-Type:").lower()
    if frame.problem and kind not in _PAGES:
        return Skipped(reason=frame.problem, locator=frame.locator)
    url = fields.get(b"\nWARC-Target-URI:").strip("<> ")
    metadata = {
        "id": fields.get(b"\nWARC-Record-ID:"),
        "crawl_date": fields.get(b"\nWARC-Date:"),
    }
    truncated = fields.get(b"\nWARC-Truncated:")
    if truncated:
        metadata["truncated"] = truncated
    if frame.problem:
        return _document(frame, relative, url, b"", "html", metadata, problem=frame.problem)
    if kind == "conversion":
        return _document(frame, relative, url, frame.block, "extracted", metadata)
    content_type = fields.get(b"\nContent-Type:").lower()
    if content_type.startswith("application/http"):
        return _from_http(frame, relative, url, metadata)
    return _from_block(frame, relative, url, content_type, metadata)


def _arc_reason(frame: Frame) -> str | None:
    """Why the record is no document, as far as its first bytes say."""
    if frame.data.startswith(b"filedesc:"):
        return "warcinfo"
    return _http_reason(frame) if frame.data.startswith(b"HTTP/", frame.body) else None


def _from_arc(frame: Frame, relative: str) -> Found:
    line = frame.header.decode("utf-8", "replace").split(" ")
    if len(line) < 4:  # the end of the file cut it
        return refused(relative, frame.problem or DAMAGED, frame.locator)
    url, date, content_type = line[0], line[2], line[3]
    metadata = {"crawl_date": re.sub(r"(\d{4})(\d\d)(\d\d).*", r"\1-\2-\3", date)}
    reason = _arc_reason(frame)
    if reason and (reason == "warcinfo" or not frame.problem):
        return Skipped(reason=reason, locator=frame.locator)
    if frame.problem:
        return _document(frame, relative, url, b"", "html", metadata, problem=frame.problem)
    if frame.data.startswith(b"HTTP/", frame.body):
        return _from_http(frame, relative, url, metadata)
    return _from_block(frame, relative, url, content_type, metadata)


def _http_reason(frame: Frame) -> str | None:
    """Why an HTTP response is no page, as far as its first bytes say."""
    status = _STATUS.match(frame.data, frame.body, frame.end)
    if status is None:
        return "not_http"
    if status[1] != b"200":
        return "redirect" if status[1].startswith(b"3") else "http_error"
    behind = header_end(frame.data, frame.body)
    if behind < 0 and len(frame.data) < frame.end:
        return None  # there is more of the header
    headers = Fields(frame.data, frame.body, behind if 0 <= behind <= frame.end else frame.end)
    content_type = headers.get(b"\nContent-Type:").lower().partition(";")[0].strip()
    return None if not content_type or content_type in _TEXT_TYPES else "not_text"


def _from_http(frame: Frame, relative: str, url: str, metadata: dict[str, str]) -> Found:
    """A page, from an HTTP response that can be one."""
    behind = header_end(frame.data, frame.body)
    if not 0 <= behind <= frame.end:
        behind = frame.end
    headers = Fields(frame.data, frame.body, behind)
    content_type = headers.get(b"\nContent-Type:").lower()
    declared = content_type.partition(";")[0].strip()
    _keep_opt_outs(headers, metadata)
    body = frame.data[behind : frame.end]
    try:
        if headers.get(b"\nTransfer-Encoding:").lower() == "chunked":
            body = unchunked(body)
        encodings = headers.get(b"\nContent-Encoding:")
        if encodings:
            body, whole = decoded(body, encodings)
            if not whole:
                metadata["truncated"] = "content_encoding"
    except Refused as refusal:
        media: Media = "text" if declared == "text/plain" else "html"
        return _document(frame, relative, url, b"", media, metadata, problem=refusal.reason)
    found = _media(declared, body)
    if found is None:
        return Skipped(reason="not_text", locator=frame.locator)
    charset = _charset_parameter(content_type)
    return _document(frame, relative, url, body, found, metadata, charset=charset)


def _from_block(
    frame: Frame, relative: str, url: str, content_type: str, metadata: dict[str, str]
) -> Found:
    """A page without HTTP headers."""
    media = _media(content_type, frame.block)
    if media is None:
        return Skipped(reason="not_text", locator=frame.locator)
    charset = _charset_parameter(content_type)
    return _document(frame, relative, url, frame.block, media, metadata, charset=charset)


def _keep_opt_outs(headers: Fields, metadata: dict[str, str]) -> None:
    """What the server said on the use of the page, for extraction to judge and remove."""
    robots = ", ".join(headers.all(b"\nX-Robots-Tag:"))
    if robots:
        metadata["x_robots_tag"] = robots
    reservation = headers.get(b"\nTDM-Reservation:")
    if reservation:
        metadata["tdm_reservation"] = reservation


def _media(content_type: str, body: bytes) -> Media | None:
    if content_type.startswith(_HTML_TYPES) or (not content_type and looks_like_html(body)):
        return "html"
    return "text" if content_type.startswith("text/plain") else None


def _charset_parameter(content_type: str) -> str | None:
    if "charset" not in content_type:
        return None
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
