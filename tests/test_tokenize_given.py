"""Vocabularies that others made: tiktoken files, `transformers` folders, files that are none."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.shard_folders import real_texts, small_vocabulary

from corpusmill.errors import UsageError
from corpusmill.stages.tokenize import Tokenize
from corpusmill.tokenize import given
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.pretokens import PATTERNS, byte_letters
from corpusmill.tokenize.vocabulary import END_OF_TEXT, load_tokenizer

TEXTS = ["it's 12345 words,\n\n    and   END <|endoftext|> 語学\r\n", *real_texts()]


def letters() -> dict[str, int]:
    return {letter: byte for byte, letter in enumerate(byte_letters())}


def ranks_of_small_vocabulary() -> dict[bytes, int]:
    """Without <|endoftext|>, whose id is 0."""
    table = letters()
    vocab = json.loads(small_vocabulary().data)["model"]["vocab"]
    vocab.pop(END_OF_TEXT)
    return {bytes(table[c] for c in token): number - 1 for token, number in vocab.items()}


def write_tiktoken(path: Path, ranks: dict[bytes, int]) -> str:
    rows = sorted(ranks.items(), key=lambda item: item[1])
    path.write_bytes(b"".join(base64.b64encode(t) + b" %d\n" % rank for t, rank in rows))
    return str(path)


def tokens_of(vocabulary: Any, texts: list[str]) -> Any:
    return Encoder(vocabulary).encode(pa.array(texts, pa.large_string())).values.to_numpy()


def test_a_tiktoken_file_gives_the_merges_it_was_made_of(tmp_path: Path) -> None:
    path = write_tiktoken(tmp_path / "small.tiktoken", ranks_of_small_vocabulary())
    vocabulary = load_tokenizer(path, "gpt2")
    expected = json.loads(small_vocabulary().data)["model"]["merges"]
    model = json.loads(vocabulary.data)["model"]
    assert model["merges"] == expected
    assert model["ignore_merges"] is False
    assert vocabulary.end_of_text == 511
    of_small = tokens_of(small_vocabulary(), TEXTS).astype(np.int64)
    assert np.array_equal(tokens_of(vocabulary, TEXTS), np.where(of_small == 0, 511, of_small - 1))


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k", "qwen2"])
def test_tiktoken_gives_the_same_tokens(tmp_path: Path, pattern: Any) -> None:
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is what is compared with")
    ranks = ranks_of_small_vocabulary()
    ranks[b"zqzqzq"] = 511  # a word to which no merge leads
    vocabulary = load_tokenizer(write_tiktoken(tmp_path / "x.tiktoken", ranks), pattern)
    theirs = tiktoken.Encoding(
        "x", pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={}
    )
    for text in [*TEXTS, "zqzqzq zqzqzq"]:
        assert tokens_of(vocabulary, [text]).tolist()[:-1] == theirs.encode_ordinary(text)


def test_a_published_name_says_how_text_is_cut_and_the_end_of_text(tmp_path: Path) -> None:
    path = write_tiktoken(tmp_path / "cl100k_base.tiktoken", ranks_of_small_vocabulary())
    vocabulary = load_tokenizer(path)
    assert vocabulary.end_of_text == 100257
    assert load_tokenizer(vocabulary.data) == vocabulary
    other = write_tiktoken(tmp_path / "mine.tiktoken", ranks_of_small_vocabulary())
    with pytest.raises(UsageError, match="set `pattern` to one of gpt2, cl100k"):
        load_tokenizer(other)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"IQ== 0\nIQ== 1\n", ":2: the token was there before"),
        (b"IQ== 0\nIg== x\n", ":2: is not `base64 rank`"),
        (b"IQ== 0\n!!!! 1\n", ":2: is not `base64 rank`"),
        (b"IQ== 0\nIg== 99999999\n", ":2: no such token or rank"),
        (b"IQ== 0\nIg== 0\n", "two tokens have one rank"),
        (b"IQ== 0\n" + base64.b64encode(b"a" * 5000) + b" 1\n", ":2: no such token"),
        (b"IQ== 0\n", "255 of the 256 bytes are no tokens"),
    ],
)
def test_a_damaged_tiktoken_file_is_refused(tmp_path: Path, lines: bytes, message: str) -> None:
    path = tmp_path / "x.tiktoken"
    path.write_bytes(lines)
    with pytest.raises(UsageError) as raised:
        load_tokenizer(str(path), "gpt2")
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "LARGEST_FILE", 1000)
    path = write_tiktoken(tmp_path / "x.tiktoken", ranks_of_small_vocabulary())
    with pytest.raises(UsageError, match="bytes are no vocabulary"):
        load_tokenizer(path, "gpt2")


def write_folder(folder: Path, eos: Any, **files: Any) -> str:
    """A model's folder whose tokenizer.json knows no special token."""
    folder.mkdir()
    content = json.loads(small_vocabulary().data)
    vocab = content["model"]["vocab"]
    vocab["<stop>"] = vocab.pop(END_OF_TEXT)
    content["added_tokens"] = []
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": eos}))
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return str(folder)


@pytest.mark.parametrize("eos", ["<stop>", {"content": "<stop>", "lstrip": False}])
def test_a_folder_says_which_token_ends_a_document(tmp_path: Path, eos: Any) -> None:
    vocabulary = load_tokenizer(write_folder(tmp_path / "model", eos))
    assert vocabulary.special_ids == {"<stop>": 0}
    assert vocabulary.end_of_text == 0
    assert load_tokenizer(vocabulary.data) == vocabulary, "the file beside shards says it too"
    assert np.array_equal(tokens_of(vocabulary, TEXTS), tokens_of(small_vocabulary(), TEXTS))


def test_only_the_tokenizers_files_of_a_folder_decide(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "model", "<stop>", tokenizer_config={"pad_token": None})
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"not to be opened")
    files = Tokenize(tokenizer=path).content_files()["tokenizer"]
    assert [file.rsplit("/", 1)[-1] for file in files] == list(given.TOKENIZER_FILES)
    Tokenize(tokenizer=path).check()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tokenizer.json", b"[]"),
        ("tokenizer.json", b'{"model": [], "added_tokens": {}}'),
        ("special_tokens_map.json", b"{"),
        ("tokenizer_config.json", b"[1]"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = write_folder(tmp_path / "model", "<stop>")
    (tmp_path / "model" / name).write_bytes(data)
    with pytest.raises(UsageError, match="is not"):
        load_tokenizer(path)


def test_a_folder_without_a_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(tmp_path)):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("token", [{"id": 5}, {"id": 5, "content": []}, 1])
def test_an_added_token_without_a_name_is_refused(tmp_path: Path, token: Any) -> None:
    path = write_folder(tmp_path / "model", "<stop>")
    file = tmp_path / "model" / "tokenizer.json"
    content = json.loads(file.read_text())
    content["added_tokens"].append(token)
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="added_tokens"):
        load_tokenizer(path)


@pytest.mark.parametrize(("number", "message"), [(50_000_000, "at most"), (5, "one id|as it was")])
def test_an_id_far_off_or_taken_is_refused(number: int, message: str) -> None:
    content = json.loads(small_vocabulary().data)
    content["model"]["vocab"]["zzzz"] = number
    with pytest.raises(UsageError, match=message):
        load_tokenizer(json.dumps(content).encode())
