"""What a training measures: operations, speed, memory, energy, and text that it has not seen."""

import builtins
import gzip
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
import torch
from tests.shard_folders import real_texts, small_vocabulary, text_documents, write_folder
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from corpusmill.errors import UsageError
from corpusmill.pretrain.attention import make_view
from corpusmill.pretrain.board import scalars
from corpusmill.pretrain.config import ModelSettings, Settings, read_settings
from corpusmill.pretrain.cost import mean_seen, parameters, training_flops
from corpusmill.pretrain.evaluate import Evaluation, Held, token_contents
from corpusmill.pretrain.loop import train
from corpusmill.pretrain.metrics import MetricsLog, read_metrics
from corpusmill.pretrain.model import Decoder, count_parameters
from corpusmill.pretrain.parallel import World
from corpusmill.pretrain.peak import data_sheet, find_peak, peak_memory_bytes
from corpusmill.tokenize.encode import Encoder

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES: list[dict[str, Any]] = [
    {},
    {"tied_embeddings": False, "qk_norm": True, "kv_heads": 1},
    {"experts": 4, "experts_per_token": 2, "layers": 3},
    {"preset": "10m", "layers": 2},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_are_those_of_the_model(shape: dict[str, Any]) -> None:
    settings = ModelSettings(**shape)
    assert parameters(settings, 300) == count_parameters(
        Decoder(settings, vocab_size=300, context=4)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_operations_of_a_token_are_those_that_torch_counts(shape: dict[str, Any]) -> None:
    settings = ModelSettings(**shape)
    model = Decoder(settings, vocab_size=300, context=1)
    # in a sequence of one token there is nothing that a kernel computes and a mask leaves out
    tokens = torch.arange(64)[:, None]
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(tokens).sum().backward()
    counted = counter.get_total_flops() / 64
    assert counted == pytest.approx(training_flops(settings, 300, 1), rel=1e-6)


@pytest.mark.parametrize(("context", "window"), [(7, None), (7, 3), (7, 1), (5, 9)])
def test_what_a_token_sees_on_average_is_what_the_mask_shows(
    context: int, window: int | None
) -> None:
    tokens = torch.zeros((1, context), dtype=torch.long)
    view = make_view(tokens, torch.zeros_like(tokens), window, "sdpa")
    assert mean_seen(context, window) == pytest.approx(view.mask.sum().item() / context)


@pytest.mark.parametrize(
    ("name", "precision", "tflops"),
    [
        ("NVIDIA A100-SXM4-80GB", "bf16", 312.0),
        ("NVIDIA A100 80GB PCIe", "fp32", 19.5),
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4),
        ("NVIDIA H100 PCIe", "bf16", 756.0),
        ("NVIDIA L4", "bf16", 121.0),
        ("NVIDIA L40S", "bf16", 362.0),
        ("NVIDIA GeForce RTX 4090", "bf16", 165.2),
        ("Tesla T4", "bf16", None),
        ("NVIDIA L400", "bf16", None),
    ],
)
def test_a_device_is_found_by_the_words_of_its_name(
    name: str, precision: str, tflops: float | None
) -> None:
    assert data_sheet(name, precision) == tflops


def test_the_peak_of_a_processor_is_measured_and_may_be_set() -> None:
    settings = Settings(precision="fp32", device="cpu")
    found = find_peak(settings, torch.device("cpu"))
    assert found is not None
    # from the slowest machine that runs torch to a large server
    assert 1e8 < found.flops < 1e14
    assert found.origin.startswith("measured")
    given = find_peak(settings.model_copy(update={"peak_tflops": 2.5}), torch.device("cpu"))
    assert given is not None
    assert (given.flops, given.origin) == (2.5e12, "setting peak_tflops")


def test_the_peak_of_memory_is_what_the_system_says() -> None:
    now = psutil.Process().memory_info().rss
    assert 0.9 * now < peak_memory_bytes(torch.device("cpu")) < 100 * now


# ---- evaluation ----


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources in the validation split: one of several sequences, one shorter than one."""
    folder = tmp_path_factory.mktemp("shards")
    vocabulary = small_vocabulary()
    texts = real_texts()
    held = pa.concat_tables(
        [
            text_documents(["né, née\n"], "short", vocabulary),
            text_documents([texts[-1], "Größe \U0001f600"], "long", vocabulary),
        ]
    )
    train_split = text_documents(texts[:-1], "code", vocabulary)
    write_folder(folder, {"train": train_split, "validation": held}, vocabulary)
    return folder


def held_with(shards: Path, *changes: str) -> Held:
    settings = read_settings(None, ["batch=3", "context=32", "evaluate_batches=1000", *changes])
    return Held(str(shards), "validation", settings, small_vocabulary())


def small_model(context: int = 32) -> Decoder:
    torch.manual_seed(1)
    shape = ModelSettings(layers=1, width=16, heads=2, kv_heads=1, feed_forward=16)
    return Decoder(shape, vocab_size=small_vocabulary().size, context=context)


def test_bytes_are_those_of_the_text_and_end_of_text_has_none(shards: Path) -> None:
    found = held_with(shards).evaluate(small_model(), World())
    sizes = {
        "short": len("né, née\n".encode()),
        "long": len(real_texts()[-1].encode()) + len("Größe \U0001f600".encode()),
    }
    assert {source: one.text_bytes for source, one in found.items()} == sizes
    tokens = Encoder(small_vocabulary()).encode(pa.array(["né, née\n"]))
    # the end-of-text token is predicted as well
    assert found["short"].tokens == len(tokens[0])
    whole = Evaluation.of_all(found.values())
    bits = sum(one.nats for one in found.values()) / math.log(2) / sum(sizes.values())
    assert whole.bits_per_byte == pytest.approx(bits)


def test_evaluation_leaves_smoothing_out(shards: Path) -> None:
    model = small_model()
    plain = held_with(shards).evaluate(model, World())
    assert held_with(shards, "label_smoothing=0.3", "z_loss=0.1").evaluate(model, World()) == plain


class Together(World):
    """One of several processes, here threads, whose sums wait for each other."""

    def total(self, numbers: torch.Tensor) -> torch.Tensor:
        """As the processes' own."""
        SUMS.setdefault(self.ranks, []).append(numbers.clone())
        BARRIERS[self.ranks].wait()
        summed = torch.stack(SUMS[self.ranks]).sum(0)
        if BARRIERS[self.ranks].wait() == 0:
            SUMS[self.ranks] = []
        BARRIERS[self.ranks].wait()
        return summed


SUMS: dict[int, list[torch.Tensor]] = {}
BARRIERS = {ranks: threading.Barrier(ranks) for ranks in (2, 3)}


@pytest.mark.parametrize("ranks", [2, 3])
def test_any_number_of_processes_finds_the_same_to_the_last_bit(
    shards: Path, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpusmill.pretrain.evaluate.TOKENS_AT_ONCE", 64)
    alone = held_with(shards).evaluate(small_model(), World())
    found: dict[int, Any] = {}
    calls = [0] * ranks
    models = [small_model() for _ in range(ranks)]

    def work(rank: int) -> None:
        model = models[rank]

        def count(*_: object) -> None:
            calls[rank] += 1

        model.register_forward_hook(count)
        torch.set_num_threads(1)
        found[rank] = held_with(shards).evaluate(model, Together(rank=rank, ranks=ranks))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[rank] == alone for rank in range(ranks))
    # shared weights are exchanged in every call: one too few would leave the others waiting
    assert len(set(calls)) == 1


def test_no_call_is_larger_than_the_limit(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpusmill.pretrain.evaluate.TOKENS_AT_ONCE", 64)
    held = held_with(shards, "batch=100")
    assert held.piece("long", 0).inputs.shape == (2, 32)
    rows = sum(len(held.piece("long", n).inputs) for n in range(held.pieces("long")))
    tokens = held_with(shards).evaluate(small_model(), World())["long"].tokens
    assert rows == math.ceil(tokens / 32)
    assert held_with(shards, "batch=1", "evaluate_batches=3").pieces("long") == 3


def test_compressors_get_the_text_that_was_evaluated(shards: Path) -> None:
    text = f"{real_texts()[-1]}Größe \U0001f600né, née\n".encode()
    found = held_with(shards).compressed()
    assert found is not None
    assert found["gzip"] == 8 * len(gzip.compress(text, 9, mtime=0)) / len(text)
    assert 0 < found["xz"] < 8


def test_the_contents_of_tokens_are_their_bytes() -> None:
    vocabulary = small_vocabulary()
    contents = token_contents(vocabulary)
    text = "é\x00\n tab\t“quoted” \U0001f600 \xa0\xad"
    (row,) = Encoder(vocabulary).encode(pa.array([text])).to_pylist()
    assert b"".join(contents[token] for token in row) == text.encode()
    assert contents[vocabulary.end_of_text] == b""


# ---- rows ----

TINY = ["steps=4", "batch=4", "context=32", "evaluate_every=2", "checkpoint_every=2"]
TINY += ["model.layers=1", "model.width=32", "model.feed_forward=32", "device=cpu"]
TINY += ["precision=fp32", "evaluate_batches=2"]


def run(shards: Path, out: Path, *changes: str, lines: list[str] | None = None) -> dict[str, Any]:
    said = [] if lines is None else lines
    overrides = [*TINY, *changes]
    return train(
        shards=str(shards), out=str(out), config=None, overrides=overrides, echo=said.append
    )


def test_a_step_tells_its_share_of_what_the_device_could_do(shards: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    summary = run(shards, tmp_path / "t", "peak_tflops=1e-3", lines=lines)
    rows = [row for row in read_metrics(str(tmp_path / "t")) if "loss" in row]
    shape = read_settings(None, TINY).model
    flops = training_flops(shape, small_vocabulary().size, 32)
    for row in rows:
        assert row["mfu"] == pytest.approx(
            row["tokens_per_second"] * flops / 1e9, abs=2e-4, rel=1e-2
        )
        assert row["seconds"] * row["tokens_per_second"] == pytest.approx(4 * 32, rel=0.1)
        assert row["peak_memory_bytes"] > 10 << 20
    assert summary["mfu"] == pytest.approx(sum(row["mfu"] for row in rows) / 4)
    assert any("TFLOPS (setting peak_tflops)" in line for line in lines)
    assert summary["compressed_bits_per_byte"]["gzip"] < 8


def test_what_looks_on_may_change_when_a_run_goes_on(shards: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(shards, tmp_path / "t", "tensorboard=true")
    log = MetricsLog(str(tmp_path / "t"), 2, board=True)
    log.add({"step": 3, "loss": 1.0, "lr": 0.5, "tokens": 9, "mfu": None})
    log.add({"step": 3, "loss": None, "lr": 0.5, "tokens": 9, "skipped": True})
    log.close()
    events = reader.EventAccumulator(str(tmp_path / "t" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("training/loss")] == [1, 2, 3]
    assert [event.step for event in events.Scalars("validation/long/bits_per_byte")] == [2]
    summary = run(shards, tmp_path / "t", "peak_tflops=3")
    assert summary["resumed_from"] == 4


def test_a_row_is_told_to_tensorboard_by_what_it_measures() -> None:
    row = {"step": 2, "validation_loss": 3.0, "sources": {"a": {"loss": 1.0}}, "seconds": 9}
    assert dict(scalars(row)) == {"validation/loss": 3.0, "validation/a/loss": 1.0}
    row = {"step": 2, "loss": 3.0, "lr": 0.1, "mfu": None, "tokens": 5, "seconds": 9}
    assert dict(scalars(row)) == {"training/loss": 3.0, "training/lr": 0.1}


@pytest.mark.parametrize(
    ("settings", "package"),
    [(["tensorboard=true"], "tensorboard"), (["energy=true", "country=DEU"], "codecarbon")],
)
def test_an_extra_that_is_not_installed_is_named_before_anything_is_written(
    shards: Path,
    tmp_path: Path,
    settings: list[str],
    package: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith((package, f"torch.utils.{package}")):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="pip install 'corpusmill"):
        run(shards, tmp_path / "t", *settings)
    assert not (tmp_path / "t").exists()


def test_energy_needs_a_country() -> None:
    with pytest.raises(UsageError, match="needs `country`"):
        read_settings(None, ["energy=true"])
    with pytest.raises(UsageError, match="country"):
        read_settings(None, ["energy=true", "country=Germany"])


def test_energy_is_added_up_over_the_calls(tmp_path: Path) -> None:
    log = MetricsLog(str(tmp_path), 0)
    for step in (2, 4):
        log.add({"step": step, "loss": 1.0})
        log.add({"step": step, "energy_kwh": step / 10, "co2_kg": step / 20})
    assert MetricsLog(str(tmp_path), 3).energy == (0.2, 0.1)


ENERGY = """
import json, sys
connections = []
def look(event, details):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        connections.append(event)
sys.addaudithook(look)
from corpusmill.pretrain.energy import EnergyMeter, require_codecarbon
require_codecarbon("DEU")
meter = EnergyMeter("DEU")
sum(n for n in range(3_000_000))
energy = meter.read()
meter.close()
print(json.dumps([energy.kwh, energy.co2_kg, connections]))
"""


def test_the_estimate_of_energy_asks_nobody(tmp_path: Path) -> None:
    pytest.importorskip("codecarbon")
    # what would make codecarbon send results away, and ask a service
    told = {
        "CODECARBON_EMISSIONS_ENDPOINT": "http://127.0.0.1:9/x",
        "CODECARBON_ELECTRICITYMAPS_API_TOKEN": "token",
        "CODECARBON_OUTPUT_METHODS": "csv,api",
        "CODECARBON_CLOUD_PROVIDER": "aws",
    }
    answer = subprocess.run(
        [sys.executable, "-c", ENERGY],
        cwd=tmp_path,
        env={**os.environ, **told},
        capture_output=True,
        check=True,
    )
    kwh, co2, connections = json.loads(answer.stdout.splitlines()[-1])
    assert 0 < kwh < 1e-2
    # Germany's electricity, in kg for a kWh
    assert 0.2 < co2 / kwh < 0.6
    assert connections == []
    assert list(tmp_path.iterdir()) == []


def test_a_country_without_electricity_is_refused(shards: Path, tmp_path: Path) -> None:
    pytest.importorskip("codecarbon")
    with pytest.raises(UsageError, match="knows no electricity of 'QQQ'"):
        run(shards, tmp_path / "t", "energy=true", "country=QQQ")
