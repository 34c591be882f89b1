"""Encoding: the tokens of `tokenizers` for every text, whoever encodes, and every text back."""

import importlib
import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shard_folders import real_texts, small_vocabulary

from corpusmill.tokenize import encode, fast
from corpusmill.tokenize.encode import Encoder, cut_text
from corpusmill.tokenize.fast import FastEncoder
from corpusmill.tokenize.pretokens import PATTERNS, pattern_for, pattern_of, pretokenizer
from corpusmill.tokenize.vocabulary import END_OF_TEXT, Vocabulary, load_tokenizer, train_bpe

ANY_TEXT = st.text(st.characters(codec="utf-8"))
HARD_TEXT = st.text(
    st.sampled_from(f"aB1 \t\n\r'sSdl.,!\u00a0\u3000é\u0301١²\u2028語ſ{END_OF_TEXT}")
)
WORDS = st.lists(st.sampled_from(["I'LL", " don't", "12345", "\n\n    ", END_OF_TEXT, "…", "語学"]))
TEXTS = st.lists(ANY_TEXT | HARD_TEXT | WORDS.map("".join), max_size=5)


def of_library(vocabulary: Vocabulary, texts: list[str]) -> list[list[int]]:
    found = vocabulary.tokenizer().encode_batch(texts, add_special_tokens=False)
    return [[*encoding.ids, vocabulary.end_of_text] for encoding in found]


@cache
def cut_by(pattern: str) -> Vocabulary:
    content = json.loads(small_vocabulary(2048).data)
    content["pre_tokenizer"] = pretokenizer(pattern)
    return load_tokenizer(json.dumps(content).encode())


def needs_gigatoken() -> None:
    pytest.importorskip("gigatoken", reason="the fast way needs gigatoken")


@pytest.mark.parametrize("name", PATTERNS)
def test_the_fast_way_gives_the_tokens_of_the_library(name: Any) -> None:
    needs_gigatoken()
    vocabulary = cut_by(PATTERNS[name])
    encoder = Encoder(vocabulary)
    assert encoder.slow_because is None

    @settings(deadline=None)
    @given(TEXTS)
    def same(texts: list[str]) -> None:
        rows = encoder.encode(pa.array(texts, pa.large_string()))
        assert rows.to_pylist() == of_library(vocabulary, texts)
        assert [encoder.decode(row.values.to_numpy()) for row in rows] == texts

    same()


@settings(max_examples=20)
@given(st.lists(HARD_TEXT | ANY_TEXT, max_size=8), TEXTS)
def test_vocabularies_of_odd_texts_are_encoded_alike(learnt: list[str], texts: list[str]) -> None:
    needs_gigatoken()
    vocabulary = load_tokenizer(train_bpe([*learnt * 3, *texts * 2], 400))
    array = pa.array([*texts, *learnt], pa.large_string())
    expected = Encoder(vocabulary, fast=False).encode(array)
    assert Encoder(vocabulary).encode(array).equals(expected)


@pytest.mark.parametrize("fast_way", [False, True])
def test_real_texts_have_the_tokens_of_the_library(shared_data: Path, fast_way: bool) -> None:
    vocabulary = small_vocabulary(2048)
    files = [*shared_data.glob("books/*.txt"), shared_data / "prose" / "wikitext-2-valid.txt"]
    texts = [file.read_bytes().decode(errors="replace")[:200_000] for file in files]
    rows = Encoder(vocabulary, fast=fast_way).encode(pa.array(texts, pa.large_string()))
    assert rows.to_pylist() == of_library(vocabulary, texts)


@pytest.mark.parametrize("run", ["a", " ", "語", "\n", "1", ".", " a", "\t ", "\U0001f600"])
@pytest.mark.parametrize("fast_way", [False, True])
def test_long_runs_have_the_tokens_of_the_library(run: str, fast_way: bool) -> None:
    vocabulary = small_vocabulary(2048)
    texts = [run * 20_000]
    rows = Encoder(vocabulary, fast=fast_way).encode(pa.array(texts, pa.large_string()))
    assert rows.to_pylist() == of_library(vocabulary, texts)


def test_a_library_that_is_loaded_anew_goes_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_gigatoken()
    texts = pa.array(real_texts(), pa.large_string())
    expected = Encoder(small_vocabulary()).encode(texts)
    monkeypatch.setattr(fast, "RENEW_BYTES", 1000)
    assert Encoder(small_vocabulary()).encode(texts).equals(expected)


def test_without_the_fast_library_the_tokens_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array(real_texts(), pa.large_string())
    expected = Encoder(small_vocabulary()).encode(texts)

    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    encoder = Encoder(small_vocabulary())
    assert encoder.slow_because == "gigatoken is not installed"
    assert encoder.encode(texts).equals(expected)


def test_a_fast_library_that_gives_other_tokens_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs_gigatoken()
    right = FastEncoder.encode
    monkeypatch.setattr(FastEncoder, "encode", lambda self, text: right(self, text)[:-1])
    assert Encoder(small_vocabulary()).slow_because == "gigatoken gave other tokens for a probe"


def changed(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(small_vocabulary().data)
    return content | changes


def with_token_that_matches_in_text() -> dict[str, Any]:
    content = changed()
    content["added_tokens"].append(
        content["added_tokens"][0] | {"id": 600, "content": "tab", "special": False}
    )
    return content


BYTE_LEVEL = pretokenizer(PATTERNS["gpt2"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (with_token_that_matches_in_text(), "match anywhere"),
        (changed(pre_tokenizer=pretokenizer(r"\d|\D+")), "cut in another way"),
        (changed(pre_tokenizer=BYTE_LEVEL | {"use_regex": False}), "cut in another way"),
        (
            changed(
                pre_tokenizer={
                    "type": "Sequence",
                    "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL],
                }
            ),
            "cut in another way",
        ),
    ],
)
def test_what_the_fast_way_cannot_do_is_left_to_the_library(
    content: dict[str, Any], reason: str
) -> None:
    needs_gigatoken()
    vocabulary = load_tokenizer(json.dumps(content).encode())
    encoder = Encoder(vocabulary)
    assert encoder.slow_because is not None
    assert reason in encoder.slow_because
    texts = ["a tab zqzqzq 123 \n\n x", *real_texts()]
    rows = encoder.encode(pa.array(texts, pa.large_string()))
    assert rows.to_pylist() == of_library(vocabulary, texts)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_word_that_no_merge_makes_is_a_token_where_the_file_says_so(ignored: bool) -> None:
    content = changed()
    content["model"]["vocab"]["zqzqzq"] = 600
    content["model"]["ignore_merges"] = ignored
    vocabulary = load_tokenizer(json.dumps(content).encode())
    texts = ["zqzqzq", "a zqzqzq", "zqzqzq\nzqzqzqz"]
    rows = Encoder(vocabulary).encode(pa.array(texts, pa.large_string()))
    assert rows.to_pylist() == of_library(vocabulary, texts)
    assert (rows[0][0].as_py() == 600) == ignored


@pytest.mark.parametrize("digits", ["together", "single", "groups_of_three"])
@pytest.mark.parametrize("whitespace", ["runs", "lines"])
def test_policies_keep_every_text_and_their_promise(digits: Any, whitespace: Any) -> None:
    text = "def f(x):\n        return 1234567 + x\n\n" * 3
    trained = load_tokenizer(train_bpe([text] * 9, 500, digits=digits, whitespace=whitespace))
    assert pattern_of(json.loads(trained.data)["pre_tokenizer"]) == pattern_for(digits, whitespace)
    encoder = Encoder(trained)
    tokens = encoder.encode(pa.array([text], pa.large_string())).values.to_numpy()
    assert encoder.decode(tokens) == text
    pieces = [encoder.decode(np.array([token])) for token in tokens[:-1]]
    number = {"together": "1234567", "single": "1", "groups_of_three": "123"}[digits]
    assert number in [piece.strip() for piece in pieces]
    assert ("\n       " in pieces) == (whitespace == "runs")


@given(TEXTS.map("".join), st.sampled_from(sorted(PATTERNS)))
def test_a_text_cut_into_pieces_has_the_tokens_of_the_whole(text: str, name: Any) -> None:
    tokenizer = cut_by(PATTERNS[name]).tokenizer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "PIECE_CHARACTERS", 3)
        pieces = list(cut_text(text))
    assert "".join(pieces) == text
    found = [tokenizer.encode(piece, add_special_tokens=False).ids for piece in pieces]
    assert list(itertools.chain(*found)) == tokenizer.encode(text, add_special_tokens=False).ids


def test_a_long_text_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "PIECE_CHARACTERS", 500)
    pieces = list(cut_text(real_texts()[0]))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 700
    assert list(cut_text("語" * 2000)) == ["語" * 2000], "there is no place to cut"


def test_a_text_stays_whole_where_tokens_may_cross_any_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encode, "PIECE_CHARACTERS", 3)
    content = json.loads(small_vocabulary().data)
    added = {**content["added_tokens"][0], "id": content["model"]["vocab"]["e"], "content": "a b"}
    numbered = {**added, "id": 512, "special": False}
    uncut = {**content["pre_tokenizer"], "use_regex": False}
    merged = content["model"] | {
        "vocab": content["model"]["vocab"] | {"a\u0120": 512, "a\u0120b": 513},
        "merges": [["a", "\u0120"], ["a\u0120", "b"], *content["model"]["merges"]],
    }
    for changes in (
        {"added_tokens": [*content["added_tokens"], numbered]},
        {"pre_tokenizer": uncut, "model": merged},
    ):
        vocabulary = load_tokenizer(json.dumps(content | changes).encode())
        text = "xyz a b a b a b"
        found = Encoder(vocabulary).encode(pa.array([text])).to_pylist()
        assert found == of_library(vocabulary, [text])
        assert {512, 513} & set(found[0])
