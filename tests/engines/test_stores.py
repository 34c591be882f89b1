"""Runs on clusters whose inputs and run folder lie in an object store that fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.ray_cluster import RayCluster
from tests.engines.same_bytes import ROOT, same_output, small_recipe
from tests.engines.spark_cluster import SparkCluster
from tests.s3_faults import ALL, RESET, SLOW_DOWN, FaultyProxy, Plan
from tests.s3_server import s3_server

from corpusmill import storage
from corpusmill.errors import RunError
from corpusmill.pipelines import run_lock
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import Silent, run

pytestmark = [pytest.mark.failures, pytest.mark.timeout(1800)]
"""Each request goes through this process, thousands of them."""

OUT = "s3://bucket/run"


@pytest.fixture(scope="module")
def store() -> Iterator[FaultyProxy]:
    """A store that the clusters of this module find in their environment."""
    with s3_server() as proxy:
        yield proxy


@pytest.fixture(params=["ray", "spark"])
def where(
    request: pytest.FixtureRequest, store: FaultyProxy, tmp_path: Path
) -> Iterator[dict[str, Any]]:
    """What `run` is told of the engine and its cluster."""
    opened: RayCluster | SparkCluster
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "ray":
            opened = RayCluster()
            yield {"engine": "ray", "address": opened.address}
        else:
            opened = SparkCluster(tmp_path / "spark")
            patch.setenv("SPARK_CONF_DIR", str(opened.configuration))
            patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
            yield {"engine": "spark", "master": opened.master}
        opened.close()


class Breaking(Silent):
    """The store answers no more when the first task of a stage has ended."""

    def __init__(self, store: FaultyProxy, stage: str) -> None:
        self._store = store
        self._stage = stage
        self._stages = ""

    def begin(self, stage: str, total: int) -> None:
        self._stages = stage

    def advance(self) -> None:
        if self._stages.startswith(self._stage):
            self._store.plan = Plan(share=1, kinds=(SLOW_DOWN, RESET), at_most=1 << 30)


def fetched(folder: Path) -> Path:
    """The run as it lies in the store, on this machine."""
    for path in storage.list_files(OUT):
        target = folder / path.removeprefix(f"{OUT}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(storage.read_bytes(path))
    return folder


def test_storage_that_fails_ends_a_run_and_that_fails_now_and_then_changes_no_byte(
    where: dict[str, Any],
    store: FaultyProxy,
    local_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_lock, "LEASE_SECONDS", 2.0)  # it cannot be given back, either
    store.plan = Plan()
    storage.remove(OUT)
    for path in (ROOT / "samples/web").iterdir():
        storage.write_atomic(f"s3://bucket/in/web/{path.name}", path.read_bytes())
    there = ["sources.crawl.path=s3://bucket/in/web"]
    recipe = load_recipe(small_recipe(tmp_path / "recipe"), there)
    with pytest.raises(RunError, match=r"given up after 9 attempts"):
        run(recipe, OUT, progress=Breaking(store, "01"), **where)
    store.plan = Plan(seed=3, share=0.2, kinds=ALL)
    finished = load(OUT)
    run(recipe, OUT, **where)
    assert finished == ["00-ingest"]
    assert sum(store.plan.made.values()) > 100
    store.plan = Plan()
    same_output(local_run, fetched(tmp_path / "fetched"))


def load(out: str) -> list[str]:
    """Stages that a run has finished."""
    return [stage["name"] for stage in storage.read_json(f"{out}/run.json")["stages"]]
