"""Words for the n-gram models: the kernel and its plain twin."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpusmill.filters.ngram_text import BEGINNING, hash_words, plain_words

TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("aB1 .ไ字—zé")))
LONG = "Ab3dEfgh" * 9


@given(st.lists(TEXT, max_size=8))
@example(
    ["", " ", "a", "Ä" * 30, "\u200b\u2028", "字字 字", "👍🏽 ok", "a\u200cb", "x\u00a0y\u3000z"]
)
@example(
    [f"{LONG} {LONG[:64]} {LONG[:63]} {LONG}é {LONG[:8]}", LONG[:16], "a" * 7 + "é", "@AZ[`az{/09:"]
)
@settings(max_examples=200)
def test_the_kernel_and_the_plain_twin_find_the_same_words(texts: list[str]) -> None:
    words, offsets = hash_words(pa.array(texts, pa.large_string()))
    plain = [plain_words(text) for text in texts]
    assert [b - a - 1 for a, b in itertools.pairwise(offsets)] == [len(p) for p in plain]
    assert np.flatnonzero(words == BEGINNING).tolist() == offsets[:-1].tolist()
    hashes = words[words != BEGINNING].tolist()
    flat = [word for text in plain for word in text]
    pairs = set(zip(flat, hashes, strict=True))
    assert len(pairs) == len(set(flat)) == len(set(hashes))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't STOP, in 1999!", ["don", "'", "t", "stop", ",", "in", "0000", "!"]),
        ("Straße naïve кот", ["straße", "naïve", "кот"]),
        ("私は猫。", ["私", "は", "猫", "。"]),
        ("“so” — he…", ["“", "so", "”", "—", "he", "…"]),
        ("می‌خواهم", ["می‌خواهم"]),
    ],
)
def test_what_a_word_is(text: str, words: list[str]) -> None:
    assert plain_words(text) == words


def test_a_slice_of_an_array_has_the_words_of_the_slice() -> None:
    texts = pa.array(["one two", "three", "four five six", ""], pa.large_string())
    words, offsets = hash_words(texts.slice(1, 2))
    assert offsets.tolist() == [0, 2, 6]
    assert words.tolist() == hash_words(pa.array(["three", "four five six"]))[0].tolist()
