"""What every engine offers. The verbs that stages see (corpusmill.stage.Verbs) stand on these two.

Tasks are picklable callables that read and write files through corpusmill.storage and return small
results. They are idempotent: an engine may run one again after a worker was lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class ExchangeTask:
    """Bring the rows of files together by key; see `corpusmill.stage.Verbs.exchange`."""

    datasets: tuple[tuple[str, ...], ...]
    """Arrow IPC files of each dataset."""
    by: str
    then: Callable[[pa.Table], pa.Table]
    partitions: int
    """From the size of the data, so that it is the same on every engine."""
    folder: str
    """Where spill and result files go."""


class Engine(Protocol):
    """Runs tasks somewhere."""

    name: str
    workers: int
    cpu_seconds: float
    """CPU seconds that tasks have spent so far."""

    def map(
        self,
        task: Callable[[Any], Any],
        items: Sequence[Any],
        done: Callable[[Any], None] = lambda result: None,
    ) -> list[Any]:
        """Run the task on every item; results in item order. `done` is called as each ends."""

    def exchange(self, task: ExchangeTask) -> list[str]:
        """The files of the result."""

    def close(self) -> None:
        """Give back what the engine holds."""
