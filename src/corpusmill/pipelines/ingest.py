"""Stage 00: from the files of the sources to numbered parts of documents.

Files are grouped into splits by size alone, each split is read by one task, and a task cuts what
it reads into chunks of `part_mb` of text. When all splits are done, the chunks are numbered in the
order of source, split and chunk: the parts of the run.
"""

import contextlib
import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from corpusmill import storage
from corpusmill.document import byte_lengths, document_id, document_schema, id_fraction
from corpusmill.document import metadata_entries as entries
from corpusmill.errors import RunError
from corpusmill.pipelines.judge import Judged, judge
from corpusmill.pipelines.ledger import Counts, ledger_schema, part_path
from corpusmill.pipelines.part import Journal, close_other_stages, open_stage
from corpusmill.stages.sources.extract import Extract
from corpusmill.stages.sources.records import (
    IGNORED_FOLDERS,
    RAW_SCHEMA,
    RawDocument,
    Skipped,
    read_file,
)
from corpusmill.stages.sources.source import Source
from corpusmill.storage import FileInfo

INGEST = "00-ingest"

BATCH_ROWS = 32
"""Raw documents sent to the extractor at a time; fixed, so that chunks are cut the same way."""
BATCH_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One file of a source, as it was when the run began."""

    source: str
    path: str
    """Where to open it."""
    relative: str
    """Relative to the source's root: part of every id."""
    bytes: int
    mtime_ns: int
    leads_outside: bool = False
    """A link in the source's folder to something outside: passed over, for the folder may be a
    stranger's, and the file not meant."""


def list_inputs(source: Source) -> list[InputFile]:
    """The files of a source, sorted by relative path; an empty list when there are none."""
    root = _root(source.path)
    files = []
    for path in storage.list_files(source.path):
        relative = os.path.relpath(path, root) if storage.is_local(path) else path[len(root) + 1 :]
        relative = relative.replace(os.sep, "/")
        # A name that is not UTF-8 is called by its escaped form, in ids, addresses and records.
        relative = os.fsencode(relative).decode("utf-8", "backslashreplace")
        folders = relative.split("/")[:-1]
        if IGNORED_FOLDERS.isdisjoint(folders):
            files.append(_input_file(source, path, relative))
    return sorted(files, key=lambda file: file.relative)


def _input_file(source: Source, path: str, relative: str) -> InputFile:
    size, mtime, outside = 0, 0, False
    if not storage.is_local(path):
        size = storage.file_size(path)
    else:
        outside = os.path.isdir(source.path) and storage.leads_outside(path, source.path)
        with contextlib.suppress(OSError):  # what cannot be read is quarantined when it is read
            size, mtime = os.path.getsize(path), os.stat(path).st_mtime_ns
    return InputFile(
        source=source.name,
        path=path,
        relative=relative,
        bytes=size,
        mtime_ns=mtime,
        leads_outside=outside,
    )


def _root(path: str) -> str:
    if not storage.is_local(path):
        return path.rsplit("/", 1)[0]
    if os.path.isdir(path):
        return path
    folder = os.path.dirname(path)
    while glob.has_magic(folder) and not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return folder or "."


@dataclass(frozen=True, kw_only=True)
class SplitTask:
    """Files of one source that one task reads, in order."""

    run: str
    number: int
    source: Source
    files: tuple[InputFile, ...]
    fingerprint: str
    part_bytes: int
    score_fields: tuple[str, ...]
    seed: int
    sample: float | None
    limit: int | None = None

    @property
    def stem(self) -> str:
        """Where its files go."""
        return storage.join(self.run, "stages", INGEST, "splits", f"{self.number:05d}")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A part before it has a number."""

    stem: str
    file: FileInfo
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class SplitResult:
    """What a split gave."""

    source: Source
    chunks: list[Chunk]
    skipped: Counter[str]
    cpu_seconds: float
    worker: int


def split_inputs(files: Sequence[InputFile], part_bytes: int) -> Iterator[tuple[InputFile, ...]]:
    """Group files of one source, in their order, into splits of about `part_bytes`."""
    group: list[InputFile] = []
    size = 0
    for file in files:
        if group and size + file.bytes > part_bytes:
            yield tuple(group)
            group, size = [], 0
        group.append(file)
        size += file.bytes
    if group:
        yield tuple(group)


def finished_split(task: SplitTask) -> SplitResult | None:
    """The result of an earlier run of the same task, when it was completed."""
    path = f"{task.stem}.json"
    if not storage.exists(path):
        return None
    plain = storage.read_json(path)
    if plain["fingerprint"] != task.fingerprint:
        return None
    chunks = [
        Chunk(
            stem=f"{task.stem}-{i:05d}",
            file=FileInfo(**chunk["file"]),
            counts=Counts.from_json(chunk["counts"]),
        )
        for i, chunk in enumerate(plain["chunks"])
    ]
    return SplitResult(
        source=task.source,
        chunks=chunks,
        skipped=Counter(plain["skipped"]),
        cpu_seconds=plain["cpu_seconds"],
        worker=0,
    )


def run_split(task: SplitTask) -> SplitResult:
    """Read the files of a split into chunks; the receipt is written last."""
    extract = Extract(scores=task.score_fields)
    close_other_stages([extract])
    opened = open_stage(extract)
    started = opened.cpu_seconds()
    journal = Journal(task.stem)
    writer = _ChunkWriter(task)
    skipped: Counter[str] = Counter()
    for batch, failed in _raw_batches(task, skipped):
        judged = Judged(ledger=failed)
        judged.counts.found = judged.counts.quarantined = len(failed)
        if batch.num_rows:
            judge(opened, batch, judged, journal.replay, journal.add)
        writer.add(judged)
    writer.close()
    result = SplitResult(
        source=task.source,
        chunks=writer.chunks,
        skipped=skipped,
        cpu_seconds=opened.cpu_seconds() - started,
        worker=os.getpid(),
    )
    receipt = {
        "fingerprint": task.fingerprint,
        "chunks": [{"file": asdict(c.file), "counts": c.counts.to_json()} for c in result.chunks],
        "skipped": dict(sorted(skipped.items())),
        "cpu_seconds": result.cpu_seconds,
    }
    storage.write_json(f"{task.stem}.json", receipt)
    return result


def _raw_batches(
    task: SplitTask, skipped: Counter[str]
) -> Iterator[tuple[pa.RecordBatch, list[dict[str, Any]]]]:
    """Batches of raw documents, each with the ledger rows of those that could not be read."""
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    size = 0
    found = 0
    for file in task.files:
        if file.leads_outside:
            skipped["link_leads_outside"] += 1
            continue
        _refuse_changed(file)
        for record in read_file(task.source, file.path, file.relative):
            if isinstance(record, Skipped):
                skipped[record.reason] += 1
                continue
            row = _raw_row(task.source, file, record)
            if task.sample is not None:
                ids = pa.array([row["id"]])
                if id_fraction(ids, task.seed, "sample")[0] >= task.sample:
                    skipped["not_sampled"] += 1
                    continue
            if record.problem:
                failed.append(_failed_row(row, record.problem))
            else:
                rows.append(row)
                size += len(record.payload)
            found += 1
            if len(rows) + len(failed) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield pa.RecordBatch.from_pylist(rows, schema=RAW_SCHEMA), failed
                rows, failed, size = [], [], 0
            if found == task.limit:
                break
        _refuse_changed(file)
        if found == task.limit:
            break
    if rows or failed:
        yield pa.RecordBatch.from_pylist(rows, schema=RAW_SCHEMA), failed


def _refuse_changed(file: InputFile) -> None:
    """Raise RunError for a file that is not what the run recorded when it began."""
    if file.mtime_ns:
        now = (0, 0)
        with contextlib.suppress(OSError):
            status = os.stat(file.path)
            now = (status.st_size, status.st_mtime_ns)
        if now != (file.bytes, file.mtime_ns):
            raise RunError(f"{file.path} was changed or removed while the run read its sources")


def _raw_row(source: Source, file: InputFile, record: RawDocument) -> dict[str, Any]:
    return {
        "id": document_id(source.name, file.relative, record.locator),
        "payload": record.payload,
        "media": record.media,
        "charset": record.charset,
        "source": source.name,
        "kind": source.kind,
        "uri": record.uri,
        "metadata": entries(record.metadata),
    }


def _failed_row(row: dict[str, Any], reason: str) -> dict[str, Any]:
    return {
        "id": row["id"],
        "uri": row["uri"],
        "source": row["source"],
        "action": "quarantined",
        "reason": reason,
    }


@dataclass
class _ChunkWriter:
    """Cuts documents into chunks of `part_bytes` of text, at document boundaries."""

    task: SplitTask
    chunks: list[Chunk] = field(default_factory=list)
    _documents: list[pa.RecordBatch] = field(default_factory=list)
    _ledger: list[dict[str, Any]] = field(default_factory=list)
    _counts: Counts = field(default_factory=Counts)
    _bytes: int = 0

    def add(self, judged: Judged) -> None:
        """Take over what was judged; fates other than "kept" go to the chunk that is open."""
        self._ledger += judged.ledger
        kept = judged.counts.kept
        # Kept documents are counted below, in the chunk where each comes to lie.
        judged.counts.found -= kept
        judged.counts.kept = 0
        self._counts += judged.counts
        for batch in judged.kept:
            start = 0
            for row, size in enumerate(byte_lengths(batch.column("text"))):
                self._bytes += int(size)
                if self._bytes >= self.task.part_bytes:
                    self._take(batch.slice(start, row + 1 - start))
                    start = row + 1
                    self._write()
            self._take(batch.slice(start))

    def _take(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._documents.append(batch)
            self._counts.found += batch.num_rows
            self._counts.kept += batch.num_rows

    def close(self) -> None:
        """Write the last chunk."""
        if self._counts.found:
            self._write()

    def _write(self) -> None:
        stem = f"{self.task.stem}-{len(self.chunks):05d}"
        schema = document_schema(self.task.score_fields)
        table = pa.Table.from_batches(self._documents, schema=schema)
        file = storage.write_parquet(f"{stem}.parquet", table)
        ledger = [{**row, "part": -1, "stage": INGEST} for row in self._ledger]
        rows = pa.Table.from_pylist(ledger, schema=ledger_schema(self.task.score_fields))
        storage.write_parquet(f"{stem}.ledger.parquet", rows)
        self.chunks.append(Chunk(stem=stem, file=file, counts=self._counts))
        self._documents, self._ledger, self._counts, self._bytes = [], [], Counts(), 0


@dataclass(frozen=True, kw_only=True)
class NumberTask:
    """A chunk that becomes part `number`."""

    run: str
    chunk: Chunk
    number: int


def number_chunk(task: NumberTask) -> None:
    """Give a chunk its number: the same file under its final name, the number in its ledger."""
    storage.publish(
        f"{task.chunk.stem}.parquet", part_path(task.run, f"stages/{INGEST}", task.number)
    )
    ledger = storage.read_parquet(f"{task.chunk.stem}.ledger.parquet")
    part = pa.array([task.number] * ledger.num_rows, pa.int64())
    ledger = ledger.set_column(ledger.schema.get_field_index("part"), ledger.field("part"), part)
    storage.write_parquet(part_path(task.run, f"ledger/{INGEST}", task.number), ledger)


def no_documents(source: Source, files: int, skipped: Counter[str]) -> str:
    """What to tell about a source that holds nothing to read."""
    if not files:
        return f"source {source.name!r}: no file at {source.path}"
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(skipped.items()))
    what = f" (skipped: {reasons})" if reasons else ""
    return f"source {source.name!r}: no document in {files} file(s){what}"
