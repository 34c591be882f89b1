"""Sizing a cluster: sizes as people write them, measures multiplied, gaps told."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from corpusmill.cli.base import app
from corpusmill.errors import UsageError
from corpusmill.pipelines.plan import make_steps
from corpusmill.pipelines.recipe import Recipe, check_recipe
from corpusmill.pipelines.sizing import (
    INGEST,
    REST,
    Measure,
    Measures,
    describe_size,
    load_measures,
    parse_size,
    size,
)

NOTHING = Measure(
    core_seconds=0.0,
    bytes_out=1.0,
    documents_out=1.0,
    shuffle_bytes=0.0,
    ledger_bytes=0.0,
    written_bytes=0.0,
    worker_mb=0.0,
    settings={},
)
WEB = {
    INGEST: replace(NOTHING, core_seconds=0.36, bytes_out=0.5, documents_out=100, worker_mb=200),
    "heuristics": replace(NOTHING, core_seconds=0.036, bytes_out=0.4, documents_out=0.5),
    "deduplicate": replace(NOTHING, core_seconds=0.072, shuffle_bytes=300, worker_mb=500),
    "tokenize": replace(NOTHING, core_seconds=0.036, written_bytes=0.5, ledger_bytes=2),
    REST: replace(NOTHING, core_seconds=0.018, written_bytes=0.25),
}
MEASURES = Measures(machine="a machine", driver_seconds=9, kinds={"web": WEB})


def recipe_of(*stages: dict[str, Any], kinds: tuple[str, ...] = ("web",)) -> Recipe:
    """A recipe whose sources are not there; they are called like their kinds."""
    sources = [{"name": kind, "kind": kind, "path": f"no-such-folder-{kind}"} for kind in kinds]
    return check_recipe({"name": "r", "sources": sources, "stages": list(stages)}, [])


def sized(recipe: Recipe, megabytes: float, cores: int = 1, **others: float) -> dict[str, Any]:
    """Of so many MB of the web, and of other kinds."""
    inputs = {"web": ("web", megabytes * 1e6)}
    inputs |= {kind: (kind, given * 1e6) for kind, given in others.items()}
    return size(make_steps(recipe), inputs, cores, MEASURES)


LINE = recipe_of(
    {"heuristics": {"preset": "fineweb"}},
    {"deduplicate": {}},
    {"tokenize": {"tokenizer": "train"}},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100TB", 100 * 10**12),
        ("1.5 GiB", 3 * 2**29),
        ("800G", 800 * 10**9),
        ("2 pib", 2**51),
        ("64kB", 64_000),
        ("64 KiB", 65_536),
        ("123456", 123_456),
        (" 7 B ", 7),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "TB",
        "-1TB",
        "0",
        "0.1",
        "1e3",
        "1,5TB",
        "1 XB",
        "100 T B",
        "nan",
        "inf",
        "٣TB",
        "9" * 30,
    ],
)
def test_what_is_no_size_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"100TB, 1\.5 GiB"):
        parse_size(text)


@given(st.text(max_size=40))
def test_any_text_is_a_size_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_size(text) >= 1


def test_each_stage_takes_what_the_one_before_it_leaves() -> None:
    facts = sized(LINE, 1000)
    ingest, heuristics, deduplicate, tokenize, rest = facts["stages"]
    assert ingest["core_hours"] == pytest.approx(0.1)
    assert ingest["mb_per_core_hour"] == pytest.approx(10_000)
    assert ingest["documents_in"] == pytest.approx(100_000)
    assert heuristics["bytes_in"] == pytest.approx(500e6)
    assert heuristics["core_hours"] == pytest.approx(0.005)
    assert deduplicate["bytes_in"] == tokenize["bytes_in"] == pytest.approx(200e6)
    assert deduplicate["documents_in"] == pytest.approx(50_000)
    assert deduplicate["shuffle_bytes"] == pytest.approx(50_000 * 300)
    assert deduplicate["shuffle_bytes_per_document"] == pytest.approx(300)
    assert rest["bytes_in"] == pytest.approx(500e6 + 200e6 + 200e6)  # a barrier each
    assert facts["core_hours"] == pytest.approx(0.1 + 0.005 + 0.004 + 0.002 + 0.0045)
    assert facts["worker_mb"] == 500
    assert facts["not_measured"] == []


def test_disk_is_barriers_ledger_and_shards() -> None:
    ingest, heuristics, deduplicate, tokenize, _ = sized(LINE, 1000)["stages"]
    assert ingest["disk_bytes"] == pytest.approx(500e6 * 0.25)
    assert heuristics["disk_bytes"] == deduplicate["disk_bytes"] == pytest.approx(200e6 * 0.25)
    assert tokenize["disk_bytes"] == pytest.approx(200e6 * 0.5 + 50_000 * 2)


def test_everything_grows_with_the_input_and_divides_by_the_cores_but_for_the_driver() -> None:
    small, large = sized(LINE, 10, cores=1), sized(LINE, 10_000, cores=100)
    for what in ("core_hours", "shuffle_bytes", "disk_bytes", "driver_hours"):
        assert large[what] == pytest.approx(1000 * small[what])
    assert large["worker_mb"] == small["worker_mb"]
    driver = 10_000 * 100 / 1e6 * 9 / 3600
    assert large["driver_hours"] == pytest.approx(driver)
    assert large["wall_hours"] == pytest.approx((large["core_hours"] - driver) / 100 + driver)


def test_a_stage_without_a_measure_is_told_and_what_passes_it_is_taken_to_stay() -> None:
    recipe = recipe_of(
        {"toxicity": {}},
        {"heuristics": {"preset": "fineweb"}},
        {"tokenize": {"tokenizer": "train"}},
    )
    facts = sized(recipe, 1000)
    _, toxicity, heuristics, *_ = facts["stages"]
    assert facts["not_measured"] == ["01-toxicity"]
    assert toxicity["core_hours"] == 0
    assert toxicity["mb_per_core_hour"] is None
    assert heuristics["bytes_in"] == pytest.approx(500e6)


def test_a_measure_holds_only_for_the_settings_that_it_was_made_with() -> None:
    plain = {"ner": "none", "recognizers": [], "recognizer_files": []}
    kinds = {"web": WEB | {"anonymize": replace(NOTHING, core_seconds=1, settings=plain)}}
    measures = replace(MEASURES, kinds=kinds)
    inputs = {"web": ("web", 1e9)}
    without = make_steps(recipe_of({"anonymize": {}}))
    names = make_steps(recipe_of({"anonymize": {"ner": "rampart"}}))
    assert size(without, inputs, 1, measures)["not_measured"] == []
    assert size(names, inputs, 1, measures)["not_measured"] == ["01-anonymize"]


def test_a_stage_for_other_kinds_costs_nothing_and_a_kind_without_measures_is_told() -> None:
    recipe = recipe_of(
        {"heuristics": {"preset": "code", "for": ["code"]}},
        {"tokenize": {"tokenizer": "train"}},
        kinds=("web", "code"),
    )
    facts = sized(recipe, 1000, code=1)
    assert facts["stages"][1]["core_hours"] == 0
    assert set(facts["not_measured"]) == {"00-ingest", "01-heuristics", "02-tokenize", REST}


def test_the_input_is_divided_as_the_files_are(tmp_path: Path) -> None:
    for kind, letters in (("web", 300), ("code", 100)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "a.txt").write_text("x" * letters)
    sources = [{"name": k, "kind": k, "path": str(tmp_path / k)} for k in ("web", "code")]
    recipe = check_recipe({"name": "r", "sources": sources, "stages": []}, [])
    (ingest, _) = describe_size(recipe, 4000, 1)["stages"]
    assert ingest["bytes_in"] == 4000
    measures = load_measures()
    found = [measures.kinds[kind][INGEST].documents_out for kind in ("web", "code")]
    expected = 3000 / 1e6 * found[0] + 1000 / 1e6 * found[1]
    assert ingest["documents_in"] == pytest.approx(expected)
    assert describe_size(recipe, None, 1)["input_bytes"] == 400


def test_the_default_recipe_is_measured_for_every_kind() -> None:
    measures = load_measures()
    assert set(measures.kinds) == {"web", "book", "code"}
    for stages in measures.kinds.values():
        wanted = {INGEST, REST, "language", "heuristics", "deduplicate", "anonymize", "tokenize"}
        assert wanted <= set(stages)
        assert all(stages[name].core_seconds > 0 for name in wanted)
    facts = describe_size(None, 100 * 10**12, 2000)
    assert facts["not_measured"] == []
    assert facts["core_hours"] > 0


def command(*arguments: str) -> Any:
    """`corpusmill plan` with these."""
    return CliRunner().invoke(app, ["plan", *arguments])


def test_plan_prints_the_size_of_a_cluster_without_a_recipe() -> None:
    result = command("--input-bytes", "100TB", "--cores", "2000")
    assert result.exit_code == 0
    assert "100 TB of input" in result.output
    assert "03-deduplicate" in result.output
    assert "on 2000 cores" in result.output
    facts = json.loads(command("--input-bytes", "100TB", "--cores", "2000", "--json").output)
    assert facts["input_bytes"] == 100 * 10**12


@pytest.mark.parametrize("arguments", [(), ("--cores", "8"), ("--set", "seed=2", "--cores", "8")])
def test_plan_says_what_is_missing(arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert isinstance(result.exception, UsageError)
