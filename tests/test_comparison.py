"""Two runs side by side."""

import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from corpusmill.errors import UsageError
from corpusmill.pipelines.recipe import Recipe, load_recipe
from corpusmill.pipelines.run import run
from corpusmill.report.comparison import NOT_INGESTED, ONLY_HERE, diff_data, diff_view

RECIPE = """
name: compared
sources:
  - {{name: web, kind: web, path: "{samples}/web"}}
  - {{name: books, kind: book, path: "{samples}/books"}}
stages:
{stages}
"""

STRICT = """
  - heuristics: {preset: gopher, for: [web]}
  - tokenize: {vocab_size: 1024}
"""
LAX = """
  - heuristics: {preset: gopher, for: [web], thresholds: {gopher_enough_stop_words: 0}}
  - deduplicate: {}
  - tokenize: {vocab_size: 1024}
"""


def recipe_of(folder: Path, samples: Path, stages: str) -> Recipe:
    file = folder / f"{len(stages)}.yaml"
    file.write_text(RECIPE.format(samples=samples, stages=stages))
    return load_recipe(str(file))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("compared")
    for name, stages in (("a", STRICT), ("b", LAX)):
        run(recipe_of(folder, repo_root / "samples", stages), str(folder / name), workers=1)
    return folder / "a", folder / "b"


def ids(folder: Path, area: str = "documents") -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(folder / area, columns=["id"]).column("id").to_pylist())


def test_settings_that_differ_are_named(runs: tuple[Path, Path]) -> None:
    found = {row["setting"]: (row["a"], row["b"]) for row in diff_data(*map(str, runs))["recipe"]}
    assert found["stages.deduplicate"] == (None, ONLY_HERE)
    assert found["stages.heuristics.thresholds.gopher_enough_stop_words"][1] == 0
    assert not any(name.startswith("stages.tokenize") for name in found)


def test_documents_and_what_became_of_them_are_counted(runs: tuple[Path, Path]) -> None:
    documents = diff_data(*map(str, runs))["documents"]
    a, b = map(ids, runs)
    assert a != b
    assert (documents["a"], documents["b"], documents["both"]) == (len(a), len(b), len(a & b))
    assert (documents["only_a"], documents["only_b"]) == (len(a - b), len(b - a))
    for name, only in (("a", a - b), ("b", b - a)):
        fates = [fate for fate in documents["fates"] if fate["only"] == name]
        assert sum(fate["documents"] for fate in fates) == len(only)
        assert all(sample["id"] in only for fate in fates for sample in fate["samples"])
    reasons = {(fate["only"], fate["reason"]) for fate in documents["fates"]}
    assert ("a", "near_duplicate") in reasons
    assert ("b", "gopher_enough_stop_words") in reasons


def test_a_run_is_like_itself(runs: tuple[Path, Path]) -> None:
    data = diff_data(str(runs[0]), str(runs[0]))
    assert (data["recipe"], data["versions"], data["documents"]["fates"]) == ([], [], [])
    assert data["documents"]["changed"] == data["documents"]["relabelled"] == 0
    assert data["same_shards"]
    assert all(row["a"] == row["b"] for row in [*data["stages"], *data["tokens"]])


def test_changed_texts_and_changed_labels_are_told_apart(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    other = tmp_path / "other"
    shutil.copytree(runs[0], other)
    file = sorted((other / "documents").iterdir())[0]
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    rows[0]["text"] += " more"
    rows[1]["metadata"] = [("topic", "science")]
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(file)), file)
    documents = diff_data(str(runs[0]), str(other))["documents"]
    assert (documents["changed"], documents["relabelled"]) == (1, 1)
    assert [sample["id"] for sample in documents["changed_samples"]] == [rows[0]["id"]]


def test_documents_of_other_inputs_are_said_to_be_of_them(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A text that nobody else has. " * 20)
    (tmp_path / "r.yaml").write_text(
        "name: x\nsources: [{name: x, kind: book, path: texts}]\nstages: []\n"
    )
    run(load_recipe(str(tmp_path / "r.yaml")), str(tmp_path / "run"), workers=1)
    data = diff_data(str(tmp_path / "run"), str(runs[0]))
    fates = [fate for fate in data["documents"]["fates"] if fate["only"] == "a"]
    assert [(fate["stage"], fate["documents"]) for fate in fates] == [(NOT_INGESTED, 1)]
    assert data["inputs"]["only_a"] == 1


def test_folders_that_are_no_runs_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        diff_data(str(runs[0]), str(tmp_path))


def test_the_view_shows_the_differences(runs: tuple[Path, Path]) -> None:
    from rich.console import Console

    console = Console(width=160, record=True, file=StringIO())
    console.print(diff_view(diff_data(*map(str, runs))))
    shown = console.export_text()
    for expected in ("stages.deduplicate", "near_duplicate", "in both", "validation"):
        assert expected in shown
