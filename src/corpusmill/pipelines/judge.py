"""Run one narrow stage over rows so that one bad document never takes another with it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.errors import BrokenContract, MillError, RunError, where_raised
from corpusmill.isolation import ChildDied, ChildError, IsolatedStage
from corpusmill.pipelines.ledger import ORIGINAL_DROPPED, Counts
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, check_opened, check_verdicts

FROM_OUTSIDE = "killed_by_sigkill"

_OF_ORPHANS = ["id", "uri", "source", "scores", "augmented_from"]

Replay = dict[str, str]
"""Id -> reason, of documents that once killed or outran the child: not tried again."""


@dataclass(kw_only=True)
class Judged:
    """What a stage made of some rows."""

    kept: list[pa.RecordBatch] = field(default_factory=list)
    added: list[pa.RecordBatch] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the ledger, without part and stage."""
    counts: Counts = field(default_factory=Counts)


class OpenStage:
    """A stage with its models loaded, kept by a worker from part to part."""

    def __init__(self, stage: NarrowStage) -> None:
        self.stage = stage
        self.isolated = IsolatedStage(stage) if stage.isolated else None
        self.apply: Apply = self.isolated.apply if self.isolated else _opened(stage)

    def cpu_seconds(self) -> float:
        """CPU seconds of this process and of the stage's children."""
        return time.process_time() + (self.isolated.child_cpu_seconds if self.isolated else 0.0)

    def close(self) -> None:
        """End the stage's child."""
        if self.isolated:
            self.isolated.stop()


def _opened(stage: NarrowStage) -> Apply:
    """What `open` gives; that it fails is no document's fault."""
    try:
        return check_opened(stage.open())
    except MillError:
        raise
    except Exception as error:
        reason = where_raised(error)
        raise RunError(f"stage {stage.name} could not be opened: {reason}") from error


def judge(
    opened: OpenStage,
    rows: pa.RecordBatch,
    into: Judged,
    replay: Replay,
    killed: Callable[[str, str], None],
    again: bool = False,
) -> None:
    """Judge a batch; what fails is narrowed down to the documents that are to blame.

    `killed(id, reason)` is told of documents that ended the child process, so that a resumed run
    can quarantine them by `replay` instead of meeting them again. A document alone in a child that
    was killed from outside gets a second chance (`again`): it may have been anyone's SIGKILL.
    """
    if replay:
        ids = rows.column("id").to_pylist()
        if not replay.keys().isdisjoint(ids):
            for i, document in enumerate(ids):
                one = rows.slice(i, 1)
                if document in replay:
                    _quarantine(one, replay[document], None, into)
                else:
                    judge(opened, one, into, {}, killed)
            return
    try:
        outcome = opened.apply(rows)
        verdicts = check_verdicts(rows, outcome)
    except BrokenContract as broken:
        kind = type(opened.stage)
        name = f"stage {opened.stage.name} ({kind.__module__}.{kind.__qualname__})"
        raise BrokenContract(f"{name} is wrong, and no document is to blame: {broken}") from None
    except MillError:
        raise
    except Exception as error:
        if rows.num_rows > 1 and isinstance(error, ChildDied):
            # One by one: halving would meet the culprit, and wait for its limit, at every level.
            for row in range(rows.num_rows):
                judge(opened, rows.slice(row, 1), into, {}, killed)
        elif rows.num_rows > 1:
            half = rows.num_rows // 2
            judge(opened, rows.slice(0, half), into, {}, killed)
            judge(opened, rows.slice(half), into, {}, killed)
        elif isinstance(error, ChildDied) and str(error) == FROM_OUTSIDE and not again:
            judge(opened, rows, into, {}, killed, again=True)
        elif isinstance(error, ChildDied):
            killed(rows.column("id")[0].as_py(), str(error))
            _quarantine(rows, str(error), None, into)
        else:
            place = str(error) if isinstance(error, ChildError) else where_raised(error)
            _quarantine(rows, "exception", place, into)
    else:
        _record(rows, outcome, verdicts, into)


def _record(rows: pa.RecordBatch, outcome: Outcome, verdicts: dict[str, int], into: Judged) -> None:
    documents = outcome.documents
    counts = into.counts
    counts.found += rows.num_rows
    gone: list[str] = []
    if verdicts:
        position = {document: i for i, document in enumerate(documents.column("id").to_pylist())}
        for verdict in outcome.verdicts.to_pylist():
            row = position[verdict["id"]]
            into.ledger.append(
                {
                    **verdict,
                    "uri": documents.column("uri")[row].as_py(),
                    "source": rows.column("source")[row].as_py(),
                    "scores": documents.column("scores")[row].as_py(),
                }
            )
            if verdict["action"] == Action.CHANGED:
                counts.changed += 1
                continue
            gone.append(verdict["id"])
            if verdict["action"] == Action.DROPPED:
                counts.dropped[verdict["reason"]] += 1
            else:
                counts.quarantined += 1
    if gone:
        keep = pc.invert(pc.is_in(documents.column("id"), value_set=pa.array(gone, pa.string())))
        documents = documents.filter(keep)
    counts.kept += documents.num_rows
    into.kept.append(documents)
    counts.skipped.update(outcome.skipped)
    if outcome.added is not None and outcome.added.num_rows:
        counts.added += outcome.added.num_rows
        into.added.append(outcome.added)


def drop_orphans(judged: Judged) -> None:
    """Drop the documents of a part that were derived from one that the stage has taken out of it.

    The ledger names the original; a change of a document that goes is forgotten.
    """
    gone = {row["id"] for row in judged.ledger if row["action"] != Action.CHANGED}
    originals = pa.array(sorted(gone), pa.string())
    orphans: list[dict[str, Any]] = []
    for number, documents in enumerate(judged.kept if gone else ()):
        column = documents.column("augmented_from")
        if column.null_count < len(column):
            goes = pc.is_in(column, value_set=originals)
            orphans += documents.filter(goes).select(_OF_ORPHANS).to_pylist()
            judged.kept[number] = documents.filter(pc.invert(goes))
    if not orphans:
        return
    ids = {row["id"] for row in orphans}
    changed = [row for row in judged.ledger if row["id"] in ids]
    judged.ledger = [row for row in judged.ledger if row["id"] not in ids]
    for row in orphans:
        original = row.pop("augmented_from")
        verdict = {"action": Action.DROPPED.value, "reason": ORIGINAL_DROPPED, "detail": original}
        judged.ledger.append({**row, **verdict, "value": None, "threshold": None})
    judged.counts.changed -= len(changed)
    judged.counts.kept -= len(orphans)
    judged.counts.dropped[ORIGINAL_DROPPED] += len(orphans)


def _quarantine(row: pa.RecordBatch, reason: str, detail: str | None, into: Judged) -> None:
    values = {name: row.column(name)[0].as_py() for name in ("id", "uri", "source")}
    scores = row.column("scores")[0].as_py() if "scores" in row.schema.names else None
    verdict = {"action": Action.QUARANTINED.value, "reason": reason, "detail": detail}
    into.ledger.append({**values, **verdict, "value": None, "threshold": None, "scores": scores})
    into.counts.found += 1
    into.counts.quarantined += 1
