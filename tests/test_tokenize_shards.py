"""Shards: readable by anyone, the same bytes from the same rows, and every damage found."""

import json
import math
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shard_folders import (
    real_texts,
    small_vocabulary,
    text_documents,
    token_documents,
    write_folder,
    write_real_folder,
)

from corpusmill import storage
from corpusmill.errors import MillError, RunError, UsageError
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.forget import forget_in_shards
from corpusmill.tokenize.manifest import (
    Mixture,
    MixturePhase,
    build_manifest,
    read_manifest,
    write_manifest,
)
from corpusmill.tokenize.shards import ShardReader, unigram_entropy, verify_shards, write_shard
from corpusmill.tokenize.splits import plan_shards, split_of, split_positions
from corpusmill.tokenize.vocabulary import load_tokenizer

IDS = pa.array([f"{n:032x}" for n in range(3000)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of real text. Not to be changed."""
    path = tmp_path_factory.mktemp("shards")
    write_real_folder(path)
    return path


def test_plain_pyarrow_reads_a_shard_back_to_the_text(folder: Path) -> None:
    texts = []
    encoder = Encoder(load_tokenizer(str(folder / "tokenizer.json")))
    for path in sorted(folder.glob("train-*.arrow")):
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        assert reader.num_record_batches == 1
        batch = reader.get_batch(0)
        assert batch.schema.names == ["tokens", "id", "source", "n_bytes"]
        assert batch.schema.field("tokens").type == pa.list_(pa.uint16())
        metadata = {k.decode(): v.decode() for k, v in batch.schema.metadata.items()}
        assert metadata["corpusmill.rows"] == str(batch.num_rows)
        assert metadata["corpusmill.vocab_size"] == "512"
        for row in batch.to_pylist():
            texts.append(encoder.decode(np.array(row["tokens"])))
            assert row["n_bytes"] == len(texts[-1].encode())
    assert texts == list(real_texts()[:-1])


def test_the_manifest_counts_what_the_shards_hold(folder: Path) -> None:
    manifest = read_manifest(str(folder))
    held_out = real_texts()[-1]
    assert manifest.splits["validation"].text_bytes == len(held_out.encode())
    assert manifest.sources["code"].documents == len(real_texts()) - 1
    assert sum(s.tokens for s in manifest.shards) == sum(s.tokens for s in manifest.splits.values())
    assert len(manifest.of_split("train")) > 1
    with pytest.raises(UsageError, match="no split 'test'; there is: train, validation"):
        manifest.of_split("test")


@given(st.lists(st.integers(1, 4), min_size=1), st.booleans())
def test_the_same_rows_give_the_same_bytes_however_they_are_chunked(
    cuts: list[int], unify: bool
) -> None:
    vocabulary = small_vocabulary()
    table = token_documents({"a": [3, 1, 7], "b": [2, 9]}, vocabulary)
    chunks, start = [], 0
    for cut in cuts:
        chunks.append(table.slice(start, cut))
        start += cut
    chunked = pa.concat_tables([*chunks, table.slice(start)])
    if unify:
        chunked = chunked.combine_chunks()
    with tempfile.TemporaryDirectory() as place:
        one = write_shard(place, "one.arrow", "train", table, vocabulary)
        other = write_shard(place, "other.arrow", "train", chunked, vocabulary)
    assert one.xxh3 == other.xxh3
    assert one.runs == other.runs
    assert [(run.source, run.rows, run.tokens) for run in one.runs] == [("a", 3, 11), ("b", 2, 11)]


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["train-00000.arrow", "tokenizer.json", "manifest.json"])
def test_verify_finds_one_flipped_bit(name: str, tmp_path: Path) -> None:
    write_real_folder(tmp_path)
    assert verify_shards(str(tmp_path)) == []
    path = tmp_path / name
    bits = path.stat().st_size * 8
    for bit in [0, 7, bits // 3, bits // 2 + 1, bits * 4 // 5, bits - 20]:
        flip(path, bit)
        try:
            found = "\n".join(verify_shards(str(tmp_path)))
        except MillError as error:
            found = str(error)
        assert name in found
        flip(path, bit)
    assert verify_shards(str(tmp_path)) == []


def test_verify_finds_a_flipped_bit_in_a_file_beside_the_shards(tmp_path: Path) -> None:
    manifest = write_real_folder(tmp_path)
    path = tmp_path / "beside.json"
    written = storage.write_json(str(path), [1, 2])
    mixture, files = manifest.mixture, {path.name: written.xxh3}
    sealed = build_manifest(1, small_vocabulary(), manifest.shards, mixture, files)
    write_manifest(str(tmp_path), sealed)
    assert verify_shards(str(tmp_path)) == []
    flip(path, 13)
    assert verify_shards(str(tmp_path)) == [f"{path}: its checksum is not that of the manifest"]
    path.unlink()
    assert verify_shards(str(tmp_path)) == [f"{path}: is missing"]


def test_verify_finds_a_flipped_bit_that_changes_no_value_of_the_manifest(tmp_path: Path) -> None:
    tables = {"train": token_documents({"a": [3], "b": [4]}, small_vocabulary())}
    mixture = Mixture(weights={"a": 1e-05, "b": 1}, max_repetitions=2)
    write_folder(tmp_path, tables, small_vocabulary(), mixture=mixture)
    manifest = tmp_path / "manifest.json"
    assert verify_shards(str(tmp_path)) == []
    manifest.write_bytes(manifest.read_bytes().replace(b"1e-05", b"1E-05"))
    assert verify_shards(str(tmp_path)) == [f"{manifest}: is not as it was written"]


def test_verify_finds_missing_and_unknown_files(tmp_path: Path) -> None:
    write_real_folder(tmp_path)
    os.rename(tmp_path / "train-00001.arrow", tmp_path / "train-77777.arrow")
    (tmp_path / "tokenizer.json").unlink()
    found = verify_shards(str(tmp_path))
    assert [line.split("/")[-1] for line in found] == [
        "tokenizer.json: is missing",
        "train-00001.arrow: is missing",
        "train-77777.arrow: is not in the manifest",
    ]


def test_verify_finds_a_shard_that_was_written_wrong(tmp_path: Path) -> None:
    vocabulary = small_vocabulary()
    table = token_documents({"a": [5, 5]}, vocabulary)
    values = np.full(10, 7, np.uint16)  # no end-of-text token
    tokens = pa.ListArray.from_arrays(pa.array([0, 5, 10], pa.int32()), pa.array(values))
    write_folder(tmp_path, {"train": table.set_column(0, "tokens", tokens)}, vocabulary)
    (found,) = verify_shards(str(tmp_path))
    assert "does not end with the end-of-text token" in found


def foreign_shard(folder: Path) -> bytes:
    return (folder / "validation-00000.arrow").read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"ARROW1\0\0", os.urandom(4096), b"PAR1" * 100, None],
    ids=["empty", "magic", "random", "parquet", "cut"],
)
def test_a_damaged_shard_is_a_clear_error(content: bytes | None, tmp_path: Path) -> None:
    manifest = write_real_folder(tmp_path)
    shard = manifest.shards[0]
    path = tmp_path / shard.name
    data = path.read_bytes()[:-1000] if content is None else content
    path.write_bytes(data)
    with pytest.raises(RunError, match=f"{shard.name} is damaged"):
        ShardReader(str(tmp_path), shard, manifest.tokenizer)
    # also when the file is as long as it should be
    path.write_bytes((data + bytes(shard.bytes))[: shard.bytes])
    with pytest.raises(RunError, match=f"{shard.name} is damaged"):
        ShardReader(str(tmp_path), shard, manifest.tokenizer)
    with pytest.raises(RunError, match="is damaged"):
        TokenBatches(str(tmp_path), context=64, batch=16).batch(1)


def test_a_token_outside_the_vocabulary_is_damage(tmp_path: Path) -> None:
    vocabulary = small_vocabulary()
    table = token_documents({"a": [100]}, vocabulary)
    values = table.column("tokens").combine_chunks().values.to_numpy().copy()
    values[50] = 512
    tokens = pa.ListArray.from_arrays(pa.array([0, 100], pa.int32()), pa.array(values))
    write_folder(tmp_path, {"train": table.set_column(0, "tokens", tokens)}, vocabulary)
    with pytest.raises(RunError, match="token 512 is not in the vocabulary"):
        TokenBatches(str(tmp_path), context=99, batch=1).batch(1)
    assert "not in the vocabulary" in verify_shards(str(tmp_path))[0]


def test_what_a_reader_returns_is_owned_by_the_caller(folder: Path) -> None:
    manifest = read_manifest(str(folder))
    reader = ShardReader(str(folder), manifest.shards[0], manifest.tokenizer)
    tokens = reader.tokens(10, 20)
    assert tokens.dtype == np.int64
    assert tokens.flags.owndata
    before = tokens.copy()
    tokens[:] = -1
    assert np.array_equal(reader.tokens(10, 20), before)


def test_manifests_that_are_none_or_newer_or_lead_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no token shards"):
        read_manifest(str(tmp_path))
    path = tmp_path / "manifest.json"
    path.write_text("[]")
    with pytest.raises(UsageError, match="is not a manifest"):
        read_manifest(str(tmp_path))
    path.write_text('{"format": 99}')
    with pytest.raises(UsageError, match="has format 99; this version reads format 1"):
        read_manifest(str(tmp_path))
    manifest = write_real_folder(tmp_path)
    content = manifest.model_dump(mode="json")
    content["mixture"] = {"weights": {"code": 1.0}, "max_repetitions": 1.0}
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="changed by hand"):
        read_manifest(str(tmp_path))
    with pytest.raises(ValueError, match="name"):
        manifest.shards[0].model_validate({**dict(manifest.shards[0]), "name": "../outside.arrow"})


def test_a_manifest_whose_runs_lead_out_of_a_shard_is_refused(tmp_path: Path) -> None:
    manifest = write_real_folder(tmp_path)
    shard = manifest.shards[0]
    run = shard.runs[0].model_copy(update={"tokens": 1 << 40})
    shards = [shard.model_copy(update={"runs": (run,)}), *manifest.shards[1:]]
    write_manifest(str(tmp_path), build_manifest(1, small_vocabulary(), shards, None))
    with pytest.raises(RunError, match="are not all of its rows"):
        TokenBatches(str(tmp_path), context=16, batch=2)


def test_unigram_entropy_is_that_of_the_token_counts(folder: Path) -> None:
    tokens = [
        token
        for path in folder.glob("train-*.arrow")
        for row in pa.ipc.open_file(str(path)).get_batch(0).column("tokens").to_pylist()
        for token in row
    ]
    expected = -sum(n / len(tokens) * math.log(n / len(tokens)) for n in Counter(tokens).values())
    assert unigram_entropy(str(folder), "train") == pytest.approx(expected, abs=1e-12)


def test_splits_hold_their_shares_and_documents_stay_where_they_are() -> None:
    tenth = {"train": 0.9, "validation": 0.1}
    split = split_of(IDS, 1, tenth)
    assert 200 < (split == "validation").sum() < 400
    assert (split_of(IDS.slice(1000, 5), 1, tenth) == split[1000:1005]).all()
    larger = split_of(IDS, 1, {"validation": 0.2, "train": 0.8})
    assert (larger[split == "validation"] == "validation").all()
    assert (split_of(IDS, 2, tenth) != split).any()
    assert (split_of(IDS, 1, {"train": 1.0}) == "train").all()
    first = int(np.argmin(split_positions(IDS, 1)))
    assert split_of(IDS, 1, {"train": 0.999, "validation": 0.001})[first] == "validation"


@given(st.lists(st.lists(st.integers(1, 50)), max_size=6), st.integers(1, 100))
def test_every_document_is_in_one_shard_however_parts_are_cut(
    parts: list[list[int]], shard_tokens: int
) -> None:
    def shards(parts: list[list[int]]) -> dict[str, list[int]]:
        """Numbers of the documents in each shard that has any."""
        firsts = np.cumsum([0, *map(len, parts)])
        found: dict[str, list[int]] = {}
        for plan in plan_shards("train", [sum(part) for part in parts], shard_tokens):
            for part, start in plan.parts:
                rows = plan.rows(start, np.array(parts[part], np.int64))
                found.setdefault(plan.name, []).extend(
                    range(firsts[part] + rows.start, firsts[part] + rows.stop)
                )
        return {name: rows for name, rows in found.items() if rows}

    documents = [length for part in parts for length in part]
    divided = shards(parts)
    assert [row for rows in divided.values() for row in rows] == list(range(len(documents)))
    for rows in divided.values():
        assert sum(documents[row] for row in rows[:-1]) < shard_tokens
    assert shards([documents]) == divided


def test_a_mixture_of_which_only_the_curriculum_is_left_is_kept() -> None:
    first = MixturePhase(tokens=64, weights={"a": 1, "b": 1})
    mixture = Mixture(weights={"c": 1}, max_repetitions=2, curriculum=(first,))
    left = mixture.limited_to({"a", "z"})
    assert left is not None
    assert left.weights == {}
    assert [phase.weights for phase in left.curriculum] == [{"a": 1}]
    assert mixture.limited_to({"z"}) is None


def test_forgetting_all_that_a_mixture_names_does_not_let_training_take_the_rest(
    tmp_path: Path,
) -> None:
    tables = {"train": token_documents({"a": [30], "b": [40]}, small_vocabulary())}
    mixture = Mixture(weights={"a": 1}, max_repetitions=2)
    manifest = write_folder(tmp_path, tables, small_vocabulary(), mixture=mixture)
    ids = storage.read_ipc(str(tmp_path / manifest.shards[0].name)).column("id")[:1]
    assert forget_in_shards(str(tmp_path), ids.combine_chunks()) == 1
    with pytest.raises(UsageError, match="none of the classes of the mixture"):
        TokenBatches(str(tmp_path), context=8, batch=1)


def test_a_mixture_is_kept_in_the_manifest(tmp_path: Path) -> None:
    vocabulary = small_vocabulary()
    mixture = Mixture(weights={"code": 0.25, "rest": 3}, max_repetitions=2)
    table = text_documents(real_texts(), "code", vocabulary)
    write_folder(tmp_path, {"train": table}, vocabulary, mixture=mixture)
    assert read_manifest(str(tmp_path)).mixture == mixture
