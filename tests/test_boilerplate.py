"""Lines and paragraphs that many documents have: which go, which stay, and what is left."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.verbs_fixture import PlainVerbs, apply_to_parts, ids, run_over_texts, write_parts

from corpusmill.filters.cuts import cut, cut_plain, word_runs_in_bytes, word_spans_plain
from corpusmill.filters.lines import numbers_in_words, units, units_plain
from corpusmill.filters.shingles import words
from corpusmill.stages.boilerplate import Boilerplate

NOTICE = "We use cookies to improve your visit."
LONG_NOTICE = "This site uses cookies so that your visit is better than it would be without them."

texts_of_all_scripts = st.text(
    st.sampled_from(
        'ab\u00e9 \u0416\u4e2d\u3042\u0e01\u0e31\n\r\t\u00a0\u2028.-("\u00ad\U0001f600'
    ),
    max_size=40,
)


def run(
    work: Path, texts: dict[str, str], stage: Boilerplate | None = None, **how: Any
) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """The texts that are left by id, and the verdicts by id."""
    return run_over_texts(work, texts, stage or Boilerplate(), **how)


def expected(texts: dict[str, str], stage: Boilerplate) -> dict[str, str]:
    """The rule of the stage in plain Python: the text that each document has left."""
    places: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for document in sorted(texts):
        for number, unit in enumerate(units_plain(texts[document], stage.unit)):
            found = tuple(words(unit))
            if len(found) >= stage.min_words:
                places.setdefault(found, []).append((document, number))
    gone = {
        place
        for found in places.values()
        if len({document for document, _ in found}) > 1
        for place in found[stage.keep_first :]
    }
    left = {}
    for document, text in texts.items():
        spans, at = [], 0
        for number, unit in enumerate(units_plain(text, stage.unit)):
            if (document, number) in gone:
                spans.append((at, at + len(unit)))
            at += len(unit)
        left[document] = cut_plain(text, spans)
    return left


def test_a_line_of_many_documents_stays_in_the_first_one_only(tmp_path: Path) -> None:
    names = ids(5)
    own = [f"This is what page {name} has to say for itself." for name in names]
    texts = {
        name: f"Introduction\n{NOTICE.upper()}\n\n{text}\n}}\n"
        for name, text in zip(names, own, strict=True)
    }
    left, verdicts = run(tmp_path, texts)
    assert left[names[0]] == texts[names[0]]
    for name, text in zip(names[1:], own[1:], strict=True):
        assert left[name] == f"Introduction\n\n{text}\n}}\n"
        assert verdicts[name]["action"] == "changed"
        assert verdicts[name]["reason"] == "boilerplate_removed"
        assert verdicts[name]["value"] == 1
        assert json.loads(verdicts[name]["detail"]) == {"boilerplate": "2"}
    assert set(verdicts) == set(names[1:])


def test_as_many_occurrences_stay_as_were_asked_for(tmp_path: Path) -> None:
    names = ids(9)
    texts = {name: f"{NOTICE}\nPage {name}.\n{NOTICE}" for name in names}
    left, _ = run(tmp_path, texts, Boilerplate(keep_first=5), batch_rows=2)
    counts = [left[name].count(NOTICE) for name in names]
    assert counts == [2, 2, 1, 0, 0, 0, 0, 0, 0]


def test_what_is_repeated_in_one_document_only_stays(tmp_path: Path) -> None:
    one, other = ids(2)
    song = "Row, row, row your boat\nGently down the stream\nRow, row, row your boat"
    left, verdicts = run(tmp_path, {one: song, other: "Merrily, merrily, merrily, merrily we go"})
    assert left[one] == song
    assert verdicts == {}


def test_documents_without_text_left_are_dropped(tmp_path: Path) -> None:
    names = ids(3)
    left, verdicts = run(tmp_path, dict.fromkeys(names, f"\n{LONG_NOTICE}\n{NOTICE}\n\n"))
    assert set(left) == {names[0]}
    for name in names[1:]:
        assert (verdicts[name]["action"], verdicts[name]["reason"]) == ("dropped", "no_text_left")
        assert json.loads(verdicts[name]["detail"]) == {"boilerplate": "2-3"}


def test_menus_are_found_as_paragraphs(tmp_path: Path) -> None:
    names = ids(3)
    menu = "Home\nAbout us\nContact\nImprint"
    texts = {name: f"{menu}\n \nA page about {name}.\nIt has two lines." for name in names}
    left, verdicts = run(tmp_path, texts, Boilerplate(unit="paragraph"))
    assert left[names[0]] == texts[names[0]]
    for name in names[1:]:
        assert left[name] == f"A page about {name}.\nIt has two lines."
        assert json.loads(verdicts[name]["detail"]) == {"boilerplate": "1"}
    left, _ = run(tmp_path, texts)
    assert left == texts


def test_short_lines_stay_however_often_they_occur(tmp_path: Path) -> None:
    texts = {
        name: f"Chapter 1\nIntroduction\n}}\nAll rights are reserved\n{name}" for name in ids(9)
    }
    left, verdicts = run(tmp_path, texts)
    assert (left, verdicts) == (texts, {})
    left, _ = run(tmp_path, texts, Boilerplate(min_words=4))
    assert sum("rights" in text for text in left.values()) == 1


def test_chinese_counts_its_characters(tmp_path: Path) -> None:
    one, other = ids(2)
    notice, short = "本网站使用甜饼", "第一章"
    texts = {one: f"{short}\n{notice}。\n甲", other: f"{short}\n{notice}!\n乙"}
    left, _ = run(tmp_path, texts)
    assert left[other] == f"{short}\n乙"


def test_code_passes_unless_it_is_named(tmp_path: Path) -> None:
    line = "import os, sys, re, json, time"
    rows = [[{"id": name, "text": f"{line}\n{name} = 1"}] for name in ids(2)]
    written = [
        part.__class__(**{**part.__dict__, "kind": "code"}) for part in write_parts(tmp_path, rows)
    ]
    for stage, changed in ((Boilerplate(), 0), (Boilerplate.model_validate({"for": ["code"]}), 1)):
        _, verdicts = apply_to_parts(stage.prepare(PlainVerbs(tmp_path / "w"), written), written)
        assert len(verdicts) == changed


@settings(max_examples=25)
@given(
    st.randoms(use_true_random=False),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from(["line", "paragraph"]),
    st.integers(1, 3),
)
def test_the_rule_holds_for_any_order_and_any_division(
    tmp_path_factory: pytest.TempPathFactory,
    chance: random.Random,
    parts: int,
    partitions: int,
    batch_rows: int,
    unit: Any,
    keep_first: int,
) -> None:
    lines = ["a b c", "B a", "a, b, c!", "中文字", "x", "", " ", "\t", "d e f g"]
    texts = {
        name: "\n".join(chance.choice(lines) for _ in range(chance.randrange(9)))
        for name in ids(chance.randrange(1, 20))
    }
    stage = Boilerplate(unit=unit, keep_first=keep_first, min_words=2)
    left, verdicts = run(
        tmp_path_factory.mktemp("order"),
        texts,
        stage,
        parts=parts,
        partitions=partitions,
        batch_rows=batch_rows,
        chance=chance,
    )
    wanted = expected(texts, stage)
    changed = {name for name, text in wanted.items() if text != texts[name]}
    assert left == {
        name: wanted[name] for name in texts if name not in changed or wanted[name].strip()
    }
    assert changed <= set(verdicts)


def test_no_word_of_a_real_page_is_lost_but_in_the_lines_that_are_named(
    tmp_path: Path, shared_data: Path
) -> None:
    prose = (shared_data / "prose").rglob("*.txt")
    lines = next(iter(sorted(prose))).read_text("utf-8").splitlines(keepends=True)[:600]
    texts = {
        name: "".join([f"{LONG_NOTICE}\n", *lines[20 * i : 20 * i + 20], NOTICE])
        for i, name in enumerate(ids(30))
    }
    left, verdicts = run(tmp_path, texts)
    assert len(verdicts) >= 29
    for name, text in texts.items():
        numbers = json.loads(verdicts[name]["detail"])["boilerplate"] if name in verdicts else ""
        gone: set[int] = set()
        for piece in filter(None, numbers.split(",")):
            first, _, last = piece.partition("-")
            gone.update(range(int(first), int(last or first) + 1))
        kept = [unit for n, unit in enumerate(units_plain(text, "line"), 1) if n not in gone]
        assert list(words(left[name])) == list(words("".join(kept)))


# ---- the kernels and what they mean ----


@given(st.lists(texts_of_all_scripts, max_size=4), st.sampled_from(["line", "paragraph"]))
def test_units_on_bytes_are_units_of_strings(texts: list[str], unit: Any) -> None:
    column = pa.array(["left out", *texts], pa.large_string())[1:]
    found = units(column, unit)
    by_text = [units_plain(text, unit) for text in texts]
    assert found.texts.to_pylist() == [unit for units in by_text for unit in units]
    assert np.diff(found.offsets).tolist() == [len(units) for units in by_text]
    for number, text in enumerate(found.text_of()):
        data = texts[text].encode()[found.firsts[number] : found.lasts[number]]
        assert data.decode() == by_text[text][found.number_in_text()[number]]


def spans_of(length: int, chance: random.Random) -> list[tuple[int, int]]:
    borders = sorted(chance.sample(range(length + 1), 2 * min(3, (length + 1) // 2)))
    return list(zip(borders[::2], borders[1::2], strict=True))


def in_bytes(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(len(text[:a].encode()), len(text[:b].encode())) for a, b in spans]


@given(st.lists(texts_of_all_scripts, max_size=4), st.randoms(use_true_random=False))
def test_cuts_on_bytes_are_cuts_of_strings(texts: list[str], chance: random.Random) -> None:
    spans = [spans_of(len(text), chance) for text in texts]
    flat = [span for t, found in zip(texts, spans, strict=True) for span in in_bytes(t, found)]
    offsets = np.cumsum([0, *map(len, spans)])
    firsts, lasts = np.array(flat, np.int64).reshape(-1, 2).T
    column = pa.array(["left out", *texts], pa.large_string())[1:]
    result = cut(column, offsets, firsts.copy(), lasts.copy()).to_pylist()
    assert result == [cut_plain(t, found) for t, found in zip(texts, spans, strict=True)]


@given(st.lists(texts_of_all_scripts, max_size=4), st.randoms(use_true_random=False))
def test_runs_of_words_are_cut_without_touching_other_words(
    texts: list[str], chance: random.Random
) -> None:
    runs, spans = [], []
    for text in texts:
        places = word_spans_plain(text)
        assert len(places) == len(list(words(text)))
        found = spans_of(len(places), chance)
        # runs do not touch
        found = [run for n, run in enumerate(found) if n == 0 or run[0] > found[n - 1][1]]
        runs.append(found)
        spans.append([(places[a][0], places[b - 1][1]) for a, b in found])
    offsets = np.cumsum([0, *map(len, runs)])
    column = pa.array(texts, pa.large_string())
    firsts, lasts = np.array([r for found in runs for r in found], np.int64).reshape(-1, 2).T
    first_bytes, last_bytes = word_runs_in_bytes(column, offsets, firsts.copy(), lasts.copy())
    flat = [span for t, found in zip(texts, spans, strict=True) for span in in_bytes(t, found)]
    assert list(zip(first_bytes.tolist(), last_bytes.tolist(), strict=True)) == flat
    results = cut(column, offsets, first_bytes, last_bytes).to_pylist()
    for text, found, result in zip(texts, runs, results, strict=True):
        gone = {number for a, b in found for number in range(a, b)}
        kept = [word for number, word in enumerate(words(text)) if number not in gone]
        assert list(words(result)) == kept


def test_gaps_are_closed_with_the_strongest_break() -> None:
    for text, gone, result in (
        ("one two three", "two", "one three"),
        ("one\ntwo\n  three", "two", "one\n  three"),
        ("one\n\ntwo\nthree", "two", "one\n\nthree"),
        ("one\r\n\r\ntwo three", "two", "one\n\nthree"),
        ("one two\n\ntwo three", "two\n\ntwo", "one\n\nthree"),
        ("one, two", "two", "one,"),
        ("二三四", "三", "二四"),
        ("one.two.three", "two.", "one. three"),
    ):
        at = text.index(gone)
        assert cut_plain(text, [(at, at + len(gone))]) == result


def test_numbers_are_written_as_ranges() -> None:
    assert numbers_in_words([2, 5, 6, 7, 9, 10]) == "2,5-7,9-10"
    assert numbers_in_words([]) == ""
