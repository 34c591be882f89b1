"""Ranks and bands: exact shares of a group, whatever its parts; which scorers have a say."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.verbs_fixture import PlainVerbs, ids

from corpusmill import storage
from corpusmill.stage import Part, Rows
from corpusmill.stages.scorers.bands import Bands, Combine, End, Judged, judge
from corpusmill.stages.scorers.ranks import (
    add_counts,
    bins_of,
    count_bins,
    exact_bins,
    read_distributions,
    write_counts,
)

FLOATS = st.floats(width=32, allow_nan=False)


def bands(
    lowest: float = 0.1,
    likeliest: float = 0.0,
    scorers: Mapping[str, tuple[str, ...]] | None = None,
    combine: Combine = "best",
    smallest_group: int = 1,
) -> Bands:
    scorers = scorers or {"one": ("noise",)}
    low = End(
        name="lowest",
        reason="bad",
        share=lowest,
        worst_is_high=True,
        scorers=scorers,
        combine=combine,
    )
    high = End(
        name="likeliest", reason="too_good", share=likeliest, worst_is_high=False, scorers=scorers
    )
    return Bands(
        ends=(low, high) if likeliest else (low,),
        facts=(),
        smallest_group=smallest_group,
        usual={},
    )


def judged(
    folder: Path, how: Bands, documents: Sequence[Mapping[str, Any]], parts: int = 2
) -> tuple[Judged, dict[str, dict[str, Any]]]:
    """What comes out, and the verdicts by id."""
    verbs = PlainVerbs(folder / "work", partitions=parts)
    written, paths = [], []
    for number in range(parts):
        rows = documents[number::parts]
        path = str(folder / f"scores-{number}.arrow")
        columns = {"id": pa.array([row["id"] for row in rows], pa.string())}
        columns["group"] = pa.array([row.get("group", "web en") for row in rows], pa.string())
        for name in how.scores:
            columns[name] = pa.array([row[name] for row in rows], pa.float32())
        columns["part"] = pa.array([number] * len(rows), pa.int64())
        storage.write_ipc(path, pa.table(columns))
        paths.append(path)
        written.append(
            Part(number=number, path="", source="s", kind="web", rows=len(rows), bytes=0)
        )
    found = judge(verbs, how, written, Rows(paths=tuple(paths)), str(folder / "bands"))
    verdicts = {}
    for runs in found.verdicts.runs.values():
        for path, first, count in runs:
            for row in storage.read_ipc(path).slice(first, count).to_pylist():
                if row["action"] is not None:
                    verdicts[row["id"]] = row
    return found, verdicts


def noise(values: Sequence[float]) -> list[dict[str, Any]]:
    return [{"id": i, "noise": v} for i, v in zip(ids(len(values)), values, strict=True)]


@given(st.lists(FLOATS, min_size=2))
def test_bins_have_the_order_of_their_values(values: list[float]) -> None:
    array = np.array(values)
    bins = bins_of(array)
    order = np.argsort(array, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()


@given(st.floats(1e-30, 1e30), st.floats(0.001, 1))
def test_values_that_differ_by_a_thousandth_have_different_bins(value: float, by: float) -> None:
    low, high = bins_of(np.array([value, value * (1 + by)]))
    assert low < high
    high, low = bins_of(np.array([-value, -value * (1 + by)]))
    assert low < high


@given(st.lists(st.floats(0, 1)))
def test_ranks_are_bins_of_their_own_in_their_order(values: list[float]) -> None:
    array = np.array(values)
    bins = exact_bins(array)
    assert np.array_equal(np.argsort(array, kind="stable"), np.argsort(bins, kind="stable"))
    assert (bins.view(np.float64) == array).all()


@settings(max_examples=30)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60), st.randoms())
def test_counts_can_be_added_in_any_grouping(values: list[int], chance: random.Random) -> None:
    bins = bins_of(np.array(values, float))
    groups = [chance.choice("ab") for _ in values]
    whole = [count_bins(g, {"x": bins[[g == other for other in groups]]}) for g in {*groups}]
    singles = [count_bins(g, {"x": bins[i : i + 1]}) for i, g in enumerate(groups)]
    chance.shuffle(singles)
    middle = chance.randint(0, len(singles))
    none = count_bins("", {})
    halves = [
        add_counts(pa.concat_tables([none, *some])) for some in (singles[:middle], singles[middle:])
    ]
    assert add_counts(pa.concat_tables(halves)).equals(add_counts(pa.concat_tables(whole)))


@settings(max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=80))
def test_a_rank_is_the_share_of_the_group_that_is_worse(values: list[int]) -> None:
    array = np.array(values, float)
    with TemporaryDirectory() as folder:
        path = f"{folder}/counts.arrow"
        write_counts(path, add_counts(count_bins("g", {"x": bins_of(array)})))
        distribution = read_distributions(path)["g", "x"]
    high = distribution.ranks(array, worst_is_high=True)
    low = distribution.ranks(array, worst_is_high=False)
    for value, from_high, from_low in zip(array, high, low, strict=True):
        assert from_high == (array > value).mean()
        assert from_low == (array < value).mean()
    auc = distribution.separation(bins_of(array[:5]))
    pairs = [(a > b) + (a == b) / 2 for a in array[:5] for b in array]
    assert auc == pytest.approx(np.mean(pairs))


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=60),
    st.floats(0, 0.9),
    st.integers(1, 5),
    st.randoms(),
)
def test_the_share_is_exact_and_the_same_for_all_layouts_of_parts(
    values: list[int], share: float, parts: int, chance: random.Random
) -> None:
    documents = noise([float(value) for value in values])
    with TemporaryDirectory() as folder:
        _, first = judged(Path(folder, "a"), bands(share), documents, 1)
        chance.shuffle(documents)
        _, second = judged(Path(folder, "b"), bands(share), documents, parts)
    assert len(first) == int(share * len(values))
    assert {i: row["value"] for i, row in first.items()} == {
        i: row["value"] for i, row in second.items()
    }
    worst_kept = max(
        (row["noise"] for row in documents if row["id"] not in first), default=float("inf")
    )
    assert all(row["noise"] >= worst_kept for row in documents if row["id"] in first)


def test_groups_are_ranked_by_themselves_and_small_ones_are_left(tmp_path: Path) -> None:
    documents: list[dict[str, Any]] = [
        {"id": i, "noise": float(n), "group": group}
        for n, (i, group) in enumerate(
            zip(ids(45), ["web en"] * 20 + ["book en"] * 20 + ["web de"] * 5, strict=True)
        )
    ]
    found, verdicts = judged(tmp_path, bands(0.1, smallest_group=20), documents)
    gone = {documents[n]["id"] for n in (18, 19, 38, 39)}
    assert set(verdicts) == gone
    assert found.groups["web de"].borders == {}
    assert verdicts[documents[19]["id"]]["detail"] == "20 documents of web en"
    assert verdicts[documents[19]["id"]]["value"] == 0
    assert verdicts[documents[18]["id"]]["threshold"] == 0.1


def test_both_ends_of_a_band_are_dropped_each_for_its_reason(tmp_path: Path) -> None:
    documents = noise([float(n) for n in range(100)])
    _, verdicts = judged(tmp_path, bands(0.05, 0.03), documents)
    value_of = {row["id"]: row["noise"] for row in documents}
    reasons = {value_of[i]: row["reason"] for i, row in verdicts.items()}
    low, high = dict.fromkeys(range(95, 100), "bad"), dict.fromkeys(range(3), "too_good")
    assert reasons == low | high


def two_scorers() -> list[dict[str, Any]]:
    """100 documents: 10 that only x finds bad, 10 that only y does, 10 that both do, 70 good."""
    chance = random.Random(4)
    documents = []
    for n, i in enumerate(ids(100)):
        both = 200.0 if 20 <= n < 30 else 1.0
        x = 100.0 if n < 10 else both
        y = 100.0 if 10 <= n < 20 else both
        documents.append({"id": i, "x": x + chance.random(), "y": y + chance.random()})
    return documents


@pytest.mark.parametrize(
    ("combine", "share", "gone"),
    [("best", 0.1, range(20, 30)), ("mean", 0.1, range(20, 30)), ("worst", 0.3, range(30))],
)
def test_scorers_are_combined(tmp_path: Path, combine: Combine, share: float, gone: range) -> None:
    documents = two_scorers()
    both = {"one": ("x",), "two": ("y",)}
    _, verdicts = judged(tmp_path, bands(share, scorers=both, combine=combine), documents)
    assert set(verdicts) == {documents[n]["id"] for n in gone}


def test_measures_of_one_scorer_count_by_the_worst(tmp_path: Path) -> None:
    documents = two_scorers()
    _, verdicts = judged(tmp_path, bands(0.3, scorers={"one": ("x", "y")}), documents)
    assert set(verdicts) == {documents[n]["id"] for n in range(30)}


def test_a_scorer_has_no_say_about_what_it_did_not_read(tmp_path: Path) -> None:
    documents = two_scorers()
    for document in documents[10:20]:
        document["x"] = np.nan  # found bad by the other one alone, which now decides
    for document in documents[20:25]:
        document["x"] = document["y"] = np.nan
    both = {"one": ("x",), "two": ("y",)}
    found, verdicts = judged(tmp_path, bands(0.15, scorers=both), documents)
    assert found.groups["web en"].documents == 95
    assert set(verdicts) < {documents[n]["id"] for n in [*range(10, 20), *range(25, 30)]}
    assert len(verdicts) == 14  # 0.15 of 95


def test_documents_that_nobody_read_are_not_judged(tmp_path: Path) -> None:
    found, verdicts = judged(tmp_path, bands(0.5), noise([np.nan] * 30))
    assert verdicts == {}
    assert all(not group.borders for group in found.groups.values())
