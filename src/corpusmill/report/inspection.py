"""What is in a place: a run folder, a folder of token shards, a Parquet or Arrow file."""

import os
import re
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from corpusmill import storage
from corpusmill.errors import MillError, RunError, UsageError
from corpusmill.pipelines.ledger import RUN_FILE, load_run
from corpusmill.report.facts import funnel_data, languages, read_manifest
from corpusmill.report.shard_texts import shard_samples
from corpusmill.report.showing import mask, mask_uri

ROWS = 3
"""Rows of a file that are shown."""
CHARACTERS = 160
"""Of a text value that is shown."""
ITEMS = 8
"""Of a list or map that is shown."""

_ID = re.compile(r"[0-9a-f]{32}")
_ID_COLUMNS = frozenset({"id", "augmented_from"})


def inspect_data(path: str) -> dict[str, Any]:
    """What the place holds; `what` says which kind it is.

    - `run`: name, engine, workers, versions, published, notes, funnel (`funnel_data`), documents
      ([{language, source, documents, bytes}]), shards (as below, or None);
    - `shards`: splits, tokens ({source: {split: n}}), tokenizer, mixture, shards, samples
      ([{split, source, id, shard, text}]: beginnings, masked), unread (why samples are missing);
    - `file`: format, rows, schema ([{name, type}]), metadata, first_rows (text cut and masked).

    Raises UsageError for anything else.
    """
    if not storage.exists(path):
        raise UsageError(f"{path}: there is no such file or folder")
    if storage.exists(storage.join(path, RUN_FILE)):
        return _run(path)
    if storage.exists(storage.join(path, "manifest.json")):
        return _shards(path)
    if storage.is_local(path) and os.path.isdir(path):
        raise UsageError(
            f"{path}: neither a run folder (no {RUN_FILE}) nor one of token shards "
            "(no manifest.json); name one of these, or a Parquet or Arrow file"
        )
    return _file(path)


def _run(path: str) -> dict[str, Any]:
    record = load_run(path)
    return {
        "what": "run",
        "path": path,
        "name": record.name,
        "engine": record.engine,
        "workers": record.workers,
        "versions": record.versions,
        "published": record.published,
        "notes": record.notes,
        "funnel": funnel_data(record),
        "documents": languages(path, record),
        "shards": read_manifest(storage.join(path, "shards")),
    }


def _shards(path: str) -> dict[str, Any]:
    samples: list[dict[str, Any]] = []
    unread = None
    try:
        samples = shard_samples(path)
    except MillError as error:
        unread = str(error)
    counts = read_manifest(path) or {}
    return {"what": "shards", "path": path, **counts, "samples": samples, "unread": unread}


def _file(path: str) -> dict[str, Any]:
    try:
        with storage.open_read(path) as stream:
            magic = stream.read(6)
        if magic[:4] == b"PAR1":
            return _parquet(path)
        if magic == b"ARROW1":
            return _arrow(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise RunError(f"{path}: cannot be read: {why}") from None
    raise UsageError(f"{path}: neither a Parquet nor an Arrow file")


def _parquet(path: str) -> dict[str, Any]:
    with storage.open_read(path) as stream, pq.ParquetFile(stream) as file:
        head = next(file.iter_batches(batch_size=ROWS, use_threads=False), None)
        return _described(path, "parquet", file.metadata.num_rows, file.schema_arrow, head)


def _arrow(path: str) -> dict[str, Any]:
    with storage.open_read(path) as stream:
        reader = pa.ipc.open_file(pa.PythonFile(stream) if not storage.is_local(path) else stream)
        rows = 0
        head = None
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            rows += batch.num_rows
            if head is None:
                head = batch.slice(0, ROWS)
        return _described(path, "arrow", rows, reader.schema, head)


def _described(
    path: str, form: str, rows: int, schema: pa.Schema, head: pa.RecordBatch | None
) -> dict[str, Any]:
    if head is not None:
        # a file from elsewhere may hold offsets that lead out of its buffers
        head.validate(full=True)
    return {
        "what": "file",
        "path": path,
        "format": form,
        "rows": rows,
        "schema": [{"name": field.name, "type": str(field.type)} for field in schema],
        "metadata": {
            key.decode(errors="replace"): value.decode(errors="replace")[:CHARACTERS]
            for key, value in (schema.metadata or {}).items()
            if key not in (b"ARROW:schema", b"pandas")
        },
        "first_rows": [_row(row) for row in (head.to_pylist() if head is not None else [])],
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    """A value as it may be shown; text is masked, unless it is the id of a document."""
    if isinstance(value, str):
        if name in _ID_COLUMNS and _ID.fullmatch(value):
            return value
        shown = mask_uri(value) if name == "uri" else mask(value[: 4 * CHARACTERS])
        return shown if len(shown) <= CHARACTERS else shown[:CHARACTERS] + " …"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict):
        return {key: _value(key, inner) for key, inner in list(value.items())[:ITEMS]}
    if isinstance(value, list | tuple):
        items = [_value(name, inner) for inner in value[:ITEMS]]
        return [*items, f"… {len(value):,} in all"] if len(value) > ITEMS else items
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
