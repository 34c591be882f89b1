"""The local engine: results in order, killed workers replaced, and verbs equal to their twin."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.engine_tasks import (
    Half,
    Lengths,
    count_groups,
    die_always,
    die_once,
    fail,
    misuse,
    square,
    total,
)
from tests.verbs_fixture import write_parts

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines import verbs as verbs_module
from corpusmill.pipelines.engines.local import LocalEngine
from corpusmill.pipelines.engines.shuffle import partition_of
from corpusmill.pipelines.verbs import EngineVerbs
from corpusmill.stage import Part, Rows


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    opened = LocalEngine(2)
    yield opened
    opened.close()


def test_results_come_in_item_order(engine: LocalEngine) -> None:
    done: list[None] = []
    squares = engine.map(square, list(range(20)), lambda: done.append(None))
    assert squares == [n * n for n in range(20)]
    assert len(done) == 20


def test_a_killed_workers_item_is_run_again(engine: LocalEngine, tmp_path: Path) -> None:
    items = [(str(tmp_path), n) for n in range(6)]
    assert engine.map(die_once, items) == list(range(6))
    assert len(os.listdir(tmp_path)) == 1, "nobody died: the test shows nothing"


def test_a_task_that_always_kills_its_worker_fails_the_run(engine: LocalEngine) -> None:
    with pytest.raises(RunError, match=r"died 3 times .* killed_by_sigkill"):
        engine.map(die_always, [0])


def test_an_exception_in_a_task_is_reported_by_place() -> None:
    engine = LocalEngine(1)
    with pytest.raises(RunError, match=r"ZeroDivisionError at engine_tasks.py:\d+ in fail") as told:
        engine.map(fail, [0])
    assert "secret" not in str(told.value)
    with pytest.raises(UsageError, match="for the user"):
        engine.map(misuse, [0])
    engine.close()


def test_a_worker_killed_from_outside_is_replaced(engine: LocalEngine) -> None:
    engine.map(square, [1, 2])
    os.kill(engine._idle[-1].process.pid, signal.SIGKILL)
    assert engine.map(square, [3, 4, 5]) == [9, 16, 25]


def parts_of(folder: Path, texts: list[list[str]]) -> list[Part]:
    return write_parts(
        folder,
        [
            [{"id": f"{n:016x}{i:016x}", "text": text} for i, text in enumerate(part)]
            for n, part in enumerate(texts)
        ],
    )


TEXTS = [["x" * (1 + (i * 7 + p) % 5) for i in range(40)] for p in range(3)] + [[]]


def test_map_exchange_and_reduce_agree_with_plain_python(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs_module, "PARTITION_BYTES", 500)  # many partitions
    verbs = EngineVerbs(engine, str(tmp_path / "work"), seed=1)
    rows = verbs.map(parts_of(tmp_path, TEXTS), Lengths())
    assert len(rows.paths) == 4
    grouped = verbs.exchange(rows, by="length", then=count_groups)
    assert len(grouped.paths) > 3
    found = {
        (row["length"], row["n"]) for table in verbs.load(grouped) for row in table.to_pylist()
    }
    lengths = [len(text) for part in TEXTS for text in part]
    assert found == {(n, lengths.count(n)) for n in set(lengths)}
    summed = verbs.reduce(rows, total)
    assert summed.to_pylist() == [{"length": sum(lengths)}]


def test_several_datasets_meet_by_key_in_the_order_of_id_and_dataset(
    engine: LocalEngine, tmp_path: Path
) -> None:
    left = pa.table({"id": ["b", "a"], "k": ["x", "x"], "l": [1, 2]})
    right = pa.table({"id": ["a", "c"], "k": ["x", "y"], "r": [3, 4]})
    storage.write_ipc(str(tmp_path / "l.arrow"), left)
    storage.write_ipc(str(tmp_path / "r.arrow"), right)
    verbs = EngineVerbs(engine, str(tmp_path / "work"), seed=1)
    met = verbs.exchange(
        Rows(paths=(str(tmp_path / "l.arrow"),)),
        Rows(paths=(str(tmp_path / "r.arrow"),)),
        by="k",
        then=Half(),
    )
    rows = pa.concat_tables(verbs.load(met)).sort_by([("k", "ascending")]).to_pylist()
    xs = [(row["id"], row["dataset"], row["l"], row["r"]) for row in rows if row["k"] == "x"]
    assert xs == [("a", 0, 2, None), ("a", 1, None, 3), ("b", 0, 1, None)]


def test_a_call_that_was_finished_is_not_repeated(engine: LocalEngine, tmp_path: Path) -> None:
    parts = parts_of(tmp_path, TEXTS)
    first = EngineVerbs(engine, str(tmp_path / "work"), seed=1).map(parts, Lengths())
    stamps = [os.stat(path).st_mtime_ns for path in first.paths]
    again = EngineVerbs(engine, str(tmp_path / "work"), seed=1).map(parts, Lengths())
    assert again == first
    assert [os.stat(path).st_mtime_ns for path in again.paths] == stamps


def test_partitions_depend_on_the_key_alone_and_use_all_of_them() -> None:
    integers = pa.array(range(1000), pa.int64())
    strings = pc.cast(integers, pa.string())
    for keys in (integers, strings):
        partitions = partition_of(keys, 7)
        assert set(partitions.tolist()) == set(range(7))
        reordered = np.random.default_rng(1).permutation(1000)
        assert (partition_of(keys.take(pa.array(reordered)), 7) == partitions[reordered]).all()
