"""One bad document never takes another with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from tests.crashing_stages import Crashing, CrashingHere, KilledWhileOpening

from corpusmill import isolation
from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import RunError
from corpusmill.pipelines.judge import Judged, OpenStage, judge


def documents(texts: list[str]) -> pa.RecordBatch:
    rows = [
        {"id": f"{i:032x}", "text": t, "source": "s", "kind": "web", "uri": f"u{i}"}
        for i, t in enumerate(texts)
    ]
    return documents_from_rows(rows, document_schema())


def judged_texts(
    stage: Crashing, texts: list[str], killed: list[tuple[str, str]]
) -> tuple[list[str], Judged]:
    opened = OpenStage(stage)
    into = Judged()
    try:
        judge(opened, documents(texts), into, {}, lambda i, reason: killed.append((i, reason)))
    finally:
        opened.close()
    return [t for batch in into.kept for t in batch.column("text").to_pylist()], into


def test_documents_that_crash_or_raise_are_quarantined_and_all_others_arrive() -> None:
    killed: list[tuple[str, str]] = []
    texts = ["a", "crash", "b", "raise", "c", "drop", "d", "crash", "e"]
    kept, judged = judged_texts(Crashing(), texts, killed)
    assert kept == ["A", "B", "C", "D", "E"]
    assert judged.counts.found == 9
    assert judged.counts.quarantined == 3
    assert dict(judged.counts.dropped) == {"asked_for": 1}
    reasons = sorted((row["id"][-1], row["reason"]) for row in judged.ledger)
    assert reasons == [
        ("1", "killed_by_sigsegv"),
        ("3", "exception"),
        ("5", "asked_for"),
        ("7", "killed_by_sigsegv"),
    ]
    assert sorted(killed) == [
        (f"{1:032x}", "killed_by_sigsegv"),
        (f"{7:032x}", "killed_by_sigsegv"),
    ]


def test_an_exception_is_recorded_by_place_and_never_by_its_message() -> None:
    _, judged = judged_texts(CrashingHere(), ["raise"], [])
    (row,) = judged.ledger
    assert row["detail"].startswith("ValueError at crashing_stages.py:")
    assert "secret" not in row["detail"]


def test_a_document_that_takes_too_much_memory_is_quarantined() -> None:
    kept, judged = judged_texts(Crashing(), ["a", "allocate", "b"], [])
    assert kept == ["A", "B"]
    assert judged.counts.quarantined == 1


def test_a_document_that_takes_too_much_time_is_quarantined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "DEFAULT_CPU_SECONDS", 1)
    killed: list[tuple[str, str]] = []
    kept, judged = judged_texts(Crashing(), ["a", "spin"], killed)
    assert kept == ["A"], judged.ledger
    assert killed == [(f"{1:032x}", "cpu_limit")]


def test_a_document_that_takes_too_much_time_costs_two_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "DEFAULT_CPU_SECONDS", 1)
    deaths: list[str] = []
    cause_of_death = isolation.Child.cause_of_death

    def counted(child: isolation.Child) -> str:
        deaths.append(cause_of_death(child))
        return deaths[-1]

    monkeypatch.setattr(isolation.Child, "cause_of_death", counted)
    kept, _ = judged_texts(Crashing(), ["a", "b", "c", "spin", "d", "e"], [])
    assert kept == ["A", "B", "C", "D", "E"]
    assert deaths == ["cpu_limit"] * 2


def test_documents_that_once_killed_the_child_are_not_met_again() -> None:
    opened = OpenStage(Crashing())
    into = Judged()
    killed: list[str] = []
    replay = {f"{1:032x}": "cpu_limit"}
    judge(opened, documents(["a", "crash"]), into, replay, lambda i, _: killed.append(i))
    opened.close()
    assert not killed, "the document was tried again"
    assert [row["reason"] for row in into.ledger] == ["cpu_limit"]
    assert into.counts.kept == 1


def test_a_document_whose_child_was_killed_from_outside_gets_a_second_chance(
    tmp_path: Path,
) -> None:
    mark = tmp_path / "mark"
    kept, judged = judged_texts(Crashing(), [f"killed once {mark}", "a"], [])
    assert mark.exists(), "nobody was killed"
    assert kept == [f"KILLED ONCE {mark}".upper(), "A"]
    assert judged.counts.quarantined == 0


def test_a_child_killed_while_it_loads_its_stage_blames_no_document(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    opened = OpenStage(KilledWhileOpening(mark=str(mark)))
    into = Judged()
    judge(opened, documents(["a"]), into, {}, lambda i, reason: None)
    opened.close()
    assert mark.exists(), "nobody was killed"
    assert into.counts.kept == 1
    assert into.counts.quarantined == 0


def test_a_stage_that_cannot_be_loaded_fails_the_run_and_no_document() -> None:
    opened = OpenStage(KilledWhileOpening(mark="/nowhere/mark"))
    with pytest.raises(RunError, match="could not be opened: FileNotFoundError"):
        judge(opened, documents(["a"]), Judged(), {}, lambda i, reason: None)


def test_the_answer_of_an_interrupted_call_is_none_of_the_next() -> None:
    child = isolation.Child()
    assert child.call(os.getpid) == child.process.pid
    # to this thread: one of a library's would take it, and leave this one waiting to the end
    me = threading.get_ident()
    threading.Timer(0.2, signal.pthread_kill, (me, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        child.call(time.sleep, 60)
    with pytest.raises(isolation.ChildDied, match="killed_by_sigkill"):
        child.call(os.getpid)


def test_files_in_the_current_folder_are_not_imported_by_children(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('imported a stranger')")
    code = "from corpusmill.isolation import Child\nprint(Child().call(len, [1, 2]))"
    result = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "2\n", result.stderr


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import time\nfrom corpusmill.isolation import Child\n"
        "child = Child()\nprint(child.process.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    assert psutil.pid_exists(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)
