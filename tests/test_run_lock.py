"""One run in a folder of an object store: a lease, on an S3 server that fails now and then."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from tests.s3_faults import LOST, SLOW_DOWN, FaultyProxy, Plan
from tests.s3_server import s3_server

from corpusmill import remote, storage
from corpusmill.errors import FolderBusy, RunError, UsageError
from corpusmill.pipelines import run_lock as locking
from corpusmill.pipelines.recipe import Recipe
from corpusmill.pipelines.run import run
from corpusmill.pipelines.run_lock import run_lock
from corpusmill.stages.sources.source import Source

HOLD = """
import sys, time
from corpusmill.pipelines import run_lock
run_lock.RENEW_SECONDS = 0.2
with run_lock.run_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""
ELSEWHERE = b"process 7 on elsewhere\n0123456789abcdef\n"


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyProxy]:
    with s3_server() as proxy:
        yield proxy


@pytest.fixture
def folder(server: FaultyProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A run folder in a store without faults; keepers write every moment."""
    monkeypatch.setattr(locking, "RENEW_SECONDS", 0.2)
    monkeypatch.setattr(locking, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.005)
    yield f"s3://bucket/{tmp_path.name}"
    server.plan = Plan()


def holder(folder: str) -> "subprocess.Popen[str]":
    """A process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_until_the_first_is_killed(folder: str, repo_root: Path) -> None:
    recipe = Recipe(
        name="second",
        sources=(Source(name="shelf", kind="book", path=str(repo_root / "samples/books")),),
        stages=(),
    )
    first = holder(folder)
    keepers = psutil.Process(first.pid).children()
    assert len(keepers) == 1
    told = f"{folder} is busy: process {first.pid} on {socket.gethostname()} works in it"
    with pytest.raises(FolderBusy, match=told):
        run(recipe, folder, workers=1)
    first.kill()
    first.wait()
    assert run(recipe, folder, workers=1).stages[0].counts.found
    _, alive = psutil.wait_procs(keepers, timeout=30)
    assert alive == []
    assert remote.content(f"{folder}/.lock") == locking.FREE


def test_interrupting_a_run_gives_its_lease_back(folder: str) -> None:
    first = holder(folder)
    first.send_signal(signal.SIGINT)
    first.wait()
    assert remote.content(f"{folder}/.lock") == locking.FREE


def test_a_lease_that_nobody_keeps_is_taken_over(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "LEASE_SECONDS", 0.5)
    storage.write_atomic(f"{folder}/.lock", ELSEWHERE)
    notes: list[str] = []
    with run_lock(folder, notes.append):
        mine = remote.content(f"{folder}/.lock")
        assert mine is not None
        assert mine.startswith(f"process {os.getpid()} on ".encode())
    assert [note.partition(":")[0] for note in notes] == ["s3"]
    assert "process 7 on elsewhere" in notes[0]


@pytest.mark.parametrize(
    ("now", "told"),
    [(ELSEWHERE, "process 7 on elsewhere has taken the lease"), (None, "the lease was removed")],
)
def test_a_run_that_has_lost_its_lease_ends(folder: str, now: bytes | None, told: str) -> None:
    def work() -> None:
        with run_lock(folder):
            if now is None:
                storage.remove(f"{folder}/.lock")
            else:
                storage.write_atomic(f"{folder}/.lock", now)
            for _ in range(600):
                time.sleep(0.1)

    with pytest.raises(RunError, match=told):
        work()
    assert remote.content(f"{folder}/.lock") == now


def test_of_many_that_come_at_once_one_gets_the_folder(folder: str, server: FaultyProxy) -> None:
    """Also when the answer to the one is lost, or the store asks to come later."""
    names = [f"process {n}".encode() for n in range(8)]
    for old in (None, b"", b"somebody"):
        path = f"{folder}/{old!r}"
        if old is not None:
            storage.write_atomic(path, old)
        server.plan = Plan(seed=5, share=0.6, kinds=(LOST, SLOW_DOWN))
        with ThreadPoolExecutor(len(names)) as pool:
            won = list(pool.map(lambda name, p=path, o=old: remote.swap(p, o, name), names))
        assert server.plan.made[LOST]
        server.plan = Plan()
        assert sum(won) == 1
        assert remote.content(path) == names[won.index(True)]


def test_a_store_that_knows_no_conditions_is_used_all_the_same(
    folder: str, server: FaultyProxy
) -> None:
    server.plan = Plan(conditions=False)
    with run_lock(folder):
        assert remote.content(f"{folder}/.lock")
    assert remote.content(f"{folder}/.lock") == locking.FREE


@pytest.mark.usefixtures("server")
def test_a_bucket_that_is_not_there_is_told() -> None:
    lock = run_lock("s3://no-bucket/run")
    with pytest.raises(UsageError, match="s3://no-bucket/run: cannot be an output folder"):
        lock.__enter__()
