"""The training loop: it learns, and a run that was killed goes on as if it had not been."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
import torch
from tests.shard_folders import (
    real_texts,
    small_vocabulary,
    text_documents,
    token_documents,
    write_folder,
    write_real_folder,
)

from corpusmill import storage
from corpusmill.errors import FolderBusy, RunError, UsageError
from corpusmill.pretrain.checkpoint import list_checkpoints
from corpusmill.pretrain.generate import generate
from corpusmill.pretrain.loop import train
from corpusmill.pretrain.metrics import read_metrics
from corpusmill.pretrain.trace import trace
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.manifest import Mixture

TINY = [
    "steps=40",
    "batch=8",
    "context=32",
    "learning_rate=1e-2",
    "checkpoint_every=10",
    "evaluate_every=20",
    "evaluate_batches=2",
    "device=cpu",
    "precision=fp32",
    "model.layers=2",
    "model.width=32",
    "model.feed_forward=64",
    "model.dropout=0.1",
]


def run(
    shards: Path, out: Path, *changes: str, echo: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    return train(
        shards=str(shards), out=str(out), config=None, overrides=[*TINY, *changes], echo=echo
    )


def losses(out: Path) -> list[tuple[int, str, float]]:
    """(step, what, value) of every row, in order; speeds left out."""
    return [
        (row["step"], name, row[name])
        for row in read_metrics(str(out))
        for name in ("loss", "grad_norm", "lr", "tokens", "validation_loss")
        if name in row
    ]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of real text. Not to be changed."""
    folder = tmp_path_factory.mktemp("shards")
    write_real_folder(folder)
    return folder


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that nothing interrupted. Not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "run"
    run(shards, out)
    return out


def test_the_loss_falls_below_the_unigram_entropy(shards: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    summary = run(shards, tmp_path / "run", "steps=150", "model.dropout=0", echo=lines.append)
    assert summary["mean_loss_of_last_ten_steps"] < summary["unigram_entropy"] - 0.3
    assert "below the" in lines[-1]
    rows = [row for row in read_metrics(str(tmp_path / "run")) if "loss" in row]
    assert [row["step"] for row in rows] == list(range(1, 151))
    assert rows[0]["loss"] == pytest.approx(np.log(512), rel=0.05)
    assert rows[-1]["tokens"] == 150 * 8 * 32
    last_ten = [row["loss"] for row in rows[-10:]]
    assert summary["mean_loss_of_last_ten_steps"] == pytest.approx(sum(last_ten) / 10)
    assert summary["validation_loss"] == losses(tmp_path / "run")[-1][2]


KILLED = """
import os, signal, sys
from corpusmill.pretrain.loop import train

def echo(line):
    if line.startswith(f"step {sys.argv[3]}/"):
        os.kill(os.getpid(), signal.SIGKILL)

train(shards=sys.argv[1], out=sys.argv[2], config=None, overrides=sys.argv[4:], echo=echo)
"""


def test_a_run_that_was_killed_goes_on_with_the_same_losses(
    shards: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, str(shards), str(out), "26", *TINY]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run(command, check=False, env=environment).returncode == -9
    assert read_metrics(str(out))[-1]["step"] == 26
    lines: list[str] = []
    summary = run(shards, out, echo=lines.append)
    assert summary["resumed_from"] == 20
    assert any("going on from checkpoint" in line and "(step 20)" in line for line in lines)
    assert losses(out) == losses(trained)
    finals = [list_checkpoints(str(folder))[-1] for folder in (out, trained)]
    assert finals[0].step == finals[1].step == 40


def test_a_damaged_checkpoint_costs_steps_but_changes_no_loss(
    shards: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"

    class Stop(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("step 36/"):
            raise Stop

    with pytest.raises(Stop):
        run(shards, out, echo=stop)
    newest = Path(list_checkpoints(str(out))[-1].path) / "share-00000-00000.safetensors"
    newest.write_bytes(newest.read_bytes()[:-5])
    lines: list[str] = []
    assert run(shards, out, echo=lines.append)["resumed_from"] == 20
    assert any(line.startswith("warning: ") and "is damaged" in line for line in lines)
    assert losses(out) == losses(trained)


def test_a_finished_run_is_left_as_it_is(shards: Path, trained: Path) -> None:
    before = (trained / "metrics.jsonl").read_bytes()
    lines: list[str] = []
    summary = run(shards, trained, echo=lines.append)
    assert "all 40 steps were taken already" in lines
    assert summary["validation_loss"] == losses(trained)[-1][2]
    assert (trained / "metrics.jsonl").read_bytes() == before


def test_other_settings_or_shards_are_refused_with_the_differences(
    shards: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        run(shards, trained, "steps=60", "model.layers=3")
    message = str(raised.value)
    assert "steps: 40 before, 60 now" in message
    assert "model.layers: 2 before, 3 now" in message
    assert "batch" not in message
    other = tmp_path / "other"
    vocabulary = small_vocabulary()
    write_folder(other, {"train": text_documents(real_texts(), "code", vocabulary)}, vocabulary)
    with pytest.raises(UsageError, match=r"shards: .* before, other content in .* now"):
        run(other, trained)


def test_a_folder_that_is_busy_or_something_else_is_refused(shards: Path, tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    with storage.folder_lock(str(busy)), pytest.raises(FolderBusy, match="is busy"):
        run(shards, busy)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is neither empty nor a training folder"):
        run(shards, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [".lock", "notes.txt"]


def test_too_small_a_corpus_is_refused_before_anything_is_written(
    shards: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="set batch to at most"):
        run(shards, tmp_path / "run", "batch=4096")
    with pytest.raises(UsageError, match="holds no token shards"):
        run(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_shards_without_validation_and_a_mixture_that_is_used_up_are_said(tmp_path: Path) -> None:
    vocabulary = small_vocabulary()
    table = token_documents({"long": [2000], "short": [9]}, vocabulary)
    mixture = Mixture(weights={"long": 1, "short": 1}, max_repetitions=4, budgets={"long": 320})
    write_folder(tmp_path / "shards", {"train": table}, vocabulary, mixture=mixture)
    lines: list[str] = []
    summary = run(tmp_path / "shards", tmp_path / "run", "steps=2", echo=lines.append)
    assert summary["validation_loss"] is None
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert "the mixture has given all that its budgets" in warnings[0]
    assert "no validation" in warnings[1]


def test_a_validation_split_shorter_than_a_sequence_is_still_evaluated(tmp_path: Path) -> None:
    vocabulary = small_vocabulary()
    splits = {
        "train": token_documents({"a": [2000]}, vocabulary),
        "validation": token_documents({"b": [5, 2]}, vocabulary),
    }
    write_folder(tmp_path / "shards", splits, vocabulary)
    assert run(tmp_path / "shards", tmp_path / "run", "steps=1")["validation_loss"] > 0


def test_trace_names_the_documents_whose_tokens_made_the_batch(shards: Path, trained: Path) -> None:
    stored = {
        row["id"]: row
        for path in shards.glob("train-*.arrow")
        for row in pa.ipc.open_file(str(path)).get_batch(0).to_pylist()
    }
    batches = TokenBatches(str(shards), context=32, batch=8, seed=1)
    for step in (1, 40):
        rows = trace(str(trained), step)
        assert {row["sequence"] for row in rows} == set(range(8))
        for number, expected in enumerate(batches.batch(step).targets):
            tokens: list[int] = []
            for row in rows:
                if row["sequence"] == number:
                    document = stored[row["id"]]
                    assert row["source"] == document["source"] == "code"
                    first = row["first_token"]
                    tokens += document["tokens"][first : first + row["tokens"]]
            assert tokens == expected.tolist()


def test_trace_says_what_to_do_when_the_shards_were_moved(tmp_path: Path) -> None:
    first, moved, other = (tmp_path / name for name in ("first", "moved", "other"))
    write_real_folder(first)
    run(first, tmp_path / "run", "steps=2")
    expected = trace(str(tmp_path / "run"), 2)
    first.rename(moved)
    with pytest.raises(UsageError, match="with --shards DIR"):
        trace(str(tmp_path / "run"), 2)
    assert trace(str(tmp_path / "run"), 2, str(moved)) == expected
    vocabulary = small_vocabulary()
    write_folder(other, {"train": text_documents(real_texts(), "x", vocabulary)}, vocabulary)
    with pytest.raises(UsageError, match="holds other shards"):
        trace(str(tmp_path / "run"), 2, str(other))
    for step in (0, 3):
        with pytest.raises(UsageError, match=f"step {step} is not one of 1 to 2"):
            trace(str(tmp_path / "run"), step)
    with pytest.raises(UsageError, match="is no training folder"):
        trace(str(moved), 1)


def test_what_is_recorded_is_plain_json(trained: Path) -> None:
    record = json.loads((trained / "train.json").read_text())
    assert record["settings"]["steps"] == 40
    assert record["settings"]["device"] == "cpu"


def test_weights_that_blow_up_end_in_nulls_and_not_in_a_traceback(
    shards: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    changes = ["steps=4", "weight_decay=1e308", "peak_tflops=1e-320"]
    summary = run(shards, tmp_path / "run", *changes, echo=lines.append)
    assert summary["validation_loss"] is None
    rows = read_metrics(str(tmp_path / "run"))
    evaluation = rows[-1]
    assert evaluation["validation_loss"] is None
    assert all(one["bits_per_byte"] is None for one in evaluation["sources"].values())
    assert rows[0]["mfu"] is None


def test_a_run_that_left_out_every_step_has_no_mean_loss(shards: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    summary = run(shards, tmp_path / "run", "steps=3", "z_loss=1e300", echo=lines.append)
    assert summary["skipped"] == 3
    assert summary["mean_loss_of_last_ten_steps"] is None
    assert "all steps were left out: nothing was learned" in lines


def test_too_little_memory_is_told_without_a_traceback(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a real failure of torch's allocator, where the model's first matrix would be made
    monkeypatch.setattr("corpusmill.pretrain.loop.Decoder", lambda *_, **__: torch.empty(1 << 50))
    with pytest.raises(RunError, match="not enough memory"):
        run(shards, tmp_path / "run")


def test_a_damaged_record_and_odd_wishes_are_refused(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(shards, out, "steps=1")
    wishes: list[dict[str, Any]] = [
        {"temperature": 1e300},
        {"temperature": float("nan")},
        {"temperature": 1e-320},
        {"seed": 1 << 64},
        {"tokens": 10**20},
        {"samples": 10**12},
        {"prompt": "\udcff"},
    ]
    usual: dict[str, Any] = {
        "prompt": "ä",
        "tokens": 1,
        "samples": 1,
        "temperature": 1.0,
        "top_k": 0,
        "seed": 1,
    }
    assert len(generate(str(out), **usual, echo=print)) == 1
    for wish in wishes:
        with pytest.raises(UsageError):
            generate(str(out), **{**usual, **wish}, echo=print)
    record = json.loads((out / "train.json").read_text())
    changes: list[dict[str, Any]] = [
        {"settings": 5},
        {"settings": {**record["settings"], "batch": "few"}},
        {"settings": {**record["settings"], "model": None}},
        {"shards": 5},
        {"tokenizer": None},
        {"start": {}},
    ]
    for change in changes:
        (out / "train.json").write_text(json.dumps({**record, **change}))
        for call in (
            lambda: trace(str(out), 1),
            lambda: generate(str(out), **usual, echo=print),
            lambda: run(shards, out, "steps=1"),
            lambda: run(shards, tmp_path / "new", f"start={out}"),
        ):
            with pytest.raises(UsageError, match="not a record of training"):
                call()
