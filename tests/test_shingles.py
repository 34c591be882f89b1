"""Words and shingles as hashes against plain twins, and the presets of bands."""

from typing import get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.filters import shingles
from corpusmill.filters.banding import PRESETS, PresetName

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


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_bytes_that_are_not_utf8_do_not_touch_their_neighbours(texts: list[bytes]) -> None:
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    array = pa.Array.from_buffers(pa.large_string(), len(texts), buffers)
    together = shingles.word_hashes(array)
    apart = [shingles.word_hashes(array.slice(i, 1)) for i in range(len(texts))]
    assert together.hashes.tolist() == [h for one in apart for h in one.hashes.tolist()]


@given(hashes, st.integers(1, 14))
def test_shingle_hashes_equal_the_plain_polynomial(words: list[int], length: int) -> None:
    found = shingles.shingle_hashes(as_hashes(words), length)
    assert found.tolist() == plain_shingles(words, length)


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
