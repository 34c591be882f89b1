"""Spark: the bytes of the local engine, through workers, executors and machines that are killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from pydantic import ValidationError
from tests.engine_tasks import Half, die_always, die_once, fail, in_flight, misuse, square
from tests.engines.held_tasks import (
    MARK,
    HeldAtTheBeginning,
    HeldAtTheEnd,
    square_held,
    stop,
)
from tests.engines.other_versions import as_if_upgraded
from tests.engines.poison import poisoned
from tests.engines.same_bytes import same_output, small_recipe
from tests.engines.spark_cluster import SparkCluster, daemon_of, executor_of, wait_until
from tests.verbs_fixture import ids

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.engines import crossing, spark, spark_session
from corpusmill.pipelines.engines.engine import ExchangeTask
from corpusmill.pipelines.engines.local import LocalEngine
from corpusmill.pipelines.engines.settings import SparkSettings
from corpusmill.pipelines.engines.spark import SparkEngine
from corpusmill.pipelines.engines.workers import check_workers
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run

pytestmark = pytest.mark.timeout(900)
"""Clusters start, and kernels are compiled for the first time, on a machine that may be busy."""


@pytest.fixture(scope="module")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """A standalone cluster that lives as long as these tests."""
    cluster = SparkCluster(tmp_path_factory.mktemp("spark"))
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def engine(spark_cluster: SparkCluster) -> Iterator[SparkEngine]:
    """One application for the tests of this module; runs inside of it go through its session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(spark_cluster.configuration))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        opened = open_engine(spark_cluster)
        yield opened
        opened.close()


def open_engine(cluster: SparkCluster, stall_seconds: float = 600, **conf: str) -> SparkEngine:
    settings = SparkSettings(conf={name.replace("_", "."): text for name, text in conf.items()})
    return SparkEngine(settings, master=cluster.master, workers=None, stall_seconds=stall_seconds)


# ---- tasks


def test_results_come_in_item_order_and_each_is_told(engine: SparkEngine) -> None:
    done: list[None] = []
    squares = engine.map(square, list(range(20)), lambda: done.append(None))
    assert squares == [n * n for n in range(20)]
    assert len(done) == 20


def test_no_more_tasks_are_in_flight_than_there_are_cores(
    engine: SparkEngine, tmp_path: Path
) -> None:
    """However many wait: what a task holds, a part, is in memory as often as there are cores."""
    counts = engine.map(in_flight, [str(tmp_path)] * 30)
    assert max(counts) <= engine.workers == 2


def test_a_worker_that_dies_is_replaced(engine: SparkEngine, tmp_path: Path) -> None:
    assert engine.map(die_once, [(str(tmp_path), n) for n in range(5)]) == list(range(5))
    assert os.listdir(tmp_path) == ["died"], "nobody died: the test shows nothing"


def test_a_task_that_always_kills_its_worker_fails_the_run(engine: SparkEngine) -> None:
    with pytest.raises(RunError, match=r"died 3 times .*Python worker exited unexpectedly"):
        engine.map(die_always, [0])


def test_what_a_task_raises_is_told_by_place_and_not_tried_again(engine: SparkEngine) -> None:
    with pytest.raises(RunError, match=r"ZeroDivisionError at engine_tasks.py:\d+ in fail") as told:
        engine.map(fail, [0])
    assert "secret" not in str(told.value)
    with pytest.raises(UsageError, match="for the user"):
        engine.map(misuse, [0])


def test_documents_that_kill_their_stage_or_their_worker_leave_the_bytes_of_local(
    engine: SparkEngine, tmp_path: Path
) -> None:
    local = LocalEngine(1)
    there, here = (poisoned(e, tmp_path) for e in (engine, local))
    local.close()
    assert there == here


# ---- exchanges


def exchange_task(
    folder: Path, files: Sequence[pa.Table], then: Callable[[pa.Table], pa.Table], name: str
) -> ExchangeTask:
    paths = []
    for number, table in enumerate(files):
        paths.append(str(folder / f"in-{number}.arrow"))
        storage.write_ipc(paths[-1], table)
    return ExchangeTask(
        datasets=(tuple(paths[:1]), tuple(paths[1:])),
        by="key",
        then=then,
        partitions=4,
        folder=str(folder / name),
    )


def rows_of(keys: Sequence[int], payload: int = 10) -> pa.Table:
    names = ids(len(keys))
    return pa.table({"id": names, "key": keys, "payload": [f"{n:0{payload}}" for n in keys]})


HALF_OF_ALL = [7 if n % 2 else n for n in range(20_000)]


def exchanged(engine: Any, task: ExchangeTask) -> list[bytes]:
    return [Path(path).read_bytes() for path in engine.exchange(task)]


def on_local(folder: Path, files: Sequence[pa.Table], then: Callable[[pa.Table], pa.Table]) -> Any:
    local = LocalEngine(1)
    result = exchanged(local, exchange_task(folder, files, then, "local"))
    local.close()
    return result


@pytest.mark.parametrize(
    "files",
    [
        [rows_of(HALF_OF_ALL, payload=1000), rows_of([7] * 500), rows_of([])],
        [rows_of([n]) for n in range(60)],
        [rows_of([]), rows_of([])],
    ],
    ids=["one key in half of all rows, in several pieces", "many small files", "no rows"],
)
def test_an_exchange_gives_the_files_of_the_local_one(
    engine: SparkEngine, tmp_path: Path, files: list[pa.Table]
) -> None:
    task = exchange_task(tmp_path, files, Half(), "spark")
    assert exchanged(engine, task) == on_local(tmp_path, files, Half())


def test_the_first_of_these_exchanges_has_a_partition_of_several_pieces() -> None:
    assert rows_of(HALF_OF_ALL, payload=1000).nbytes > 4 * crossing.PIECE_BYTES


# ---- whoever is killed


def killed_meanwhile(folder: Path, victim: Callable[[int], psutil.Process], how: int) -> None:
    """When a task is held, send a signal to one of those that it depends on."""

    def wait_and_kill() -> None:
        mark = folder / MARK
        wait_until(lambda: mark.exists() and mark.read_text().endswith("\n"), "a task is held")
        victim(int(mark.read_text())).send_signal(how)

    threading.Thread(target=wait_and_kill, daemon=True).start()


VICTIMS = pytest.mark.parametrize(
    "victim",
    [psutil.Process, executor_of, daemon_of],
    ids=["the Python worker", "the executor", "the machine's worker"],
)


@pytest.mark.failures
@VICTIMS
def test_a_kill_in_a_map_changes_no_result(
    engine: SparkEngine,
    spark_cluster: SparkCluster,
    tmp_path: Path,
    victim: Callable[[int], psutil.Process],
) -> None:
    killed_meanwhile(tmp_path, victim, signal.SIGKILL)
    squares = engine.map(square_held, [(str(tmp_path), n) for n in range(6)])
    spark_cluster.start_workers()
    assert squares == [n * n for n in range(6)]
    assert (tmp_path / MARK).exists(), "nobody was killed: the test shows nothing"


@pytest.mark.failures
@pytest.mark.parametrize("then", [HeldAtTheBeginning, HeldAtTheEnd], ids=["cut", "bring together"])
def test_an_executor_killed_in_an_exchange_changes_no_byte(
    engine: SparkEngine, tmp_path: Path, then: Callable[[str], Callable[[pa.Table], pa.Table]]
) -> None:
    """At the second end, what the executor has cut and shuffled is lost with it."""
    files = [rows_of(HALF_OF_ALL), rows_of([7] * 500), rows_of(range(100))]
    killed_meanwhile(tmp_path, executor_of, signal.SIGKILL)
    given = exchanged(engine, exchange_task(tmp_path, files, then(str(tmp_path)), "spark"))
    assert (tmp_path / MARK).exists(), "nobody was killed: the test shows nothing"
    assert given == on_local(tmp_path, files, Half())


@pytest.mark.failures
def test_an_executor_that_stands_still_is_given_up(engine: SparkEngine, tmp_path: Path) -> None:
    held: list[psutil.Process] = []

    def remembered(worker: int) -> psutil.Process:
        held.append(executor_of(worker))
        return held[0]

    killed_meanwhile(tmp_path, remembered, signal.SIGSTOP)
    squares = engine.map(square_held, [(str(tmp_path), n) for n in range(6)])
    (stopped,) = held
    if stopped.is_running():
        stopped.kill()
    assert squares == [n * n for n in range(6)]


@pytest.mark.failures
def test_a_python_worker_that_stands_still_ends_the_run_and_not_the_engine(
    engine: SparkEngine, spark_cluster: SparkCluster
) -> None:
    impatient = open_engine(spark_cluster, stall_seconds=5)
    with pytest.raises(RunError, match=r"no task has ended .* \(engine.stall_minutes\)"):
        impatient.map(stop, [0, 1])
    impatient.close()
    assert engine.map(square, [3, 4]) == [9, 16]


def test_the_small_recipe_gives_the_bytes_of_the_local_engine(
    engine: SparkEngine,
    spark_cluster: SparkCluster,
    local_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under another size of Spark's batches than elsewhere: no stage sees them."""
    assert spark.ROWS_AT_A_TIME > 1
    monkeypatch.setattr(spark, "ROWS_AT_A_TIME", 1)
    recipe = load_recipe(small_recipe(tmp_path))
    run(recipe, str(tmp_path / "run"), engine="spark", master=spark_cluster.master)
    size = engine._spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    assert size == "1"
    same_output(local_run, tmp_path / "run")


def test_storage_that_fails_ends_the_run_with_a_message(
    engine: SparkEngine, tmp_path: Path
) -> None:
    (tmp_path / "a file").write_text("")
    files = [rows_of([1, 2]), rows_of([3])]
    task = exchange_task(tmp_path, files, Half(), "a file/within")
    with pytest.raises(RunError, match=r"cannot write .*rows-0000\d.arrow: Not a directory"):
        engine.exchange(task)
    os.unlink(task.datasets[0][0])
    with pytest.raises(RunError, match="a task failed: FileNotFoundError"):
        engine.exchange(task)


def test_a_run_folder_that_a_worker_does_not_see_is_told(
    engine: SparkEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As if it were another machine's: what the driver has written is gone."""
    monkeypatch.setattr(storage, "write_atomic", lambda path, data: None)
    with pytest.raises(RunError, match=r"is not seen by workers on \S+: a cluster needs a run"):
        check_workers(engine, str(tmp_path))


def test_a_worker_with_other_versions_is_told(
    engine: SparkEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=as_if_upgraded(monkeypatch)):
        check_workers(engine, str(tmp_path))
    assert os.listdir(tmp_path) == []


# ---- what cannot start


@pytest.mark.failures
def test_a_cluster_that_gives_no_executor_is_told(
    engine: SparkEngine, spark_cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_session, "EXECUTORS_SECONDS", 0.0)
    spark_cluster.kill_workers()
    wait_until(lambda: not engine._process.executors(), "the executors are gone")
    with pytest.raises(UsageError, match=r"the cluster has given no executor .* busy"):
        open_engine(spark_cluster)
    spark_cluster.start_workers()
    assert engine.map(square, [3]) == [9]


@pytest.mark.parametrize(
    ("master", "told"),
    [
        ("spark://127.0.0.1:1", "no master answers there: Connection refused"),
        ("spark://127.0.0.1:99999", "no master answers there"),
        ("spark:/127.0.0.1", "write spark://HOST:PORT"),
        ("local[2] --jars x", "write spark://HOST:PORT"),
    ],
)
def test_a_wrong_master_is_told_before_java_starts(master: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        SparkEngine(SparkSettings(), master=master, workers=None, stall_seconds=600)


def test_a_java_that_is_missing_or_too_old_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"needs Java 17 or later: .*/bin/java: No such file"):
        spark_session.check_java()
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    java.chmod(0o755)
    with pytest.raises(UsageError, match="is Java 8; set JAVA_HOME"):
        spark_session.check_java()
    java.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(UsageError, match="does not tell its version"):
        spark_session.check_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no `java`"):
        spark_session.check_java()


# ---- the command


@pytest.mark.failures
def test_a_run_that_is_interrupted_and_killed_goes_on_and_leaves_no_java(
    engine: SparkEngine, spark_cluster: SparkCluster, local_run: Path, tmp_path: Path
) -> None:
    recipe = small_recipe(tmp_path / "recipe")
    out, folder = tmp_path / "run", tmp_path / "current"
    folder.mkdir()
    for number, (sent, stages) in enumerate([(signal.SIGINT, 1), (signal.SIGKILL, 3)]):
        command = [sys.executable, "-m", "corpusmill", "run", recipe, "--out", str(out)]
        command += ["--engine", "spark", "--workers", "2"]
        with open(tmp_path / f"printed-{number}", "w") as printed:
            driver = subprocess.Popen(command, cwd=folder, stdout=printed, stderr=printed)
        wait_until(partial(has_finished, out, stages), f"{stages} stages are finished")
        below = psutil.Process(driver.pid).children(recursive=True)
        assert any(process.name() == "java" for process in below)
        driver.send_signal(sent)
        assert driver.wait(60) == (130 if sent == signal.SIGINT else -signal.SIGKILL)
        _, alive = psutil.wait_procs(below, timeout=30)
        assert alive == []
        lines = (tmp_path / f"printed-{number}").read_text().splitlines()
        strange = [line for line in lines if not re.match(r"\d\d-\w+: |note: |corpusmill: ", line)]
        assert strange == []
    assert os.listdir(folder) == []
    run(load_recipe(recipe), str(out), engine="spark", master=spark_cluster.master)
    same_output(local_run, out)


def has_finished(out: Path, stages: int) -> bool:
    """Whether a run has recorded so many stages."""
    record = out / "run.json"
    return record.exists() and len(json.loads(record.read_text())["stages"]) >= stages


# ---- settings of a recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spark.executorEnv.LD_PRELOAD", "1"),
        ("spark.python.daemon.module", "1"),
        ("spark.driver.memory.x", "1g"),
        ("spark.driver.memory\nspark.jars", "1g"),
        ("spark.executor.memory", "1g\n"),
        ("spark.executor.memory", "$(id)"),
        ("spark.executor.memory", "٣g"),
    ],
)
def test_what_looks_like_a_size_and_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=r"cannot be set in a recipe|write a number"):
        SparkSettings(conf={name: value})
