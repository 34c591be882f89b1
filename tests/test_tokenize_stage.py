"""The stage `tokenize`: splits, shards of several parts, a given tokenizer, the mixture."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.verbs_fixture import PlainVerbs, write_parts

from corpusmill import storage
from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.stage import Part
from corpusmill.stages.fertility import recount_fertility
from corpusmill.stages.mix import Mix
from corpusmill.stages.tokenize import Tokenize, _training_texts, training_shares
from corpusmill.tokenize.forget import forget_in_shards
from corpusmill.tokenize.manifest import read_manifest
from corpusmill.tokenize.shards import verify_shards
from corpusmill.tokenize.vocabulary import TRAINING_BYTES, load_tokenizer, token_texts


def parts_of(folder: Path, texts: list[tuple[str, list[str]]]) -> list[Part]:
    return write_parts(
        folder,
        [
            [
                {"id": f"{n:016x}{i:016x}", "text": text, "source": source}
                for i, text in enumerate(part)
            ]
            for n, (source, part) in enumerate(texts)
        ],
    )


WORDS = [f"word{i % 17} and number {i % 7} of the tide" for i in range(60)]
TEXTS = [("a", WORDS[:25]), ("b", []), ("b", WORDS[25:])]


def shard_ids(folder: Path, split: str) -> list[str]:
    ids: list[str] = []
    for path in sorted(folder.glob(f"{split}-*.arrow")):
        ids += storage.read_ipc(str(path))["id"].to_pylist()
    return ids


def test_every_document_is_in_one_shard_in_the_order_of_parts(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, TEXTS)
    stage = Tokenize(
        vocab_size=512, shard_tokens=1024, split={"train": 0.8, "validation": 0.1, "test": 0.1}
    )
    target = tmp_path / "shards"
    stage.write(PlainVerbs(tmp_path / "work"), parts, str(target), ())
    manifest = read_manifest(str(target))
    assert verify_shards(str(target)) == []
    everyone: list[str] = []
    for split in ("test", "train", "validation"):
        ids = shard_ids(target, split)
        assert ids == sorted(ids), "documents left the order of their parts"
        everyone += ids
    assert sorted(everyone) == sorted(f"{p:016x}{i:016x}" for p, i in _places())
    assert sum(totals.tokens for totals in manifest.splits.values()) == sum(
        shard.tokens for shard in manifest.shards
    )


def _places() -> list[tuple[int, int]]:
    return [(p, i) for p, (_, texts) in enumerate(TEXTS) for i in range(len(texts))]


def test_shards_are_as_large_as_asked_and_lose_nothing(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, [("a", [" ".join(WORDS)] * 12), ("b", WORDS)])
    one, many = tmp_path / "one", tmp_path / "many"
    Tokenize(vocab_size=512).write(PlainVerbs(tmp_path / "w1"), parts, str(one), ())
    Tokenize(vocab_size=512, shard_tokens=1024).write(
        PlainVerbs(tmp_path / "w2"), parts, str(many), ()
    )
    assert len(list(many.glob("train-*.arrow"))) > 3

    def stream(folder: Path) -> np.ndarray[Any, Any]:
        files = sorted(folder.glob("train-*.arrow"))
        columns = [storage.read_ipc(str(path))["tokens"].combine_chunks() for path in files]
        return np.concatenate([column.flatten().to_numpy() for column in columns])

    assert np.array_equal(stream(one), stream(many))


def test_a_derived_document_stands_in_its_originals_split(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for i in range(40):
        common = {"text": WORDS[i], "source": "a", "kind": "book", "uri": "u"}
        rows.append({"id": f"{i:032x}", **common})
        rows.append({"id": f"{i + 1000:032x}", "augmented_from": f"{i:032x}", **common})
    path = str(tmp_path / "part.parquet")
    table = pa.Table.from_batches([documents_from_rows(rows, document_schema())])
    info = storage.write_parquet(path, table)
    part = Part(number=0, path=path, source="a", kind="book", rows=80, bytes=info.bytes)
    target = tmp_path / "shards"
    stage = Tokenize(vocab_size=512, split={"train": 0.5, "validation": 0.5})
    stage.write(PlainVerbs(tmp_path / "work"), [part], str(target), ())
    for split in ("train", "validation"):
        numbers = {int(identity, 16) for identity in shard_ids(target, split)}
        assert numbers, "an empty split shows nothing"
        assert {n + 1000 for n in numbers if n < 1000} == {n for n in numbers if n >= 1000}


def test_a_small_corpus_gets_one_validation_document_and_a_single_one_is_for_training(
    tmp_path: Path,
) -> None:
    stage = Tokenize(vocab_size=512, split={"train": 0.999999, "validation": 0.000001})
    parts = parts_of(tmp_path, [("a", WORDS[:5])])
    notes = stage.write(PlainVerbs(tmp_path / "w1"), parts, str(tmp_path / "five"), ())
    assert any("smallest hash" in note for note in notes)
    assert len(shard_ids(tmp_path / "five", "validation")) == 1
    assert len(shard_ids(tmp_path / "five", "train")) == 4
    (tmp_path / "single").mkdir()
    parts = parts_of(tmp_path / "single", [("a", WORDS[:1])])
    stage.write(PlainVerbs(tmp_path / "w2"), parts, str(tmp_path / "one"), ())
    assert len(shard_ids(tmp_path / "one", "train")) == 1


def sampled_texts(stage: Tokenize, parts: list[Part], folder: Path) -> list[str]:
    task = stage._vocabulary(PlainVerbs(folder), parts, "")
    return list(_training_texts(task))


def parts_with_bytes(folder: Path, source: str, texts: list[str], first: int = 0) -> list[Part]:
    rows = [
        {"id": f"{first:016x}{i:016x}", "text": t, "scores": {"ingest_bytes": len(t)}}
        for i, t in enumerate(texts)
    ]
    return write_parts(folder, [rows], source, first)


def test_a_large_corpus_is_sampled_for_the_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"alpha{i:03d} beta{i:03d} gamma{i:03d}" for i in range(200)]
    parts = parts_with_bytes(tmp_path, "test", texts)
    assert sampled_texts(Tokenize(), parts, tmp_path) == texts
    monkeypatch.setattr("corpusmill.stages.tokenize.TRAINING_BYTES", sum(map(len, texts)) // 4)
    sampled = sampled_texts(Tokenize(), parts, tmp_path)
    assert 20 < len(sampled) < 90
    assert set(sampled) < set(texts)


def test_the_sample_gives_sources_and_kinds_their_weight(tmp_path: Path) -> None:
    large = [f"large{i:04d}" for i in range(900)]
    small = [f"small{i:04d}" for i in range(100)]
    parts = parts_with_bytes(tmp_path, "a", large) + parts_with_bytes(tmp_path, "b", small, 1)
    half = sampled_texts(Tokenize(sample={"b": 1, "web": 1}), parts, tmp_path)
    of_small = sum(text.startswith("small") for text in half)
    assert of_small == 500, "every document of the small source five times"
    assert 440 < len(half) - of_small < 560
    assert sampled_texts(Tokenize(sample={"b": 3}), parts, tmp_path) == small
    with pytest.raises(UsageError, match="sample: c: no source or kind"):
        sampled_texts(Tokenize(sample={"c": 1}), parts, tmp_path)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**9), min_size=1))
def test_shares_of_the_sample_add_up_to_the_text_there_is(held: dict[str, int]) -> None:
    weights = {name: 1.0 + ord(name) % 5 for name in held}
    copies = training_shares(held, weights)
    total = min(sum(held.values()), TRAINING_BYTES)
    assert sum(copies[name] * held[name] for name in held) == pytest.approx(total)
    taken = [copies[name] * held[name] / weights[name] for name in held if held[name]]
    assert taken == pytest.approx([taken[0]] * len(taken) if taken else [])


def test_fertility_is_counted_by_kind_and_language(tmp_path: Path) -> None:
    rows = [
        {"id": f"{0:032x}", "text": "three small words", "language": "en"},
        {"id": f"{1:032x}", "text": "three small words", "language": "en"},
        {"id": f"{2:032x}", "text": "語学", "language": "ja"},
        {"id": f"{3:032x}", "text": "x = 1"},
    ]
    parts = write_parts(tmp_path, [rows[:1], rows[1:]])
    target = tmp_path / "shards"
    Tokenize(vocab_size=512).write(PlainVerbs(tmp_path / "w"), parts, str(target), ())
    found = {row["language"]: row for row in storage.read_json(str(target / "fertility.json"))}
    assert [found[name]["words"] for name in ("en", "ja", None)] == [6, 2, 3]
    assert [found[name]["bytes"] for name in ("en", "ja", None)] == [34, 6, 5]
    assert found["en"]["documents"] == 2
    assert found["en"]["kind"] == "web"
    manifest = read_manifest(str(target))
    of_text = sum(row["tokens"] for row in found.values())
    assert of_text == sum(totals.tokens for totals in manifest.splits.values()) - len(rows)
    for row in found.values():
        assert row["tokens_per_word"] == round(row["tokens"] / row["words"], 4)
        assert row["bytes_per_token"] == round(row["bytes"] / row["tokens"], 4)


def test_fertility_is_counted_anew_when_documents_are_erased(tmp_path: Path) -> None:
    texts = [("one word or two. ", "en"), ("語学. ", "ja"), ("x = 1\n", None)]
    rows: list[dict[str, Any]] = []
    for n in range(24):
        text, language = texts[n % 3]
        rows.append({"id": f"{n:032x}", "text": text * (1 + n % 5), "language": language})
    parts = write_parts(tmp_path / "documents", [rows[:9], [], rows[9:]])
    stage = Tokenize(vocab_size=512, split={"train": 0.6, "validation": 0.4}, shard_tokens=1024)
    target = tmp_path / "shards"
    stage.write(PlainVerbs(tmp_path / "w"), parts, str(target), ())
    documents = str(Path(parts[0].path).parent)
    fertility = target / "fertility.json"
    before = (fertility.read_bytes(), (target / "manifest.json").read_bytes())
    recount_fertility(documents, str(target))
    assert before == (fertility.read_bytes(), (target / "manifest.json").read_bytes())

    gone = pa.array([row["id"] for row in rows if row["language"] == "ja"] + [rows[0]["id"]])
    for part in parts:
        table = storage.read_parquet(part.path)
        kept = pc.invert(pc.is_in(table["id"], value_set=gone))
        storage.write_parquet(part.path, table.filter(kept))
    assert forget_in_shards(str(target), gone)
    for _ in range(2):
        recount_fertility(documents, str(target))
        found = {row["language"]: row for row in storage.read_json(str(fertility))}
        assert set(found) == {"en", None}
        assert found["en"]["documents"] == 7
        assert found["en"]["words"] == sum(
            len(row["text"].split()) for row in rows[1:] if row["language"] == "en"
        )
        manifest = read_manifest(str(target))
        of_text = sum(row["tokens"] for row in found.values())
        assert of_text == sum(
            totals.tokens - totals.documents for totals in manifest.splits.values()
        )
        assert verify_shards(str(target)) == []

    storage.remove(parts[0].path)
    recount_fertility(documents, str(target))
    assert not fertility.exists()
    assert verify_shards(str(target)) == []


def test_policies_and_special_tokens_of_a_recipe_reach_the_vocabulary(tmp_path: Path) -> None:
    numbers = ["in 2024 there were 123456 of 654321"] * 9
    parts = parts_of(tmp_path, [("a", numbers)])
    stage = Tokenize(vocab_size=512, digits="single", special_tokens=("<|pad|>",))
    stage.write(PlainVerbs(tmp_path / "w"), parts, str(tmp_path / "s"), ())
    vocabulary = load_tokenizer(str(tmp_path / "s" / "tokenizer.json"))
    assert vocabulary.special_ids == {"<|endoftext|>": 0, "<|pad|>": 1}
    assert not any(re.search(r"\d.*\d", text) for text in token_texts(vocabulary.tokenizer(), 512))


@pytest.mark.parametrize("names", [("<|endoftext|>",), ("a", "a"), ("",)])
def test_special_tokens_that_cannot_be_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="special_tokens"):
        Tokenize(special_tokens=names)


def test_a_given_tokenizer_is_used_and_a_bad_one_refused(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, TEXTS)
    Tokenize(vocab_size=512).write(PlainVerbs(tmp_path / "w1"), parts, str(tmp_path / "a"), ())
    given = str(tmp_path / "a" / "tokenizer.json")
    Tokenize(tokenizer=given).write(PlainVerbs(tmp_path / "w2"), parts, str(tmp_path / "b"), ())
    for name in ("tokenizer.json", "train-00000.arrow", "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    (tmp_path / "bad.json").write_text("{}")
    for path in (tmp_path / "bad.json", tmp_path / "missing.json"):
        with pytest.raises(UsageError, match=str(path)):
            Tokenize(tokenizer=str(path)).check()


def test_the_mixture_stands_in_the_manifest_without_sources_that_have_no_tokens(
    tmp_path: Path,
) -> None:
    parts = parts_of(tmp_path, TEXTS)
    mix = Mix(weights={"a": 1, "b": 2, "c": 3}, max_repetitions=2)
    target = str(tmp_path / "shards")
    notes = Tokenize(vocab_size=512).write(PlainVerbs(tmp_path / "w"), parts, target, (mix,))
    mixture = read_manifest(target).mixture
    assert mixture is not None
    assert mixture.weights == {"a": 1, "b": 2}
    assert mixture.max_repetitions == 2
    assert any("no training tokens in c" in note for note in notes)


@pytest.mark.parametrize(
    "split", [{"train": 0.9}, {"validation": 1.0}, {"train": 0.5, "bad name": 0.5}]
)
def test_splits_that_cannot_be_are_refused(split: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="split"):
        Tokenize(split=split)
