"""The default engine: worker processes on this machine, exchange through spill files on disk."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import wait
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.errors import RunError
from corpusmill.isolation import Child, ChildDied, ChildError
from corpusmill.pipelines.engines.engine import ExchangeTask

ATTEMPTS = 3
"""How often an item is tried when its worker dies."""


class LocalEngine:
    """Tasks on `workers` child processes; a killed worker's item is run again in a new one."""

    name = "local"

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.cpu_seconds = 0.0
        self._idle: list[Child] = []
        self._all: list[Child] = []

    def map(
        self,
        task: Callable[[Any], Any],
        items: Sequence[Any],
        done: Callable[[Any], None] = lambda result: None,
    ) -> list[Any]:
        """Run the task on every item; results in item order."""
        results: list[Any] = [None] * len(items)
        attempts = [0] * len(items)
        waiting = deque(range(len(items)))
        busy: dict[Any, tuple[Child, int]] = {}

        def lost(child: Child, item: int, reason: str) -> None:
            self._all.remove(child)
            child.stop()
            attempts[item] += 1
            if attempts[item] >= ATTEMPTS:
                raise RunError(f"a worker died {ATTEMPTS} times on the same task: {reason}")
            waiting.appendleft(item)

        while waiting or busy:
            while waiting and len(busy) < self.workers:
                item = waiting.popleft()
                child = self._worker()
                try:
                    child.send(_timed, task, items[item])
                except ChildDied as death:
                    lost(child, item, str(death))
                    continue
                busy[child.connection] = (child, item)
            for connection in wait(list(busy)):
                child, item = busy.pop(connection)
                try:
                    results[item], cpu_seconds = child.receive()
                except ChildDied as death:
                    lost(child, item, str(death))
                    continue
                except ChildError as error:
                    raise RunError(f"a task failed: {error}") from None
                self.cpu_seconds += cpu_seconds
                self._idle.append(child)
                done(results[item])
        return results

    def _worker(self) -> Child:
        if self._idle:
            return self._idle.pop()
        child = Child()
        self._all.append(child)
        return child

    def exchange(self, task: ExchangeTask) -> list[str]:
        """Hash rows to partitions in spill files, then group one partition at a time."""
        spills = [
            _Spill(task=task, dataset=number, path=path, file=f"spill-{number:02d}-{i:05d}.arrow")
            for number, dataset in enumerate(task.datasets)
            for i, path in enumerate(dataset)
        ]
        self.map(_spill, spills)
        paths = tuple(storage.join(task.folder, spill.file) for spill in spills)
        gathers = [_Gather(task=task, partition=p, spills=paths) for p in range(task.partitions)]
        results: list[str] = self.map(_gather, gathers)
        for path in paths:
            storage.remove(path)
        return results

    def close(self) -> None:
        """End the workers, busy or not."""
        for child in self._all:
            child.stop()
        self._all.clear()
        self._idle.clear()


def _timed(task: Callable[[Any], Any], item: Any) -> tuple[Any, float]:
    started = time.process_time()
    return task(item), time.process_time() - started


def partition_of(keys: pa.Array, partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key (int64 or string)."""
    if pa.types.is_integer(keys.type):
        mixed = keys.to_numpy(zero_copy_only=False).astype(np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        hashed = mixed >> np.uint64(32)
    else:
        hashes = (xxhash.xxh3_64_intdigest(key.encode()) for key in keys.to_pylist())
        hashed = np.fromiter(hashes, np.uint64, len(keys))
    result: npt.NDArray[np.int64] = (hashed % np.uint64(partitions)).astype(np.int64)
    return result


@dataclass(frozen=True, kw_only=True)
class _Spill:
    task: ExchangeTask
    dataset: int
    path: str
    file: str


def _spill(spill: _Spill) -> None:
    table = storage.read_ipc(spill.path)
    if len(spill.task.datasets) > 1:
        tag = pa.array(np.full(table.num_rows, spill.dataset, np.int64))
        table = table.append_column("dataset", tag)
    partitions = partition_of(one_chunk(table.column(spill.task.by)), spill.task.partitions)
    order = np.argsort(partitions, kind="stable")
    ends = np.searchsorted(partitions[order], np.arange(spill.task.partitions + 1))
    table = table.take(pa.array(order))
    pieces = [table.slice(a, b - a) for a, b in pairwise(ends)]
    storage.write_ipc_batches(storage.join(spill.task.folder, spill.file), pieces)


@dataclass(frozen=True, kw_only=True)
class _Gather:
    task: ExchangeTask
    partition: int
    spills: tuple[str, ...]


def _gather(gather: _Gather) -> str:
    task = gather.task
    pieces = [storage.read_ipc_batch(path, gather.partition) for path in gather.spills]
    rows = pa.concat_tables(pieces, promote_options="default")
    order = [(task.by, "ascending"), ("id", "ascending")]
    if len(task.datasets) > 1:
        order.append(("dataset", "ascending"))
    path = storage.join(task.folder, f"rows-{gather.partition:05d}.arrow")
    storage.write_ipc(path, task.then(rows.sort_by(list(dict.fromkeys(order)))))
    return path
