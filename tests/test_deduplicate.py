"""Near-duplicate removal over the verbs: what is removed, for whom, and that nothing else is."""

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.verbs_fixture import PlainVerbs, apply_to_parts, write_parts

from corpusmill.document import document_id
from corpusmill.filters.shingles import words
from corpusmill.stages.deduplicate import BUCKET, Deduplicate, candidate_pairs, instant

Removed = dict[str, tuple[str, float, str]]
"""Name of the document -> reason, value, name of the document that is kept instead."""

Deduplicator = Callable[..., Removed]


@pytest.fixture
def removed(tmp_path: Path) -> Deduplicator:
    """Deduplicates texts by name."""
    return deduplicator(tmp_path)


def deduplicator(work: Path) -> Deduplicator:
    """A function that deduplicates texts by name, divided over parts and partitions in any way."""
    runs = itertools.count()

    def run(
        texts: dict[str, str],
        stage: Deduplicate | None = None,
        *,
        parts: int = 3,
        partitions: int = 3,
        chance: random.Random | None = None,
        dates: dict[str, str] | None = None,
    ) -> Removed:
        names = {document_id("test", name, ""): name for name in texts}
        rows = [
            {
                "id": document,
                "text": texts[name],
                "metadata": {"date": dates[name]} if dates and name in dates else {},
            }
            for document, name in names.items()
        ]
        if chance:
            chance.shuffle(rows)
        folder = work / str(next(runs))
        written = write_parts(folder, [rows[i::parts] for i in range(parts)])
        verbs = PlainVerbs(folder / "work", partitions=partitions)
        join = (stage or Deduplicate()).prepare(verbs, written)
        kept, verdicts = apply_to_parts(join, written)
        assert {row["action"] for row in verdicts} <= {"dropped"}
        assert kept.num_rows + len(verdicts) == len(texts)
        still_there = {names[document] for document in kept.column("id").to_pylist()}
        found = {
            names[row["id"]]: (row["reason"], row["value"], names[row["detail"]])
            for row in verdicts
        }
        # Nothing is removed for the sake of a document that was itself removed.
        assert {kept_name for _, _, kept_name in found.values()} <= still_there
        return found

    return run


def prose(seed: int, n: int = 400) -> list[str]:
    chance = random.Random(seed)
    return [f"word{int(chance.paretovariate(0.8)) % 5000}" for _ in range(n)]


def substituted(text: Sequence[str], share: float, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [f"new{chance.randrange(10**6)}" if chance.random() < share else w for w in text]


def replaced(text: Sequence[str], first: int, last: int, mark: str) -> list[str]:
    return [*text[:first], *(f"{mark}{i}" for i in range(first, last)), *text[last:]]


def shingle_set(text: str, length: int = 5) -> set[tuple[str, ...]]:
    found = list(words(text))
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


def jaccard(one: str, other: str) -> float:
    a, b = shingle_set(one), shingle_set(other)
    return len(a & b) / len(a | b)


def test_edited_copies_are_removed_for_the_longest_with_their_exact_similarity(
    removed: Deduplicator,
) -> None:
    base = prose(1)
    texts = {
        "base": " ".join(base),
        "shouted": " ".join(base).upper() + "!",
        "truncated": " ".join(base[:-20]),
        "one percent": " ".join(substituted(base[:-1], 0.01, seed=2)),
        "inserted": " ".join(["Copied:", *base]),
        "other": " ".join(prose(2)),
        "half": " ".join([*base[:200], *prose(3, 200)]),
    }
    found = removed(texts)
    assert set(found) == {"base", "shouted", "truncated", "one percent"}
    for name, (reason, value, kept) in found.items():
        assert kept == "inserted"
        assert reason == "near_duplicate"
        assert value == pytest.approx(jaccard(texts[name], texts["inserted"]))


def test_copies_with_the_same_words_are_exact_duplicates(removed: Deduplicator) -> None:
    text = " ".join(prose(4, 60))
    found = removed({"a": text, "b": text.title(), "c": f"«{text}»\n", "d": text + " more"})
    # all three are near-duplicates of the longest: nobody is removed for a removed document
    assert {reason for reason, _, _ in found.values()} == {"near_duplicate"}
    assert {kept for _, _, kept in found.values()} == {"d"}
    found = removed({"a": text, "b": text.title(), "c": f"«{text}»\n"})
    best = min("abc", key=lambda name: document_id("test", name, ""))
    assert found == {name: ("exact_duplicate", 1.0, best) for name in "abc" if name != best}


def test_no_document_is_removed_through_a_removed_one(removed: Deduplicator) -> None:
    a = prose(5, 500)
    b = replaced(a, 0, 14, "x")[:-1]
    c = replaced(b, 300, 314, "y")[:-1]
    texts = {"a": " ".join(a), "b": " ".join(b), "c": " ".join(c)}
    similar = 0.9
    assert jaccard(texts["a"], texts["b"]) > similar
    assert jaccard(texts["b"], texts["c"]) > similar
    assert jaccard(texts["a"], texts["c"]) < similar
    assert set(removed(texts, Deduplicate(threshold=similar))) == {"b"}
    # without the kept one in between, the same pair is removed
    del texts["a"]
    assert set(removed(texts, Deduplicate(threshold=similar))) == {"c"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_families_that_drift_are_thinned_exactly_as_the_greedy_rule_says(
    removed: Deduplicator, seed: int
) -> None:
    threshold = 0.9
    texts = {}
    for family in range(4):
        version = prose(100 * seed + family, 300)
        for number in range(12):
            texts[f"{family}/{number}"] = " ".join(version)
            first = (37 * number) % 280
            version = replaced(version, first, first + 3, f"v{number}x")[: 300 - number]
    order = sorted(
        texts, key=lambda name: (-len(texts[name].split()), document_id("test", name, ""))
    )
    kept: list[str] = []
    expected = {}
    for name in order:
        match = next((k for k in kept if jaccard(texts[name], texts[k]) >= threshold), None)
        if match is None:
            kept.append(name)
        else:
            expected[name] = match
    found = removed(texts, Deduplicate(threshold=threshold), chance=random.Random(seed))
    assert {name: kept_name for name, (_, _, kept_name) in found.items()} == expected
    assert len(kept) > 8


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 5), st.integers(1, 6))
def test_neither_order_nor_parts_nor_partitions_have_influence(
    tmp_path_factory: pytest.TempPathFactory,
    chance: random.Random,
    parts: int,
    partitions: int,
) -> None:
    texts = {"empty": "", "short": "hello world", "short too": "Hello, world!"}
    for family in range(5):
        base = prose(family, 120)
        for number in range(5):
            texts[f"{family}/{number}"] = " ".join(substituted(base, 0.01, seed=number))
    deduplicate = deduplicator(tmp_path_factory.mktemp("order"))
    expected = deduplicate(texts, parts=2, partitions=1)
    found = deduplicate(texts, parts=parts, partitions=partitions, chance=chance)
    assert found == expected
    assert len(found) > 5


def test_recall_and_precision_over_planted_edits_follow_the_curve(removed: Deduplicator) -> None:
    texts, probability = {}, {}
    for number in range(120):
        base = prose(1000 + number, 150)
        share = (0.003, 0.01, 0.03, 0.05)[number % 4]
        texts[f"{number}"] = " ".join(base)
        texts[f"{number} edited"] = " ".join(substituted(base[:-1], share, seed=number))
        similar = jaccard(texts[f"{number}"], texts[f"{number} edited"])
        probability[f"{number} edited"] = 1 - (1 - similar**8) ** 14 if similar >= 0.75 else 0.0
    found = removed(texts)
    for name, (_, value, kept) in found.items():
        assert kept == name.removesuffix(" edited")
        assert value == pytest.approx(jaccard(texts[name], texts[kept]))
        assert value >= 0.75
    expected = sum(probability.values())
    deviation = sum(p * (1 - p) for p in probability.values()) ** 0.5
    assert abs(len(found) - expected) <= 3 * deviation + 1
    assert expected > 60


def test_documents_that_share_a_template_are_kept(removed: Deduplicator) -> None:
    template = prose(7, 200)
    texts = {f"{i}": " ".join([*template, *prose(500 + i, 150)]) for i in range(80)}
    assert removed(texts) == {}


def test_short_documents_are_compared_whole(removed: Deduplicator) -> None:
    texts = {
        "one": "hello",
        "two": "hello world",
        "two again": "Hello  World",
        "three": "hello old world",
        "four": "hello my old world",
        "empty": "",
        "blank": "   ",
        "shout": "!!!",
        "question": "???",
    }
    found = removed(texts)
    assert len(found) == 1
    assert set(found) <= {"two", "two again"}


def test_empty_documents_are_copies_of_each_other_only(removed: Deduplicator) -> None:
    found = removed({"a": "", "b": "", "c": " "})
    assert len(found) == 1
    assert set(found) <= {"a", "b"}


def test_chinese_is_compared_by_its_characters(removed: Deduplicator) -> None:
    chance = random.Random(8)
    text = "".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(300))
    other = "".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(300))
    found = removed({"long": "好" + text, "copy": text[:150] + "。" + text[150:], "other": other})
    assert set(found) == {"copy"}


def test_a_crowd_of_copies_is_reduced_to_one(removed: Deduplicator) -> None:
    base = prose(9, 120)
    texts = {f"{i}": " ".join([*base, f"number{i}"]) for i in range(3 * BUCKET)}
    found = removed(texts)
    assert len(found) == len(texts) - 1
    assert len({kept for _, _, kept in found.values()}) == 1


def test_a_large_bucket_tries_its_members_against_the_best_ones_only() -> None:
    names = [f"{i:032x}" for i in range(100)]
    table = pa.table(
        {
            "id": [*names, "f" * 32],
            "rank": [*names, "0" * 32],
            "band": pa.array([5] * 100 + [6], pa.int64()),
        }
    )
    pairs = candidate_pairs(table.take(np.random.default_rng(1).permutation(101)))
    better = pairs.column("document").to_pylist()
    assert pairs.num_rows == BUCKET * (BUCKET - 1) // 2 + (100 - BUCKET) * BUCKET
    assert set(better) == set(names[:BUCKET])
    assert all(b < i for i, b in zip(pairs.column("id").to_pylist(), better, strict=True))


def test_keep_rules_are_followed_in_their_order(removed: Deduplicator) -> None:
    base = prose(10)
    texts = {"long": " ".join(base), "new": " ".join(base[:-5]), "undated": " ".join(base[:-1])}
    dates = {"long": "2019-05-01T10:00:00Z", "new": "2024"}
    by_rule: list[tuple[tuple[Any, ...], str]] = [
        (("longest",), "long"),
        (("newest",), "new"),
        (("newest", "longest"), "new"),
        ((), min(texts, key=lambda name: document_id("test", name, ""))),
    ]
    for keep, best in by_rule:
        found = removed(texts, Deduplicate(keep=keep), dates=dates)
        assert {kept for _, _, kept in found.values()} == {best}
        assert len(found) == 2
    # with equal dates the second rule decides
    same = dict.fromkeys(texts, "2020-02-02")
    found = removed(texts, Deduplicate(keep=("newest", "longest")), dates=same)
    assert {kept for _, _, kept in found.values()} == {"long"}


def test_dates_are_read_with_their_time_zone() -> None:
    assert instant("1970-01-01T01:00:00+01:00") == 0
    assert instant("1970-01-02") == 86400
    assert instant("1970-02") == 31 * 86400
    assert instant("1971") == 365 * 86400
    assert instant("1813") is not None
    assert (instant("yesterday"), instant(""), instant(None)) == (None, None, None)


def test_unknown_rules_and_presets_are_refused() -> None:
    with pytest.raises(ValidationError, match="longest"):
        Deduplicate.model_validate({"keep": ["score"]})
    with pytest.raises(ValidationError, match="fineweb"):
        Deduplicate.model_validate({"preset": "finweb"})
    with pytest.raises(ValidationError, match="greater than 0"):
        Deduplicate(threshold=0)


def test_thirteen_word_presets_work_too(removed: Deduplicator) -> None:
    base = prose(11)
    texts = {"base": " ".join(base), "copy": " ".join(base[:-3]), "other": " ".join(prose(12))}
    for preset in ("dolma3", "redpajama-0.7", "slimpajama"):
        assert set(removed(texts, Deduplicate.model_validate({"preset": preset}))) == {"copy"}


def test_editions_of_one_book_are_reduced_to_one(removed: Deduplicator, shared_data: Path) -> None:
    books = shared_data / "books"
    texts = {
        name: (books / name).read_text("latin-1")
        for name in ("1342-0.txt", "old-pandp10.txt", "old-pandp12.txt", "faust-2229-8.txt")
    }
    found = removed(texts)
    assert len(found) == 2
    assert "faust-2229-8.txt" not in found
    for name, (_, value, kept) in found.items():
        assert value == pytest.approx(jaccard(texts[name], texts[kept]), abs=0.03)
