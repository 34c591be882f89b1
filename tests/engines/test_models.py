"""Stages with models give the same bytes whatever an engine hands to a worker at a time.

Three runs that load every model each: beside the tests of failures, for it takes minutes.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from benchmarks.biographies import biographies
from tests.engines.same_bytes import ROOT, checksums, counts, ledger

from corpusmill.pipelines import verbs
from corpusmill.pipelines.engines import spark
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run

PEOPLE = 16

STAGES: list[dict[str, Any]] = [
    {"language": {"keep": ["en"], "paragraphs": "measure", "for": ["crawl"]}},
    {
        "quality": {
            "scorers": ["ngram", "classifier"],
            "classifier": {"train_mb": 0.1},
            "reference": str(ROOT / "samples/reference.txt"),
            "smallest_group": 10,
            "for": ["crawl"],
        }
    },
    {"augment": {"share": 0.3, "for": ["people"]}},
    {"anonymize": {"method": "mask", "ner": "auto", "for": ["people"]}},
]


def recipe_of_models(folder: Path) -> str:
    """Write a recipe whose stages have a model each."""
    texts = [json.dumps({"text": f"{person['text']}\n"}) for person in biographies(PEOPLE)]
    (folder / "people.jsonl").write_text("\n".join(texts), "utf-8")
    raw = {
        "name": "models",
        "part_mb": 0.1,
        "sources": [
            {"name": "crawl", "kind": "web", "path": str(ROOT / "samples/web")},
            {"name": "people", "kind": "web", "path": str(folder / "people.jsonl")},
        ],
        "stages": STAGES,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    return str(folder / "recipe.yaml")


@pytest.mark.failures
def test_stages_with_models_see_nothing_of_an_engines_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(recipe_of_models(tmp_path))
    stages = run(recipe, str(tmp_path / "local"), workers=2).stages[1:]
    assert [stage.name.partition("-")[2] for stage in stages] == [
        name for stage in STAGES for name in stage
    ]
    for stage in stages:
        did = stage.counts.changed + stage.counts.added + sum(stage.counts.dropped.values())
        assert did, f"{stage.name} did nothing: this shows nothing"
    for rows_at_a_time, partition_bytes in ((1, 1_000), (1_000, verbs.PARTITION_BYTES)):
        monkeypatch.setattr(spark, "ROWS_AT_A_TIME", rows_at_a_time)
        monkeypatch.setattr(verbs, "PARTITION_BYTES", partition_bytes)
        out = tmp_path / f"spark-{rows_at_a_time}"
        run(recipe, str(out), engine="spark", workers=2)
        assert checksums(out, ["documents"]) == checksums(tmp_path / "local", ["documents"])
        assert ledger(out) == ledger(tmp_path / "local")
        assert counts(out) == counts(tmp_path / "local")
