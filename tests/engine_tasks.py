"""Tasks for tests of engines; importable by workers."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.errors import UsageError


def square(n: int) -> int:
    return n * n


def die_once(item: tuple[str, int]) -> int:
    """Item 3 kills its worker the first time."""
    folder, n = item
    mark = os.path.join(folder, "died")
    if n == 3 and not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def die_always(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(_: int) -> float:
    secret = 0
    return 1 / secret


def misuse(_: int) -> None:
    raise UsageError("a message for the user")


def in_flight(folder: str) -> int:
    """How many of these tasks run now, this one among them."""
    mark = os.path.join(folder, str(os.getpid()))
    open(mark, "w").close()
    time.sleep(0.1)
    found = len(os.listdir(folder))
    os.unlink(mark)
    return found


@dataclass(frozen=True)
class Lengths:
    """Documents to (id, length)."""

    columns: tuple[str, ...] = ("text",)

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            lengths = pc.cast(pc.utf8_length(batch.column("text")), pa.int64())
            return pa.RecordBatch.from_arrays([batch.column("id"), lengths], ["id", "length"])

        return measure


def count_groups(rows: pa.Table) -> pa.Table:
    """Rows in each group, counted over runs: wrong unless groups come whole and sorted."""
    keys = rows["length"].to_pylist()
    runs: list[list[int]] = []
    for key in keys:
        if runs and runs[-1][0] == key:
            runs[-1][1] += 1
        else:
            runs.append([key, 1])
    return pa.table(
        {
            "length": pa.array([k for k, _ in runs], pa.int64()),
            "n": pa.array([n for _, n in runs], pa.int64()),
        }
    )


def total(rows: pa.Table) -> pa.Table:
    return pa.table({"length": pa.array([pc.sum(rows["length"]).as_py() or 0], pa.int64())})


@dataclass(frozen=True)
class Half:
    """Gives back what it gets."""

    def __call__(self, rows: pa.Table) -> pa.Table:
        return rows
