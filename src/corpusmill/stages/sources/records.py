"""What reading a source gives: documents not yet turned into text, and what was passed over."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Literal

import pyarrow as pa

from corpusmill.stages.sources import sniff
from corpusmill.stages.sources.languages import programming_language
from corpusmill.stages.sources.limits import MAX_PAYLOAD
from corpusmill.stages.sources.source import Source
from corpusmill.storage import is_local, open_read

Media = Literal["html", "text", "extracted", "epub", "pdf", "code", "notebook", "repository"]
"""What the payload is. `text` is a text file in any charset, perhaps a book with front matter;
`extracted` is UTF-8 text that the source holds ready, and stays as it is."""


@dataclass(slots=True, kw_only=True)  # frozen ones cost twice the time, and archives have many
class RawDocument:
    """A document as it stands in its source."""

    locator: str
    """Its place in the file: record offset (WARC), byte offset in the unpacked stream (JSONL), row
    (Parquet, Arrow, CSV), member path (archives), empty for a whole file."""
    uri: str
    """For people: the page's URL, else `path#locator`."""
    payload: bytes
    """The document's bytes; may be empty when there is a problem."""
    media: Media
    charset: str | None = None
    """As the server declared it; not checked."""
    metadata: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    """Why the document cannot be used: it is to be quarantined with this reason."""


@dataclass(slots=True, kw_only=True)
class Skipped:
    """Something in a source that is no document; it is counted by reason."""

    reason: str
    locator: str


Found = RawDocument | Skipped

RAW_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("relative", pa.string(), nullable=False),
        pa.field("locator", pa.string(), nullable=False),
        pa.field("payload", pa.large_binary(), nullable=False),
        pa.field("media", pa.string(), nullable=False),
        pa.field("charset", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("metadata", pa.map_(pa.string(), pa.string())),
    ]
)
"""A batch of raw documents, as it goes into extraction."""


def place(relative: str, locator: str) -> str:
    """A uri for a document that has no URL."""
    return f"{relative}#{locator}" if locator else relative


def refused(relative: str, problem: str, locator: str = "") -> RawDocument:
    """A document, or a whole file, that is known only by its place and by what is wrong with it."""
    return RawDocument(
        locator=locator, uri=place(relative, locator), payload=b"", media="text", problem=problem
    )


_HEAD = 65_536


def read_file(
    source: Source, path: str, relative: str, start: int = 0, end: int | None = None
) -> Iterator[Found]:
    """Every document that begins in [start, end) of one file of a source, in the order of the file.

    Consecutive ranges give together what the whole file gives. A file whose format cannot be
    entered in the middle belongs to the range that has its first byte.

    Args:
        source: the source as the recipe has it.
        path: where the file is; local path or URL.
        relative: its path below the source's root, by which documents are called.
        start: first byte of the range, in the file as it is stored.
        end: first byte behind the range; None for the end of the file.

    Content never raises: what is wrong with it is in what is yielded. An OSError while reading,
    after the file could be opened, is the storage's and does raise.
    """
    try:
        stream = open_read(path)
        head = stream.read(_HEAD)
    except OSError as error:
        if not is_local(path) and not isinstance(error, FileNotFoundError | PermissionError):
            raise  # the store does not answer: the file may be sound
        if start == 0:
            yield refused(relative, "unreadable_file")
        return
    with stream:
        stream.seek(0)
        yield from _read(source, stream, head, relative, start, end)


def can_be_split(source: Source, relative: str) -> bool:
    """Whether, by its name, a file can be read in several ranges."""
    name = relative.lower().rpartition("/")[2]
    if source.kind == "code":
        return False
    return sniff.suffix(name) in (".warc", ".wet", ".arc") or name.endswith(_SPLIT_TABLES)


_SPLIT_TABLES = (".jsonl", ".ndjson", ".parquet")


def _read(
    source: Source, stream: IO[bytes], head: bytes, relative: str, start: int, end: int | None
) -> Iterator[Found]:
    from corpusmill.stages.sources import archives, tables, web_archive
    from corpusmill.stages.sources.streams import unpacked_head

    if not head:
        yield Skipped(reason="empty_file", locator="")
        return
    first = unpacked_head(head)
    suffix = sniff.suffix(relative)
    code = source.kind == "code"
    # In a folder of code a table is data; a code source that names tables itself has code in them.
    as_table = not code or sniff.suffix(source.path) in sniff.TABLE_SUFFIXES
    if not code and (first.startswith(sniff.WARC) or suffix in (".warc", ".wet", ".wat")):
        yield from web_archive.read_web_archive(stream, relative, arc=False, start=start, end=end)
    elif not code and (first.startswith(sniff.ARC) or suffix == ".arc"):
        yield from web_archive.read_web_archive(stream, relative, arc=True, start=start, end=end)
    elif as_table and (suffix in sniff.TABLE_SUFFIXES or head.startswith(sniff.COLUMNAR)):
        yield from tables.read_table(source, stream, head, relative, start, end)
    elif start > 0:
        return
    elif head.startswith(sniff.ZIP_MAGICS) and suffix != ".epub" and not sniff.is_epub(head):
        yield from archives.read_zip(source, stream, relative)
    elif archives.is_tar(head, relative):
        yield from archives.read_tar(source, stream, head, relative)
    elif code and sniff.is_packed(head) and not programming_language(relative):
        yield Skipped(reason="binary", locator="")
    else:
        yield _read_whole(source, stream, head, relative)


def _read_whole(source: Source, stream: IO[bytes], head: bytes, relative: str) -> Found:
    from corpusmill.stages.sources.streams import Damaged, Unpacked

    try:
        payload = Unpacked(stream, head).read_up_to(MAX_PAYLOAD + 1)
    except Damaged:
        return refused(relative, "damaged_file")
    if len(payload) > MAX_PAYLOAD:
        return refused(relative, "too_large")
    return whole_file(source, relative, payload)


def whole_file(source: Source, relative: str, payload: bytes, member: str = "") -> Found:
    """One file as one document; `member` is its path in an archive."""
    name = member or relative
    end = sniff.suffix(name)
    media: Media
    if not payload:
        return Skipped(reason="empty_file", locator=member)
    if source.kind == "code":
        if sniff.looks_binary(payload):
            return Skipped(reason="binary", locator=member)
        media = "notebook" if end == ".ipynb" else "code"
    elif payload.startswith(b"%PDF-"):
        media = "pdf"
    elif end == ".epub" or sniff.is_epub(payload):
        if not payload.startswith(sniff.ZIP_MAGICS):
            return refused(relative, "not_a_zip", member)
        media = "epub"
    elif sniff.looks_binary(payload):
        return Skipped(reason="unknown_format", locator=member)
    elif end in sniff.HTML_SUFFIXES or (
        end not in sniff.TEXT_SUFFIXES and sniff.looks_like_html(payload)
    ):
        media = "html"
    elif end in sniff.TEXT_SUFFIXES or not end:
        media = "text"
    else:
        return Skipped(reason="unknown_format", locator=member)
    return RawDocument(
        locator=member,
        uri=place(relative, member),
        payload=payload,
        media=media,
    )
