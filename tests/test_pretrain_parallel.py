"""Several processes: the losses of one, whatever they share, and one message when one fails."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from tests.pretrain_ranks import Ended, Job, run_ranks, steps_of
from tests.shard_folders import small_vocabulary, token_documents, write_folder, write_real_folder

from corpusmill.pretrain.checkpoint import list_checkpoints, read_checkpoint
from corpusmill.pretrain.loop import train
from corpusmill.pretrain.metrics import read_metrics

pytestmark = pytest.mark.usefixtures("one_thread")

BASE = [
    "steps=20",
    "batch=12",
    "context=32",
    "learning_rate=1e-2",
    "checkpoint_every=5",
    "evaluate_every=10",
    "evaluate_batches=3",
    "device=cpu",
    "precision=fp32",
    "peak_tflops=1",
    "model.layers=2",
    "model.width=32",
    "model.feed_forward=64",
]

TIED = [
    "packing=best_fit",
    "recompute=1",
    "model.qk_norm=true",
    "model.window=8",
    "z_loss=1e-4",
    "label_smoothing=0.1",
]
EXPERTS = [
    "packing=best_fit",
    "document_masks=true",
    "model.experts=3",
    "model.tied_embeddings=false",
]
"""Three rows of a router over two processes: shares of different sizes."""

CLOSE = 1e-5
"""Nats: what the order of sums makes."""


def alone(shards: Path, out: Path, settings: list[str]) -> None:
    train(shards=str(shards), out=str(out), config=None, overrides=settings, echo=lambda _: None)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the processes of one start did, one training after another."""

    folder: Path
    ended: Ended
    jobs: dict[str, int]

    def codes(self, job: str) -> list[int]:
        return [self.ended.codes[self.jobs[job], rank] for rank in range(2)]

    def said(self, job: str) -> str:
        """By its processes."""
        number = self.jobs[job]
        first = self.ended.said.rfind(f"\ncode {number - 1} ") if number else 0
        return self.ended.said[first : self.ended.said.rfind(f"\ncode {number} ")]


def damaged_shards(folder: Path) -> Path:
    """One row of ten has a token that is not in the vocabulary."""
    vocabulary = small_vocabulary()
    table = token_documents({"a": [320]}, vocabulary)
    tokens = table.column("tokens").combine_chunks()
    values = tokens.values.to_numpy().copy()
    values[100] = 600
    lists = pa.ListArray.from_arrays(tokens.offsets, pa.array(values))
    table = table.set_column(table.schema.get_field_index("tokens"), "tokens", lists)
    write_folder(folder, {"train": table}, vocabulary)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("parallel")
    shards = folder / "shards"
    write_real_folder(shards)
    for name, settings in (("tied", TIED), ("experts", EXPERTS)):
        alone(shards, folder / f"{name}-alone", [*BASE, *settings])
    jobs: dict[str, Job] = {}

    def job(name: str, *settings: str, out: str = "", ends: int = 0, at: int = 0) -> None:
        jobs[name] = Job(
            shards=damaged_shards(folder / "broken") if name == "damaged" else shards,
            out=folder / (out or name),
            settings=[*BASE, *settings],
            signal=ends,
            at=at,
        )

    job("tied-fsdp", *TIED, "micro_batch=2", "distributed=fsdp")
    job("experts-ddp", *EXPERTS, "micro_batch=3", "distributed=ddp")
    job("other", *EXPERTS, "seed=2", out="experts-ddp")
    job("damaged", "batch=2")
    job("stopped", *EXPERTS, "distributed=fsdp", ends=signal.SIGTERM, at=7)
    job("blows-up", *TIED, "learning_rate=1e30", "micro_batch=3", "skip_limit=4", "clip=1e30")
    job("killed", *TIED, "distributed=ddp", ends=signal.SIGKILL, at=13)
    ended = run_ranks(2, list(jobs.values()))
    return Trained(
        folder=folder, ended=ended, jobs={name: number for number, name in enumerate(jobs)}
    )


def differences(one: Path, other: Path, name: str = "loss") -> list[float]:
    ours, theirs = steps_of(one, name), steps_of(other, name)
    assert ours.keys() == theirs.keys()
    return [abs(ours[step] - theirs[step]) for step in ours]


@pytest.mark.parametrize(("kind", "way"), [("tied", "fsdp"), ("experts", "ddp")])
def test_two_processes_have_the_losses_of_one(kind: str, way: str, trained: Trained) -> None:
    name = f"{kind}-{way}"
    assert trained.codes(name) == [0, 0], trained.said(name)
    together, single = trained.folder / name, trained.folder / f"{kind}-alone"
    found = differences(together, single)
    assert len(found) == 20
    assert max(found) < CLOSE
    assert max(differences(together, single, "validation_loss")) < CLOSE
    assert max(differences(together, single, "grad_norm")) < 1e-3


@pytest.mark.parametrize(("kind", "way"), [("tied", "fsdp"), ("experts", "ddp")])
def test_what_two_processes_wrote_one_reads(kind: str, way: str, trained: Trained) -> None:
    checkpoint = list_checkpoints(str(trained.folder / f"{kind}-{way}"))[-1]
    shares = {path.name[:11] for path in Path(checkpoint.path).glob("share-*")}
    assert shares == {"share-00000", "share-00001"}
    ours = read_checkpoint(checkpoint)
    theirs = read_checkpoint(list_checkpoints(str(trained.folder / f"{kind}-alone"))[-1])
    assert ours["step"] == theirs["step"] == 20
    assert ours["model"].keys() == theirs["model"].keys()
    for name, tensor in theirs["model"].items():
        assert torch.allclose(ours["model"][name], tensor, atol=2e-3), name


def test_a_mistake_is_said_once_and_ends_all(trained: Trained) -> None:
    assert trained.codes("other") == [2, 2]
    said = trained.said("other")
    assert said.count("was begun with other settings") == 1
    assert "seed: 1 before, 2 now" in said
    assert "Traceback" not in said


def test_damage_that_one_process_meets_is_said_once_and_ends_all(trained: Trained) -> None:
    assert trained.codes("damaged") == [1, 1]
    assert trained.said("damaged").count("token 600 is not in the vocabulary") == 1
    assert "Traceback" not in trained.ended.said


def test_sigterm_to_one_saves_and_ends_all_and_one_goes_on(trained: Trained) -> None:
    out = trained.folder / "stopped"
    assert trained.codes("stopped") == [130, 130]
    assert "stopped by SIGTERM after step 7, which is saved" in trained.said("stopped")
    assert list_checkpoints(str(out))[-1].step == 7
    alone(trained.folder / "shards", out, [*BASE, *EXPERTS])
    found = differences(out, trained.folder / "experts-alone")
    assert len(found) == 20
    assert max(found) < CLOSE


def test_a_killed_process_ends_the_others_and_one_goes_on(trained: Trained) -> None:
    assert trained.codes("killed") == [-signal.SIGKILL, 1]
    assert "lost another process of this training" in trained.said("killed")
    out = trained.folder / "killed"
    summary = train(
        shards=str(trained.folder / "shards"),
        out=str(out),
        config=None,
        overrides=[*BASE, *TIED],
        echo=lambda _: None,
    )
    assert summary["resumed_from"] in (5, 10)  # that of step 10 may not have been complete
    found = differences(out, trained.folder / "tied-alone")
    assert len(found) == 20
    assert max(found) < CLOSE


def test_steps_without_numbers_are_left_out_in_all_processes(trained: Trained) -> None:
    assert trained.codes("blows-up") == [1, 1]
    said = trained.said("blows-up")
    assert said.count("has not been finite for 5 steps") == 1
    rows = [row for row in read_metrics(str(trained.folder / "blows-up")) if "lr" in row]
    assert [row.get("skipped", False) for row in rows][-5:] == [True] * 5
    assert np.isfinite(rows[0]["loss"])


def test_torchrun_starts_and_stops_the_command(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "corpusmill", "train"]
    command += ["--shards", str(trained.folder / "shards"), "--out", str(out)]
    for setting in [*BASE, *EXPERTS, "distributed=fsdp", "steps=2000"]:
        command += ["--set", setting]
    with subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        until = time.monotonic() + 120
        while len(read_metrics(str(out))) < 3 and time.monotonic() < until:
            time.sleep(0.2)
        process.terminate()
        said, _ = process.communicate(timeout=60)
    (step,) = [
        int(line.split()[5].rstrip(",")) for line in said.splitlines() if "by SIGTERM" in line
    ] or [0]
    assert step, said
    assert said.count("interrupted: the same command goes on from here") == 1
    assert list_checkpoints(str(out))[-1].step == step
