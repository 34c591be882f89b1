"""Vocabularies: trained the same from any order, lossless, and refused when they are not."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shard_folders import real_texts, small_vocabulary

from corpusmill.errors import UsageError
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.vocabulary import (
    END_OF_TEXT,
    LONGEST_RUN,
    Vocabulary,
    load_tokenizer,
    train_bpe,
    training_copies,
    training_pieces,
)


def tokens_of(vocabulary: Vocabulary, text: str) -> np.ndarray[Any, Any]:
    row = Encoder(vocabulary).encode(pa.array([text], pa.large_string()))
    tokens: np.ndarray[Any, Any] = row.values.to_numpy()
    return tokens


@cache
def small_encoder() -> Encoder:
    return Encoder(small_vocabulary())


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=5))
def test_every_utf8_text_comes_back_exactly(texts: list[str]) -> None:
    encoder = small_encoder()
    rows = encoder.encode(pa.array(texts, pa.large_string()))
    assert len(rows) == len(texts)
    assert [encoder.decode(row.values.to_numpy()) for row in rows] == texts


@settings(max_examples=10)
@given(st.permutations(real_texts()))
def test_any_order_of_texts_gives_the_same_vocabulary(texts: list[str]) -> None:
    assert load_tokenizer(train_bpe(texts, 512)) == small_vocabulary()


def test_the_name_of_a_special_token_in_a_text_is_plain_text() -> None:
    vocabulary = small_vocabulary()
    tokens = tokens_of(vocabulary, f"before{END_OF_TEXT}after")
    assert np.flatnonzero(tokens == vocabulary.end_of_text).tolist() == [len(tokens) - 1]


def test_an_empty_text_is_an_end_of_text_token() -> None:
    vocabulary = small_vocabulary()
    assert tokens_of(vocabulary, "").tolist() == [vocabulary.end_of_text]


def test_a_vocabulary_is_smaller_where_the_text_gives_no_more() -> None:
    assert load_tokenizer(train_bpe([], 16384)).size == 257
    assert 257 < load_tokenizer(train_bpe(["to be or not to be"] * 2, 16384)).size < 300


@pytest.mark.parametrize(
    ("size", "special", "message"),
    [
        (256, (END_OF_TEXT,), "vocab_size: 256 is too small"),
        (512, (END_OF_TEXT, END_OF_TEXT), "must be different"),
        (512, ("<|pad|>",), END_OF_TEXT),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(
    size: int, special: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        train_bpe(["text"], size, special)
    assert message in str(raised.value)


def test_more_special_tokens_get_ids_and_never_come_from_text() -> None:
    vocabulary = load_tokenizer(train_bpe(real_texts(), 512, (END_OF_TEXT, "<|pad|>")))
    assert vocabulary.special_ids == {END_OF_TEXT: 0, "<|pad|>": 1}
    assert 1 not in tokens_of(vocabulary, "a <|pad|> b")


def test_training_takes_unbroken_runs_in_pieces_and_loses_none() -> None:
    text = "short " + "x" * 1000 + "\n" + "y" * (LONGEST_RUN + 1)
    pieces = list(training_pieces(text))
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= LONGEST_RUN + 1  # and a space before
    assert list(training_pieces("an ordinary text")) == ["an ordinary text"]


@pytest.mark.parametrize("blank", [" ", "\n", "\u3000"])
def test_training_takes_long_white_space_in_pieces(blank: str) -> None:
    pieces = list(training_pieces(blank * 100_000 + "x"))
    assert "".join(pieces) == blank * 100_000 + "x"
    assert max(map(len, pieces)) <= LONGEST_RUN + 1


def test_a_training_sample_takes_each_document_a_mean_number_of_times() -> None:
    ids = pa.array([f"{n:032x}" for n in range(2000)])
    assert (training_copies(ids, 1, 1.0) == 1).all()
    some = training_copies(ids, 1, 0.3)
    assert 500 < some.sum() < 700
    assert (training_copies(ids, 1, 0.5) >= some).all()
    twice = training_copies(ids, 1, 2.3)
    assert set(twice.tolist()) == {2, 3}
    assert np.array_equal(twice - 2, some)


def changed(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.update(changes)


def without_bytes(content: dict[str, Any]) -> None:
    model = content["model"]
    model["merges"] = []
    model["vocab"] = {END_OF_TEXT: 0, "a": 1}


def with_special_word(content: dict[str, Any]) -> None:
    content["model"]["vocab"]["pad"] = 600
    content["model"]["ignore_merges"] = True
    content["added_tokens"].append(content["added_tokens"][0] | {"id": 600, "content": "pad"})


def without_end_of_text(content: dict[str, Any]) -> None:
    content["added_tokens"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(model=None), "is not a tokenizer.json"),
        (changed(model={"type": "Guess"}), "is not a usable tokenizer.json"),
        (changed(normalizer={"type": "NFC"}), "has a normalizer"),
        (changed(decoder=None), "does not give a text back as it was"),
        (changed(pre_tokenizer={"type": "Whitespace"}), "does not give a text back as it was"),
        (changed(added_tokens=[{"id": -5}]), "is not a usable tokenizer.json"),
        (without_bytes, "does not give a text back as it was"),
        (without_end_of_text, "no token that ends a document"),
        (with_special_word, "special token 'pad' can come from a text"),
    ],
)
def test_a_tokenizer_that_cannot_serve_is_refused_with_the_reason(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    content = json.loads(small_vocabulary().data)
    change(content)
    path = tmp_path / "given.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError) as raised:
        load_tokenizer(str(path))
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b'"text"'])
def test_a_file_that_is_no_tokenizer_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"given\.json: is not"):
        load_tokenizer(str(path))


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.json: cannot be read"):
        load_tokenizer(str(tmp_path / "absent.json"))


def test_truncation_padding_dropout_and_layout_of_a_given_file_change_nothing() -> None:
    content = json.loads(small_vocabulary().data)
    content["truncation"] = {
        "max_length": 2,
        "strategy": "LongestFirst",
        "stride": 9,
        "direction": "Right",
    }
    content["model"]["dropout"] = 0.5
    shuffled = dict(reversed(list(content.items())))
    assert load_tokenizer(json.dumps(shuffled, indent=4).encode()) == small_vocabulary()


@pytest.mark.parametrize(("size", "dtype"), [(65_536, "uint16"), (65_537, "uint32")])
def test_tokens_are_as_narrow_as_the_vocabulary_allows(size: int, dtype: str) -> None:
    content = json.loads(small_vocabulary().data)
    vocabulary = content["model"]["vocab"]
    for number in range(len(vocabulary), size):
        vocabulary[f"Ġunused{number}"] = number
    given_one = load_tokenizer(json.dumps(content).encode())
    assert (given_one.size, given_one.dtype) == (size, dtype)
    assert tokens_of(given_one, "text").dtype == dtype
