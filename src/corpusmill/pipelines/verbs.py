"""The three verbs as global stages see them: engine-independent, and remembered across kills."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpusmill import storage
from corpusmill.errors import RunError
from corpusmill.pipelines.engines.engine import Engine, ExchangeTask
from corpusmill.stage import Measure, Part, Rows

MEASURE_BATCH_ROWS = 512
"""Documents that a measure sees at a time."""

PARTITION_BYTES = 32 << 20
"""Bytes of rows in one partition of an exchange, on average: what a worker holds at a time."""


class EngineVerbs:
    """`corpusmill.stage.Verbs` on an engine.

    The result of call number k stands in `work/k-verb/`, and `done.json` there says that it is
    complete; a second run finds it and does not repeat the call. The work folder belongs to one
    fingerprint of the stage, so what is found there is what would be computed again.
    """

    def __init__(
        self,
        engine: Engine,
        work: str,
        seed: int,
        *,
        run: str = "",
        fingerprint: str = "",
        outside: tuple[str, ...] = (),
        note: Callable[[str], None] = lambda text: None,
        stage: str = "",
    ) -> None:
        self.engine = engine
        self.work = work
        self.seed = seed
        self.run = run
        self.fingerprint = fingerprint
        self.outside = outside
        self.note = note
        self.stage = stage
        self._calls = 0

    def map(self, parts: Sequence[Part], measure: Measure) -> Rows:
        """Measure every part; one file of rows per part, in part order."""
        return self._remembered(
            "map",
            lambda folder: self.engine.map(
                _measure,
                [_MeasureTask(part=p, measure=measure, folder=folder) for p in parts],
                name=f"{self.stage} map",
                gpu=getattr(measure, "gpu", False),
            ),
        )

    def exchange(self, *datasets: Rows, by: str, then: Callable[[pa.Table], pa.Table]) -> Rows:
        """Bring rows with equal keys together."""
        files = [path for dataset in datasets for path in dataset.paths]
        if not files:
            return Rows(paths=())
        return self._remembered(
            "exchange",
            lambda folder: self.engine.exchange(
                ExchangeTask(
                    datasets=tuple(dataset.paths for dataset in datasets),
                    by=by,
                    then=then,
                    partitions=max(
                        1, math.ceil(sum(map(storage.file_size, files)) / PARTITION_BYTES)
                    ),
                    folder=folder,
                ),
                name=f"{self.stage} exchange",
            ),
        )

    def reduce(self, rows: Rows, fold: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """Fold all rows into one table: each file on a worker, the results here."""
        if not rows.paths:
            raise RunError("reduce needs at least one file of rows")
        folded = self._remembered(
            "reduce",
            lambda folder: self.engine.map(
                _fold,
                [
                    _FoldTask(path=path, fold=fold, target=storage.join(folder, f"{i:05d}.arrow"))
                    for i, path in enumerate(rows.paths)
                ],
                name=f"{self.stage} reduce",
            ),
        )
        # Folding when the rows have doubled keeps the work linear, and memory at twice the result.
        total: pa.Table | None = None
        held: list[pa.Table] = []
        for table in self.load(folded):
            held.append(table)
            if total is None or sum(rows.num_rows for rows in held) > total.num_rows:
                total = fold(pa.concat_tables([*([] if total is None else [total]), *held]))
                held = []
        assert total is not None
        return fold(pa.concat_tables([total, *held])) if held else total

    def each(self, task: Callable[[Any], None], items: Sequence[Any]) -> None:
        """Run a task that writes files of its own on every item."""

        def call(folder: str) -> list[str]:
            self.engine.map(task, items, name=f"{self.stage} each")
            return []

        self._remembered("each", call)

    def load(self, rows: Rows) -> Iterable[pa.Table]:
        """The rows, one file at a time."""
        return (storage.read_ipc(path) for path in rows.paths)

    def _remembered(self, verb: str, call: Callable[[str], list[str]]) -> Rows:
        folder = storage.join(self.work, f"{self._calls:03d}-{verb}")
        self._calls += 1
        done = storage.join(folder, "done.json")
        if storage.exists(done):
            names = storage.read_json(done)
        else:
            names = [path.rsplit("/", 1)[-1] for path in call(folder)]
            storage.write_json(done, names)
        return Rows(paths=tuple(storage.join(folder, name) for name in names))


@dataclass(frozen=True, kw_only=True)
class _MeasureTask:
    part: Part
    measure: Measure
    folder: str


def _measure(task: _MeasureTask) -> str:
    apply = task.measure.open()
    columns = list(dict.fromkeys(["id", *task.measure.columns]))
    documents = storage.read_parquet(task.part.path, columns).combine_chunks()
    batches = documents.to_batches(max_chunksize=MEASURE_BATCH_ROWS)
    if not batches:  # the rows still need their schema
        empty = [pa.array([], field.type) for field in documents.schema]
        batches = [pa.RecordBatch.from_arrays(empty, schema=documents.schema)]
    rows = pa.Table.from_batches([apply(batch) for batch in batches])
    part = pa.array(np.full(rows.num_rows, task.part.number, np.int64))
    path = storage.join(task.folder, f"part-{task.part.number:05d}.arrow")
    storage.write_ipc(path, rows.append_column("part", part))
    return path


@dataclass(frozen=True, kw_only=True)
class _FoldTask:
    path: str
    fold: Callable[[pa.Table], pa.Table]
    target: str


def _fold(task: _FoldTask) -> str:
    storage.write_ipc(task.target, task.fold(storage.read_ipc(task.path)))
    return task.target
