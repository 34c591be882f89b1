"""What a document is: its Arrow schema, its identity, and its text as raw bytes for kernels."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from corpusmill.errors import BrokenContract

KINDS = ("web", "book", "code")

INGEST_SCORE = "ingest_bytes"
"""The score that ingest sets: bytes of the text as it came. A Parquet struct needs one field at
least, and the report draws its funnel of bytes from it."""


def document_schema(score_fields: Iterable[str] = ()) -> pa.Schema:
    """The schema of a batch of documents; the fields of `scores` are fixed at plan time."""
    names = sorted({INGEST_SCORE, *score_fields})
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("text", pa.large_string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("language", pa.string()),
            pa.field("language_score", pa.float32()),
            pa.field("metadata", pa.map_(pa.string(), pa.string())),
            pa.field("scores", pa.struct([pa.field(n, pa.float32()) for n in names])),
            pa.field("augmented_from", pa.string()),
        ]
    )


def document_id(source: str, path: str, locator: str) -> str:
    """Identity from place alone: xxh3-128 of source, relative path and locator, 32 hex digits."""
    key = "\0".join((source, path, locator)).encode("utf-8", "surrogateescape")
    return xxhash.xxh3_128_hexdigest(key)


def derived_id(original: str, operation: str, number: int) -> str:
    """The id of the `number`-th document that `operation` derives from document `original`."""
    return xxhash.xxh3_128_hexdigest(f"{original}\0{operation}\0{number}".encode())


def id_fraction(
    ids: pa.Array | pa.ChunkedArray, seed: int, purpose: str
) -> npt.NDArray[np.float64]:
    """A keyed hash of each id as a fraction in [0, 1): samples and splits are cut with it.

    `purpose` keeps independent choices independent (a sample of documents and their split, say).
    """
    hashed = (
        xxhash.xxh3_64_intdigest(f"{purpose}\0{i}".encode(), seed=seed) for i in ids.to_pylist()
    )
    # 53 bits fit a float exactly, so the comparison with a share is the same everywhere.
    return np.fromiter((h >> 11 for h in hashed), np.float64, len(ids)) / float(1 << 53)


def metadata_entries(entries: Mapping[str, str]) -> list[tuple[str, str]]:
    """Metadata as Arrow's map wants it: unique keys in sorted order, empty values left out."""
    return sorted((key, value) for key, value in entries.items() if value)


def documents_from_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Build a batch from one mapping per document; columns a row lacks are null."""
    columns = []
    for field in schema:
        values: list[Any] = [row.get(field.name) for row in rows]
        if field.name == "metadata":
            values = [metadata_entries(value or {}) for value in values]
        elif field.name == "scores":
            values = [value or {} for value in values]
        columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def text_buffers(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The UTF-8 bytes of a large_string array and its n+1 offsets into them, without a copy."""
    if not pa.types.is_large_string(texts.type):
        texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    n = len(texts)
    if offsets is None or n == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    starts = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + n + 1]
    return np.frombuffer(data or b"", np.uint8), starts


def byte_lengths(texts: pa.Array) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of each text; shape [documents]."""
    return np.diff(text_buffers(texts)[1])


def with_column(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    """The batch with one column replaced, cast to the type the schema declares."""
    index = batch.schema.get_field_index(name)
    columns = list(batch.columns)
    columns[index] = values.cast(batch.schema.field(index).type)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def with_scores(
    batch: pa.RecordBatch, measured: Mapping[str, npt.NDArray[Any] | pa.Array]
) -> pa.RecordBatch:
    """The batch with the named scores set (arrays of shape [documents]; NaN means null)."""
    kind = batch.schema.field("scores").type
    old = batch.column("scores")
    fields = []
    for field in kind:
        if field.name not in measured:
            fields.append(old.field(field.name))
            continue
        values = measured[field.name]
        if isinstance(values, np.ndarray):
            values = pa.array(values.astype(np.float32), from_pandas=True)
        fields.append(values.cast(pa.float32()))
    unknown = set(measured) - {field.name for field in kind}
    if unknown:
        raise BrokenContract(f"set scores that score_fields does not name: {sorted(unknown)}")
    return with_column(batch, "scores", pa.StructArray.from_arrays(fields, fields=list(kind)))


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """A table's column as one array."""
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else combined.chunk(0)


def without_maps(table: pa.Table) -> pa.Table:
    """The table with metadata as JSON text: maps are read by few."""
    metadata = [
        json.dumps(dict(entries or ()), ensure_ascii=False)
        for entries in table["metadata"].to_pylist()
    ]
    index = table.schema.get_field_index("metadata")
    return table.set_column(index, "metadata", pa.array(metadata, pa.string()))
