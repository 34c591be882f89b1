"""Ray: tasks by Ray Data over items, exchange by its shuffle, retries bounded.

Everything runs as tasks, whose worker processes Ray uses again: a stage that has loaded its models
keeps them. Shuffles are made of tasks, too (`SHUFFLE_V2`): what is lost with a worker is made again
from its lineage, where the actors of the other strategy would lose it.
"""

import contextlib
import logging
import os
import queue
import shutil
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import psutil
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
from corpusmill.pipelines.engines.engine import (
    ATTEMPTS,
    Answer,
    ExchangeTask,
    stood_still,
    worker_died,
)
from corpusmill.pipelines.engines.settings import (
    WORKER_ENVIRONMENT,
    RaySettings,
    with_variables,
)

MB = 1 << 20

STORE_MB = 100, 2048
"""Of the own cluster's object store, which is a tenth of the memory: what is in flight between two
tasks. Ray's default, a third of the memory, is what the tasks need; more goes to disk."""

STORE_SHARE_OF_SHARED_MEMORY = 0.8
"""Of what /dev/shm has left, which is little in a container."""

CONNECT_SECONDS = 5
"""How long a head node may take to answer."""

LOOK_SECONDS = 1.0
"""How often is looked whether tasks have ended, while no answer comes."""

STOP_SECONDS = 10
"""How long an execution that is stopped may take to end."""

SESSIONS = "corpusmill-ray-"
"""Folders of own clusters in the folder for temporary files; the process's id follows."""

ONE_POOL = {"RAY_DATA_SHUFFLE_MAP_WORKER": "1", "RAY_DATA_SHUFFLE_REDUCE_WORKER": "1"}
"""Variables that Ray Data sets for the two ends of a shuffle, which keeps their workers apart from
all others. Set for all tasks they keep nobody apart: a worker costs two CPU seconds to start."""


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
        # Else a thread of Ray Data that outlives the connection starts a new cluster.
        os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
        import ray
        import ray.data

        self._ray = ray
        self._data = ray.data
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._owner = not ray.is_initialized()
        self._session = ""
        self.cpu_seconds = 0.0
        if address is not None:
            _check_address(address)
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
        context.custom_execution_callback_classes = cast(Any, [_Watch])
        context.execution_options.resource_limits = ray.data.ExecutionResources(cpu=self.workers)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # failures are raised

    def _connect(self, address: str | None, workers: int | None) -> None:
        options: dict[str, Any] = {
            "logging_level": logging.ERROR,
            "log_to_driver": False,
            "runtime_env": {"env_vars": WORKER_ENVIRONMENT | ONE_POOL},
        }
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Of an attempt, when the address is that of somebody else. A cluster may take its time.
        once = {} if address is None else {"RAY_gcs_server_port_wait_time_s": "1"}
        try:
            with warnings.catch_warnings(), with_variables(once):
                warnings.simplefilter("ignore")
                if address is not None:
                    self._ray.init(address=address, **options)
                else:
                    self._session = _own_session()
                    self._ray.init(
                        address="local",
                        num_cpus=workers or len(os.sched_getaffinity(0)),
                        include_dashboard=False,
                        object_store_memory=_store_bytes(),
                        _temp_dir=self._session,
                        **options,
                    )
        except BaseException as error:
            self.close()
            if not isinstance(error, (ConnectionError, RuntimeError, ValueError, OSError)):
                raise
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            where = "engine ray" if address is None else f"--address {address}"
            raise UsageError(f"{where}: {reason}") from None

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
        dataset = self._mapped(self._data.from_blocks(as_items(items)), Mapping.of(task), gpu)
        with contextlib.closing(self._answers(dataset, name)) as answers:
            for number, given in answers:
                results[number] = given.result()
                self.cpu_seconds += given.cpu_seconds
                done()
        return results

    def exchange(self, task: ExchangeTask, *, name: str = "") -> list[str]:
        """Cut files to pieces of partitions, shuffle these, bring each partition together."""
        items = [(n, path) for n, dataset in enumerate(task.datasets) for path in dataset]
        pieces = self._mapped(self._data.from_blocks(as_items(items)), Cutting.of(task))
        shuffled = pieces.repartition(task.partitions, keys=["partition"])
        dataset = self._mapped(shuffled, Gathering.of(task))
        with contextlib.closing(self._answers(dataset, name)) as answers:
            files, cpu_seconds = files_of(task, answers)
        self.cpu_seconds += cpu_seconds
        return files

    def _mapped(self, dataset: Any, function: Callable[[pa.Table], Any], gpu: bool = False) -> Any:
        """The dataset after a function of whole blocks."""
        # An environment of a task is written in another way than one of a job: all get one.
        options: dict[str, Any] = {
            "max_retries": ATTEMPTS - 1,
            "runtime_env": {"env_vars": ONE_POOL},
        }
        if gpu and self._gpus:
            options["num_gpus"] = 1
        if self._settings.task_memory_mb is not None:
            options["memory"] = self._settings.task_memory_mb * MB
        with warnings.catch_warnings():
            # max_retries has no parameter of its own yet; without it a task is tried for ever.
            warnings.simplefilter("ignore")
            return dataset.map_batches(function, batch_size=None, batch_format="pyarrow", **options)

    def _answers(self, dataset: Any, name: str) -> Generator[tuple[int, Answer], None, None]:
        """The answers as they come; a thread waits for them, so that a standstill is seen.

        When nobody wants more of them, what still runs is stopped.
        """
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

        _Watch.executors.clear()
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            while (table := self._next(came)) is not None:
                yield from answers_of(table)
        finally:
            if thread.is_alive():
                for executor in _Watch.executors:
                    executor.shutdown(force=False)  # `force` waits for nodes that hang, for ever
                thread.join(STOP_SECONDS)

    def _next(self, came: "queue.Queue[pa.Table | BaseException | None]") -> pa.Table | None:
        ended, moved = _Watch.tasks_ended(), time.monotonic()
        while time.monotonic() - moved < self._stall_seconds:
            with contextlib.suppress(queue.Empty):
                table = came.get(timeout=min(LOOK_SECONDS, self._stall_seconds))
                if isinstance(table, BaseException):
                    raise self._failure(table)
                return table
            if _Watch.tasks_ended() > ended:
                ended, moved = _Watch.tasks_ended(), time.monotonic()
        raise stood_still("Ray", self._stall_seconds)

    def _failure(self, error: BaseException) -> MillError:
        kinds = self._ray.exceptions
        lost = (kinds.WorkerCrashedError, kinds.NodeDiedError, kinds.OutOfMemoryError)
        if isinstance(error, lost):
            return worker_died(type(error).__name__)
        if "No module named 'corpusmill" in str(error):
            return RunError("a machine of the Ray cluster has no corpusmill, or another version")
        reason = str(error).strip().rpartition("\n")[2][:300]
        return RunError(f"Ray has failed: {type(error).__name__}: {reason}")

    def close(self) -> None:
        """Leave the cluster, whose tasks of this run end with it."""
        if self._owner:
            self._ray.shutdown()
        if self._session:
            shutil.rmtree(self._session, ignore_errors=True)


class _Watch:
    """What Ray Data tells of an execution (its ExecutionCallback); there is one at a time."""

    executors: ClassVar[list[Any]] = []

    def before_execution_starts(self, executor: Any) -> None:
        """Remember the execution."""
        self.executors.append(executor)

    def on_execution_step(self, executor: Any) -> None:
        """Nothing: whoever wants to know looks."""

    def after_execution_succeeds(self, executor: Any) -> None:
        """Nothing is left to stop."""

    def after_execution_fails(self, executor: Any, error: Exception) -> None:
        """The error is raised where answers are waited for."""

    @classmethod
    def tasks_ended(cls) -> int:
        """Tasks of all operators that have ended in the execution."""
        topologies = [executor._topology or () for executor in cls.executors]
        return sum(
            operator.metrics.num_tasks_finished
            for topology in topologies
            for operator in list(topology)
        )


def _check_address(address: str) -> None:
    """Raise UsageError unless something listens there; `auto` is left to Ray."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit() or int(port) >= 1 << 16:
        raise UsageError(
            f"--address {address}: write HOST:PORT of the cluster's head node, or auto"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"--address {address}: no Ray cluster answers there: {reason}") from None


def _own_session() -> str:
    """A folder for the sockets, logs and spilled data of an own cluster; those that killed runs
    have left are removed. The names of sockets must be short."""
    folder = Path(tempfile.gettempdir())
    for left in folder.glob(f"{SESSIONS}*"):
        process = left.name.removeprefix(SESSIONS).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{SESSIONS}{os.getpid()}-")


def _store_bytes() -> int:
    """The size of an own cluster's object store."""
    least, most = STORE_MB
    wanted = min(most * MB, psutil.virtual_memory().total // 10)
    with contextlib.suppress(OSError):
        left = shutil.disk_usage("/dev/shm").free
        wanted = min(wanted, int(STORE_SHARE_OF_SHARED_MEMORY * left))
    return max(least * MB, wanted)
