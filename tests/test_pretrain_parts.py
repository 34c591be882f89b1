"""The parts of the training loop: settings, schedule, model, optimizer, checkpoints, metrics."""

import io
import json
import pickle
from pathlib import Path
from typing import Literal

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.errors import RunError, UsageError
from corpusmill.pretrain.attention import rotary_tables, rotate
from corpusmill.pretrain.checkpoint import (
    list_checkpoints,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from corpusmill.pretrain.config import (
    ModelSettings,
    Settings,
    read_settings,
    settings_reference,
)
from corpusmill.pretrain.device import deterministic, multiplies_bf16, resolve
from corpusmill.pretrain.loss import SCORE_BYTES, summed_loss
from corpusmill.pretrain.metrics import MetricsLog, read_metrics
from corpusmill.pretrain.model import Decoder, count_parameters
from corpusmill.pretrain.optimizer import build_optimizer, set_learning_rate
from corpusmill.pretrain.schedule import learning_rate
from corpusmill.tokenize.batches import IGNORED

CPU = torch.device("cpu")


def small_model(**changes: object) -> Decoder:
    settings = ModelSettings.model_validate(
        {"layers": 2, "width": 32, "heads": 4, "feed_forward": 48, **changes}
    )
    torch.manual_seed(5)
    return Decoder(settings, vocab_size=50, context=12)


def test_every_mistake_in_the_settings_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("steps: 0\nmodel:\n  layer: 2\n  width: 30\nprecision: bf17\n")
    with pytest.raises(UsageError) as raised:
        read_settings(str(path), ["learningrate=1", "batch=few", "context"])
    lines = str(raised.value).splitlines()
    assert len(lines) == 6
    message = "\n".join(lines)
    assert f"{path}:1: steps: input should be greater than or equal to 1" in message
    assert f"{path}:3: model.layer: setting 'layer' is not one of " in message
    assert "(did you mean 'layers'?)" in message
    assert f"{path}:5: precision: 'bf17' is not one of auto, bf16, fp32" in message
    assert "--set learningrate=1: setting 'learningrate' is not one of " in message
    assert "(did you mean 'learning_rate'?)" in message
    assert "--set batch=few: input should be a valid integer" in message
    assert "--set context: write it as name=value" in message


def test_overrides_win_over_the_file_and_reach_the_model(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("steps: 7\nbatch: 3\nmodel: {layers: 2}\n")
    settings = read_settings(str(path), ["steps=9", "model.width=64", "learning_rate=1e-2"])
    assert (settings.steps, settings.batch, settings.learning_rate) == (9, 3, 0.01)
    assert (settings.model.layers, settings.model.width) == (2, 64)
    assert read_settings(None, []) == Settings()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.width=36", "model.heads=4"], "width 36 must be a multiple of 2 * heads (4)"),
        (["model.kv_heads=3"], "heads 4 must be a multiple of kv_heads 3"),
        (["steps.more=1", "steps=[1"], "--set steps=[1"),
        (["steps=1", "steps.more=1"], "'steps' is not a group of settings"),
        (["learning_rate=.nan"], "--set learning_rate=.nan: "),
        (["model=3"], "--set model=3: "),
    ],
)
def test_settings_that_do_not_fit_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_settings(None, overrides)
    assert message in str(raised.value)


@pytest.mark.parametrize("content", [b"- a\n", b"a: [\n", b"\xff\xfe\xfa", b"[" * 1000])
def test_a_settings_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"train\.yaml"):
        read_settings(str(path), [])
    with pytest.raises(UsageError, match=r"absent\.yaml: cannot be read"):
        read_settings(str(tmp_path / "absent.yaml"), [])


def test_the_page_about_training_lists_the_settings_as_they_are(repo_root: Path) -> None:
    page = (repo_root / "docs" / "training.md").read_text(encoding="utf-8")
    assert settings_reference() in page


def test_auto_becomes_what_the_machine_has() -> None:
    settings = resolve(Settings(device="cpu"))
    assert settings.precision == ("bf16" if multiplies_bf16("cpu") else "fp32")
    assert resolve(Settings(device="cpu", precision="bf16")).precision == "bf16"
    if not torch.cuda.is_available():
        assert resolve(Settings()).device == "cpu"
        with pytest.raises(UsageError, match="set device=cpu"):
            resolve(Settings(device="cuda"))


def test_determinism_is_switched_back() -> None:
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


@given(
    st.integers(1, 30_000),
    st.floats(0, 0.9),
    st.floats(0, 1),
    st.sampled_from(["cosine", "wsd", "constant"]),
)
def test_the_learning_rate_rises_once_and_falls_to_its_minimum(
    steps: int, warmup: float, minimum: float, schedule: Literal["cosine", "wsd", "constant"]
) -> None:
    shown = sorted({*range(1, min(steps, 60) + 1), steps // 2 or 1, max(1, steps - 1), steps})
    rates = [
        learning_rate(
            n,
            Settings(
                steps=steps,
                learning_rate=2.0,
                warmup_ratio=warmup,
                minimum_ratio=minimum,
                schedule=schedule,
            ),
        )
        for n in shown
    ]
    assert all(0 < rate <= 2.0 + 1e-9 or minimum == 0 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert all(a >= b - 1e-12 for a, b in zip(rates[top:], rates[top + 1 :], strict=False))
    if schedule == "constant":
        assert rates[-1] == 2.0
    elif round(warmup * steps) < steps:
        assert rates[-1] == pytest.approx(2.0 * minimum)


def test_a_token_changes_no_score_before_it() -> None:
    model = small_model()
    tokens = torch.randint(0, 50, (2, 12))
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 50
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_shared_keys_are_keys_repeated_for_each_head_of_the_group() -> None:
    shared, full = small_model(kv_heads=2), small_model(kv_heads=4)
    state = shared.state_dict()
    for name, tensor in state.items():
        if "key" in name or "value" in name:
            state[name] = tensor.view(2, 1, 8, 32).expand(2, 2, 8, 32).reshape(32, 32)
    full.load_state_dict(state)
    tokens = torch.randint(0, 50, (2, 12))
    assert torch.allclose(shared(tokens), full(tokens), atol=1e-6)


def test_rotation_keeps_lengths_and_sees_only_distances() -> None:
    cos, sin = rotary_tables(20, 8, 10_000.0)
    query, key = torch.randn(8), torch.randn(8)
    turned = rotate(query.expand(1, 1, 20, 8), cos, sin)[0, 0]
    keys = rotate(key.expand(1, 1, 20, 8), cos, sin)[0, 0]
    assert torch.allclose(turned.norm(dim=-1), query.norm().expand(20), atol=1e-5)
    scores = turned @ keys.T
    assert torch.allclose(scores[5, 3], scores[15, 13], atol=1e-5)
    assert torch.equal(turned[0], query)


def test_tied_embeddings_are_one_matrix_and_untied_are_two() -> None:
    tied, untied = small_model(), small_model(tied_embeddings=False)
    assert count_parameters(untied) - count_parameters(tied) == 50 * 32
    assert (
        torch.nn.functional.cross_entropy(
            tied(torch.zeros(1, 4, dtype=torch.long))[0], torch.arange(4)
        )
        < 4.2
    )


def test_the_loss_in_pieces_is_the_loss_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = torch.randn((39, 32), requires_grad=True)
    weight = torch.randn((50, 32), requires_grad=True)
    targets = torch.randint(0, 50, (39,))
    targets[5:9] = IGNORED
    scores = hidden @ weight.T
    nats = F.cross_entropy(scores, targets, reduction="sum")
    smoothed = F.cross_entropy(scores, targets, reduction="sum", label_smoothing=0.1)
    drift = (scores.logsumexp(1)[targets != IGNORED] ** 2).sum()
    expected = smoothed + 1e-3 * drift
    gradients = torch.autograd.grad(expected, (hidden, weight))
    for rows in (39, 7):
        monkeypatch.setitem(SCORE_BYTES, "cpu", rows * 50 * 4)
        loss = summed_loss(hidden, weight, targets, smoothing=0.1, z_loss=1e-3)
        assert torch.allclose(loss.nats, nats)
        assert torch.allclose(loss.objective, expected)
        ours = torch.autograd.grad(loss.objective, (hidden, weight))
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, gradients, strict=True))


def test_only_matrices_are_decayed() -> None:
    model = small_model()
    optimizer = build_optimizer(model, 0.5, CPU)
    set_learning_rate(optimizer, 0.1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        scale = 0.95 if parameter.ndim == 2 else 1.0
        assert torch.allclose(parameter, before[name] * scale), name


def save_steps(out: Path, *steps: int, keep: int = 2) -> Decoder:
    model = small_model()
    optimizer = build_optimizer(model, 0.1, CPU)
    for step in steps:
        with torch.no_grad():
            model.norm.weight.fill_(step)
        save_checkpoint(
            str(out), step=step, model=model, optimizer=optimizer, settings={}, keep=keep
        )
    return model


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    save_steps(tmp_path, 20, 40, 60, 100)
    assert [checkpoint.step for checkpoint in list_checkpoints(str(tmp_path))] == [60, 100]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(damaged: int, tmp_path: Path) -> None:
    save_steps(tmp_path, 20, 40)
    for checkpoint in list_checkpoints(str(tmp_path))[-damaged:]:
        path = Path(checkpoint.path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    lines: list[str] = []
    model = small_model()
    step = resume(str(tmp_path), model, build_optimizer(model, 0.1, CPU), lines.append)
    assert step == (20 if damaged == 1 else 0)
    assert sum(line.startswith("warning: ") for line in lines) == damaged
    assert float(model.norm.weight.detach()[0]) == (20.0 if damaged == 1 else 1.0)
    assert [c.step for c in list_checkpoints(str(tmp_path))] == ([20] if damaged == 1 else [])


class Planted:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    save_steps(tmp_path, 20)
    for data in (
        pickle.dumps(Planted(tmp_path / "executed"), protocol=2),
        _torch_file(Planted(tmp_path / "executed")),
    ):
        name = f"step-00000040-{xxhash.xxh3_128_hexdigest(data)}.pt"
        path = tmp_path / "checkpoints" / name
        path.write_bytes(data)
        with pytest.raises(RunError, match="is not a checkpoint"):
            read_checkpoint(list_checkpoints(str(tmp_path))[-1])
        path.unlink()
    assert not (tmp_path / "executed").exists()


def _torch_file(content: object) -> bytes:
    sink = io.BytesIO()
    torch.save(content, sink)
    return sink.getvalue()


def test_metrics_after_a_checkpoint_and_a_line_cut_off_by_a_kill_are_removed(
    tmp_path: Path,
) -> None:
    log = MetricsLog(str(tmp_path), 0)
    for step in range(1, 6):
        log.add({"step": step, "loss": float(step)})
    log.add({"step": 5, "validation_loss": 9.0, "validation_bits_per_byte": 1.0})
    with open(tmp_path / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 6, "lo')
    assert [row["step"] for row in read_metrics(str(tmp_path))] == [1, 2, 3, 4, 5, 5]
    resumed = MetricsLog(str(tmp_path), 4)
    assert resumed.validation_loss is None
    assert list(resumed.last_losses) == [1.0, 2.0, 3.0, 4.0]
    resumed.add({"step": 5, "loss": 5.5})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [1.0, 2.0, 3.0, 4.0, 5.5]
