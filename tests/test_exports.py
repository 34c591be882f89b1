"""Tokens and models for other programs: what they read is what we have."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard
from tests.shard_folders import (
    real_texts,
    small_vocabulary,
    text_documents,
    write_folder,
    write_real_folder,
)

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines.export import export
from corpusmill.pretrain.checkpoint import newest_checkpoint, read_checkpoint
from corpusmill.pretrain.config import ModelSettings
from corpusmill.pretrain.export import export_model
from corpusmill.pretrain.generate import generate
from corpusmill.pretrain.loop import train
from corpusmill.pretrain.model import Decoder
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.manifest import build_manifest, write_manifest
from corpusmill.tokenize.shards import SplitTokens, write_shard


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_real_folder(folder)
    return folder


def training(shards: Path, out: Path, *overrides: str) -> str:
    small = ["steps=8", "batch=8", "context=32", "model.layers=2", "model.width=32"]
    small += ["model.feed_forward=64", "learning_rate=0.01", "checkpoint_every=8"]
    train(
        shards=str(shards),
        out=str(out),
        config=None,
        overrides=[*small, *overrides],
        echo=lambda _: None,
    )
    return str(out)


def whole(shards: Path, split: str) -> list[int]:
    tokens = SplitTokens(str(shards), split)
    return [
        token
        for number, shard in enumerate(tokens.shards)
        for token in tokens.reader(number).tokens(0, shard.tokens).tolist()
    ]


def unpacked(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())


def test_megatrons_index_leads_to_every_document(shards: Path, tmp_path: Path) -> None:
    _, files, documents = export(str(shards), "megatron", str(tmp_path))
    assert (files, documents) == (5, 5)
    assert len([path for path in tmp_path.iterdir() if path.name[0] != "."]) == files
    data = (tmp_path / "train.idx").read_bytes()
    assert data[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, bounds = struct.unpack_from("<QBQQ", data, 9)
    assert (version, code, sequences, bounds) == (1, 8, 4, 5)
    at = 9 + 25
    lengths = np.frombuffer(data, "<i4", sequences, at)
    pointers = np.frombuffer(data, "<i8", sequences, at + 4 * sequences)
    places = np.frombuffer(data, "<i8", bounds, at + 12 * sequences)
    assert len(data) == at + 12 * sequences + 8 * bounds
    assert places.tolist() == [0, 1, 2, 3, 4]
    tokens = (tmp_path / "train.bin").read_bytes()
    encoder = Encoder(small_vocabulary())
    texts = [
        encoder.decode(np.frombuffer(tokens, "<u2", length, pointer))
        for length, pointer in zip(lengths.tolist(), pointers.tolist(), strict=True)
    ]
    assert texts == list(real_texts()[:-1])


def test_nanogpts_files_are_the_token_stream(shards: Path, tmp_path: Path) -> None:
    _, files, _ = export(str(shards), "nanogpt", str(tmp_path))
    assert files == 4  # train.bin, val.bin, meta.json, tokenizer.json
    for name, split in (("train", "train"), ("val", "validation")):
        assert np.fromfile(tmp_path / f"{name}.bin", "<u2").tolist() == whole(shards, split)
    assert json.loads((tmp_path / "meta.json").read_text())["vocab_size"] == 512


def test_a_split_called_val_keeps_its_file_beside_validation(tmp_path: Path) -> None:
    manifest = write_real_folder(tmp_path)
    rows = storage.read_ipc(str(tmp_path / manifest.of_split("train")[0].name))
    val = write_shard(str(tmp_path), "val-00000.arrow", "val", rows, small_vocabulary())
    shards = [*manifest.shards, val]
    write_manifest(str(tmp_path), build_manifest(1, small_vocabulary(), shards, None))
    export(str(tmp_path), "nanogpt", str(tmp_path / "out"))
    for split in ("train", "val", "validation"):
        assert np.fromfile(tmp_path / "out" / f"{split}.bin", "<u2").tolist() == whole(
            tmp_path, split
        )


def test_lines_of_tokens_name_their_documents(shards: Path, tmp_path: Path) -> None:
    export(str(shards), "tokens", str(tmp_path))
    rows = [
        json.loads(line)
        for path in sorted(tmp_path.glob("train-*.jsonl.zst"))
        for line in zstandard.ZstdDecompressor()
        .decompressobj()
        .decompress(path.read_bytes())
        .splitlines()
    ]
    assert [token for row in rows for token in row["tokens"]] == whole(shards, "train")
    assert len({row["id"] for row in rows}) == 4
    assert {row["source"] for row in rows} == {"code"}


def test_an_export_goes_to_an_empty_folder_or_replaces_its_own_files(
    shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.bin").write_text("somebody else's")
    with pytest.raises(UsageError, match="holds files that are of no export"):
        export(str(shards), "nanogpt", str(out))
    assert (out / "train.bin").read_text() == "somebody else's"
    with pytest.raises(UsageError, match="cannot be an output folder"):
        export(str(shards), "nanogpt", str(out / "train.bin"))

    out = tmp_path / "mine"
    export(str(shards), "tokens", str(out))
    (out / "notes.txt").write_text("added later")
    small = tmp_path / "small"
    vocabulary = small_vocabulary()
    write_folder(small, {"train": text_documents(real_texts()[:1], "a", vocabulary)}, vocabulary)
    export(str(small), "tokens", str(out))
    visible = sorted(path.name for path in out.iterdir() if path.name[0] != ".")
    assert visible == ["notes.txt", "tokenizer.json", "train-00000.jsonl.zst"]
    with pytest.raises(UsageError, match="holds an export in another format"):
        export(str(small), "megatron", str(out))


def test_the_mark_of_an_export_cannot_name_files_elsewhere(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("here")
    out = tmp_path / "out"
    export(str(shards), "nanogpt", str(out))
    mark = out / ".corpusmill-export.json"
    names = ["../kept.txt", str(tmp_path / "kept.txt"), 7]
    mark.write_text(json.dumps({"format": "nanogpt", "files": names}))
    export(str(shards), "nanogpt", str(out))
    assert (tmp_path / "kept.txt").read_text() == "here"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model.tied_embeddings=false"],
        ["model.qk_norm=true", "model.window=8", "model.global_every=2"],
    ],
    ids=["llama", "untied", "qwen3"],
)
def test_transformers_gives_the_same_scores(
    overrides: list[str], shards: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = training(shards, tmp_path / "train", *overrides)
    assert export_model(folder, "transformers", str(tmp_path / "out"), print) == 8
    theirs = AutoModelForCausalLM.from_pretrained(str(tmp_path / "out"), dtype=torch.float32)
    state = read_checkpoint(newest_checkpoint(folder, print))
    settings = ModelSettings.model_validate(state["settings"]["model"])
    ours = Decoder(settings, vocab_size=512, context=32).eval()
    ours.load_state_dict(state["model"])
    tokens = torch.tensor([whole(shards, "validation")[:32]])
    with torch.no_grad():
        assert torch.allclose(theirs(tokens).logits, ours(tokens), atol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "out"))
    text = real_texts()[0][:500]
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_model_without_an_equal_is_refused_and_its_weights_can_be_had(
    shards: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    folder = training(shards, tmp_path / "train", "model.experts=2")
    with pytest.raises(UsageError, match="use --to safetensors"):
        export_model(folder, "transformers", str(tmp_path / "out"), print)
    export_model(folder, "safetensors", str(tmp_path / "weights"), print)
    weights = load_file(tmp_path / "weights" / "model.safetensors")
    assert weights["blocks.0.feed_forward.router.weight"].shape == (2, 32)


def test_the_same_seed_continues_a_prompt_in_the_same_way(shards: Path, tmp_path: Path) -> None:
    folder = training(shards, tmp_path / "train")
    settings = {"tokens": 12, "samples": 3, "temperature": 1.0, "top_k": 0, "echo": print}
    texts = generate(folder, "import ", seed=1, **settings)  # type: ignore[arg-type]
    assert len(set(texts)) == 3
    assert generate(folder, "import ", seed=1, **settings) == texts  # type: ignore[arg-type]
    assert generate(folder, "import ", seed=2, **settings) != texts  # type: ignore[arg-type]
    settings |= {"temperature": 0.0}
    assert len(set(generate(folder, "", seed=1, **settings))) == 1  # type: ignore[arg-type]


def test_datasets_opens_the_folder_as_it_is(shards: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    files = {
        split: [str(path) for path in sorted(shards.glob(f"{split}-*.arrow"))]
        for split in ("train", "validation")
    }
    found = load_dataset("arrow", data_files=files, cache_dir=str(tmp_path))
    assert [token for row in found["train"] for token in row["tokens"]] == whole(shards, "train")
    assert set(found["validation"].column_names) == {"tokens", "id", "source", "n_bytes"}
