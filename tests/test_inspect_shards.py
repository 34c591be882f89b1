"""`inspect` on token shards: tokens by source and split, and beginnings of their texts."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console
from tests.shard_folders import small_vocabulary, text_documents, write_folder

from corpusmill import storage
from corpusmill.errors import MillError
from corpusmill.report.inspection import inspect_data
from corpusmill.report.showing import MASK
from corpusmill.report.terminal import inspect_view
from corpusmill.tokenize.vocabulary import load_tokenizer

PERSON = "jane.doe@example.org"


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    vocabulary = small_vocabulary()
    tables = [
        text_documents(["first book [red]not markup[/red]", "second book"], "books", vocabulary),
        text_documents([f"mail {PERSON}\n\x1b[31mred \u202e"], "<web>", vocabulary),
    ]
    held = text_documents(["held out"], "books", vocabulary)
    write_folder(tmp_path, {"train": pa.concat_tables(tables), "validation": held}, vocabulary)
    return tmp_path


def shown(data: dict[str, Any]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(inspect_view(data))
    return console.export_text()


def test_the_first_text_of_each_source_and_split_is_shown(shards: Path) -> None:
    data = inspect_data(str(shards))
    places = [(sample["split"], sample["source"]) for sample in data["samples"]]
    assert places == [("train", "books"), ("train", "<web>"), ("validation", "books")]
    assert [sample["text"] for sample in data["samples"]][::2] == [
        "first book [red]not markup[/red]",
        "held out",
    ]
    assert set(data["tokens"]["books"]) == {"train", "validation"}
    view = shown(data)
    assert "train, books: document" in view
    assert "[red]not markup[/red]" in view
    assert "second book" not in view


def test_the_token_that_ends_a_document_is_not_shown_whatever_it_is_called(tmp_path: Path) -> None:
    data = small_vocabulary().data.replace(b"<|endoftext|>", b"</s>")
    vocabulary = load_tokenizer(data)
    write_folder(tmp_path, {"train": text_documents(["a text"], "books", vocabulary)}, vocabulary)
    assert [sample["text"] for sample in inspect_data(str(tmp_path))["samples"]] == ["a text"]


@pytest.mark.parametrize(
    "content", ["{}", "[]", "7", '{"format": 1, "shards": [{}]}', '{"shards":']
)
def test_a_manifest_of_something_else_is_a_clear_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(MillError, match=r"manifest\.json"):
        inspect_data(str(tmp_path))


def test_no_text_is_read_outside_the_folder_that_is_inspected(shards: Path) -> None:
    inside = shards / "inside"
    inside.mkdir()
    manifest = (shards / "manifest.json").read_text()
    (inside / "manifest.json").write_text(manifest.replace('"train-', '"../train-'))
    (inside / "tokenizer.json").write_bytes((shards / "tokenizer.json").read_bytes())
    data = inspect_data(str(inside))
    assert data["samples"] == []
    assert "not a manifest" in data["unread"]


def test_a_vocabulary_that_is_none_leaves_the_counts(shards: Path) -> None:
    (shards / "tokenizer.json").write_text('{"model": 7}')
    manifest = json.loads((shards / "manifest.json").read_text())
    manifest["tokenizer"]["hash"] = storage.checksum_file(str(shards / "tokenizer.json"))
    (shards / "manifest.json").write_text(json.dumps(manifest))
    data = inspect_data(str(shards))
    assert "not a usable tokenizer.json" in data["unread"]
    assert set(data["tokens"]) == {"books", "<web>"}


def test_samples_are_masked_and_safe_on_a_terminal(shards: Path) -> None:
    view = shown(inspect_data(str(shards)))
    assert f"mail {MASK}" in view
    assert "jane" not in view
    assert "⟨U+001B⟩[31mred ⟨U+202E⟩" in view
    assert "\x1b" not in view


def test_of_a_long_text_the_beginning_is_shown(tmp_path: Path) -> None:
    vocabulary = small_vocabulary()
    # four tokens for a character are the most there can be
    faces = "\U0001f600" * 590
    text = f"{faces} {PERSON} {faces}"
    write_folder(tmp_path, {"train": text_documents([text], "web", vocabulary)}, vocabulary)
    (sample,) = inspect_data(str(tmp_path))["samples"]
    assert sample["text"].startswith(faces)
    assert sample["text"].endswith(f"{MASK} {faces[:3]} …")


def test_shards_whose_texts_cannot_be_read_are_still_counted(shards: Path) -> None:
    (shards / "train-00000.arrow").write_bytes(b"ARROW1")
    data = inspect_data(str(shards))
    assert data["samples"] == []
    assert data["tokens"]["books"]["validation"] > 0
    assert "no samples: " in shown(data)
    (shards / "tokenizer.json").unlink()
    assert "tokenizer.json" in inspect_data(str(shards))["unread"]
