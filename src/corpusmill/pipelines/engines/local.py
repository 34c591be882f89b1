"""The default engine: worker processes on this machine, exchange through spill files on disk."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import psutil

from corpusmill import storage
from corpusmill.errors import RunError
from corpusmill.isolation import Child, ChildDied, ChildError
from corpusmill.pipelines.engines.engine import (
    ATTEMPTS,
    ExchangeTask,
    storage_failed,
    worker_died,
)
from corpusmill.pipelines.engines.shuffle import bring_together, cut

STOPPED_SECONDS = 60.0
"""A worker that stands still for so long, stopped by a signal, is given up like one that died."""

LOOK_SECONDS = 5.0
"""How often workers are looked at while none of them answers."""


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
        done: Callable[[], None] = lambda: None,
        *,
        name: str = "",
        gpu: bool = False,
    ) -> list[Any]:
        """Run the task on every item; results in item order."""
        results: list[Any] = [None] * len(items)
        attempts = [0] * len(items)
        waiting = deque(range(len(items)))
        busy: dict[Any, tuple[Child, int]] = {}
        stopped_since: dict[int, float] = {}

        def lost(child: Child, item: int, reason: str) -> None:
            self._all.remove(child)
            child.stop()
            attempts[item] += 1
            if attempts[item] >= ATTEMPTS:
                raise worker_died(reason)
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
            ready = wait(list(busy), LOOK_SECONDS)
            if not ready:
                _end_stopped([child for child, _ in busy.values()], stopped_since)
            for connection in ready:
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
                done()
        return results

    def _worker(self) -> Child:
        if self._idle:
            return self._idle.pop()
        child = Child()
        self._all.append(child)
        return child

    def exchange(self, task: ExchangeTask, *, name: str = "") -> list[str]:
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


def _end_stopped(children: Sequence[Child], since: dict[int, float]) -> None:
    """Kill workers that have been stopped for too long; that they died is then seen as ever."""
    for child in children:
        process = child.process
        try:
            stopped = psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            continue
        if not stopped:
            since.pop(process.pid, None)
        elif time.monotonic() - since.setdefault(process.pid, time.monotonic()) > STOPPED_SECONDS:
            process.kill()


def _timed(task: Callable[[Any], Any], item: Any) -> tuple[Any, float]:
    started = time.process_time()
    try:
        return task(item), time.process_time() - started
    except OSError as error:
        raise storage_failed(error) from None


@dataclass(frozen=True, kw_only=True)
class _Spill:
    task: ExchangeTask
    dataset: int
    path: str
    file: str


def _spill(spill: _Spill) -> None:
    pieces = cut(spill.task, spill.dataset, spill.path)
    storage.write_ipc_batches(storage.join(spill.task.folder, spill.file), pieces)


@dataclass(frozen=True, kw_only=True)
class _Gather:
    task: ExchangeTask
    partition: int
    spills: tuple[str, ...]


def _gather(gather: _Gather) -> str:
    pieces = [storage.read_ipc_batch(path, gather.partition) for path in gather.spills]
    return bring_together(gather.task, gather.partition, pieces)
