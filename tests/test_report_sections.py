"""What the report finds out about rules, duplicates and personal data, beside plain counting."""

import json
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report_runs import RunFolder, identity

from corpusmill import storage
from corpusmill.pipelines.ledger import load_run
from corpusmill.report import samples
from corpusmill.report.bins import BINS, Tally, edges_for
from corpusmill.report.duplicates import WORDS, differences, duplicate_clusters
from corpusmill.report.html import report_facts, write_report
from corpusmill.report.personal import k_anonymity, personal_data
from corpusmill.report.rules import DROPPED, KEPT, Nearest, rule_facts
from corpusmill.report.samples import cut
from corpusmill.report.showing import MASK, visible

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


# ---- bins ----


@given(st.lists(FLOATS, min_size=1, max_size=50), st.none() | FLOATS)
def test_every_number_is_counted_in_one_of_few_bins(
    values: list[float], threshold: float | None
) -> None:
    tally = Tally()
    tally.add(np.array(values, np.float32))
    edges = edges_for({"all": tally}, threshold)
    assert sum(tally.into(edges)) == len(values)
    assert 1 < len(edges) <= 2 * BINS + 2
    assert all(low < high for low, high in pairwise(edges))
    inside = [threshold] if threshold is not None else []
    for value in [*values, *inside]:
        assert edges[0] - abs(value) / 50 <= value <= edges[-1] + abs(value) / 50


def test_bins_count_as_numpy_does_up_to_the_grain_of_the_numbers() -> None:
    values = np.random.default_rng(1).random(100_000, np.float32)
    tally = Tally()
    for chunk in np.split(values, 7 * [0] + [10, 5000]):
        tally.add(chunk)
    edges = edges_for({"all": tally}, 0.3)
    counts = np.histogram(values, edges)[0]
    assert tally.into(edges) == pytest.approx(counts.tolist(), abs=800)
    assert {0.3, 0.5} <= set(edges)


def test_measures_over_orders_of_magnitude_have_growing_bins() -> None:
    tally = Tally()
    tally.add(np.random.default_rng(1).lognormal(5, 2, 1000).astype(np.float32))
    edges = edges_for({"all": tally}, 50)
    assert edges[0] == 0
    assert {50.0, 100.0, 200.0, 500.0} <= set(edges)
    tally.add(np.array([np.nan, np.inf, -np.inf], np.float32))
    assert sum(tally.into(edges)) == 1000
    assert edges_for({"all": Tally()}, 1.0) == []


# ---- borderline documents ----


@given(st.lists(st.floats(0, 10, width=16), min_size=1, max_size=120), st.integers(1, 40))
def test_the_nearest_documents_are_found_whatever_the_row_groups(
    values: list[float], size: int
) -> None:
    nearest = Nearest()
    ids = [identity(number) for number in range(len(values))]
    limits = np.full(len(values), 5, np.float32)
    for first in range(0, len(values), size):
        some = slice(first, first + size)
        names = ["u"] * len(ids[some])
        rows = pa.table({"id": ids[some], "uri": names, "source": names})
        measured = np.array(values[some], np.float32)
        nearest.add("documents", 0, rows, measured, limits[some])
    expected = sorted(
        (abs(value - 5), document) for value, document in zip(values, ids, strict=True)
    )
    assert [row["id"] for row in nearest.rows] == [document for _, document in expected[:20]]


def judged_run(folder: Path, number: int = 60, rules: int = 1) -> RunFolder:
    """Documents with the measure 0, 1, 2, ...; those below 10 are dropped, 30 is later."""
    run = RunFolder(folder)
    run.ingest(
        *(
            {"id": identity(n), "text": f"text {n} ☂" * 200, "uri": f"https://e.org/{n}"}
            | {"scores": {"ingest_bytes": 8.0, "quality": float(n)}}
            for n in range(number)
        )
    )
    drop = {"action": "dropped", "reason": "quality", "threshold": 10.0}
    run.stage(
        "01-heuristics",
        *({"id": identity(n), "value": float(n), **drop} for n in range(min(10, number))),
    )
    rule = {"drops": "below", "threshold": 10.0, "languages": {}}
    run.record.stages[-1].judged_scores = {"quality": rule}
    if number > 30:
        run.stage("02-other", {"id": identity(30), "action": "dropped", "reason": "other"})
    run.publish()
    return run


def test_a_rule_is_told_with_its_borderline_documents_and_their_fate(tmp_path: Path) -> None:
    run = str(judged_run(tmp_path).path)
    facts, (rule,) = rule_facts(run, load_run(run))
    assert facts[0]["dropped_now"] == 10
    assert (rule.came, rule.dropped) == (60, 10)
    edges = rule.edges
    assert sum(rule.tallies[KEPT].into(edges)) == 50
    assert sum(rule.tallies[DROPPED].into(edges)) == 10
    assert rule.nearest is not None
    assert [row["value"] for row in rule.nearest.rows] == list(range(10, 30))
    page = Path(write_report(run)).read_text()
    assert "10 of 60 dropped (16.7%), threshold 10" in page
    assert "Borderline: 20 documents nearest to the threshold" in page
    assert "Dropped: 10 of 10 documents" in page
    assert page.count("kept to the end") == 20


def test_thresholds_by_language_have_borderline_documents_by_language(tmp_path: Path) -> None:
    run = judged_run(tmp_path, number=25)
    run.record.stages[-1].judged_scores["quality"]["languages"] = {"de": 20.0}
    path = tmp_path / "documents/part-00000.parquet"
    table = pq.read_table(path)
    column = pa.array(["de" if n % 2 else "en" for n in range(table.num_rows)])
    place = table.schema.get_field_index("language")
    storage.write_parquet(str(path), table.set_column(place, "language", column))
    ledger = tmp_path / "ledger/01-heuristics/part-00000.parquet"
    rows = pq.read_table(ledger).to_pylist()
    for row in rows:
        row["detail"] = '{"language": "de"}'
    # what is no rule's verdict has another detail
    rows[0] |= {"action": "quarantined", "reason": "error", "detail": "ValueError: no"}
    storage.write_parquet(str(ledger), pa.Table.from_pylist(rows, pq.read_schema(ledger)))
    _, (rule,) = rule_facts(str(tmp_path), run.record)
    assert rule.nearest is not None
    assert {row["threshold"] for row in rule.nearest.rows} == {10.0, 20.0}
    assert sum(rule.tallies[DROPPED].into(rule.edges)) == 9


def test_a_stage_with_very_many_reasons_keeps_the_page_small(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.ingest(*({"id": identity(n), "text": "t" * 900, "uri": "u"} for n in range(500)))
    drop = {"action": "dropped", "value": 1.0, "threshold": 2.0}
    run.stage("01-odd", *({"id": identity(n), "reason": f"why {n}", **drop} for n in range(500)))
    page = Path(write_report(run.publish())).read_text()
    assert "and 300 other reasons" in page
    assert page.count("<svg") < 70
    assert "This rule is not drawn" in page
    assert len(page) < 1_500_000


def test_a_threshold_that_is_no_rule_has_a_histogram_of_what_the_ledger_knows(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path)
    run.ingest(*({"id": identity(n), "text": "t", "uri": "u"} for n in range(9)))
    near = {"action": "dropped", "reason": "near_duplicate", "value": 0.9, "threshold": 0.75}
    run.stage("01-deduplicate", *({"id": identity(n), **near} for n in range(3)))
    (section,) = report_facts(run.publish())["rule_sections"]
    assert (section["name"], section["dropped"], section["came"]) == ("near_duplicate", 3, 9)
    assert sum(counts[0] for _, _, counts in section["bins"]) == 3
    assert section["nearest"] is None
    assert section["groups"] == [DROPPED]


def test_a_language_threshold_knows_the_kept_and_the_borderline(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.ingest(
        *(
            {"id": identity(n), "text": "t", "uri": "u", "language": "en", "language_score": n / 10}
            for n in range(10)
        )
    )
    low = {"action": "dropped", "reason": "language_score_below_minimum", "threshold": 0.65}
    run.stage("01-language", *({"id": identity(n), "value": n / 10, **low} for n in range(7)))
    (section,) = report_facts(run.publish())["rule_sections"]
    assert [round(row["value"], 2) for row in section["nearest"]] == [0.7, 0.8, 0.9]
    assert section["chart"] is not None


# ---- the budget ----


def test_samples_keep_to_their_budget_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(judged_run(tmp_path).path)
    whole = report_facts(run)["sampling"]
    assert (whole["each"], whole["bytes"], whole["cut"]) == (20, samples.LONGEST, False)
    monkeypatch.setattr(samples, "BUDGET", 9_000)
    small = report_facts(run)["sampling"]
    assert small["cut"]
    rows = [row for group in small["groups"] for row in group["rows"]]
    rows += [row for near in small["nearest"].values() for row in near]
    assert 0 < len(rows) * (samples.AROUND + samples.SHORTEST) <= 9_000
    assert "less than usual" in Path(write_report(run)).read_text()


@given(st.text(max_size=60), st.integers(4, 80))
def test_what_is_cut_has_at_most_so_many_bytes_in_a_page(text: str, length: int) -> None:
    short = cut(text, length)
    assert len(escape(short).encode()) <= length
    assert short.endswith(" …") or short == visible(text, lines=True)


# ---- duplicates ----


def duplicates_run(folder: Path, texts: dict[int, str], pairs: dict[int, int]) -> RunFolder:
    run = RunFolder(folder)
    run.ingest(
        *({"id": identity(n), "text": t, "uri": f"https://j@e.org/{n}"} for n, t in texts.items())
    )
    near = {"action": "dropped", "reason": "near_duplicate", "value": 0.9, "threshold": 0.75}
    run.stage(
        "01-deduplicate",
        *({"id": identity(a), "detail": identity(b), **near} for a, b in pairs.items()),
    )
    run.publish()
    return run


def test_the_largest_clusters_come_first_and_their_differences_are_masked(tmp_path: Path) -> None:
    texts = dict.fromkeys(range(6), "The call came at noon from 030 1234567, they said.")
    texts[1] = "The call came at two from 030 7654321, they said."
    run = duplicates_run(tmp_path, texts, {1: 0, 2: 0, 3: 0, 4: 5})
    (stage,) = duplicate_clusters(str(run.path), run.record)
    assert stage["removed"] == 4
    assert [(c["id"], c["removed"]) for c in stage["clusters"]] == [
        (identity(0), 3),
        (identity(5), 1),
    ]
    pieces = {m["id"]: m["pieces"] for c in stage["clusters"] for m in c["members"]}
    assert len(pieces) == 3
    if identity(1) in pieces:
        assert ("removed", " two") in pieces[identity(1)]
    assert pieces[identity(4)] == []
    page = Path(write_report(str(run.path))).read_text()
    assert "3 removed for" in page
    assert "No difference in what is compared." in page
    assert f"https://{MASK}/0" in page
    for personal in ("1234567", "7654321", "j@e"):
        assert personal not in page


def test_differences_stand_between_equal_words_and_markers() -> None:
    pieces = differences("one two three four", "one two THREE four five")
    assert pieces == [
        ("same", " one two"),
        ("removed", " THREE"),
        ("kept", " three"),
        ("same", " four"),
        ("removed", " five"),
        ("gap", ""),
    ]
    assert differences("same 12345", "same 67890") == []


def test_the_difference_of_long_texts_is_short_and_ends_where_the_window_does() -> None:
    words = [f"w{'x' * (n % 30)}" for n in range(20 * WORDS)]
    pieces = differences(" ".join(words), " ".join(["new", *words]))
    assert pieces[0] == ("removed", " new")
    assert [what for what, _ in pieces].count("removed") == 1
    assert not [words for what, words in pieces if what == "kept"][1:]
    other = differences("a " * 50_000, "b " * 50_000)
    assert sum(len(words) for _, words in other) < 1000


# ---- personal data ----


def test_personal_data_is_counted_by_type_and_no_value_is_read(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.ingest(*({"id": identity(n), "text": "t", "uri": "u"} for n in range(4)))
    details: list[dict[str, Any]] = [
        {"counts": {"EMAIL_ADDRESS": 2, "PHONE_NUMBER": 1}, "spans": [["text", "{", 1, 2]]},
        {"counts": {"EMAIL_ADDRESS": 2, "PHONE_NUMBER": 1}, "spans": []},
        {"counts": {}, "kept": {"URL": 5}, "spans": [["text", "URL", 1, 2, "r", 1.0, "abc"]]},
    ]
    changed = {"action": "changed", "reason": "anonymized", "value": 3.0}
    run.stage(
        "01-anonymize",
        *({"id": identity(n), "detail": json.dumps(d), **changed} for n, d in enumerate(details)),
        {"id": identity(3), "detail": "not json {", **changed},
        settings={"method": "mask"},
    )
    (stage,) = personal_data(run.publish(), run.record)
    assert stage["types"] == [
        {"type": "URL", "replaced": 0, "kept": 5, "documents": 1},
        {"type": "EMAIL_ADDRESS", "replaced": 4, "kept": 0, "documents": 2},
        {"type": "PHONE_NUMBER", "replaced": 2, "kept": 0, "documents": 2},
    ]
    page = Path(write_report(str(tmp_path))).read_text()
    assert "01-anonymize: findings by type" in page
    assert "the method is <b>mask</b>" in page


def test_k_anonymity_is_told_by_its_notes_levels_and_smallest_group(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, scores=("k_anonymity_group", "quality"))
    run.ingest(
        *(
            {"id": identity(n), "text": "t", "uri": "u"}
            | {"scores": {"ingest_bytes": 1.0, "k_anonymity_group": size}}
            for n, size in enumerate([None, 5.0, 7.0])
        )
    )
    changed = {"action": "changed", "reason": "generalised", "value": 2.0}
    run.stage(
        "01-k_anonymity",
        *({"id": identity(n), "detail": '{"age: bands of 5": 2}', **changed} for n in (1, 2)),
        settings={"k": 5},
    )
    run.record.notes += ["k_anonymity: information loss 0.4", "quality: something else"]
    (stage,) = k_anonymity(run.publish(), run.record)
    assert (stage["k"], stage["documents"], stage["smallest"]) == (5, 2, 5)
    assert stage["written"] == [("age: bands of 5", 4)]
    assert stage["notes"] == ["k_anonymity: information loss 0.4"]
    assert "k = 5" in Path(write_report(str(tmp_path))).read_text()
