"""What happened: the run's record (`run.json`), the ledger's rows, and whether they add up."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from corpusmill import storage
from corpusmill.document import document_schema
from corpusmill.errors import UsageError
from corpusmill.storage import FileInfo

RUN_FILE = "run.json"
FORMAT = 1
"""Version of run.json."""

ORIGINAL_DROPPED = "original_dropped"
"""The reason for which a derived document leaves a run at the stage at which its original does,
also where that one was quarantined; the row's `detail` is the original's id."""


@dataclass(kw_only=True)
class Counts:
    """Where the documents of one stage went; `in` = kept + sum(dropped) + quarantined."""

    found: int = 0
    """Written as `in`."""
    kept: int = 0
    added: int = 0
    changed: int = 0
    """Of the kept ones."""
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """By reason: of ingest records that are no documents, of other stages new documents that were
    tried and not added."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            found=self.found + other.found,
            kept=self.kept + other.kept,
            added=self.added + other.added,
            changed=self.changed + other.changed,
            dropped=self.dropped + other.dropped,
            quarantined=self.quarantined + other.quarantined,
            skipped=self.skipped + other.skipped,
        )

    def to_json(self) -> dict[str, Any]:
        """As run.json holds them."""
        plain: dict[str, Any] = {
            "in": self.found,
            "kept": self.kept,
            "added": self.added,
            "changed": self.changed,
            "dropped": dict(sorted(self.dropped.items())),
            "quarantined": self.quarantined,
        }
        if self.skipped:
            plain["skipped"] = dict(sorted(self.skipped.items()))
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Counts":
        """From run.json."""
        return cls(
            found=plain["in"],
            kept=plain["kept"],
            added=plain["added"],
            changed=plain["changed"],
            dropped=Counter(plain["dropped"]),
            quarantined=plain["quarantined"],
            skipped=Counter(plain.get("skipped", {})),
        )

    @property
    def out(self) -> int:
        """Documents that the next stage gets."""
        return self.kept + self.added


@dataclass(kw_only=True)
class StageRecord:
    """One finished stage, as it stands in run.json."""

    name: str
    """NN-name."""
    fingerprint: str
    counts: Counts
    parts: list[FileInfo]
    """Of the stage's barrier; empty where it writes none."""
    cpu_seconds: float
    wall_seconds: float
    workers_seen: int
    """How many worker processes had a part of it."""
    sources: dict[str, Counts] = field(default_factory=dict)
    """The counts by source."""
    settings: dict[str, Any] = field(default_factory=dict)
    judged_scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    """As `Stage.judged_scores` gave them: what the report and `sweep` know of thresholds."""

    def to_json(self) -> dict[str, Any]:
        """As run.json holds it."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "counts": self.counts.to_json(),
            "sources": {name: counts.to_json() for name, counts in sorted(self.sources.items())},
            "parts": [asdict(part) for part in self.parts],
            "cpu_seconds": round(self.cpu_seconds, 3),
            "wall_seconds": round(self.wall_seconds, 3),
            "workers_seen": self.workers_seen,
            "settings": self.settings,
            "judged_scores": self.judged_scores,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "StageRecord":
        """From run.json."""
        return cls(
            name=plain["name"],
            fingerprint=plain["fingerprint"],
            counts=Counts.from_json(plain["counts"]),
            sources={name: Counts.from_json(c) for name, c in plain["sources"].items()},
            parts=[FileInfo(**part) for part in plain["parts"]],
            cpu_seconds=plain["cpu_seconds"],
            wall_seconds=plain["wall_seconds"],
            workers_seen=plain["workers_seen"],
            settings=plain["settings"],
            judged_scores=plain.get("judged_scores", {}),  # runs before 0.5 have none
        )


@dataclass(kw_only=True)
class RunRecord:
    """The run's record."""

    name: str
    versions: dict[str, str]
    engine: str
    workers: int
    inputs: list[dict[str, Any]]
    """{source, path, bytes, xxh3, mtime_ns}: the files as they were when the run began."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """{source, kind}: what each part holds; fixed by ingest."""
    stages: list[StageRecord] = field(default_factory=list)
    published: str | None = None
    """The stage whose output stands in documents/."""
    notes: list[str] = field(default_factory=list)
    """What the run wants people to know."""

    def save(self, run: str) -> None:
        """Write run.json."""
        plain = {
            "format": FORMAT,
            "name": self.name,
            "versions": self.versions,
            "engine": self.engine,
            "workers": self.workers,
            "inputs": self.inputs,
            "parts": self.parts,
            "stages": [stage.to_json() for stage in self.stages],
            "published": self.published,
            "notes": self.notes,
        }
        storage.write_json(storage.join(run, RUN_FILE), plain)

    def stage(self, name: str) -> StageRecord | None:
        """The stage called `NN-name`, or the last one called `name`."""
        found = [s for s in self.stages if name in (s.name, s.name.partition("-")[2])]
        return found[-1] if found else None


def load_run(run: str) -> RunRecord:
    """Read the record of a run folder."""
    path = storage.join(run, RUN_FILE)
    if not storage.exists(path):
        raise UsageError(f"{run} is not a run folder: it has no {RUN_FILE}")
    plain = storage.read_json(path)
    try:
        if plain["format"] != FORMAT:
            raise UsageError(f"{path}: format {plain['format']} is not the one this version reads")
        return RunRecord(
            name=plain["name"],
            versions=plain["versions"],
            engine=plain["engine"],
            workers=plain["workers"],
            inputs=plain["inputs"],
            parts=plain["parts"],
            stages=[StageRecord.from_json(stage) for stage in plain["stages"]],
            published=plain["published"],
            notes=plain["notes"],
        )
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is not a run's record") from None


def ledger_schema(score_fields: Iterable[str] = ()) -> pa.Schema:
    """One row for each document that was dropped, changed or quarantined in a stage."""
    scores = document_schema(score_fields).field("scores")
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("part", pa.int64(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("stage", pa.string(), nullable=False),
            pa.field("action", pa.string(), nullable=False),
            pa.field("reason", pa.string(), nullable=False),
            pa.field("value", pa.float64()),
            pa.field("threshold", pa.float64()),
            scores,
            pa.field("detail", pa.string()),
        ]
    )


def part_path(run: str, area: str, number: int) -> str:
    """The path of part `number` below an area such as `documents` or `stages/00-ingest`."""
    return storage.join(run, area, f"part-{number:05d}.parquet")


def ledger_rows(run: str, stage: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The ledger of one stage (NN-name), part by part."""
    folder = storage.join(run, "ledger", stage)
    if storage.exists(folder):
        for path in storage.list_files(folder):
            if path.endswith(".parquet"):
                yield storage.read_parquet(path, columns)


def reconcile(run: str, record: RunRecord) -> list[str]:
    """Check that every document is accounted for; each mismatch is a sentence."""
    findings = []
    before: StageRecord | None = None
    for stage in record.stages:
        counts = stage.counts
        fates = counts.kept + sum(counts.dropped.values()) + counts.quarantined
        if counts.found != fates:
            findings.append(f"{stage.name}: {counts.found} came in, {fates} are accounted for")
        if before is not None and before.counts.out != counts.found:
            findings.append(
                f"{stage.name}: {counts.found} came in, {before.name} gave {before.counts.out}"
            )
        if sum(stage.sources.values(), Counts()).to_json() != counts.to_json():
            findings.append(f"{stage.name}: the counts of the sources do not add up")
        if stage.parts and sum(part.rows for part in stage.parts) != counts.out:
            findings.append(f"{stage.name}: its parts do not hold {counts.out} documents")
        in_ledger: Counter[tuple[str, str]] = Counter()
        for rows in ledger_rows(run, stage.name, ["action", "reason"]):
            pairs = zip(rows["action"].to_pylist(), rows["reason"].to_pylist(), strict=True)
            in_ledger.update(pairs)
        by_action = Counter[str]()
        for (action, _), n in in_ledger.items():
            by_action[action] += n
        dropped = {reason: n for (action, reason), n in in_ledger.items() if action == "dropped"}
        if dropped != dict(counts.dropped):
            findings.append(f"{stage.name}: the ledger and the counts of dropped ones differ")
        for action, expected in (
            ("changed", counts.changed),
            ("quarantined", counts.quarantined),
        ):
            if by_action[action] != expected:
                findings.append(
                    f"{stage.name}: the ledger has {by_action[action]} {action} documents, "
                    f"the counts {expected}"
                )
        before = stage
    return findings
