"""What another threshold would keep, from measures alone: checked against runs that have it."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpusmill import storage
from corpusmill.document import INGEST_SCORE, document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.pipelines.ledger import (
    Counts,
    RunRecord,
    StageRecord,
    ledger_schema,
    load_run,
    part_path,
)
from corpusmill.report import judged, sweep
from corpusmill.report.html import write_report
from corpusmill.report.lookup import part_tables
from corpusmill.report.rules import rule_facts
from corpusmill.report.sweep import sweep_data, sweeps
from corpusmill.report.terminal import sweep_view
from corpusmill.stages.heuristics import Heuristics


def texts() -> list[tuple[str, str | None]]:
    """Texts of many lengths and degrees of repetition, with their languages."""
    draw = random.Random(5)
    words = ["".join(draw.choices("bcdfghklmnprstvw", k=draw.randint(2, 9))) for _ in range(400)]
    words += ["the", "of", "and", "der", "und", "die"] * 20
    found: list[tuple[str, str | None]] = []
    for number in range(120):
        vocabulary = draw.sample(words, draw.choice([30, 100, 500]))
        lines = [
            " ".join(draw.choices(vocabulary, k=draw.randint(3, 15))) + draw.choice([".", ".", ""])
            for _ in range(draw.randint(1, 30))
        ]
        lines += lines[: draw.choice([0, 0, 1, 10])]
        found.append(("\n".join(lines), ["en", "de", None, "zh", "tlh"][number % 5]))
    return found


def run_with(folder: Path, **thresholds: float) -> tuple[str, RunRecord]:
    """What a run leaves of the stage in which these thresholds hold: ledger, documents, record."""
    stage = Heuristics(preset="fineweb", thresholds=thresholds)
    schema = document_schema(stage.score_fields())
    rows: list[dict[str, Any]] = [
        {"id": f"{n:032x}", "text": text, "source": "crawl", "kind": "web", "uri": f"u{n}"}
        | {"language": language, "scores": {INGEST_SCORE: float(len(text))}}
        for n, (text, language) in enumerate(texts())
    ]
    outcome = stage.open()(documents_from_rows(rows, schema))
    judged = {row["id"]: row for row in outcome.documents.to_pylist()}
    verdicts = outcome.verdicts.to_pylist()
    ledger = [
        {"part": 0, "source": "crawl", "uri": "", "stage": "01-heuristics"}
        | {**verdict, "scores": judged[verdict["id"]]["scores"]}
        for verdict in verdicts
    ]
    dropped = Counter(row["reason"] for row in verdicts if row["action"] == "dropped")
    gone = {row["id"] for row in verdicts if row["action"] == "dropped"}
    kept = [row for document, row in judged.items() if document not in gone]
    failed = [
        {"id": f"{n:032x}", "part": 0, "source": "crawl", "uri": "", "stage": "00-ingest"}
        | {"action": "quarantined", "reason": "bad"}
        for n in range(len(rows), len(rows) + 3)
    ]
    out = str(folder)
    recorded = ledger_schema(stage.score_fields())
    for area, table in {
        "ledger/00-ingest": pa.Table.from_pylist(failed, recorded),
        "ledger/01-heuristics": pa.Table.from_pylist(ledger, recorded),
        "documents": pa.Table.from_batches([documents_from_rows(kept, schema)]),
    }.items():
        storage.write_parquet(part_path(out, area, 0), table)
    record = RunRecord(
        name="sweep",
        versions={},
        engine="local",
        workers=1,
        inputs=[],
        parts=[{"source": "crawl", "kind": "web"}],
        published="01-heuristics",
    )
    came = Counts(found=len(rows), kept=len(kept), dropped=dropped)
    found = Counts(found=len(rows) + 3, kept=len(rows), quarantined=3)
    for name, counts, judges in (
        ("00-ingest", found, {}),
        ("01-heuristics", came, stage.judged_scores()),
    ):
        record.stages.append(
            StageRecord(
                name=name,
                fingerprint="",
                counts=counts,
                sources={"crawl": counts},
                parts=[],
                cpu_seconds=0,
                wall_seconds=0,
                workers_seen=1,
                judged_scores=judges,
            )
        )
    record.save(out)
    return out, load_run(out)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, RunRecord]:
    return run_with(tmp_path_factory.mktemp("sweep"))


@pytest.mark.parametrize(
    ("rule", "threshold"),
    [
        ("gopher_short_doc", 20),
        ("gopher_short_doc", 150),
        ("fineweb_char_dup_ratio", 0.2),
        ("c4_too_few_sentences", 0),
        ("gopher_enough_stop_words", 9),
        ("gopher_above_avg_threshold", 4.5),
    ],
)
def test_a_sweep_tells_what_a_run_with_the_threshold_does(
    finished: tuple[str, RunRecord], tmp_path: Path, rule: str, threshold: float
) -> None:
    (swept,) = sweep_data(finished[0], rule, [threshold])["stages"]
    _, record = run_with(tmp_path, **{rule: threshold})
    stage = record.stages[1].sources["crawl"]
    chain = swept["thresholds"][0]["chain"]
    assert chain["dropped"] == stage.dropped[rule]
    assert chain["kept"] == stage.kept


@pytest.mark.parametrize("rule", ["gopher_above_avg_threshold", "gopher_below_avg_threshold"])
def test_a_threshold_that_is_a_documents_value_drops_in_a_run_as_in_a_sweep(
    finished: tuple[str, RunRecord], tmp_path: Path, rule: str
) -> None:
    (swept,) = sweep_data(finished[0], rule)["stages"]
    for place, quantile in enumerate(("0.0", "1.0")):  # these are values, as they are stored
        limit = swept["quantiles"][quantile]
        (at,) = sweep_data(finished[0], rule, [limit])["stages"][0]["thresholds"]
        _, record = run_with(tmp_path / f"{place}", **{rule: limit})
        stage = record.stages[1].sources["crawl"]
        assert at["chain"]["dropped"] == stage.dropped[rule]
        assert at["chain"]["kept"] == stage.kept


def test_the_present_threshold_gives_what_was_dropped(finished: tuple[str, RunRecord]) -> None:
    out, record = finished
    stage = record.stages[1]
    rows, _ = rule_facts(out, record)
    assert [row["rule"] for row in rows] == list(stage.judged_scores)
    dropped = [row for row in rows if row["dropped_now"]]
    assert dropped
    for row in dropped:
        assert row["came"] == stage.sources["crawl"].found
        assert row["measured"] + row["unmeasured"] == row["came"]
        assert row["dropped_earlier"] == 3
        if row["languages"]:
            continue  # a sweep has one threshold for all languages
        now = next(t for t in row["thresholds"] if t["threshold"] == row["threshold"])
        assert now["chain"]["dropped"] == row["dropped_now"]
        assert now["alone"]["dropped"] >= row["dropped_now"]
        assert now["alone"]["dropped"] + now["alone"]["kept"] == row["measured"]


def test_many_measures_are_held_in_little_memory_and_move_no_quantile(
    finished: tuple[str, RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "HELD", 1000)
    _, record = finished
    (counted,) = (s for s in sweeps(record.stages[1]) if s.rule.name == "gopher_short_doc")
    values = np.random.default_rng(3).permutation(20_000).astype(np.float32)
    for rows in np.split(values, [7, 7, 800, 5000, 5001, 19_000]):
        counted.add(
            judged.Judged(
                area="documents",
                part=0,
                rows=pa.table({}),
                values={"gopher_short_doc": rows},
                bytes=np.ones(len(rows), np.float32),
                broken=np.full(len(rows), counted.rules, np.int16),
                after=np.zeros(len(rows), np.bool_),
            )
        )
    held = np.concatenate(counted.held)
    assert 500 < len(held) <= 1000
    # what is held are those at equal distances, whatever the row groups were
    assert held.tolist() == values[:: counted.stride].tolist()
    assert counted.measured == 20_000
    quantiles = counted.quantiles()
    assert (quantiles["0.0"], quantiles["1.0"]) == (0, 19_999)
    assert quantiles["0.5"] == pytest.approx(10_000, abs=600)


def test_no_text_is_read(finished: tuple[str, RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()

    def watched(run: str, record: RunRecord, area: str, columns: Sequence[str]) -> Any:
        read.update(columns)
        return part_tables(run, record, area, columns)

    monkeypatch.setattr(judged, "part_tables", watched)
    sweep_data(finished[0], "gopher_short_doc")
    assert read
    assert all(c in ("source", "action", "reason", "detail") or c[:7] == "scores." for c in read)


def test_a_run_that_has_not_finished_is_refused(tmp_path: Path) -> None:
    out, record = run_with(tmp_path)
    record.published = None
    record.save(out)
    with pytest.raises(UsageError, match="has not finished"):
        sweep_data(out, "gopher_short_doc")
    assert rule_facts(out, record) == ([], [])


@pytest.mark.parametrize(
    ("rule", "thresholds", "message"),
    [
        ("gopher_short", [], "did you mean 'gopher_short_doc'"),
        ("gopher_short_doc", [float("nan")], "finite"),
    ],
)
def test_wrong_questions_are_refused(
    finished: tuple[str, RunRecord], rule: str, thresholds: list[float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        sweep_data(finished[0], rule, thresholds)


def test_the_view_has_a_line_for_each_threshold(finished: tuple[str, RunRecord]) -> None:
    from rich.console import Console

    console = Console(width=160, record=True)
    data: dict[str, Any] = sweep_data(finished[0], "gopher_short_doc", [33, 77])
    console.print(sweep_view(data))
    shown = console.export_text()
    assert "33" in shown
    assert "77" in shown
    assert "01-heuristics" in shown


def test_the_report_shows_every_rule(finished: tuple[str, RunRecord]) -> None:
    out, record = finished
    page = Path(write_report(out)).read_text("utf-8")
    for rule in record.stages[1].judged_scores:
        assert f"<td>{rule}</td>" in page
    assert "would keep" in page


@pytest.mark.parametrize("settings", [{"preset": "fineweb"}, {"preset": "fineweb2"}])
def test_the_record_has_the_threshold_that_the_stage_applies(settings: dict[str, Any]) -> None:
    stage = Heuristics(**settings, language_thresholds={"bg": {"gopher_short_doc": 7}})
    record = stage.judged_scores()
    for language in (None, "en", "de", "bg", "nb", "vi", "tlh", "zh"):
        for name, limit in stage.limits_in(language).items():
            rule = judged.JudgedRule(
                name=name,
                stage=StageRecord.from_json(EMPTY_STAGE),
                drops=record[name]["drops"],
                threshold=record[name]["threshold"],
                languages=record[name]["languages"],
            )
            assert rule.limit(language) == limit, (name, language)


def test_thresholds_of_languages_that_do_not_exist_are_refused() -> None:
    for language in ("german", "other", "xx"):
        with pytest.raises(ValidationError, match="language_thresholds"):
            Heuristics(preset="fineweb", language_thresholds={language: {"gopher_short_doc": 4}})


EMPTY_STAGE: dict[str, Any] = {
    "name": "01-heuristics",
    "fingerprint": "",
    "counts": Counts().to_json(),
    "sources": {},
    "parts": [],
    "cpu_seconds": 0,
    "wall_seconds": 0,
    "workers_seen": 0,
    "settings": {},
}
