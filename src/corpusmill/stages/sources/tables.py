"""JSONL, Parquet, Arrow, CSV and TSV: one document per row.

A row whose text is null has none, as one whose text is empty. A binary column is text in UTF-8;
one of any other type is no text column.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from corpusmill.stages.sources import sniff
from corpusmill.stages.sources.limits import MAX_PAYLOAD
from corpusmill.stages.sources.records import Found, RawDocument, place, refused
from corpusmill.stages.sources.source import Source
from corpusmill.stages.sources.streams import Damaged, Unpacked

if TYPE_CHECKING:
    import pyarrow as pa

_METADATA = {
    "author": "author",
    "date": "date",
    "licence": "licence",
    "license": "licence",
    "title": "title",
}
"""Columns that are kept, and what they are called in a document's metadata."""

_ROWS = 256
"""Rows read from Parquet at once; texts may be long."""


def read_table(
    source: Source,
    stream: IO[bytes],
    head: bytes,
    relative: str,
    start: int = 0,
    end: int | None = None,
) -> Iterator[Found]:
    """The rows that begin in [start, end) of a file whose format is told by magic, else by name.

    A row group of Parquet and a line of plain JSONL begin where their first byte is; what can only
    be read from the front belongs to the range that begins there.
    """
    suffix = sniff.suffix(relative)
    if head.startswith(b"PAR1") or suffix == ".parquet":
        yield from _read_parquet(source, stream, relative, start, end)
    elif head.startswith(b"ARROW1") or suffix in (".arrow", ".feather"):
        if start == 0:
            yield from _read_arrow(source, stream, relative)
    elif suffix in (".csv", ".tsv"):
        if start == 0:
            delimiter = "," if suffix == ".csv" else "\t"
            yield from _read_csv(source, Unpacked(stream, head), relative, delimiter)
    elif sniff.is_packed(head):
        if start == 0:
            lines = _lines(Unpacked(stream, head))
            yield from _read_jsonl(source, lines, relative, strict=suffix != ".json")
    else:
        lines = _lines_from(stream, head, start, end)
        yield from _read_jsonl(source, lines, relative, strict=suffix != ".json")


Line = tuple[int, bytes | None, bool]
"""A line's offset, its bytes (None when longer than MAX_PAYLOAD), and whether it was all there
(damage to the stream cuts the last one)."""


def _lines_from(stream: IO[bytes], head: bytes, start: int, end: int | None) -> Iterator[Line]:
    """The lines of a plain stream that begin in [start, end)."""
    stream.seek(max(0, start - 1))
    lines = _lines(Unpacked(stream, head), max(0, start - 1))
    if start > 0:
        next(lines, None)  # what ends before `start`, be it an empty line, began before it
    for line in lines:
        if end is not None and line[0] >= end:
            return
        yield line


def _lines(reader: Unpacked, at: int = 0) -> Iterator[Line]:
    """Every line of a stream whose first byte has the offset `at`."""
    buffer = bytearray()
    long_line: int | None = None  # where a line began that is too long to be held
    damaged = False
    while True:
        try:
            block = reader.read(1 << 20)
        except Damaged:
            block, damaged = b"", True
        used, searched = 0, len(buffer)
        buffer += block
        while (newline := buffer.find(b"\n", max(used, searched))) >= 0:
            if long_line is None:
                yield at + used, bytes(buffer[used:newline]), True
            else:
                yield long_line, None, True
                long_line = None
            used = newline + 1
        del buffer[:used]
        at += used
        if len(buffer) > MAX_PAYLOAD or long_line is not None:
            long_line = at if long_line is None else long_line
            at += len(buffer)
            buffer.clear()
        if not block:
            break
    if long_line is not None:
        yield long_line, None, not damaged
    elif buffer or damaged:
        yield at, bytes(buffer), not damaged


def _read_jsonl(
    source: Source, lines: Iterator[Line], relative: str, *, strict: bool
) -> Iterator[Found]:
    """`strict`: every line is a record. Otherwise the first line tells whether the file is JSONL at
    all; one JSON value over many lines would else be one bad record per line."""
    for offset, line, whole in lines:
        if not whole:
            yield refused(relative, "truncated_record", str(offset))
            return
        if line is None:
            yield refused(relative, "too_large", str(offset))
            continue
        if line.isspace() or not line:
            continue
        document = _from_json(source, relative, str(offset), line)
        if not strict and document.problem in ("invalid_json", "not_an_object"):
            yield refused(relative, "not_json_lines")
            return
        strict = True
        yield document


def _from_json(source: Source, relative: str, locator: str, line: bytes) -> RawDocument:
    try:
        text = line.decode("utf-8-sig" if locator == "0" else "utf-8")
    except UnicodeDecodeError:
        return refused(relative, "invalid_utf8", locator)
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return refused(relative, "invalid_json", locator)
    if not isinstance(row, dict):
        return refused(relative, "not_an_object", locator)
    return _from_row(source, relative, locator, row)


def _from_row(source: Source, relative: str, locator: str, row: Mapping[str, Any]) -> RawDocument:
    """A document from a record's columns; only strings are taken, and integers where named."""
    text = row.get(source.text, False)
    if text is None:
        text = ""
    elif isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if not isinstance(text, str):
        return refused(relative, "no_text_field", locator)
    metadata = {
        name: value for key, name in _METADATA.items() if isinstance(value := row.get(key), str)
    }
    for key, name in ((source.id, "id"), *((name, name) for name in source.metadata)):
        value = row.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool):
            metadata[name] = str(value)
    url = row.get("url")
    uri = url if isinstance(url, str) and url else place(relative, locator)
    try:
        payload = text.encode()
        "".join((uri, *metadata.values())).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
        return refused(relative, "invalid_utf8", locator)
    if len(payload) > MAX_PAYLOAD:
        return refused(relative, "too_large", locator)
    return RawDocument(
        locator=locator,
        uri=uri,
        payload=payload,
        media="extracted",
        charset="utf-8",
        metadata=metadata,
    )


def _read_parquet(
    source: Source, stream: IO[bytes], relative: str, start: int, end: int | None
) -> Iterator[Found]:
    """The rows of the row groups that begin in the range; a damaged group costs its own rest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = 0  # row of the group
    row = 0
    try:
        file = pq.ParquetFile(stream)
        names = [name for name in _wanted(source) if name in file.schema_arrow.names]
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if start == 0:
            yield _unreadable(error, relative, 0)
        return
    if not _is_text(file.schema_arrow, source.text):
        if start == 0:
            yield refused(relative, "no_text_column")
        return
    for group in range(file.metadata.num_row_groups):
        facts = file.metadata.row_group(group)
        row, first = first, first + facts.num_rows
        column = facts.column(0)
        begins = max(0, column.dictionary_page_offset or column.data_page_offset)
        if begins < start or (end is not None and begins >= end):
            continue
        try:
            for batch in file.iter_batches(_ROWS, [group], names, use_threads=False):
                for values in batch.to_pylist():
                    yield _from_row(source, relative, str(row), values)
                    row += 1
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
            yield _unreadable(error, relative, row)


def _read_arrow(source: Source, stream: IO[bytes], relative: str) -> Iterator[Found]:
    """Arrow IPC, the file and the streaming format."""
    import pyarrow as pa
    import pyarrow.ipc

    row = 0
    try:
        for batch in _arrow_batches(stream):
            if not _is_text(batch.schema, source.text):
                yield refused(relative, "no_text_column")
                return
            batch = batch.select([n for n in _wanted(source) if n in batch.schema.names])
            batch.validate(full=True)  # offsets that point outside crash the process otherwise
            for start in range(0, batch.num_rows, _ROWS):
                for values in batch.slice(start, _ROWS).to_pylist():
                    yield _from_row(source, relative, str(row), values)
                    row += 1
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        yield _unreadable(error, relative, row)


def _is_text(schema: "pa.Schema", name: str) -> bool:
    """Whether a column is there that holds text: strings or bytes, or nothing but nulls."""
    import pyarrow as pa

    if len(schema.get_all_field_indices(name)) != 1:
        return False
    kind = schema.field(name).type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
        pa.types.is_fixed_size_binary, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _arrow_batches(stream: IO[bytes]) -> Iterator[Any]:
    import pyarrow.ipc

    if stream.read(6) == b"ARROW1":
        file = pyarrow.ipc.open_file(stream)
        for number in range(file.num_record_batches):
            yield file.get_batch(number)
    else:
        stream.seek(0)
        yield from pyarrow.ipc.open_stream(stream)


def _unreadable(error: Exception, relative: str, row: int) -> RawDocument:
    if isinstance(error, OSError) and error.errno is not None:
        raise error  # the disk or the network, not the content
    return refused(relative, "damaged_file" if row == 0 else "truncated_record", str(row))


def _wanted(source: Source) -> list[str]:
    return list(dict.fromkeys((source.text, source.id, "url", *_METADATA, *source.metadata)))


def _read_csv(source: Source, reader: Unpacked, relative: str, delimiter: str) -> Iterator[Found]:
    """UTF-8 with a header line; rows are counted from 0 behind it."""
    csv.field_size_limit(MAX_PAYLOAD)
    lines = _TextLines(reader)
    rows = csv.reader(lines, delimiter=delimiter)
    header: list[str] | None = None
    number = 0
    while True:
        try:
            values = next(rows)
        except StopIteration:
            return
        except (Damaged, _LongLine) as error:
            problem = "too_large" if isinstance(error, _LongLine) else "truncated_record"
            yield refused(relative, problem, str(number))
            return
        except csv.Error:
            yield refused(relative, "invalid_csv", str(number))
            if header is None:
                return
            number += 1
            continue
        if header is None:
            header = values
            if source.text not in header:
                yield refused(relative, "no_text_column")
                return
        elif lines.ended:  # a quote was opened and never closed: the row is all of the rest
            yield refused(relative, "truncated_record", str(number))
            return
        elif values:
            row = dict(zip(header, values, strict=False))
            yield _from_row(source, relative, str(number), row)
            number += 1


class _LongLine(Exception):
    """A line longer than any document may be."""


class _TextLines:
    """The lines of a stream, each with a newline."""

    def __init__(self, reader: Unpacked) -> None:
        self._lines = _lines(reader)
        self.ended = False
        """Whether a line was asked for behind the last one."""

    def __iter__(self) -> "_TextLines":
        return self

    def __next__(self) -> str:
        found = next(self._lines, None)
        if found is None:
            self.ended = True
            raise StopIteration
        offset, line, whole = found
        if not whole:
            raise Damaged
        if line is None:
            raise _LongLine
        # what is no UTF-8 becomes a lone surrogate, which _from_row refuses
        text = line.decode("utf-8", "surrogateescape") + "\n"
        return text.removeprefix("\ufeff") if offset == 0 else text
