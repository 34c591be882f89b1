"""`inspect` on token shards: tokens by source and split, and beginnings of their texts."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console
from tests.shard_folders import small_vocabulary, text_documents, write_folder

from corpusmill.report.inspection import inspect_data
from corpusmill.report.showing import MASK
from corpusmill.report.terminal import inspect_view

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
