"""Topics and representation in whole runs: equal bytes for any workers, and warnings at the end."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpusmill.pipelines.ledger import load_run
from corpusmill.pipelines.recipe import check_recipe
from corpusmill.pipelines.representation import measure_representation
from corpusmill.pipelines.run import run
from corpusmill.report.coverage import coverage

TEXTS = [
    "The old mosque of the town is that with the blue roof, and muslims pray in it. ",
    "The christian church of the town is that with the red roof, and a priest lives in it. ",
    "The guitar and the piano are in that song, and the album of the singer is to be heard. ",
]


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """A recipe over 240 documents with a word list that silences a group."""
    lines = [{"id": str(n), "text": TEXTS[n % 3] * 3 + f"Number {n}."} for n in range(240)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "words.txt").write_text("mosque\n")
    return {
        "name": "topics",
        "part_mb": 0.01,
        "sources": [{"name": "texts", "kind": "web", "path": str(tmp_path / "in.jsonl")}],
        "stages": [
            {"topics": {}},
            {"toxicity": {"words": [str(tmp_path / "words.txt")], "max_toxicity_words": 0}},
        ],
    }


def published(out: Path) -> dict[str, bytes]:
    """The files of documents/."""
    return {path.name: path.read_bytes() for path in sorted((out / "documents").iterdir())}


def test_a_run_labels_documents_and_tells_whom_it_silenced(
    tmp_path: Path, recipe: dict[str, Any]
) -> None:
    out = tmp_path / "one"
    run(check_recipe(recipe), str(out), workers=1)
    run(check_recipe(recipe), str(tmp_path / "two"), workers=2)
    assert published(out) == published(tmp_path / "two")
    assert len(published(out)) > 1
    rows = pq.read_table(out / "documents", columns=["text", "metadata", "scores"]).to_pylist()
    topics = {row["text"].split()[1]: dict(row["metadata"])["topic"] for row in rows}
    assert topics == {"christian": "religion", "guitar": "music"}
    assert all(0.3 <= row["scores"]["topic_score"] <= 1 for row in rows)
    tables = {table["key"]: table for table in coverage(str(out), load_run(str(out)))}
    assert [
        (row["value"], row["in"]["documents"], row["out"]["documents"])
        for row in tables["topic"]["rows"]
    ] == [("religion", 160, 80), ("music", 80, 80)]
    counted = measure_representation(str(out))
    assert counted is not None
    warned = {(row["stage"], row["group"]) for row in counted["groups"] if row["warning"]}
    assert warned == {("02-toxicity", "Muslims"), ("all stages", "Muslims")}
