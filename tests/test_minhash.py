"""Kernels of near-duplicate detection against plain twins, theory and an independent library."""

import math
import random
from typing import get_args

import datasketch
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.filters import minhash, shingles
from corpusmill.filters.minhash import PRESETS, SKETCH, PresetName

U64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15

hashes = st.lists(st.integers(0, U64), max_size=60)
multilingual = st.text(
    st.one_of(
        st.sampled_from(
            "aAbZzé́ßẞİıΣςσ 0٣_'\u2019-\n\t\u00ad\u2060中文字ひカกำខា한글𠮷\U0001d538😀"
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


def as_hashes(values: list[int]) -> npt.NDArray[np.uint64]:
    return np.array(values, np.uint64)


def plain_mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & U64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & U64
    return x ^ x >> 31


def plain_shingles(words: list[int], length: int) -> list[int]:
    found = []
    for first in range(len(words) - length + 1):
        state = 0
        for word in words[first : first + length]:
            state = (state * GOLDEN + word) & U64
        found.append(plain_mix(state ^ plain_mix(length)))
    return found


def plain_signature(values: list[int], size: int) -> list[int]:
    bins: list[int | None] = [None] * size
    turn = 0
    while None in bins:
        mixed = [plain_mix((value + (turn + 1) * GOLDEN) & U64) for value in values]
        reached: dict[int, list[int]] = {}
        for value in mixed:
            if turn < size:
                scaled = (value >> 32) * size
                value = (scaled << 32 & U64) | (value & 0xFFFFFFFF)
                reached.setdefault(scaled >> 32, []).append(value)
            else:
                reached.setdefault(turn - size, []).append(value)
        for place, candidates in reached.items():
            if bins[place] is None:
                bins[place] = min(candidates)
        turn += 1
    return [value for value in bins if value is not None]


@settings(deadline=None)
@given(st.lists(multilingual, max_size=5))
def test_word_hashes_are_those_of_the_plain_words(texts: list[str]) -> None:
    found = shingles.word_hashes(pa.array(texts, pa.large_string()))
    plain = [list(shingles.words(text)) for text in texts]
    assert found.counts().tolist() == [len(words) for words in plain]
    assert found.hashes.tolist() == [shingles.word_hash(word) for words in plain for word in words]


def test_words_ignore_case_layout_and_invisible_characters() -> None:
    one = "The  QUICK_brown,\nfox\u2019s co\u00adop ΟΔΥΣΣΕΥΣ"
    assert list(shingles.words(one)) == ["the", "quick", "brown", "fox", "s", "coop", "οδυσσευσ"]
    assert list(shingles.words("Οδυσσευς")) == ["οδυσσευσ"]


def test_scripts_without_spaces_give_one_word_for_each_character() -> None:
    assert list(shingles.words("我爱you和ไทย")) == ["我", "爱", "you", "和", "ไ", "ท", "ย"]
    assert list(shingles.words("한국어 हिन्दी")) == ["한국어", "हिन्दी"]


def test_an_array_of_more_one_character_words_than_any_text_fits() -> None:
    for text in ("a b " * 50 + "c", "中" * 99, "a中" * 99, "𠮷" * 99):
        found = shingles.word_hashes(pa.array([text] * 3, pa.large_string()))
        assert found.counts().tolist() == [len(list(shingles.words(text)))] * 3


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=4))
def test_bytes_that_are_not_utf8_do_not_touch_their_neighbours(texts: list[bytes]) -> None:
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    array = pa.Array.from_buffers(pa.large_string(), len(texts), buffers)
    together = shingles.word_hashes(array)
    apart = [shingles.word_hashes(array.slice(i, 1)) for i in range(len(texts))]
    assert together.hashes.tolist() == [h for one in apart for h in one.hashes.tolist()]


@settings(deadline=None)
@given(hashes, st.integers(1, 14))
def test_shingle_hashes_equal_the_plain_polynomial(words: list[int], length: int) -> None:
    found = shingles.shingle_hashes(as_hashes(words), length)
    assert found.tolist() == plain_shingles(words, length)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, U64), min_size=1, max_size=60), st.sampled_from([1, 7, 24]))
def test_signatures_equal_the_plain_sketching(values: list[int], size: int) -> None:
    found = minhash.signature(as_hashes(values), size)
    assert found.tolist() == plain_signature(values, size)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 12), st.randoms())
def test_a_sketch_is_the_smallest_distinct_shingles(
    values: list[int], size: int, chance: random.Random
) -> None:
    spread = [plain_mix(value) for value in values]
    expected = sorted(set(spread))[:size]
    assert minhash.sketch(as_hashes(spread), size).tolist() == expected
    chance.shuffle(spread)
    assert minhash.sketch(as_hashes(spread), size).tolist() == expected


@settings(deadline=None)
@given(st.sets(st.integers(0, U64), max_size=30), st.sets(st.integers(0, U64), max_size=30))
def test_similarity_of_small_sets_is_exact(one: set[int], other: set[int]) -> None:
    shared = {value for value in one if value % 3} | (one & other)
    other = other | shared
    small, large = (as_hashes(sorted(s)).view(np.int64) for s in (one, other))
    expected = len(one & other) / len(one | other) if one | other else 0.0
    assert minhash.similarity(small, large, SKETCH) == pytest.approx(expected)
    # with sketches cut to 8, the share among the 8 smallest of both
    smallest = sorted(one | other)[:8]
    if max(len(one), len(other)) >= 8:
        share = sum(v in one and v in other for v in smallest) / 8
        assert minhash.similarity(small[:8], large[:8], 8) == pytest.approx(share)


@pytest.mark.parametrize("n", [10, 50, 200, 2000])
def test_the_error_of_signatures_is_at_most_that_of_independent_permutations(n: int) -> None:
    size, trials = 112, 400
    chance = np.random.default_rng(n)
    errors = []
    for _ in range(trials):
        both = chance.integers(0, U64, n, np.uint64, endpoint=True)
        common = int(0.6 * n)
        half = (n - common) // 2
        one = minhash.signature(both[: common + half], size)
        other = minhash.signature(np.concatenate([both[:common], both[common + half :]]), size)
        errors.append(np.mean(one == other) - common / n)
    theory = math.sqrt(0.6 * 0.4 / size)
    assert np.sqrt(np.mean(np.square(errors))) <= 1.05 * theory
    assert abs(np.mean(errors)) < 4 * theory / math.sqrt(trials)


def test_estimates_agree_with_datasketch_and_with_the_exact_value() -> None:
    chance = random.Random(5)
    size = 256
    base = [f"word{chance.randrange(3000)}" for _ in range(800)]
    for changed in (0.0, 0.01, 0.05, 0.2, 1.0):
        edited = [f"other{i}" if chance.random() < changed else w for i, w in enumerate(base)]
        sets, mine, theirs = [], [], []
        for words in (base, edited):
            tuples = {" ".join(words[i : i + 5]) for i in range(len(words) - 4)}
            sets.append(tuples)
            found = shingles.word_hashes(pa.array([" ".join(words)], pa.large_string()))
            mine.append(minhash.signature(shingles.shingle_hashes(found.hashes, 5), size))
            other = datasketch.MinHash(num_perm=size, seed=7)
            other.update_batch([t.encode() for t in tuples])
            theirs.append(other)
        exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        spread = 4 * math.sqrt(exact * (1 - exact) / size) + 1e-9
        estimate = float(np.mean(mine[0] == mine[1]))
        assert abs(estimate - exact) <= spread
        assert abs(estimate - theirs[0].jaccard(theirs[1])) <= math.sqrt(2) * spread


def test_sketches_of_long_texts_estimate_within_their_stated_error() -> None:
    chance = np.random.default_rng(3)
    errors = []
    for _ in range(60):
        both = chance.integers(0, U64, 40_000, np.uint64, endpoint=True)
        one, other = (
            minhash.sketch(part, SKETCH).view(np.int64) for part in (both[:35_000], both[5_000:])
        )
        errors.append(minhash.similarity(one, other, SKETCH) - 0.75)
    assert np.sqrt(np.mean(np.square(errors))) < 1.2 * math.sqrt(0.75 * 0.25 / SKETCH)
    assert abs(np.mean(errors)) < 0.006


def test_presets_have_the_published_curves() -> None:
    assert set(PRESETS) == set(get_args(PresetName))
    published: dict[PresetName, tuple[float, float, float]] = {
        "fineweb": (0.565, 0.924, 1.0),
        "dolma3": (0.405, 0.903, 1.0),
        "redpajama-0.7": (0.438, 0.867, 0.999),
        "slimpajama": (0.084, 0.399, 0.929),
    }
    for name, expected in published.items():
        curve = [PRESETS[name].candidate_probability(j) for j in (0.7, 0.8, 0.9)]
        assert curve == pytest.approx(expected, abs=6e-4)


def test_texts_share_a_band_as_often_as_the_curve_says() -> None:
    banding = PRESETS["fineweb"]
    chance = np.random.default_rng(11)
    n, trials, met = 300, 400, 0
    for _ in range(trials):
        words = chance.integers(0, U64, n, np.uint64, endpoint=True)
        # single-word shingles: sets with 0.8 in common
        flat = np.concatenate([words[: n * 9 // 10], words[n // 10 :]])
        offsets = np.array([0, n * 9 // 10, len(flat)], np.int64)
        keys, ends = minhash.band_keys(flat, offsets, 1, banding.bands, banding.rows)
        assert ends.tolist() == [0, banding.bands, 2 * banding.bands]
        met += len(np.intersect1d(keys[: banding.bands], keys[banding.bands :])) > 0
    expected = banding.candidate_probability(0.8)
    assert abs(met / trials - expected) < 4 * math.sqrt(expected * (1 - expected) / trials)


def test_texts_shorter_than_a_shingle_have_no_bands_and_no_sketch() -> None:
    found = shingles.word_hashes(pa.array(["one two three four", "a b c d e"], pa.large_string()))
    _, ends = minhash.band_keys(found.hashes, found.offsets, 5, 14, 8)
    assert ends.tolist() == [0, 0, 14]
    _, ends = minhash.sketches(found.hashes, found.offsets, 5, SKETCH)
    assert ends.tolist() == [0, 0, 1]
