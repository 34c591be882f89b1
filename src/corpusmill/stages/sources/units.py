"""Which part of a file is one document, and how it is called: whole files, rows, chapters."""

from collections.abc import Sequence

import pyarrow as pa

from corpusmill.document import document_id
from corpusmill.stages.sources.records import RawDocument
from corpusmill.stages.sources.source import Source

FILE = "file"
LOCATOR = "locator"
"""Metadata of every document: with them, and the source's name, its id can be computed."""


def chapter_locator(locator: str, number: int) -> str:
    """The place of a chapter (from 1) of the book that stands at `locator`."""
    return f"{locator}/{number}" if locator else str(number)


def has_chapters(source: Source, media: str) -> bool:
    """Whether what is read is a book, of which each chapter becomes a document."""
    return source.unit == "chapter" and media != "extracted"


def first_id(source: Source, relative: str, record: RawDocument) -> str:
    """The id of a raw document; a book that is cut into chapters has that of its first."""
    locator = record.locator
    if has_chapters(source, record.media):
        locator = chapter_locator(locator, 1)
    return document_id(source.name, relative, locator)


def in_reading_order(
    kept: Sequence[pa.RecordBatch], added: Sequence[pa.RecordBatch]
) -> pa.RecordBatch:
    """First chapters (`kept`) and further ones (`added`) as they follow each other in the books."""
    rows = pa.Table.from_batches([*kept, *added]).combine_chunks()
    ids = rows.column("id").to_pylist()
    first = sum(batch.num_rows for batch in kept)
    place = {document: (row, 1) for row, document in enumerate(ids[:first])}
    for row in range(first, rows.num_rows):
        metadata = dict(rows.column("metadata")[row].as_py())
        book, _, number = metadata[LOCATOR].rpartition("/")
        source = rows.column("source")[row].as_py()
        opening = document_id(source, metadata[FILE], chapter_locator(book, 1))
        place[ids[row]] = (place[opening][0], int(number))
    order = sorted(range(rows.num_rows), key=lambda row: place[ids[row]])
    (batch,) = rows.take(order).combine_chunks().to_batches()
    return batch
