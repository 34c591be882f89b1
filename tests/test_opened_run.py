"""A run in a notebook: `corpusmill.open_run`."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pad
import pyarrow.parquet as pq
import pytest

import corpusmill
from corpusmill.errors import UsageError
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run
from corpusmill.report.opened import OpenedRun, Rows
from corpusmill.report.sweep import sweep_data

RECIPE = """
name: opened
sources: [{{name: web, kind: web, path: "{samples}/web"}}]
stages:
  - heuristics: {{preset: gopher}}
  - tokenize: {{vocab_size: 1024}}
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> OpenedRun:
    folder = tmp_path_factory.mktemp("opened")
    (folder / "r.yaml").write_text(RECIPE.format(samples=repo_root / "samples"))
    run(load_recipe(str(folder / "r.yaml")), str(folder / "run"), workers=1)
    return corpusmill.open_run(str(folder / "run"))


def test_documents_are_the_same_in_every_form(opened: OpenedRun) -> None:
    documents = opened.documents
    expected = pq.read_table(Path(opened.path) / "documents").column("id").to_pylist()
    assert len(documents) == len(expected) > 5
    assert documents.arrow(["id"]).column("id").to_pylist() == expected
    assert documents.pandas(["id"])["id"].tolist() == expected
    assert documents.polars().select("id").collect()["id"].to_list() == expected
    assert documents.duckdb().project("id").fetchall() == [(id_,) for id_ in expected]
    assert documents.hf()["id"][:] == expected
    assert pa.Table.from_batches(documents.batches(["id"])).column("id").to_pylist() == expected


def test_rows_can_be_asked_for_by_a_condition(opened: OpenedRun) -> None:
    gone = opened.ledger.arrow(["id", "action"], pad.field("action") == "dropped")
    assert gone.num_rows == sum(sum(row["dropped"].values()) for row in opened.funnel)
    ids = gone.column("id").to_pylist()
    condition = pad.field("action") == "dropped"
    assert opened.ledger.pandas(["id"], condition)["id"].tolist() == ids
    assert opened.ledger.hf(["id"], condition)["id"][:] == ids
    batches = opened.ledger.batches(["id"], condition)
    assert pa.Table.from_batches(batches).column("id").to_pylist() == ids
    with pytest.raises(UsageError, match="did you mean 'text'"):
        opened.documents.arrow(["texts"])


def test_a_library_that_is_not_installed_is_named(
    opened: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UsageError, match=r"polars is not installed: pip install 'corpusmill"):
        opened.documents.polars()


def test_scores_are_those_of_all_documents_that_were_kept_or_dropped(opened: OpenedRun) -> None:
    scores = opened.scores.arrow()
    fates = scores.column("fate").to_pylist()
    assert fates.count("kept") == len(opened.documents)
    assert (
        len(fates) - fates.count("kept")
        == opened.ledger.arrow(where=pad.field("action") == "dropped").num_rows
    )
    assert pa.types.is_float32(scores.schema.field("gopher_short_doc").type)
    assert scores.column("gopher_short_doc").null_count < len(fates)
    kept = opened.scores.duckdb().filter("fate = 'kept'")
    assert kept.aggregate("count(*)").fetchall() == [(fates.count("kept"),)]
    assert opened.scores.polars().select("fate").collect()["fate"].to_list() == fates


def test_thresholds_are_swept_as_on_the_command_line(opened: OpenedRun) -> None:
    swept = opened.sweep("gopher_short_doc", [1.0])
    assert swept == sweep_data(opened.path, "gopher_short_doc", [1.0])
    assert swept["stages"][0]["thresholds"][0]["threshold"] == 1.0


def test_tokens_of_shards_become_text_again(opened: OpenedRun) -> None:
    texts = {row["id"]: row["text"] for row in opened.documents.arrow(["id", "text"]).to_pylist()}
    for split, counts in opened.shards.splits.items():
        rows = opened.shards.rows(split).arrow()
        assert rows.num_rows == counts["documents"]
        for row in rows.to_pylist():
            assert opened.shards.decode(row["tokens"], special=False) == texts[row["id"]]
            assert opened.shards.decode(row["tokens"]) != texts[row["id"]]
    with pytest.raises(UsageError, match="split"):
        opened.shards.rows("trian")


def test_what_notebooks_show_is_escaped(opened: OpenedRun, tmp_path: Path) -> None:
    assert "<td>01-heuristics</td>" in opened._repr_html_()
    assert "<td>train</td>" in opened.shards._repr_html_()
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"<b>": ["<script>alert(1)</script>\u202e"]}), file)
    shown = Rows("<i>", pad.dataset(str(file)))._repr_html_()
    assert "<script>" not in shown
    assert "<i>" not in shown
    assert "&lt;b&gt;" in shown
    assert "\u202e" not in shown


def test_what_is_not_there_is_said(opened: OpenedRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        corpusmill.open_run(str(tmp_path))
    (tmp_path / "run.json").write_text((Path(opened.path) / "run.json").read_text())
    bare = corpusmill.open_run(str(tmp_path))
    with pytest.raises(UsageError, match="no ingested"):
        _ = bare.ingested
    with pytest.raises(UsageError, match="no shards"):
        _ = bare.shards
