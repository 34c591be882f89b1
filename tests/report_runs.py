"""A small finished run, written by hand: what the tests of the report look at."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill import storage
from corpusmill.document import INGEST_SCORE, document_id, document_schema, documents_from_rows
from corpusmill.pipelines.ledger import Counts, RunRecord, StageRecord, ledger_schema, part_path
from corpusmill.storage import FileInfo

SCORES = ("quality",)


def identity(number: int) -> str:
    """The id of document `number`."""
    return document_id("crawl", "pages.warc", str(number))


@dataclass
class RunFolder:
    """Builds a run of one source in one part: documents first, then each stage's verdicts."""

    path: Path
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: tuple[str, ...] = SCORES
    record: RunRecord = field(
        default_factory=lambda: RunRecord(
            name="try",
            versions={"corpusmill": "0.1.0", "python": "3.11.9"},
            engine="local",
            workers=2,
            inputs=[
                {"source": "crawl", "path": "pages.warc", "bytes": 1000, "xxh3": "", "mtime_ns": 0}
            ],
            parts=[{"source": "crawl", "kind": "web"}],
        )
    )

    def ingest(self, *documents: dict[str, Any], quarantined: dict[str, str] | None = None) -> None:
        """Stage 00: documents as {id, text, uri, ...}; `quarantined` is uri -> reason."""
        for document in documents:
            size = {INGEST_SCORE: float(len(document["text"].encode()))}
            self.documents[document["id"]] = {
                "source": "crawl",
                "kind": "web",
                "scores": size,
                **document,
            }
        self._write("stages/00-ingest")
        failed = [
            {"id": identity(9000 + n), "uri": uri, "action": "quarantined", "reason": reason}
            for n, (uri, reason) in enumerate((quarantined or {}).items())
        ]
        self._finish("00-ingest", failed, found=len(documents) + len(failed), settings={})

    def stage(
        self,
        name: str,
        *verdicts: dict[str, Any],
        added: tuple[dict[str, Any], ...] = (),
        settings: dict[str, Any] | None = None,
    ) -> None:
        """A later stage: verdicts as {id, action, reason, value, threshold, detail}."""
        found = len(self.documents)
        rows = [{"uri": self.documents[v["id"]]["uri"], **v} for v in verdicts]
        for row in rows:
            row["scores"] = self.documents[row["id"]]["scores"]
            if row["action"] != "changed":
                del self.documents[row["id"]]
        for document in added:
            self.documents[document["id"]] = {"source": "crawl", "kind": "web", **document}
        self._finish(name, rows, found=found, added=len(added), settings=settings or {})

    def publish(self) -> str:
        """Write documents/ and run.json; return the run folder."""
        self._write("documents")
        self.record.published = self.record.stages[-1].name
        self.record.save(str(self.path))
        return str(self.path)

    def _write(self, area: str) -> None:
        batch = documents_from_rows(list(self.documents.values()), document_schema(self.scores))
        storage.write_parquet(part_path(str(self.path), area, 0), pa.Table.from_batches([batch]))

    def _finish(
        self,
        name: str,
        rows: list[dict[str, Any]],
        found: int,
        settings: dict[str, Any],
        added: int = 0,
    ) -> None:
        complete = [{"part": 0, "source": "crawl", "stage": name, **row} for row in rows]
        table = pa.Table.from_pylist(complete, schema=ledger_schema(self.scores))
        storage.write_parquet(part_path(str(self.path), f"ledger/{name}", 0), table)
        actions = Counter(row["action"] for row in rows)
        dropped = Counter(row["reason"] for row in rows if row["action"] == "dropped")
        counts = Counts(
            found=found,
            kept=found - actions["dropped"] - actions["quarantined"],
            added=added,
            changed=actions["changed"],
            dropped=dropped,
            quarantined=actions["quarantined"],
        )
        self.record.stages.append(
            StageRecord(
                name=name,
                fingerprint="0" * 32,
                counts=counts,
                sources={"crawl": counts},
                parts=[FileInfo(rows=counts.out, bytes=1, xxh3="")],
                cpu_seconds=2.0,
                wall_seconds=1.0,
                workers_seen=1,
                settings=settings,
            )
        )
