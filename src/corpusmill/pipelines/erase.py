"""Carrying out an erasure (corpusmill.pipelines.forget): which files are written again, and how.

Every step gives the same result when it is repeated, so that a request can be begun again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.errors import RunError
from corpusmill.pipelines.ledger import (
    RUN_FILE,
    Counts,
    RunRecord,
    StageRecord,
    load_run,
    part_path,
)
from corpusmill.pipelines.metrics_file import write_metrics
from corpusmill.pipelines.rounds import ROUND_FILE, ROUNDS, recount_rounds, round_numbers
from corpusmill.pipelines.tombstones import Tombstones, load_tombstones
from corpusmill.stages.duplicate_index import forget_documents
from corpusmill.stages.fertility import recount_fertility
from corpusmill.storage import FileInfo
from corpusmill.tokenize.forget import forget_in_shards
from corpusmill.tokenize.manifest import MANIFEST_FILE

REPORT_FILE = "report.html"
EXPORTS = "export"
"""Where `export` writes unless told otherwise."""

ID_FORM = "[0-9a-f]{32}"
"""Of a document."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """An erasure, decided to the last count before anything is touched."""

    record: str
    """The checksum of run.json before."""
    documents: dict[int, list[str]]
    """Part -> ids."""
    entries: list[str]
    """Of the tombstones."""
    key: str
    """Of the tombstones."""
    rounds: int
    """Rounds of filtering that stood on each other before."""
    counts: dict[str, dict[int, Counts]]
    """Stage -> part -> what the documents were in its counts."""

    def to_json(self) -> dict[str, Any]:
        """As forget.json holds it."""
        counts = {
            stage: {str(part): of_part.to_json() for part, of_part in parts.items()}
            for stage, parts in self.counts.items()
        }
        documents = {str(part): ids for part, ids in self.documents.items()}
        return {**vars(self), "documents": documents, "counts": counts}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Request":
        """From forget.json."""
        try:
            documents = {int(part): list(ids) for part, ids in plain["documents"].items()}
            counts = {
                stage: {int(part): Counts.from_json(c) for part, c in parts.items()}
                for stage, parts in plain["counts"].items()
            }
            return cls(**{**plain, "documents": documents, "counts": counts})
        except (KeyError, TypeError, ValueError, AttributeError):
            raise RunError("forget.json is damaged: remove it and forget again") from None


def is_id(text: str) -> bool:
    """Whether a text has the form of a document's id."""
    return re.fullmatch(ID_FORM, text) is not None


def round_areas(run: str) -> list[str]:
    """The folders of the rounds of filtering, relative to the run, in order."""
    return [f"{ROUNDS}/{number:02d}" for number in round_numbers(run)]


def shard_folders(run: str) -> list[str]:
    """The folders of shards of a run and its rounds."""
    folders = [storage.join(run, f) for f in ("shards", *(f"{r}/shards" for r in round_areas(run)))]
    return [folder for folder in folders if storage.exists(storage.join(folder, MANIFEST_FILE))]


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was removed beside the parts."""

    shards: int
    """Written again."""
    indexed: int
    """Documents of indexes."""
    report_removed: bool
    exports_removed: bool


def erase(run: str, request: Request) -> Erased:
    """Remove the documents. May be repeated."""
    record = load_run(run)
    tombstones = load_tombstones(run) or Tombstones(key=request.key, hashes=frozenset())
    tombstones.with_entries(request.entries).save(run)
    ids = pa.array(sorted({i for some in request.documents.values() for i in some}), pa.string())
    storage.remove_unfinished(run)
    _remove_unfinished_stages(run, record)
    files = _erase_parts(run, record, request, ids)
    shards = sum(forget_in_shards(folder, ids) for folder in shard_folders(run))
    if storage.exists(storage.join(run, "shards", MANIFEST_FILE)):
        recount_fertility(storage.join(run, "documents"), storage.join(run, "shards"))
    if request.rounds:
        recount_rounds(run, request.rounds)
    indexed = sum(forget_documents(index, ids) for index in indexes(record))
    shown = [storage.join(run, name) for name in (REPORT_FILE, EXPORTS)]
    report, exports = map(storage.exists, shown)
    for path in shown:
        storage.remove(path)
    if storage.checksum_file(storage.join(run, RUN_FILE)) == request.record:
        for stage in record.stages:
            _recount(record, stage, request.counts[stage.name], files)
        write_metrics(run, record)
        record.save(run)
    return Erased(shards=shards, indexed=indexed, report_removed=report, exports_removed=exports)


def _remove_unfinished_stages(run: str, record: RunRecord) -> None:
    """What stages and rounds that have not finished have on disk is made again, without the erased.

    So are documents/ and shards/ where no stage that is recorded has written them.
    """
    names = {stage.name for stage in record.stages}
    for area in ("stages", "ledger"):
        folder = storage.join(run, area)
        found = {
            file[len(folder) :].strip("/").split("/")[0] for file in storage.list_files(folder)
        }
        for name in sorted(found - names):
            storage.remove(storage.join(folder, name))
    for name in sorted(names):
        for area in ("splits", "work"):
            storage.remove(storage.join(run, "stages", name, area))
    if record.published is None:
        storage.remove(storage.join(run, "documents"))
    if not any(name.endswith("-tokenize") for name in names):
        storage.remove(storage.join(run, "shards"))
    for area in round_areas(run):
        folder = storage.join(run, area)
        is_finished = storage.exists(storage.join(folder, ROUND_FILE))
        storage.remove(storage.join(folder, "work") if is_finished else folder)


def _erase_parts(
    run: str, record: RunRecord, request: Request, ids: pa.Array
) -> dict[tuple[str, int], FileInfo]:
    """Write parts and ledgers again; returns the files of barriers by stage and part."""
    files: dict[tuple[str, int], FileInfo] = {}
    for number in range(len(record.parts)):
        for stage in record.stages:
            _erase_ledger(part_path(run, f"ledger/{stage.name}", number), ids)
            path = part_path(run, f"stages/{stage.name}", number)
            if number in request.documents and storage.exists(path):
                storage.remove(path.removesuffix(".parquet") + ".json")  # counts of a finished part
                _erase_journal(path.removesuffix(".parquet") + ".killed.json", ids)
                files[stage.name, number] = _without(path, ids)
            target = part_path(run, "documents", number)
            if stage.name == record.published and number in request.documents:
                if (stage.name, number) in files:
                    storage.publish(path, target)
                else:
                    files[stage.name, number] = _without(target, ids)
        for folder in round_areas(run):
            _erase_ledger(part_path(run, f"{folder}/ledger", number), ids)
    return files


def _without(path: str, ids: pa.Array) -> FileInfo:
    rows = storage.read_parquet(path)
    left = rows.filter(pc.invert(pc.is_in(rows.column("id"), value_set=ids)))
    return storage.write_parquet(path, left)


def _erase_ledger(path: str, ids: pa.Array) -> None:
    """Take out the rows of the erased, and their ids where other rows name them."""
    if not storage.exists(path):
        return
    rows = storage.read_parquet(path)
    gone = pc.is_in(rows.column("id"), value_set=ids)
    named = pc.is_in(rows.column("detail"), value_set=ids)
    if not pc.any(pc.or_(gone, named), min_count=0).as_py():
        return
    detail = pc.if_else(named, pa.scalar(None, pa.string()), rows.column("detail"))
    rows = rows.set_column(rows.schema.get_field_index("detail"), rows.field("detail"), detail)
    storage.write_parquet(path, rows.filter(pc.invert(gone)))


def _erase_journal(path: str, ids: pa.Array) -> None:
    if storage.exists(path):
        gone = set(ids.to_pylist())
        killed = {i: reason for i, reason in storage.read_json(path).items() if i not in gone}
        storage.write_json(path, killed)


def indexes(record: RunRecord) -> Iterator[str]:
    """The indexes of duplicates that the run has added to."""
    named = {stage.settings.get("index") for stage in record.stages}
    for index in sorted(name for name in named if isinstance(name, str)):
        if storage.exists(storage.join(index, MANIFEST_FILE)):
            yield index


def _recount(
    record: RunRecord,
    stage: StageRecord,
    changes: dict[int, Counts],
    files: dict[tuple[str, int], FileInfo],
) -> None:
    """Take the erased documents out of the counts of a stage."""
    for number, change in changes.items():
        source = record.parts[number]["source"]
        stage.counts = _minus(stage.counts, change)
        stage.sources[source] = _minus(stage.sources[source], change)
        if stage.parts:
            # where the stages were removed, the file is gone, and its rows are still counted
            old = stage.parts[number]
            left = FileInfo(rows=old.rows - change.out, bytes=old.bytes, xxh3=old.xxh3)
            stage.parts[number] = files.get((stage.name, number), left)


def _minus(counts: Counts, change: Counts) -> Counts:
    return Counts(
        found=counts.found - change.found,
        kept=counts.kept - change.kept,
        added=counts.added - change.added,
        changed=counts.changed - change.changed,
        dropped=counts.dropped - change.dropped,
        quarantined=counts.quarantined - change.quarantined,
        skipped=counts.skipped,
    )
