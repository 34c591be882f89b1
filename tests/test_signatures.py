"""Signatures, permutations and clusters against plain twins, theory and an independent library."""

import hashlib
import math
import random
from pathlib import Path

import datasketch
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.filters import shingles, signatures
from corpusmill.filters.banding import PRESETS
from corpusmill.filters.permutations import permutation_signatures, sha1_32
from corpusmill.filters.shingles import Shingling, Unit
from corpusmill.filters.signatures import BINS, MULTIPLIERS, similarity_sketch

U64 = (1 << 64) - 1
FINEWEB = PRESETS["fineweb"]

hashes = st.lists(st.integers(0, U64), min_size=1, max_size=60)
any_script = st.text(
    st.one_of(
        st.sampled_from(
            "aAbZz09éßẞİ\u0131Σς\u03c3 0٣_'\u2019-\n\t\u00ad\u2060\0中文ひカกำខា한글𠮷\U0001d538😀"
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=90,
)
units_of_shingles = st.sampled_from(["word", "character"])


def as_texts(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def plain_mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & U64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & U64
    return x ^ x >> 31


def plain_absorb(state: int, chunk: int) -> int:
    state = (state ^ chunk) * 0xD6E8FEB86659FD93 & U64
    return state ^ state >> 32


plain_multipliers = [
    plain_mix((turn + 1) * 0x9E3779B97F4A7C15 & U64) | 1 for turn in range(2 * BINS)
]


def plain_sketch(values: list[int], bins: int) -> list[int]:
    """The definition of Fast Similarity Sketching: rounds one after the other."""
    slot_bits = bins.bit_length() - 1
    found: dict[int, int] = {}
    for turn in range(2 * bins):
        reached: dict[int, list[int]] = {}
        for value in values:
            ball = value * plain_multipliers[turn] & U64 if turn else value
            place = ball >> (64 - slot_bits) if turn < bins else turn - bins
            reached.setdefault(place, []).append(turn << 52 | ball >> 12)
        found = {place: min(balls) for place, balls in reached.items()} | found
    return [found[place] for place in range(bins)]


def plain_shingles(text: str, shingling: Shingling) -> list[int]:
    found = [shingles.word_hash(unit) for unit in shingles.units(text, shingling.unit)]
    out = []
    for first in range(len(found) - shingling.length + 1):
        state = 0
        for value in found[first : first + shingling.length]:
            state = (state * 0x9E3779B97F4A7C15 + value) & U64
        out.append(plain_mix(state ^ plain_mix(shingling.length)))
    return out


def plain_content(text: str, unit: Unit) -> list[int]:
    values = [shingles.word_hash(u) for u in shingles.units(text, unit)]
    if not values:
        data = text.encode()
        chunks = [data[i : i + 8] for i in range(0, len(data), 8)]
        values = [0xA0761D6478BD642F, len(data), *(int.from_bytes(c, "little") for c in chunks)]
    one, other = 0xCBF29CE484222325, len(values)
    for value in values:
        one = plain_absorb(one, value)
        other = (other + value) * 0x9FB21C651E98DF25 & U64
        other ^= other >> 29
    return [plain_mix(one), plain_mix(other)]


def sketch(values: npt.NDArray[np.uint64], bins: int = BINS) -> npt.NDArray[np.uint64]:
    found = np.empty(bins, np.uint64)
    similarity_sketch(values.copy(), MULTIPLIERS, found)
    return found


@settings(deadline=None, max_examples=40)
@given(st.lists(any_script, max_size=2), units_of_shingles, st.integers(1, 6))
def test_signatures_equal_the_plain_definition(texts: list[str], unit: Unit, length: int) -> None:
    shingling = Shingling(unit=unit, length=length)
    found = signatures.signatures(as_texts(texts), shingling, FINEWEB)
    for i, text in enumerate(texts):
        units = list(shingles.units(text, unit))
        assert found.units[i] == len(units)
        assert found.has_shingles[i] == (len(units) >= length)
        assert found.content[i].tolist() == plain_content(text, unit)
        if not found.has_shingles[i]:
            continue
        values = plain_sketch(plain_shingles(text, shingling), BINS)
        stored = [(v * 0x9FB21C651E98DF25 & U64) >> 56 for v in values]
        assert found.bins[i].tolist() == stored
        for band in range(FINEWEB.bands):
            key = band + 1
            for value in values[band * FINEWEB.rows : (band + 1) * FINEWEB.rows]:
                key = plain_absorb(key, value)
            assert int(found.keys[i, band]) & U64 == plain_mix(key)


@settings(deadline=None, max_examples=40)
@given(hashes, st.sampled_from([2, 8, 64]))
def test_sketches_equal_the_rounds_of_the_paper(values: list[int], bins: int) -> None:
    assert sketch(np.array(values, np.uint64), bins).tolist() == plain_sketch(values, bins)


def test_texts_around_the_sizes_that_are_read_at_once_agree_with_the_definition() -> None:
    chance = random.Random(1)
    for size in (7, 8, 9, 63, 64, 65, 127, 128, 4095, 4096, 4097, 9000):
        for alphabet in ("abcXYZ09", "ab ", "aé ", "x\u2019 中б"):
            text = "".join(chance.choices(alphabet, k=size))
            found = shingles.word_hashes(as_texts(["x", text, "", text[1:]]))
            expected = [
                shingles.word_hash(word)
                for t in ("x", text, text[1:])
                for word in shingles.words(t)
            ]
            assert found.hashes.tolist() == expected


@given(st.lists(any_script, min_size=1, max_size=6), st.integers(0, 5), st.integers(0, 90))
def test_neither_neighbours_nor_buffers_have_an_influence(
    texts: list[str], first: int, slack: int
) -> None:
    data = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, data)]).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(data) + b"a" * slack)]
    array = pa.Array.from_buffers(pa.large_string(), len(texts), buffers).slice(first)
    together = signatures.signatures(array, Shingling(length=2), FINEWEB)
    for i, text in enumerate(texts[first:]):
        alone = signatures.signatures(as_texts([text]), Shingling(length=2), FINEWEB)
        assert np.array_equal(alone.bins[0], together.bins[i])
        assert np.array_equal(alone.keys[0], together.keys[i])
        assert np.array_equal(alone.content[0], together.content[i])


def test_content_is_what_the_words_say_and_without_words_the_bytes() -> None:
    texts = ["A  b, c!", "a b c", "a bc", "a c b", "!!!", "???", "!!!\0", ""]
    found = signatures.signatures(as_texts(texts), Shingling(), FINEWEB).content
    assert np.array_equal(found[0], found[1])
    assert len({tuple(row) for row in found.tolist()}) == len(texts) - 1


def test_a_text_that_repeats_itself_takes_no_longer_than_another() -> None:
    """Few distinct shingles mean many rounds; repetitions must not be thrown in each of them."""
    text = as_texts(["buy now " * 200_000])
    signatures.signatures(as_texts(["buy now " * 5_000]), Shingling(), FINEWEB)
    assert is_within(2, lambda: signatures.signatures(text, Shingling(), FINEWEB))
    found = signatures.signatures(text, Shingling(), FINEWEB)
    twice = signatures.signatures(as_texts(["buy now " * 20]), Shingling(), FINEWEB)
    assert np.array_equal(found.bins[0], twice.bins[0])


@pytest.mark.parametrize("n", [10, 50, 200, 2000])
def test_the_error_is_at_most_that_of_theory(n: int) -> None:
    """Theory: sqrt(J (1 - J) / BINS); of the whole bins, and of the bytes that are stored."""
    trials = 1500
    chance = np.random.default_rng(n)
    common = int(0.6 * n)
    half = (n - common) // 2
    exact = common / (common + 2 * half)
    whole, stored = [], []
    for _ in range(trials):
        both = chance.integers(0, U64, n, np.uint64, endpoint=True)
        one = sketch(both[: common + half])
        other = sketch(np.concatenate([both[:common], both[common + half :]]))
        whole.append(np.mean(one == other) - exact)
        equal = np.count_nonzero(signatures.stored(one) == signatures.stored(other))
        stored.append(float(signatures.similarity(np.array([equal]))[0]) - exact)
    theory = math.sqrt(exact * (1 - exact) / BINS)
    assert np.sqrt(np.mean(np.square(whole))) <= 1.05 * theory
    assert np.sqrt(np.mean(np.square(stored))) <= 1.05 * theory
    assert abs(np.mean(whole)) < 4 * theory / math.sqrt(trials)
    assert abs(np.mean(stored)) < 4 * theory / math.sqrt(trials)


def test_texts_share_a_band_as_often_as_the_curve_says() -> None:
    chance = np.random.default_rng(11)
    n, trials, met = 300, 600, 0
    rows, bands = FINEWEB.rows, FINEWEB.bands
    for _ in range(trials):
        both = chance.integers(0, U64, n, np.uint64, endpoint=True)
        one, other = sketch(both[: n * 9 // 10]), sketch(both[n // 10 :])
        equal = (one == other)[: rows * bands].reshape(bands, rows)
        met += bool(equal.all(axis=1).any())
    expected = FINEWEB.candidate_probability(0.8)
    assert abs(met / trials - expected) < 4 * math.sqrt(expected * (1 - expected) / trials)


def test_editions_of_a_book_are_as_similar_as_datasketch_finds(shared_data: Path) -> None:
    books = [
        (shared_data / "books" / name).read_text("utf-8", errors="replace")
        for name in ("1342-0.txt", "old-pandp10.txt", "old-pandp12.txt")
    ]
    texts = [book[start : start + 60_000] for book in books for start in (100_000, 102_000)]
    shingling = Shingling(length=5)
    mine = signatures.signatures(as_texts(texts), shingling, FINEWEB)
    sets, theirs = [], []
    for text in texts:
        words = list(shingles.words(text))
        found = {" ".join(words[i : i + 5]) for i in range(len(words) - 4)}
        sets.append(found)
        other = datasketch.MinHash(num_perm=BINS, seed=7)
        other.update_batch([shingle.encode() for shingle in found])
        theirs.append(other)
    seen = []
    for i in range(len(texts)):
        for j in range(i):
            exact = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
            seen.append(exact)
            error = 4 * math.sqrt(exact * (1 - exact) / BINS) + 0.005
            equal = np.count_nonzero(mine.bins[i] == mine.bins[j])
            estimate = float(signatures.similarity(np.array([equal]))[0])
            assert abs(estimate - exact) <= error
            assert abs(estimate - theirs[i].jaccard(theirs[j])) <= math.sqrt(2) * error
    assert min(seen) < 0.7
    assert max(seen) > 0.9


@given(st.binary(max_size=200))
def test_sha1_is_that_of_the_standard_library(message: bytes) -> None:
    expected = int.from_bytes(hashlib.sha1(message).digest()[:4], "little")
    assert sha1_32(np.frombuffer(message, np.uint8)) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(any_script, max_size=3), units_of_shingles, st.integers(1, 4), st.integers(1, 99))
def test_permutations_have_the_values_of_datasketch(
    texts: list[str], unit: Unit, length: int, seed: int
) -> None:
    shingling = Shingling(length=length, unit=unit)
    found = permutation_signatures(as_texts(texts), shingling, 64, seed)
    between = " " if unit == "word" else ""
    for text, row in zip(texts, found, strict=True):
        units = list(shingles.units(text, unit))
        theirs = datasketch.MinHash(64, seed=seed, scheme="affine32")
        theirs.update_batch(
            between.join(units[i : i + length]).encode() for i in range(len(units) - length + 1)
        )
        assert row.dtype == theirs.hashvalues.dtype
        assert row.tolist() == theirs.hashvalues.tolist()


def test_an_index_of_datasketch_finds_what_corpusmill_signed(shared_data: Path) -> None:
    text = (shared_data / "prose" / "wikitext-2-valid.txt").read_text("utf-8")
    words = text.split()[:4000]
    edited = [*words[:1000], "edited", *words[1000:]]
    texts = [" ".join(words), " ".join(edited), " ".join(reversed(words))]
    found = permutation_signatures(as_texts(texts), Shingling(), 128)
    signed = [datasketch.MinHash(hashvalues=row, seed=1, scheme="affine32") for row in found]
    index = datasketch.MinHashLSH(threshold=0.8, num_perm=128)
    normal = list(shingles.words(texts[0]))
    theirs = datasketch.MinHash(128)
    theirs.update_batch([" ".join(normal[i : i + 5]).encode() for i in range(len(normal) - 4)])
    index.insert("theirs", theirs)
    assert [index.query(one) for one in signed] == [["theirs"], ["theirs"], []]
    assert signed[0].jaccard(signed[1]) > 0.98
