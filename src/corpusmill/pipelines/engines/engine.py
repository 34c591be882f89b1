"""What every engine offers. The verbs that stages see (corpusmill.stage.Verbs) stand on these two.

Tasks are picklable callables that read and write files through corpusmill.storage and return small
results. They are idempotent, and equal results are equal bytes: an engine may run one again after a
worker was lost, or while a worker that it has given up still runs it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from corpusmill.errors import MillError, RunError, where_raised

ATTEMPTS = 3
"""How often an item is tried when its worker dies."""


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
        done: Callable[[], None] = lambda: None,
        *,
        name: str = "",
        gpu: bool = False,
    ) -> list[Any]:
        """Run the task on every item; results in item order. `done` is called as each ends.

        `name` is what the engine's dashboard shows; a `gpu` task gets a GPU where there are any.
        """

    def exchange(self, task: ExchangeTask, *, name: str = "") -> list[str]:
        """The files of the result, one per partition, in their order."""

    def close(self) -> None:
        """Give back what the engine holds."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one task: a result, a failure with a message for the user, or an exception's
    type and place. A value and no exception, so that no engine tries again what fails each time."""

    value: Any = None
    failure: MillError | None = None
    raised: str = ""
    cpu_seconds: float = 0.0

    def result(self) -> Any:
        """The result; raises what the task has failed with."""
        if self.failure is not None:
            raise self.failure
        if self.raised:
            raise RunError(f"a task failed: {self.raised}")
        return self.value


def worker_died(reason: str) -> RunError:
    """An item's workers died as often as it is tried."""
    return RunError(f"a worker died {ATTEMPTS} times on the same task: {reason}")


def storage_failed(error: OSError) -> RunError:
    """A task that could not read: other than most exceptions these quote paths, not documents."""
    told = f": {error.strerror}: {error.filename}" if isinstance(error.filename, str) else ""
    return RunError(f"a task failed: {where_raised(error)}{told}")


def stood_still(engine: str, seconds: float) -> RunError:
    """A cluster on which no task has ended for so long."""
    return RunError(
        f"no task has ended on {engine} for {seconds / 60:g} minutes (engine.stall_minutes)"
    )
