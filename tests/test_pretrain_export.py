"""Exports of models: whole or not at all, and over nothing that is somebody else's."""

from pathlib import Path

import pytest
from tests.shard_folders import write_real_folder

from corpusmill.errors import UsageError
from corpusmill.pretrain.export import export_model
from corpusmill.pretrain.loop import train

pytestmark = pytest.mark.usefixtures("one_thread")


def training(folder: Path, *changes: str) -> str:
    """A training of one step."""
    write_real_folder(folder / "shards")
    settings = ["steps=1", "batch=1", "context=16", "evaluate_batches=1", "device=cpu"]
    settings += ["precision=fp32", "model.layers=2", "model.width=16", "model.feed_forward=16"]
    train(
        shards=str(folder / "shards"),
        out=str(folder / "train"),
        config=None,
        overrides=[*settings, *changes],
        echo=lambda _: None,
    )
    return str(folder / "train")


@pytest.mark.parametrize("to", ["safetensors", "transformers"])
def test_a_model_goes_to_a_new_folder_or_over_its_own_export_only(to: str, tmp_path: Path) -> None:
    folder = training(tmp_path)
    full = tmp_path / "full"
    full.mkdir()
    (full / "config.json").write_text("of another model")
    for place in (str(full), folder):
        with pytest.raises(UsageError, match="holds files that are of no export"):
            export_model(folder, to, place, lambda _: None)
    assert [path.read_text() for path in full.iterdir()] == ["of another model"]
    with pytest.raises(UsageError, match="cannot be an output folder"):
        export_model(folder, to, str(full / "config.json"), lambda _: None)

    out = tmp_path / "out"
    for _ in range(2):
        export_model(folder, to, str(out), lambda _: None)
    other = {"safetensors": "transformers", "transformers": "safetensors"}[to]
    with pytest.raises(UsageError, match="holds an export in another format"):
        export_model(folder, other, str(out), lambda _: None)


@pytest.mark.parametrize(
    "change", ["model={window: 4}", "model={experts: 2}"], ids=["window", "experts"]
)
def test_a_model_that_transformers_has_not_leaves_no_half_of_it(
    change: str, tmp_path: Path
) -> None:
    folder = training(tmp_path, change)
    with pytest.raises(UsageError, match="has no equal in transformers: use --to safetensors"):
        export_model(folder, "transformers", str(tmp_path / "out"), lambda _: None)
    assert not (tmp_path / "out").exists()


def test_a_window_that_no_block_has_is_none(tmp_path: Path) -> None:
    folder = training(tmp_path, "model.window=4", "model.global_every=1")
    assert export_model(folder, "transformers", str(tmp_path / "out"), lambda _: None) == 1
