"""Ray gives the bytes of the local engine: three nodes, real shuffles, and what goes wrong."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from tests.engine_tasks import Half, die_always, fail, in_flight, misuse, square
from tests.engines.dying import DieInCut, DieInMeasure, DieInThen, SlowThen, slow
from tests.engines.other_versions import as_if_upgraded
from tests.engines.poison import judge_or_fail, poisoned, waiting_part
from tests.engines.ray_cluster import RayCluster, raylet, stop
from tests.engines.same_bytes import same_output, small_recipe
from tests.verbs_fixture import ids, write_parts

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines import verbs as verbs_module
from corpusmill.pipelines.engines.crossing import PIECE_BYTES
from corpusmill.pipelines.engines.engine import Engine, ExchangeTask
from corpusmill.pipelines.engines.local import LocalEngine
from corpusmill.pipelines.engines.ray import RayEngine
from corpusmill.pipelines.engines.settings import RaySettings
from corpusmill.pipelines.engines.workers import check_workers
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run
from corpusmill.pipelines.verbs import EngineVerbs
from corpusmill.stage import Part, Rows

pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(900)
"""Clusters start, and kernels are compiled for the first time, on a machine that may be busy."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    opened = RayCluster()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def engine(cluster: RayCluster) -> Iterator[RayEngine]:
    opened = connected(cluster)
    yield opened
    opened.close()


def connected(cluster: RayCluster, stall_seconds: float = 300) -> RayEngine:
    """An engine on the cluster; the first is the driver, whose connection the others share."""
    return RayEngine(
        RaySettings(), address=cluster.address, workers=None, stall_seconds=stall_seconds
    )


@pytest.fixture
def local() -> Iterator[LocalEngine]:
    opened = LocalEngine(2)
    yield opened
    opened.close()


# -- the verbs


def test_results_come_in_item_order_and_each_end_is_told(engine: RayEngine) -> None:
    done: list[None] = []
    assert engine.map(square, list(range(20)), lambda: done.append(None)) == [
        n * n for n in range(20)
    ]
    assert len(done) == 20
    assert engine.workers == 3
    assert engine.map(square, []) == []


def test_no_more_tasks_are_in_flight_than_there_are_cores(
    engine: RayEngine, tmp_path: Path
) -> None:
    """However many wait: what a task holds, a part, is in memory as often as there are cores."""
    counts = engine.map(in_flight, [str(tmp_path)] * 30)
    assert max(counts) <= engine.workers == 3


def files_of_rows(folder: Path, files: int = 3, rows: int = 400) -> tuple[str, ...]:
    """Half of all rows have one key; its rows are larger than a piece, and one file is empty."""
    chance = random.Random(1)
    paths = []
    for number in range(files):
        rows_here = rows if number else 0
        table = pa.table(
            {
                "id": pa.array([f"{number}-{n:05d}" for n in range(rows_here)], pa.string()),
                "key": pa.array(
                    ["half" if n % 2 else f"k{chance.randrange(90)}" for n in range(rows_here)],
                    pa.string(),
                ),
                "bytes": pa.array(
                    [chance.randbytes(30_000 if n % 2 else 10) for n in range(rows_here)],
                    pa.binary(),
                ),
            }
        )
        paths.append(str(folder / f"{number}.arrow"))
        storage.write_ipc(paths[-1], table)
    return tuple(paths)


@pytest.mark.parametrize("partitions", [1, 8])
def test_an_exchange_writes_the_files_of_the_local_engine(
    engine: RayEngine, local: LocalEngine, tmp_path: Path, partitions: int
) -> None:
    """Half of all rows have one key, and in each file more bytes than a piece."""
    paths = files_of_rows(tmp_path)
    assert os.path.getsize(paths[1]) > PIECE_BYTES
    found = {
        opened.name: contents(
            opened.exchange(
                ExchangeTask(
                    datasets=(paths, paths[1:]),
                    by="key",
                    then=Half(),
                    partitions=partitions,
                    folder=str(tmp_path / opened.name),
                )
            )
        )
        for opened in (local, engine)
    }
    assert len(found["local"]) == partitions
    assert found["ray"] == found["local"]


def contents(paths: list[str]) -> list[bytes]:
    return [Path(path).read_bytes() for path in paths]


def test_the_small_recipe_gives_the_bytes_of_a_local_run(
    engine: RayEngine,
    cluster: RayCluster,
    local_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With exchanges of several partitions, where the local run has one."""
    monkeypatch.setattr(verbs_module, "PARTITION_BYTES", 20_000)
    recipe = load_recipe(small_recipe(tmp_path))
    run(recipe, str(tmp_path / "run"), engine="ray", address=cluster.address)
    same_output(local_run, tmp_path / "run")


# -- what fails


def test_what_a_task_raises_is_told_and_not_tried_again(engine: RayEngine) -> None:
    with pytest.raises(RunError, match=r"ZeroDivisionError at engine_tasks.py:\d+ in fail") as told:
        engine.map(fail, [0])
    assert "secret" not in str(told.value)
    with pytest.raises(UsageError, match="for the user"):
        engine.map(misuse, [0])


def test_a_task_that_always_kills_its_worker_fails_the_run(engine: RayEngine) -> None:
    with pytest.raises(RunError, match="a worker died 3 times on the same task"):
        engine.map(die_always, [0])


def parts_of(folder: Path) -> list[Part]:
    texts = [["x" * (1 + (i % 2) * (i + p)) for i in range(30)] for p in range(3)]
    rows = [
        [{"id": f"{p:016x}{i:016x}", "text": text} for i, text in enumerate(part)]
        for p, part in enumerate(texts)
    ]
    return write_parts(folder, rows)


def test_a_worker_killed_in_a_map_or_on_either_side_of_an_exchange_changes_no_byte(
    engine: RayEngine, local: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs_module, "PARTITION_BYTES", 500)
    parts = parts_of(tmp_path)
    deaths = {name: str(tmp_path / name) for name in ("map", "cut", "then")}
    found = {}
    for opened in (engine, local):
        if opened is local:  # all have died: the local run is undisturbed
            assert all(map(os.path.exists, deaths.values())), "nobody died: this shows nothing"
        verbs = EngineVerbs(opened, str(tmp_path / opened.name), seed=1)
        rows = verbs.map(parts, DieInMeasure(deaths["map"]))
        paths = tuple(DieInCut(path, deaths["cut"]) for path in rows.paths)
        met = verbs.exchange(Rows(paths=paths), by="length", then=DieInThen(deaths["then"]))
        found[opened.name] = contents([*rows.paths, *met.paths])
    assert len(found["local"]) > len(parts) + 1
    assert found["ray"] == found["local"]


def test_documents_that_kill_their_stage_or_their_worker_leave_the_bytes_of_local(
    engine: RayEngine, local: LocalEngine, tmp_path: Path
) -> None:
    assert poisoned(engine, tmp_path) == poisoned(local, tmp_path)


def test_tasks_that_are_cancelled_leave_nothing_behind(
    engine: RayEngine, local: LocalEngine, tmp_path: Path
) -> None:
    """Two wait for an answer of their stage when the third fails: no later task gets it."""
    texts = [["this", "that"], ["here", "there"], ["now", "then"], ["once", "twice"]]
    rows = [[{"id": i, "text": t} for i, t in zip(ids(2), two, strict=True)] for two in texts]
    parts = write_parts(tmp_path, rows)
    first = [waiting_part(part, tmp_path, f"{tmp_path}/first") for part in parts[:2]]
    with pytest.raises(RunError, match="the third has failed"):
        engine.map(judge_or_fail, [*first, str(tmp_path)])
    (tmp_path / "go").touch()
    found = [
        opened.map(
            judge_or_fail,
            [waiting_part(part, tmp_path, f"{tmp_path}/{opened.name}") for part in parts[2:]],
        )
        for opened in (engine, local)
    ]
    assert found[0] == found[1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk that fills up: only root may mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # workers may have maps of it


@pytest.mark.failures
def test_a_full_disk_is_a_message_and_the_same_command_goes_on(
    engine: RayEngine, cluster: RayCluster, local_run: Path, tmp_path: Path, small_disk: Path
) -> None:
    recipe = load_recipe(small_recipe(tmp_path / "recipe"))
    out = str(small_disk / "run")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_900_000))
    with pytest.raises(RunError, match="No space left on device"):
        run(recipe, out, engine="ray", address=cluster.address)
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run(recipe, out, engine="ray", address=cluster.address)
    same_output(local_run, Path(out))


def test_a_folder_that_workers_do_not_see_is_refused(engine: RayEngine, tmp_path: Path) -> None:
    """What an open folder is called in this process leads nowhere in another."""
    folder = os.open(tmp_path, os.O_RDONLY)
    high = 900
    os.dup2(folder, high)
    try:
        with pytest.raises(RunError, match="is not seen by workers on"):
            check_workers(engine, f"/proc/self/fd/{high}")
        assert os.listdir(tmp_path) == []
    finally:
        os.close(folder)
        os.close(high)


def test_a_worker_with_other_versions_is_told(
    engine: RayEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=as_if_upgraded(monkeypatch)):
        check_workers(engine, str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.failures
def test_a_standstill_ends_the_run(engine: RayEngine, cluster: RayCluster) -> None:
    hasty = connected(cluster, stall_seconds=1)
    with pytest.raises(RunError, match=r"no task has ended on Ray for .* \(engine.stall_minutes\)"):
        hasty.map(slow, [(5.0, 0)])


# -- nodes that go; each test brings its own


@contextlib.contextmanager
def another_node(cluster: RayCluster) -> Iterator[object]:
    node = cluster.add_node()
    try:
        yield node
    finally:
        cluster.remove(node)


def exchange_slowly(engine: Engine, folder: Path, seconds: float) -> list[bytes]:
    task = ExchangeTask(
        datasets=(files_of_rows(folder),),
        by="key",
        then=SlowThen(seconds),
        partitions=8,
        folder=str(folder / engine.name),
    )
    return contents(engine.exchange(task))


@pytest.mark.failures
@pytest.mark.parametrize("harm", ["killed", "stopped"])
def test_a_node_that_is_lost_in_an_exchange_changes_no_byte(
    engine: RayEngine, local: LocalEngine, cluster: RayCluster, tmp_path: Path, harm: str
) -> None:
    tmp_path = tmp_path / harm
    tmp_path.mkdir()
    expected = exchange_slowly(local, tmp_path, 0)
    with another_node(cluster) as node:
        engine.map(slow, [(1.0, n) for n in range(12)])  # the node has workers by now
        harmed: list[psutil.Process] = []

        def harm_it_when_it_works() -> None:
            parent = raylet(node)
            while not any("ray::Gather" in n or "ray::Map" in n for n in names(parent)):
                time.sleep(0.05)
            harmed.append(parent)
            if harm == "killed":
                parent.kill()
            else:
                harmed.extend(stop(node))

        watcher = threading.Thread(target=harm_it_when_it_works, daemon=True)
        watcher.start()
        found = exchange_slowly(engine, tmp_path, 2)
        watcher.join(1)
        for process in harmed:
            with contextlib.suppress(psutil.Error):
                process.resume()
    assert harmed, "the node was not used: this shows nothing"
    assert found == expected


def names(parent: psutil.Process) -> list[str]:
    found = []
    for process in parent.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return found


# -- the command


def mill(*words: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "corpusmill", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **more},
    )


@pytest.mark.failures
def test_a_killed_driver_is_followed_by_another(
    cluster: RayCluster, engine: RayEngine, local_run: Path, tmp_path: Path
) -> None:
    recipe, out = small_recipe(tmp_path), tmp_path / "run"
    words = ("run", recipe, "--out", str(out), "--engine", "ray", "--address", cluster.address)
    first = mill(*words)
    wait_for(first, "01-heuristics")
    first.kill()
    first.wait()
    second = mill(*words)
    said, _ = second.communicate()
    assert second.returncode == 0, said
    assert "00-ingest:" not in said
    assert "every document is accounted for" in said
    assert not [line for line in said.splitlines() if "Warning" in line or "ray" in line.split()]
    same_output(local_run, out)


def wait_for(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read what a process says until it says that."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if text in line:
            return said
    raise AssertionError(f"{text!r} was not said: {said}")


@pytest.mark.failures
def test_an_interrupted_run_leaves_nothing_of_its_own_cluster(tmp_path: Path) -> None:
    temporary = Path("/tmp") / f"mill-{os.getpid()}"
    temporary.mkdir()
    options = ("--out", str(tmp_path / "run"), "--engine", "ray", "--workers", "1")
    process = mill("run", small_recipe(tmp_path), *options, TMPDIR=str(temporary))
    wait_for(process, "00-ingest")
    started = psutil.Process(process.pid).children(recursive=True)
    assert any("raylet" in child.name() for child in started)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


@pytest.mark.parametrize("address", ["here", "here:port", "ray://127.0.0.1:10001", "127.0.0.1:0"])
def test_an_address_that_is_none_or_that_nobody_answers_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=f"--address {address}: "):
        RayEngine(RaySettings(), address=address, workers=None, stall_seconds=1)
