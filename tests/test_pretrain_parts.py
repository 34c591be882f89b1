"""The parts of the training loop: settings, schedule, model, optimizer, checkpoints, metrics."""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pretrain.attention import rotary_tables, rotate
from corpusmill.pretrain.checkpoint import (
    Checkpoint,
    list_checkpoints,
    newest_checkpoint,
    read_checkpoint,
    remove_unfinished,
    resume,
)
from corpusmill.pretrain.config import (
    ModelSettings,
    Settings,
    read_settings,
)
from corpusmill.pretrain.device import deterministic, multiplies_bf16, resolve
from corpusmill.pretrain.loss import SCORE_BYTES, summed_loss
from corpusmill.pretrain.metrics import MetricsLog, read_metrics
from corpusmill.pretrain.model import Decoder, count_parameters
from corpusmill.pretrain.optimizer import build_optimizer, set_learning_rate
from corpusmill.pretrain.parallel import World
from corpusmill.pretrain.saving import Saver
from corpusmill.pretrain.schedule import learning_rate
from corpusmill.tokenize.rows import IGNORED

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
    settings = read_settings(str(path), ["model={width: 64}", "model={heads: 2}"])
    assert (settings.model.layers, settings.model.width, settings.model.heads) == (2, 64, 2)
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
        (["steps=yes"], "--set steps=yes: true, false and YAML's yes, no, on and off are no value"),
        (["learning_rate=on"], "--set learning_rate=on: true, false and YAML's yes, no, on and "),
        (["model.window=true"], "--set model.window=true: true, false and YAML's yes, no, on and "),
        (["country=NO"], "--set country=NO: true, false and YAML's yes, no, on and off are no "),
        (["compile=1"], "--set compile=1: must be true or false"),
        (["model.qk_norm=null"], "--set model.qk_norm=null: must be true or false"),
        (["model={layers: 2, layers: 3}"], "'layers' stands twice, the second time in line 1"),
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


@pytest.mark.parametrize("content", ["steps: 10\nsteps: 20\n", "model:\n  heads: 2\n  heads: 4\n"])
def test_a_setting_that_stands_twice_in_a_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"train\.yaml: .* stands twice, the second time in line"):
        read_settings(str(path), [])


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


def save_steps(
    out: Path, *steps: int, keep: int = 2, keep_every: int | None = None, tied: bool = True
) -> Decoder:
    model = small_model(tied_embeddings=tied)
    optimizer = build_optimizer(model, 0.1, CPU)
    saver = Saver(str(out), World(), {"batch": 3}, keep=keep, keep_every=keep_every)
    for step in steps:
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        with torch.no_grad():
            model.norm.weight.fill_(step)
        saver.save(step, model, optimizer)
        with torch.no_grad():  # what is written beside the training is what was there
            model.norm.weight.fill_(-1)
    saver.finish()
    return model


def test_only_the_newest_checkpoints_are_kept_and_those_that_keep_every_divides(
    tmp_path: Path,
) -> None:
    save_steps(tmp_path / "a", 20, 40, 60, 100)
    assert [checkpoint.step for checkpoint in list_checkpoints(str(tmp_path / "a"))] == [60, 100]
    assert len(list((tmp_path / "a" / "checkpoints").iterdir())) == 2
    save_steps(tmp_path / "b", 20, 40, 60, 80, 100, keep=1, keep_every=40)
    found = [checkpoint.step for checkpoint in list_checkpoints(str(tmp_path / "b"))]
    assert found == [40, 80, 100]


@pytest.mark.parametrize("tied", [True, False])
def test_a_checkpoint_gives_back_weights_optimizer_and_settings(tied: bool, tmp_path: Path) -> None:
    model = save_steps(tmp_path, 20, tied=tied)
    checkpoint = newest_checkpoint(str(tmp_path), print)
    state = read_checkpoint(checkpoint)
    assert (state["step"], state["settings"]) == (20, {"batch": 3})
    with torch.no_grad():
        model.norm.weight.fill_(20)
    expected = model.state_dict()
    assert state["model"].keys() == expected.keys()
    assert all(torch.equal(state["model"][name], tensor) for name, tensor in expected.items())
    other = small_model(tied_embeddings=tied)
    optimizer = build_optimizer(other, 0.1, CPU)
    assert resume(str(tmp_path), other, optimizer, World(), print) == 20
    assert all(
        torch.equal(a, b) for a, b in zip(other.parameters(), model.parameters(), strict=True)
    )
    for parameter in other.parameters():
        assert float(optimizer.state[parameter]["step"]) == 1
        assert torch.allclose(optimizer.state[parameter]["exp_avg"], torch.tensor(0.1))
        assert torch.allclose(optimizer.state[parameter]["exp_avg_sq"], torch.tensor(0.05))


def test_equal_states_have_equal_checkpoints(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save_steps(tmp_path / name, 20, 40)
    found = {
        tuple(one.xxh3 for one in list_checkpoints(str(tmp_path / name)))
        for name in ("a", "b", "c")
    }
    assert len(found) == 1


def test_what_a_killed_process_left_is_no_checkpoint_and_is_removed(tmp_path: Path) -> None:
    save_steps(tmp_path, 20, 40)
    older, newer = list_checkpoints(str(tmp_path))
    folder = Path(newer.path)
    folder.rename(folder.with_name(f"{storage.TEMPORARY}step-00000040"))
    assert list_checkpoints(str(tmp_path)) == [older]
    remove_unfinished(str(tmp_path))
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == [Path(older.path).name]


def test_a_checkpoint_that_cannot_be_written_ends_the_training(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(RunError, match="the checkpoint was not written: cannot write"):
        save_steps(tmp_path, 20)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "record": lambda folder: _flip(folder / "checkpoint.json"),
    "share": lambda folder: _flip(folder / "share-00000-00000.safetensors"),
    "missing": lambda folder: (folder / "share-00000-00000.safetensors").unlink(),
    "foreign": lambda folder: (folder / "share-00001-00000.safetensors").write_bytes(b"other"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    damaged: int, kind: str, tmp_path: Path
) -> None:
    save_steps(tmp_path, 20, 40)
    for checkpoint in list_checkpoints(str(tmp_path))[-damaged:]:
        DAMAGE[kind](Path(checkpoint.path))
        with pytest.raises(RunError, match="is damaged"):
            read_checkpoint(checkpoint)
    lines: list[str] = []
    model = small_model()
    optimizer = build_optimizer(model, 0.1, CPU)
    step = resume(str(tmp_path), model, optimizer, World(), lines.append)
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


def plant(out: Path, share: bytes, **changes: object) -> Checkpoint:
    """A checkpoint with right checksums and anything in it."""
    record = {
        "format": 1,
        "step": 40,
        "settings": {},
        "tied": {},
        "shares": {"share-00000-00000.safetensors": xxhash.xxh3_128_hexdigest(share)},
        **changes,
    }
    data = json.dumps(record).encode()
    folder = out / "checkpoints" / f"step-00000040-{xxhash.xxh3_128_hexdigest(data)}"
    folder.mkdir(parents=True)
    (folder / "checkpoint.json").write_bytes(data)
    (folder / "share-00000-00000.safetensors").write_bytes(share)
    return list_checkpoints(str(out))[-1]


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    sink = io.BytesIO()
    torch.save(Planted(tmp_path / "executed"), sink)
    pickled = pickle.dumps(Planted(tmp_path / "executed"), protocol=2)
    for number, share in enumerate((pickled, sink.getvalue())):
        checkpoint = plant(tmp_path / str(number), share)
        (Path(checkpoint.path) / ".metadata").unlink(missing_ok=True)
        with pytest.raises(RunError, match="is not a checkpoint"):
            read_checkpoint(checkpoint)
        (Path(checkpoint.path) / ".metadata").write_bytes(pickled)
        with pytest.raises(RunError, match="is damaged"):
            read_checkpoint(checkpoint)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "notes",
    [
        "{",
        "[]",
        "{}",
        '{"model.norm.weight": {"saved_offsets": [9000000000000]}}',
        '{"model.norm.weight": {"saved_offsets": ["x"]}}',
        '{"model.norm.weight": {"saved_offsets": [-1]}}',
        '{"model.norm.weight": {"saved_offsets": [1, 2, 3]}}',
    ],
)
def test_shares_that_are_no_whole_are_refused(notes: str, tmp_path: Path) -> None:
    share = safetensors.torch.save(
        {"model.norm.weight": torch.ones(4)}, {"DCP_SHARDING_INFO": notes}
    )
    checkpoint = plant(tmp_path, share)
    with pytest.raises(RunError, match=r"is not a checkpoint|is not whole"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"step": 41},
        {"settings": []},
        {"tied": {"head.weight": "nothing"}},
        {"tied": {"head.weight": 3}},
        {"shares": {"../../elsewhere": "0"}},
        {"shares": {"share-00000-00000.safetensors": 7}},
    ],
)
def test_a_record_that_says_something_else_is_refused(
    changes: dict[str, object], tmp_path: Path
) -> None:
    share = safetensors.torch.save(
        {"model.norm.weight": torch.ones(4)},
        {"DCP_SHARDING_INFO": '{"model.norm.weight": {"saved_offsets": [0]}}'},
    )
    assert read_checkpoint(plant(tmp_path / "right", share))["model"]["norm.weight"].sum() == 4
    with pytest.raises(RunError, match=r"is not a checkpoint|is damaged"):
        read_checkpoint(plant(tmp_path / "wrong", share, **changes))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_steps(tmp_path, 20)
    other = small_model(width=64)
    with pytest.raises(RunError, match="does not fit this model"):
        resume(str(tmp_path), other, build_optimizer(other, 0.1, CPU), World(), print)


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


def test_damaged_metrics_do_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    whole = {"step": 1, "loss": 2.0, "mfu": None, "peak_memory_bytes": 7}
    damaged = [
        b'{"step": 2}',
        b'{"step": 2, "loss": "low"}',
        b'{"step": 2, "loss": NaN}',
        b'{"step": 2, "loss": 1.0, "peak_memory_bytes": [1]}',
        b'{"step": 2, "validation_loss": {}}',
        b'{"step": 2, "energy_kwh": true}',
        b"\xff\x00[[[",
    ]
    lines = [*damaged, json.dumps(whole).encode(), b'{"step": 2, "loss": null}', b""]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    log = MetricsLog(str(tmp_path), 9)
    assert read_metrics(str(tmp_path)) == [whole, {"step": 2, "loss": None}]
    assert (list(log.last_losses), log.peak_memory_bytes) == ([2.0], 7)


@pytest.mark.parametrize(
    "content",
    [
        b"a: &a {x: *a}\n",
        b"a: &a 1\nb: *a\n",
        b"steps: 2020-99-99\n",
        b"steps: " + b"9" * 5000,
        b"model: " + b"[" * 99 + b"]" * 99,
    ],
)
def test_yaml_that_would_overwhelm_its_reader_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"train\.yaml: is not YAML: "):
        read_settings(str(path), [])
    name, _, value = content.decode().partition(": ")
    with pytest.raises(UsageError, match=f"--set {name}="):
        read_settings(None, [f"{name}={value}"])


def test_a_word_that_is_none_of_a_preset_is_told_which_there_are() -> None:
    with pytest.raises(UsageError) as raised:
        read_settings(None, ["model.preset=11m"])
    assert "'11m' is not one of 100m, 10m, 1b, 1m, 300m, 30m" in str(raised.value)
    assert read_settings(None, ["model.preset=null"]).model.preset is None
