"""Repeated passages: what goes, that one copy of everything stays, and that nothing else goes."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.verbs_fixture import PlainVerbs, apply_to_parts, ids, run_over_texts, write_parts

from corpusmill.filters.repeats import (
    anchors_of,
    anchors_plain,
    candidate_windows,
    find_all,
    hash_slots,
    kept_plain,
    rolled_hashes,
    window_hashes,
)
from corpusmill.filters.shingles import word_hashes, words
from corpusmill.stages.occurrences import OCCURRENCES
from corpusmill.stages.substrings import Substrings, places, repeated_windows


def run(
    work: Path, texts: dict[str, str], stage: Substrings | None = None, **how: Any
) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """The texts that are left by id, and the verdicts by id."""
    return run_over_texts(work, texts, stage or Substrings(), **how)


def prose(seed: int, n: int) -> str:
    chance = random.Random(seed)
    return " ".join(f"word{chance.randrange(10**6)}" for _ in range(n))


def windows(found: Sequence[Any], length: int) -> list[tuple[Any, ...]]:
    return [tuple(found[at : at + length]) for at in range(len(found) - length + 1)]


def pieces(text: Sequence[str], kept: Sequence[bool]) -> list[list[str]]:
    """The stretches of kept words."""
    found: list[list[str]] = [[]]
    for word, stays in zip(text, kept, strict=True):
        if stays:
            found[-1].append(word)
        elif found[-1]:
            found.append([])
    return found


def test_a_passage_of_fifty_words_stays_in_the_first_document_only(tmp_path: Path) -> None:
    names = ids(4)
    passage, short = prose(1, 50), prose(2, 49)
    texts = {
        name: f"{prose(10 + i, 30)}.\n\n({passage.title()}!)\n{prose(20 + i, 30)}. {short}; {name}"
        for i, name in enumerate(names)
    }
    left, verdicts = run(tmp_path, texts)
    assert left[names[0]] == texts[names[0]]
    for i, name in enumerate(names[1:], start=1):
        assert left[name] == f"{prose(10 + i, 30)}.\n\n{prose(20 + i, 30)}. {short}; {name}"
        found = verdicts[name]
        assert (found["action"], found["reason"]) == ("changed", "substrings_removed")
        assert found["value"] == 50
    assert set(verdicts) == set(names[1:])


def test_passages_are_removed_as_far_as_they_are_equal(tmp_path: Path) -> None:
    one, other = ids(2)
    base = prose(3, 400).split()
    texts = {one: " ".join(base), other: " ".join(["start", *base[100:300], "end"])}
    left, verdicts = run(tmp_path, texts, Substrings())
    assert left == {one: texts[one], other: "start end"}
    assert verdicts[other]["value"] == 200


def test_a_document_that_repeats_itself_keeps_one_copy(tmp_path: Path) -> None:
    (name,) = ids(1)
    passage = prose(4, 60)
    left, _ = run(tmp_path / "a", {name: f"{passage}\n\n{prose(5, 20)}\n\n{passage}"})
    assert left == {name: f"{passage}\n\n{prose(5, 20)}"}
    left, _ = run(tmp_path / "b", {name: " ".join(["again"] * 1000)})
    assert left == {name: " ".join(["again"] * 50)}


def test_a_document_with_nothing_left_is_dropped_and_a_short_rest_stays(tmp_path: Path) -> None:
    names = ids(3)
    passage = prose(6, 80)
    texts = {names[0]: passage, names[1]: f"Title: {passage}", names[2]: f"\n{passage}\n"}
    left, verdicts = run(tmp_path, texts)
    assert left == {names[0]: passage, names[1]: left[names[1]]}
    assert left[names[1]].startswith("Title")
    assert verdicts[names[2]]["action"] == "dropped"
    assert verdicts[names[2]]["reason"] == "no_text_left"


def test_a_short_document_that_others_need_is_not_dropped(tmp_path: Path) -> None:
    first, second = ids(2)
    passage = "一二三四五"
    texts = {first: f"{passage}。{passage}", second: f"{passage}。藏冬收秋往暑来寒"}
    left, _ = run(tmp_path, texts, Substrings(min_words=5))
    assert passage in "".join(left.values())


def test_chinese_is_compared_by_its_characters(tmp_path: Path) -> None:
    chance = random.Random(8)
    draw = [chr(0x4E00 + chance.randrange(5000)) for _ in range(200)]
    passage = "".join(draw[:60])
    one, other = ids(2)
    before, after = "".join(draw[60:100]), "".join(draw[100:])
    texts = {one: f"甲乙{passage}丙", other: f"{before}。{passage}。{after}"}
    left, verdicts = run(tmp_path, texts)
    assert left[other] == f"{before}。{after}"
    assert verdicts[other]["value"] == 60


def test_code_passes_unless_it_is_named(tmp_path: Path) -> None:
    rows = [
        [{"id": name, "text": f"{name} {prose(7, 90)} {prose(i, 9)}"}]
        for i, name in enumerate(ids(2))
    ]
    written = [
        part.__class__(**{**part.__dict__, "kind": "code"}) for part in write_parts(tmp_path, rows)
    ]
    for stage, changed in ((Substrings(), 0), (Substrings.model_validate({"for": ["code"]}), 1)):
        _, verdicts = apply_to_parts(stage.prepare(PlainVerbs(tmp_path / "w"), written), written)
        assert len(verdicts) == changed


def drawn_texts(chance: random.Random) -> dict[str, list[str]]:
    """Texts that are put together from few passages, of few words: chains, overlaps, loops."""
    letters = "abcdefgh"[: chance.randint(1, 8)]
    passages = [
        [chance.choice(letters) for _ in range(chance.randint(1, 16))]
        for _ in range(chance.randint(1, 6))
    ]
    return {
        name: [word for _ in range(chance.randrange(6)) for word in chance.choice(passages)]
        for name in ids(chance.randint(1, 9))
    }


@settings(max_examples=60)
@given(
    st.randoms(use_true_random=False),
    st.integers(5, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_the_rule_holds_for_any_order_and_any_division(
    tmp_path_factory: pytest.TempPathFactory,
    chance: random.Random,
    length: int,
    parts: int,
    partitions: int,
    batch_rows: int,
) -> None:
    texts = drawn_texts(chance)
    names = sorted(texts)
    left, verdicts = run(
        tmp_path_factory.mktemp("order"),
        {name: " ".join(text) for name, text in texts.items()},
        Substrings(min_words=length),
        parts=parts,
        partitions=partitions,
        batch_rows=batch_rows,
        chance=chance,
    )
    for name, kept in zip(names, kept_plain([texts[n] for n in names], length), strict=True):
        wanted = [word for word, stays in zip(texts[name], kept, strict=True) if stays]
        assert list(words(left.get(name, ""))) == wanted
        assert (name in verdicts) == (not all(kept))
        if not all(kept) and wanted:
            assert verdicts[name]["value"] == len(texts[name]) - len(wanted)


@settings(max_examples=200)
@given(st.randoms(use_true_random=False), st.integers(2, 7))
def test_the_rule_keeps_a_copy_of_everything_and_no_long_run_twice(
    chance: random.Random, length: int
) -> None:
    texts = list(drawn_texts(chance).values())
    kept = kept_plain(texts, length)
    whole = [p for text, k in zip(texts, kept, strict=True) for p in pieces(text, k)]
    there = {window for piece in whole for window in windows(piece, length)}
    for text, stays in zip(texts, kept, strict=True):
        covered = [stays[i] for i in range(len(text))]
        for at, window in enumerate(windows(text, length)):
            if window in there:
                covered[at : at + length] = [True] * length
        assert all(covered)
    long = [window for piece in whole for window in windows(piece, 2 * length - 1)]
    assert len(set(long)) == len(long)


def test_overlapping_copies_leave_each_part_somewhere(tmp_path: Path) -> None:
    a, b, c = (prose(seed, 60) for seed in (31, 32, 33))
    names = ids(3)
    orders = [
        (f"{a} {b}", f"{b} {c}", f"{c} {a}"),
        (b, f"{a} {b}", f"{a} {b} {c}"),
        (f"{a} {b} {c}", f"{c} {b} {a}", f"{b} {b}"),
        (b, f"{a} {b} {c}", f"{a} {b} {c}"),  # the first copy of the longer one loses its middle
    ]
    for number, order in enumerate(orders):
        texts = dict(zip(names, order, strict=True))
        left, _ = run(tmp_path / f"{number}", texts)
        for passage in (a, b, c):
            assert sum(passage in text for text in left.values()) == 1


def test_paragraphs_of_a_real_book_are_removed_once(tmp_path: Path, shared_data: Path) -> None:
    book = (shared_data / "books" / "1342-0.txt").read_text("utf-8", "replace")
    found = [p for p in book.split("\n\n") if len(list(words(p))) >= 60][:60]
    names = ids(20)
    texts = {
        name: "\n\n".join([*found[3 * i : 3 * i + 3], found[(3 * i + 7) % 60]])
        for i, name in enumerate(names)
    }
    left, verdicts = run(tmp_path, texts)
    together = "\n\n".join(left.values())
    for paragraph in found:
        assert together.count(paragraph.strip()) == 1
    words_before = sum(len(list(words(text))) for text in texts.values())
    removed = sum(v["value"] for v in verdicts.values() if v["action"] == "changed")
    assert words_before - removed == len(list(words(together)))


def test_windows_with_equal_keys_are_told_apart_by_their_check() -> None:
    rows = [("a", 0, 7, 1, 0), ("b", 3, 7, 2, 0), ("c", 1, 7, 1, 1), ("c", 9, 8, 1, 1)]
    schema = pa.schema([*OCCURRENCES, ("part", pa.int64())])
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = repeated_windows(pa.table(columns, schema=schema)).to_pylist()
    assert sorted((row["part"], row["key"], row["check"], row["id"]) for row in found) == [
        (0, 7, 1, "a"),
        (1, 7, 1, ""),
    ]
    keys, checks = np.array([7, 7, 9]), np.array([1, 2, 1])
    wanted = (np.array([7, 7, 7, 9, 5]), np.array([2, 1, 3, 1, 1]))
    assert find_all(*wanted, keys, checks, hash_slots(keys)).tolist() == [1, 0, -1, 2, -1]


def test_lengths_that_make_no_sense_are_refused() -> None:
    for wrong in (4, 1001):
        with pytest.raises(ValidationError, match="min_words"):
            Substrings(min_words=wrong)


# ---- the kernels and what they mean ----


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 9))
def test_anchors_are_the_smallest_of_each_window(grams: list[int], count: int) -> None:
    found = anchors_of(np.array(grams, np.uint64), count)
    assert found.tolist() == anchors_plain(grams, count)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), st.integers(1, 9))
def test_rolled_hashes_are_those_of_the_runs_alone(hashes: list[int], length: int) -> None:
    found = rolled_hashes(np.array(hashes, np.uint64), length)
    alone = [
        int(rolled_hashes(np.array(window, np.uint64), length)[0])
        for window in windows(hashes, length)
    ]
    assert found.tolist() == alone


@given(st.lists(st.text("ab ", max_size=60), max_size=5), st.integers(2, 7))
def test_every_repeated_window_is_a_candidate(texts: list[str], length: int) -> None:
    hashes = word_hashes(pa.array(texts, pa.large_string()))
    by_text = [list(words(text)) for text in texts]
    size = max(1, length // 3)
    counts: Counter[int] = Counter()
    for first, last in zip(hashes.offsets[:-1], hashes.offsets[1:], strict=True):
        grams = rolled_hashes(hashes.hashes[first:last], size)
        counts.update(
            grams[np.unique(anchors_of(grams, length - size + 1))].view(np.int64).tolist()
        )
    keys = np.array([key for key, count in counts.items() if count > 1], np.int64)
    wanted = candidate_windows(hashes.hashes, hashes.offsets, length, keys, hash_slots(keys))
    starts = np.flatnonzero(wanted)
    texts_of, at = places(hashes.offsets, starts)
    found = set(zip(texts_of.tolist(), at.tolist(), strict=True))
    everything = [w for words_of in by_text for w in windows(words_of, length)]
    for number, words_of in enumerate(by_text):
        for place, window in enumerate(windows(words_of, length)):
            if everything.count(window) > 1:
                assert (number, place) in found
    # Equal windows have equal hashes, and others have others.
    contents = [tuple(by_text[t][a : a + length]) for t, a in zip(texts_of, at, strict=True)]
    pairs = list(zip(*window_hashes(hashes.hashes, starts, length), strict=True))
    assert len(set(pairs)) == len(set(contents)) == len(set(zip(contents, pairs, strict=True)))
