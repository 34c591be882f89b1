"""What a run did, as numbers: the funnel, reasons, languages, tokens, speed, and what to sample."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import INGEST_SCORE
from corpusmill.errors import RunError
from corpusmill.pipelines.ledger import RunRecord, StageRecord
from corpusmill.report.bins import Tally
from corpusmill.report.lookup import INGEST_AREA, INGEST_BYTES, applies, kinds, part_tables
from corpusmill.report.mixture import mixture_facts

SAMPLES = 20
"""Documents that are shown for each stage and reason: those with the smallest ids. Ids are hashes
of places, so the smallest are a fair sample, and the same one each time."""

REASONS = 200
"""Reasons of a stage that are shown: the most frequent of each action."""


def funnel_data(record: RunRecord) -> list[dict[str, Any]]:
    """One row for each stage: what came in, where it went, and the time it took."""
    return [
        {
            "stage": stage.name,
            **stage.counts.to_json(),
            "out": stage.counts.out,
            "cpu_seconds": stage.cpu_seconds,
            "wall_seconds": stage.wall_seconds,
        }
        for stage in record.stages
    ]


@dataclass(kw_only=True)
class Reason:
    """The documents of one stage that met one fate for one reason."""

    action: str
    name: str
    documents: int = 0
    values: tuple[float, float] | None = None
    """Smallest and largest of the values measured."""
    thresholds: tuple[float, float] | None = None
    """Of the thresholds: they differ where a stage has one per language or kind."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """Ledger rows: id, part, uri, source, value, threshold, detail."""
    measures: Tally | None = None
    """Of the values, where there is a threshold."""

    def add(self, rows: pa.Table) -> None:
        """Take in more rows of the ledger."""
        self.documents += rows.num_rows
        self.values = _widened(self.values, rows.column("value"))
        self.thresholds = _widened(self.thresholds, rows.column("threshold"))
        if self.thresholds is not None:
            self.measures = self.measures or Tally()
            self.measures.add(rows.column("value").to_numpy().astype(np.float32))
        first = rows.select(_SAMPLED).sort_by("id").slice(0, SAMPLES).to_pylist()
        self.samples = sorted([*self.samples, *first], key=lambda row: row["id"])[:SAMPLES]


_SAMPLED = ["id", "part", "uri", "source", "value", "threshold", "detail"]


def _widened(
    known: tuple[float, float] | None, column: pa.ChunkedArray
) -> tuple[float, float] | None:
    column = column.filter(pc.is_finite(column))
    ends = pc.min_max(column).as_py()
    if ends["min"] is None:
        return known
    low, high = known or (ends["min"], ends["max"])
    return min(low, ends["min"]), max(high, ends["max"])


@dataclass(kw_only=True)
class StageFacts:
    """What the ledger of one stage says."""

    name: str
    reasons: list[Reason]
    """By action, then the most frequent first."""
    removed_bytes: Counter[str]
    """By source: bytes, as they came, of the documents dropped and quarantined."""


def stage_facts(run: str, record: RunRecord, stage: StageRecord) -> StageFacts:
    """Read the ledger of a stage, a row group at a time."""
    reasons: dict[tuple[str, str], Reason] = {}
    removed: Counter[str] = Counter()
    columns = [*_SAMPLED, "action", "reason", INGEST_BYTES]
    for _, rows in part_tables(run, record, f"ledger/{stage.name}", columns):
        for group in rows.group_by(["action", "reason"]).aggregate([]).to_pylist():
            action, name = group["action"], group["reason"]
            mask = pc.and_(pc.equal(rows["action"], action), pc.equal(rows["reason"], name))
            known = reasons.setdefault((action, name), Reason(action=action, name=name))
            known.add(rows.filter(mask))
        removed += bytes_by(rows.filter(pc.not_equal(rows["action"], "changed")), "source")
    ordered = sorted(reasons.values(), key=lambda r: (r.action, -r.documents, r.name))
    return StageFacts(name=stage.name, reasons=ordered, removed_bytes=removed)


def bytes_by(rows: pa.Table, column: str) -> Counter[str]:
    """Bytes of the texts as they came, summed by a column; unmeasured ones count nothing."""
    size = pc.struct_field(rows.column("scores"), INGEST_SCORE).cast(pa.float64())
    table = pa.table({"key": rows.column(column), "bytes": size})
    sums = table.group_by("key").aggregate([("bytes", "sum")])
    keys, values = sums.column("key").to_pylist(), sums.column("bytes_sum").to_pylist()
    return Counter({key: int(value or 0) for key, value in zip(keys, values, strict=True)})


def ingested_bytes(
    run: str, record: RunRecord, stages: Iterable[StageFacts]
) -> Counter[str] | None:
    """Bytes of text that ingest gave, by source; None when that can not be known.

    Where the texts were removed, it is what stands in documents/ and what the ledger says is gone.
    """
    columns = ["source", "augmented_from", INGEST_BYTES]
    total: Counter[str] = Counter()
    if storage.exists(storage.join(run, INGEST_AREA)):
        for _, rows in part_tables(run, record, INGEST_AREA, columns):
            total += bytes_by(rows, "source")
        return total
    if record.published is None:
        return None
    for _, rows in part_tables(run, record, "documents", columns):
        total += bytes_by(rows.filter(pc.is_null(rows.column("augmented_from"))), "source")
    for stage in list(stages)[1:]:
        total += stage.removed_bytes
    return total


def languages(run: str, record: RunRecord) -> list[dict[str, Any]]:
    """Documents and their bytes by language and source, in documents/; most documents first."""
    documents: Counter[tuple[str | None, str]] = Counter()
    size: Counter[tuple[str | None, str]] = Counter()
    columns = ["language", "source", INGEST_BYTES]
    for _, rows in part_tables(run, record, "documents", columns):
        table = pa.table(
            {
                "language": rows.column("language"),
                "source": rows.column("source"),
                "bytes": pc.struct_field(rows.column("scores"), INGEST_SCORE).cast(pa.float64()),
            }
        )
        groups = table.group_by(["language", "source"])
        for row in groups.aggregate([([], "count_all"), ("bytes", "sum")]).to_pylist():
            key = row["language"], row["source"]
            documents[key] += row["count_all"]
            size[key] += int(row["bytes_sum"] or 0)
    ordered = sorted(documents.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1]))
    return [
        {"language": language, "source": source, "documents": n, "bytes": size[language, source]}
        for (language, source), n in ordered
    ]


def read_manifest(folder: str) -> dict[str, Any] | None:
    """What manifest.json says of a folder of shards, for people; None when there is none.

    {splits: {name: {documents, tokens, text_bytes}}, tokens: {source: {split: n}}, tokenizer,
    mixture (`mixture_facts`), shards: [{name, split, rows, tokens, bytes}]}. Checksums are
    `verify`'s concern.
    """
    path = storage.join(folder, "manifest.json")
    if not storage.exists(path):
        return None
    plain = storage.read_json(path)
    try:
        tokens: dict[str, Counter[str]] = {}
        for shard in plain["shards"]:
            for stretch in shard["runs"]:
                tokens.setdefault(stretch["source"], Counter())[shard["split"]] += int(
                    stretch["tokens"]
                )
        return {
            "splits": {
                name: {key: int(split[key]) for key in ("documents", "tokens", "text_bytes")}
                for name, split in plain["splits"].items()
            },
            "tokens": {source: dict(counts) for source, counts in sorted(tokens.items())},
            "tokenizer": {
                "hash": str(plain["tokenizer"]["hash"]),
                "vocab_size": int(plain["tokenizer"]["vocab_size"]),
                "dtype": str(plain["tokenizer"]["dtype"]),
            },
            "mixture": mixture_facts(plain),
            "shards": [
                {key: str(shard[key]) for key in ("name", "split")}
                | {key: int(shard[key]) for key in ("rows", "tokens", "bytes")}
                for shard in plain["shards"]
            ],
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{path} is not a manifest of token shards") from None


def read_fertility(folder: str) -> list[dict[str, Any]]:
    """What fertility.json says of a vocabulary's cost, by kind and language; [] if there is none.

    [{kind, language, documents, tokens, tokens_per_word, bytes_per_token}]. Checksums are the
    concern of `verify`.
    """
    path = storage.join(folder, "fertility.json")
    if not storage.exists(path):
        return []
    try:
        return [
            {
                "kind": str(row["kind"]),
                "language": None if row["language"] is None else str(row["language"]),
                **{name: int(row[name]) for name in ("documents", "tokens")},
                **{name: float(row[name]) for name in ("tokens_per_word", "bytes_per_token")},
            }
            for row in storage.read_json(path)
        ]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise RunError(f"{path} does not say what tokens cost") from None


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The bytes of text that came through one stage, as they were at ingest."""

    sources: dict[str, int]
    """Left after the stage, by source."""
    worked: int
    """Bytes that came in from sources that the stage is for; files of the sources, for ingest."""

    @property
    def left(self) -> int:
        """Left after the stage."""
        return sum(self.sources.values())


def byte_flow(
    record: RunRecord, stages: Iterable[StageFacts], ingested: Counter[str]
) -> list[Flow]:
    """One flow for each stage. Derived documents have no bytes of their own here."""
    kind = kinds(record)
    left = dict(ingested)
    flows = []
    for number, (stage, facts) in enumerate(zip(record.stages, stages, strict=True)):
        if number == 0:
            worked = sum(file["bytes"] for file in record.inputs)
        else:
            worked = sum(n for name, n in left.items() if applies(stage, name, kind.get(name)))
            left = {name: n - facts.removed_bytes[name] for name, n in left.items()}
        flows.append(Flow(sources=left, worked=worked))
    return flows
