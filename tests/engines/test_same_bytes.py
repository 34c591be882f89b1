"""One recipe, three engines: equal bytes of documents and shards, equal ledgers.

`CORPUSMILL_TEST_MB=50 python -m pytest tests/engines/test_same_bytes.py` runs the text recipe on 50
MB of real text; `make test` takes less.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from benchmarks.corpus import paragraphs_of_prose, write_web
from tests.engines.same_bytes import ROOT, ledger, same_output

from corpusmill.pipelines import verbs
from corpusmill.pipelines.engines.engine import ExchangeTask
from corpusmill.pipelines.engines.settings import EngineName
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run

ENGINES: tuple[EngineName, ...] = ("local", "ray", "spark")
QUICKSTART = "src/corpusmill/pipelines/recipes/quickstart.yaml"
MEGABYTES = float(os.environ.get("CORPUSMILL_TEST_MB", "2"))


def run_on(engines: Sequence[EngineName], recipe: str, folder: Path) -> None:
    """Run the recipe on engines, the local one first, and compare what they give."""
    for engine in engines:
        run(load_recipe(recipe), str(folder / engine), engine=engine, workers=2)
        if engine != "local":
            same_output(folder / "local", folder / engine)


def test_the_quickstart_is_the_same_on_every_engine_and_in_any_number_of_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exchanges have one partition on the local engine, and eight and more on the others."""
    seen: list[int] = []

    def counted(**settings: Any) -> ExchangeTask:
        task = ExchangeTask(**settings)
        seen.append(task.partitions)
        return task

    monkeypatch.chdir(ROOT)  # the paths of the recipe begin there
    monkeypatch.setattr(verbs, "ExchangeTask", counted)
    run_on(ENGINES[:1], QUICKSTART, tmp_path)
    assert set(seen) == {1}
    seen.clear()
    monkeypatch.setattr(verbs, "PARTITION_BYTES", 1_000)
    run_on(ENGINES[1:], QUICKSTART, tmp_path)
    assert max(seen) >= 8


def test_real_text_is_the_same_on_every_engine(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    written = write_web(tmp_path / "web" / "pages.warc.gz", paragraphs_of_prose(), MEGABYTES * 1e6)
    if written < MEGABYTES * 1e6:
        pytest.fail(f"this machine has only {written / 1e6:.1f} MB of prose")
    raw = {
        "name": "text",
        "part_mb": max(0.5, MEGABYTES / 16),
        "sources": [{"name": "crawl", "kind": "web", "path": str(tmp_path / "web")}],
        "stages": [
            {"heuristics": {"preset": "gopher"}},
            {"deduplicate": {}},
            {"anonymize": {"method": "mask", "entities": ["URL", "EMAIL_ADDRESS", "IP_ADDRESS"]}},
            {"tokenize": {"vocab_size": 2048, "split": {"train": 0.9, "validation": 0.1}}},
        ],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(raw))
    run_on(ENGINES, str(tmp_path / "recipe.yaml"), tmp_path / "runs")
    assert any("near_duplicate" in row for row in ledger(tmp_path / "runs" / "local"))
