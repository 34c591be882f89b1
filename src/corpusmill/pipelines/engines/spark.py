"""Spark: tasks by `mapInArrow` over items, exchange by its shuffle, retries bounded.

A partition of an exchange is the partition of the same number in Spark (`repartitionById`), so none
holds more than its own. Adaptive execution and speculation are off: they would merge partitions,
and run tasks twice for nothing.
"""

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psutil
import pyarrow as pa

from corpusmill.errors import MillError, RunError
from corpusmill.pipelines.engines.crossing import (
    ANSWERS,
    PIECES,
    Cutting,
    Gathering,
    Mapping,
    answers_of,
    as_items,
    files_of,
)
from corpusmill.pipelines.engines.engine import ATTEMPTS, ExchangeTask, stood_still, worker_died
from corpusmill.pipelines.engines.settings import WORKER_ENVIRONMENT, SparkSettings
from corpusmill.pipelines.engines.spark_session import (
    WORKER_LOST,
    SparkProcess,
    reason,
)

LOOK_SECONDS = 0.5
"""How often the progress of a job is looked at."""

ROWS_AT_A_TIME = 8
"""Rows that cross to Python together: a piece has some 4 MB."""


QUICK_JAVA = "-XX:TieredStopAtLevel=1"
"""Java on this machine hands items to Python and shuffles: compiled in one pass, a short run costs
half the CPU seconds that it costs otherwise."""

MB_A_CORE = 256
"""A task's batches of pieces and the buffers of its shuffle."""


class SparkEngine:
    """Tasks on the cluster at `master`, or on threads of this machine that end with the run."""

    name = "spark"

    def __init__(
        self,
        settings: SparkSettings,
        *,
        master: str | None,
        workers: int | None,
        stall_seconds: float,
        application: str = "corpusmill",
    ) -> None:
        self._stall_seconds = stall_seconds
        self.cpu_seconds = 0.0
        local = master is None
        cores = workers or len(os.sched_getaffinity(0))
        conf: dict[str, Any] = {
            "spark.app.name": application,
            "spark.task.maxFailures": ATTEMPTS,
            "spark.stage.maxConsecutiveAttempts": ATTEMPTS,
            "spark.speculation": "false",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.execution.arrow.maxRecordsPerBatch": ROWS_AT_A_TIME,
            "spark.sql.execution.arrow.useLargeVarTypes": "false",
            # items go out as they come, a task each, and not through a shuffle
            "spark.sql.execution.arrow.localRelationThreshold": "0",
            # plans of a few large rows, which are not worth a compiler
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.ui.showConsoleProgress": "false",
            "spark.python.worker.reuse": "true",
            "spark.driver.maxResultSize": "0",  # what comes back is held by Python anyway
            **{f"spark.executorEnv.{name}": text for name, text in WORKER_ENVIRONMENT.items()},
        }
        if local:
            conf |= {
                "spark.ui.enabled": "false",
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.driver.memory": f"{_local_memory_mb(cores)}m",
            }
        elif workers is not None:
            conf["spark.cores.max"] = workers
        conf |= settings.conf
        python = os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf["spark.pyspark.python"] = python
        environment = dict(WORKER_ENVIRONMENT)
        if local:
            options = os.environ.get("SPARK_SUBMIT_OPTS", "")
            environment["SPARK_SUBMIT_OPTS"] = f"{QUICK_JAVA} {options}"
        self._process = SparkProcess(master or f"local[{cores},{ATTEMPTS}]", conf, environment)
        self._spark = self._process.session
        self._context = self._process.context
        self.workers = cores
        if not local:
            try:
                self._process.wait_for_executors()
            except BaseException:
                self.close()
                raise
            self.workers = workers or self._context.defaultParallelism

    def map(
        self,
        task: Callable[[Any], Any],
        items: Sequence[Any],
        done: Callable[[], None] = lambda: None,
        *,
        name: str = "",
        gpu: bool = False,
    ) -> list[Any]:
        """Run the task on every item; results in item order. GPUs are given by Spark's settings."""
        results: list[Any] = [None] * len(items)
        if not items:
            return results
        with _failures():
            frame = self._items(items).mapInArrow(_OnTables(Mapping.of(task)), _ddl(ANSWERS))
            table = self._collect(frame, name, done, len(items))
        for number, given in answers_of(table):
            results[number] = given.result()
            self.cpu_seconds += given.cpu_seconds
        return results

    def exchange(self, task: ExchangeTask, *, name: str = "") -> list[str]:
        """Cut files to pieces of partitions, shuffle these, bring each partition together."""
        from pyspark.sql.functions import col

        items = [(n, path) for n, dataset in enumerate(task.datasets) for path in dataset]
        with _failures():
            frame = (
                self._items(items)
                .mapInArrow(_OnTables(Cutting.of(task)), _ddl(PIECES))
                .repartitionById(task.partitions, col("partition").cast("int"))
                .mapInArrow(_OnTables(Gathering.of(task), whole=True), _ddl(ANSWERS))
            )
            table = self._collect(frame, name)
        files, cpu_seconds = files_of(task, answers_of(table))
        self.cpu_seconds += cpu_seconds
        return files

    def _items(self, items: Sequence[Any]) -> Any:
        """Items as a frame with a partition, which is a task, for each."""
        return self._spark.createDataFrame(pa.concat_tables(as_items(items)))

    def _collect(
        self, frame: Any, name: str, done: Callable[[], None] = lambda: None, total: int = 0
    ) -> pa.Table:
        """All rows of a frame. A thread waits for them: progress and a standstill are seen."""
        from pyspark import inheritable_thread_target

        group = f"corpusmill-{id(frame)}-{time.monotonic_ns()}"
        self._context.setJobGroup(group, name, interruptOnCancel=True)
        outcome: list[pa.Table | Exception] = []

        @inheritable_thread_target(self._spark)
        def collect() -> None:
            try:
                outcome.append(frame.toArrow())
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        counted, moved = 0, time.monotonic()
        try:
            while thread.is_alive():
                thread.join(LOOK_SECONDS)
                ended = self._tasks_ended(group)
                if ended > counted:
                    moved = time.monotonic()
                for _ in range(counted, ended):
                    done()
                counted = max(counted, ended)
                if time.monotonic() - moved > self._stall_seconds:
                    raise stood_still("Spark", self._stall_seconds)
        finally:
            if thread.is_alive():
                with contextlib.suppress(Exception):  # what is raised already tells more
                    self._context.cancelJobGroup(group)
        (found,) = outcome
        if isinstance(found, Exception):
            raise found
        for _ in range(counted, total):
            done()
        return found

    def _tasks_ended(self, group: str) -> int:
        """Of the group's jobs: those of a map are its items."""
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        return sum(stage.numCompletedTasks for stage in stages if stage)

    def close(self) -> None:
        """End the application, whose tasks end with it."""
        self._process.close()


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Spark's failures, which end the run, in the user's words."""
    try:
        yield
    except MillError:
        raise
    except Exception as error:
        why = reason(error)
        if WORKER_LOST.match(why):
            raise worker_died(why) from None
        raise RunError(f"Spark has failed: {why}") from None


@dataclass(frozen=True)
class _OnTables:
    """A function of tables as one of batches, alone or those of a `whole` partition."""

    function: Callable[[pa.Table], pa.Table | Iterator[pa.Table]]
    whole: bool = False

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        groups = [list(batches)] if self.whole else ([batch] for batch in batches)
        for group in groups:
            if group:
                made = self.function(pa.Table.from_batches(group))
                for table in [made] if isinstance(made, pa.Table) else made:
                    yield from table.to_batches()
        _keep_modules(len(sys.modules))


@lru_cache(maxsize=1)
def _keep_modules(_count: int) -> None:
    """Take what is imported out of garbage collection, again when more is: Spark collects after
    each task, and looking through the modules of a stage takes 0.1 CPU seconds each time."""
    gc.collect()
    gc.freeze()


def _ddl(schema: pa.Schema) -> str:
    """A schema of integers and bytes in Spark's words."""
    names = {pa.int64(): "bigint", pa.binary(): "binary"}
    return ", ".join(f"{field.name} {names[field.type]}" for field in schema)


def _local_memory_mb(cores: int) -> int:
    """What Java may hold for tasks on threads of this machine, half of it at most."""
    half = psutil.virtual_memory().total // 2 >> 20
    return int(min(1024 + MB_A_CORE * cores, half))
