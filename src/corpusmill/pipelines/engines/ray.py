"""Ray: tasks by Ray Data over items, exchange by its shuffle, retries bounded.

Everything runs as tasks, whose worker processes Ray uses again: a stage that has loaded its models
keeps them. Shuffles are made of tasks, too (`SHUFFLE_V2`): what is lost with a worker is made again
from its lineage, where the actors of the other strategy would lose it.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from corpusmill.errors import MillError, RunError, UsageError
from corpusmill.pipelines.engines.crossing import (
    Cutting,
    Gathering,
    Mapping,
    answers_of,
    as_items,
    files_of,
)
from corpusmill.pipelines.engines.engine import ATTEMPTS, Answer, ExchangeTask, worker_died
from corpusmill.pipelines.engines.settings import WORKER_ENVIRONMENT, RaySettings

MB = 1 << 20


class RayEngine:
    """Tasks on the cluster at `address`, or on one of this machine's that ends with the run."""

    name = "ray"

    def __init__(
        self,
        settings: RaySettings,
        *,
        address: str | None,
        workers: int | None,
        stall_seconds: float,
    ) -> None:
        try:
            import ray
            import ray.data
        except ImportError:
            raise UsageError("engine ray: pip install 'corpusmill[ray]'") from None
        self._ray = ray
        self._data = ray.data
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._owner = not ray.is_initialized()
        self.cpu_seconds = 0.0
        if self._owner:
            self._connect(address, workers)
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores, self._gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
        if not cores:
            raise UsageError("the Ray cluster has no CPUs")
        self.workers = min(workers or cores, cores)
        context = ray.data.DataContext.get_current()
        context.shuffle_strategy = ray.data.context.ShuffleStrategy.SHUFFLE_V2
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.resource_limits = ray.data.ExecutionResources(cpu=self.workers)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # failures are raised

    def _connect(self, address: str | None, workers: int | None) -> None:
        here: dict[str, Any] = {"num_cpus": workers or len(os.sched_getaffinity(0))}
        here["include_dashboard"] = False
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            self._ray.init(
                address=address or "local",
                logging_level=logging.ERROR,
                log_to_driver=False,
                runtime_env={"env_vars": WORKER_ENVIRONMENT},
                **({} if address else here),
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().partition("\n")[0][:300]
            raise UsageError(f"--address {address or 'local'}: {reason}") from None

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
        if not items:
            return results
        dataset = self._data.from_arrow(as_items(items)).map_batches(
            Mapping.of(task), **self._options(gpu)
        )
        for number, given in self._answers(dataset, name):
            results[number] = given.result()
            self.cpu_seconds += given.cpu_seconds
            done()
        return results

    def exchange(self, task: ExchangeTask, *, name: str = "") -> list[str]:
        """Cut files to pieces of partitions, shuffle these, bring each partition together."""
        items = [(n, path) for n, dataset in enumerate(task.datasets) for path in dataset]
        dataset = (
            self._data.from_arrow(as_items(items))
            .map_batches(Cutting.of(task), **self._options())
            .repartition(task.partitions, keys=["partition"])
            .map_batches(Gathering.of(task), **self._options())
        )
        files, cpu_seconds = files_of(task, self._answers(dataset, name))
        self.cpu_seconds += cpu_seconds
        return files

    def _options(self, gpu: bool = False) -> dict[str, Any]:
        options: dict[str, Any] = {
            "batch_size": None,
            "batch_format": "pyarrow",
            "max_retries": ATTEMPTS - 1,
        }
        if gpu and self._gpus:
            options["num_gpus"] = 1
        if self._settings.task_memory_mb is not None:
            options["memory"] = self._settings.task_memory_mb * MB
        return options

    def _answers(self, dataset: Any, name: str) -> Iterator[tuple[int, Answer]]:
        """The answers as they come; a thread waits for them, so that a standstill is seen."""
        if name:
            dataset.set_name(name.replace(" ", "_"))
        came: queue.Queue[pa.Table | BaseException | None] = queue.Queue()

        def read() -> None:
            try:
                for table in dataset.iter_batches(
                    batch_size=None, batch_format="pyarrow", prefetch_batches=0
                ):
                    came.put(table)
                came.put(None)
            except BaseException as error:
                came.put(error)

        threading.Thread(target=read, daemon=True).start()
        while True:
            try:
                table = came.get(timeout=self._stall_seconds)
            except queue.Empty:
                minutes = self._stall_seconds / 60
                raise RunError(
                    f"no task has ended on Ray for {minutes:g} minutes (engine.stall_minutes)"
                ) from None
            if table is None:
                return
            if isinstance(table, BaseException):
                raise self._failure(table)
            yield from answers_of(table)

    def _failure(self, error: BaseException) -> MillError:
        kinds = self._ray.exceptions
        lost = (kinds.WorkerCrashedError, kinds.NodeDiedError, kinds.OutOfMemoryError)
        if isinstance(error, lost):
            return worker_died(type(error).__name__)
        reason = str(error).strip().rpartition("\n")[2][:300]
        return RunError(f"Ray has failed: {type(error).__name__}: {reason}")

    def close(self) -> None:
        """Leave the cluster, whose tasks of this run end with it."""
        if self._owner:
            self._ray.shutdown()
