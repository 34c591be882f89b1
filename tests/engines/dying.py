"""Tasks that lose their worker at a chosen place, once; importable by workers."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def die_once(mark: str) -> None:
    """Kill this process unless one has died for this mark before."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class DieInMeasure:
    """Documents to (id, key), half of which have one key; the first batch kills its worker."""

    mark: str
    columns: tuple[str, ...] = ("text",)

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            die_once(self.mark)
            lengths = pc.cast(pc.utf8_length(batch.column("text")), pa.int64())
            return pa.RecordBatch.from_arrays([batch.column("id"), lengths], ["id", "length"])

        return measure


@dataclass(frozen=True)
class DieInThen:
    """Gives back what it gets; the first partition kills its worker."""

    mark: str

    def __call__(self, rows: pa.Table) -> pa.Table:
        die_once(self.mark)
        return rows


@dataclass(frozen=True)
class SlowThen:
    """Gives back what it gets, late."""

    seconds: float

    def __call__(self, rows: pa.Table) -> pa.Table:
        time.sleep(self.seconds)
        return rows


class DieInCut(str):
    """The path of a file of rows; who unpickles it first, to cut the file, dies."""

    mark: str

    def __new__(cls, path: str, mark: str) -> "DieInCut":
        made = super().__new__(cls, path)
        made.mark = mark
        return made

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return _path, (str(self), self.mark)


def _path(path: str, mark: str) -> str:
    die_once(mark)
    return path


def slow(item: tuple[float, int]) -> int:
    """Sleep, then give back the number."""
    seconds, number = item
    time.sleep(seconds)
    return number
