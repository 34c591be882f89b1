"""One part through a chain of narrow stages: one read, one write, a ledger for each stage."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from corpusmill import storage
from corpusmill.pipelines.judge import Judged, OpenStage, Replay, drop_orphans, judge
from corpusmill.pipelines.ledger import Counts, ledger_schema, part_path
from corpusmill.stage import NarrowStage, Part
from corpusmill.storage import FileInfo


@dataclass(frozen=True, kw_only=True)
class ChainStep:
    """A narrow stage with its place in the run."""

    name: str
    """NN-name."""
    stage: NarrowStage
    applies: bool
    """Whether the recipe's `for:` includes this part."""


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """A part, and the chain that it goes through."""

    run: str
    part: Part
    chain: tuple[ChainStep, ...]
    fingerprint: str
    """Of the last stage: what a finished part is recognised by."""
    score_fields: tuple[str, ...]

    @property
    def area(self) -> str:
        """Where the result goes."""
        return f"stages/{self.chain[-1].name}"

    @property
    def receipt(self) -> str:
        """Written last: where it is, the part is finished."""
        path = part_path(self.run, self.area, self.part.number)
        return path.removesuffix(".parquet") + ".json"


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What one step of the chain did to the part."""

    name: str
    counts: Counts
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class PartResult:
    """What became of a part."""

    number: int
    source: str
    file: FileInfo
    steps: list[StepResult]
    worker: int
    """Process id of the worker, 0 if the part was finished before."""


def is_there(path: str, file: FileInfo) -> bool:
    """Whether a recorded file is where it should be, as far as its size tells."""
    return storage.exists(path) and storage.file_size(path) == file.bytes


def finished_part(task: PartTask) -> PartResult | None:
    """The result of an earlier run of the same task, when it was completed."""
    if not storage.exists(task.receipt):
        return None
    plain = storage.read_json(task.receipt)
    if plain["fingerprint"] != task.fingerprint:
        return None
    names = [step["name"] for step in plain["steps"]]
    if names != [step.name for step in task.chain]:
        return None
    number = task.part.number
    ledgers = [part_path(task.run, f"ledger/{name}", number) for name in names]
    if not is_there(part_path(task.run, task.area, number), FileInfo(**plain["file"])):
        return None
    if not all(map(storage.exists, ledgers)):
        return None
    steps = [
        StepResult(
            name=step["name"],
            counts=Counts.from_json(step["counts"]),
            cpu_seconds=step["cpu_seconds"],
        )
        for step in plain["steps"]
    ]
    return PartResult(
        number=task.part.number,
        source=task.part.source,
        file=FileInfo(**plain["file"]),
        steps=steps,
        worker=0,
    )


def run_part(task: PartTask) -> PartResult:
    """Run the chain over the part, and write the part, the ledgers and the receipt."""
    number = task.part.number
    close_other_stages(step.stage for step in task.chain)
    table: pa.Table | None = None
    steps: list[StepResult] = []
    for step in task.chain:
        if not step.applies:
            counts = Counts(found=task.part.rows, kept=task.part.rows)
            if table is not None:
                counts = Counts(found=table.num_rows, kept=table.num_rows)
            write_ledger(task.run, step.name, number, [], task.score_fields)
            steps.append(StepResult(name=step.name, counts=counts, cpu_seconds=0.0))
            continue
        if table is None:
            table = storage.read_parquet(task.part.path)
        opened = open_stage(step.stage)
        started = opened.cpu_seconds()
        journal = Journal(storage.join(task.run, "stages", step.name, f"part-{number:05d}"))
        judged = Judged()
        for batch in table.combine_chunks().to_batches(max_chunksize=step.stage.batch_rows):
            judge(opened, batch, judged, journal.replay, journal.add)
        drop_orphans(judged)
        table = pa.Table.from_batches([*judged.kept, *judged.added], schema=table.schema)
        write_ledger(task.run, step.name, number, judged.ledger, task.score_fields)
        spent = opened.cpu_seconds() - started
        steps.append(StepResult(name=step.name, counts=judged.counts, cpu_seconds=spent))
    target = part_path(task.run, task.area, number)
    if table is None:  # no step applied: the same file again
        storage.publish(task.part.path, target)
        file = FileInfo(
            rows=task.part.rows,
            bytes=storage.file_size(target),
            xxh3=storage.checksum_file(target),
        )
    else:
        file = storage.write_parquet(target, table)
    result = PartResult(
        number=number, source=task.part.source, file=file, steps=steps, worker=os.getpid()
    )
    storage.write_json(
        task.receipt,
        {
            "fingerprint": task.fingerprint,
            "file": asdict(file),
            "steps": [
                {
                    "name": step.name,
                    "counts": step.counts.to_json(),
                    "cpu_seconds": step.cpu_seconds,
                }
                for step in steps
            ],
        },
    )
    return result


def write_ledger(
    run: str,
    stage: str,
    number: int,
    rows: list[dict[str, Any]],
    score_fields: tuple[str, ...],
) -> None:
    """Write one part of one stage's ledger, also when nothing happened to any document."""
    complete = [{**row, "part": number, "stage": stage} for row in rows]
    table = pa.Table.from_pylist(complete, schema=ledger_schema(score_fields))
    storage.write_parquet(part_path(run, f"ledger/{stage}", number), table)


class Journal:
    """Documents of a part that killed the child, so that a resumed run meets none of them twice.

    CPU time and memory are not functions of the input alone; what was decided once stays decided.
    """

    def __init__(self, stem: str) -> None:
        self.path = f"{stem}.killed.json"
        self.replay: Replay = {}
        if storage.exists(self.path):
            self.replay = dict(storage.read_json(self.path))

    def add(self, document: str, reason: str) -> None:
        """Record one more, on disk, at once."""
        self.replay = {**self.replay, document: reason}
        storage.write_json(self.path, self.replay)


_open_stages: dict[str, OpenStage] = {}


def open_stage(stage: NarrowStage) -> OpenStage:
    """The stage with its models loaded, once per worker."""
    key = _key(stage)
    if key not in _open_stages:
        _open_stages[key] = OpenStage(stage)
    return _open_stages[key]


def close_other_stages(stages: Iterable[NarrowStage]) -> None:
    """Give back the models of stages that this worker had for an earlier chain."""
    wanted = {_key(stage) for stage in stages}
    for key in _open_stages.keys() - wanted:
        _open_stages.pop(key).close()


def _key(stage: NarrowStage) -> str:
    kind = type(stage)
    return json.dumps([kind.__module__, kind.__qualname__, stage.model_dump(mode="json")])
