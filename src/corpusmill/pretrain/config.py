"""The settings of a training run: defaults, a YAML file, `--set name=value`, checked together."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from corpusmill import storage
from corpusmill.errors import UsageError, one_of
from corpusmill.plain_yaml import refuse_hostile

FILE_BYTES = 1 << 20
"""Settings are written by hand; a larger file is something else."""

MAX_DEPTH = 16
"""Of lists and groups in each other: settings have two levels."""


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        truth = cls.model_fields[info.field_name].annotation is bool
        if truth and not isinstance(value, bool):
            raise ValueError("must be true or false")
        if isinstance(value, bool) and not truth:
            # pydantic would take them for 1 and 0
            raise ValueError("true, false and YAML's yes, no, on and off are no value of it")
        return value


NORM_EPSILON = 1e-5
"""Of RMSNorm: Llama's."""

PRESETS: Mapping[str, Mapping[str, int]] = {
    "1m": {"layers": 5, "width": 128, "heads": 4, "kv_heads": 2, "feed_forward": 384},
    "10m": {"layers": 6, "width": 384, "heads": 6, "kv_heads": 2, "feed_forward": 1024},
    "30m": {"layers": 10, "width": 512, "heads": 8, "kv_heads": 4, "feed_forward": 1408},
    "100m": {"layers": 16, "width": 768, "heads": 12, "kv_heads": 4, "feed_forward": 2048},
    "300m": {"layers": 28, "width": 1024, "heads": 16, "kv_heads": 4, "feed_forward": 2816},
    "1b": {"layers": 22, "width": 2048, "heads": 32, "kv_heads": 8, "feed_forward": 5632},
}
"""Shapes by the number of parameters of their blocks; embeddings come on top."""


class ModelSettings(_Settings):
    """The decoder's shape. The defaults learn in a minute or two on two CPU cores."""

    preset: Literal["1m", "10m", "30m", "100m", "300m", "1b"] | None = None
    """A shape by the number of parameters of its blocks: sets `layers`, `width`, `heads`,
    `kv_heads` and `feed_forward` unless they are given. Without one: 0.8 million."""
    layers: int = Field(default=4, ge=1, le=1 << 12)
    """Blocks of attention and feed-forward."""
    width: int = Field(default=128, ge=2, le=1 << 20)
    """Numbers that stand for a token between the blocks."""
    heads: int = Field(default=4, ge=1)
    """Attention heads; must divide `width` into even parts."""
    kv_heads: int = Field(default=2, ge=1)
    """Heads of keys and values, each shared by `heads / kv_heads` heads."""
    feed_forward: int = Field(default=384, ge=1, le=1 << 22)
    """Inner width of the feed-forward layers. Llama's 8/3 of `width`, rounded up."""
    tied_embeddings: bool = True
    """Use one matrix to read tokens and to score them: most of a small model is that matrix."""
    rope_base: float = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies. Su et al. 2021."""
    qk_norm: bool = False
    """Normalise queries and keys. Steadier for large models and high learning rates; not part of
    Llama. Henry et al. 2020."""
    window: int | None = Field(default=None, ge=1)
    """Tokens that a block with sliding-window attention sees, the token itself counted. None: all
    blocks see everything."""
    global_every: int = Field(default=4, ge=1)
    """With a window: every so many blocks the last of them sees everything. 1 makes all do."""
    experts: int = Field(default=0, ge=0, le=1024)
    """Feed-forward networks per block of which each token uses some; 0 is one network for all."""
    experts_per_token: int = Field(default=2, ge=1)
    """How many of them a token uses."""
    balance: float = Field(default=0.01, ge=0)
    """Weight of the loss that keeps the experts of a sequence in use alike. Fedus et al. 2021."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of each block's outputs that is zeroed in training. 0, as is usual when a token is seen
    at most a few times."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and isinstance(values.get("preset"), str):
            return {**PRESETS.get(values["preset"], {}), **values}
        return values

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of 2 * heads ({self.heads})")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of kv_heads {self.kv_heads}")
        if self.experts and self.experts_per_token > self.experts:
            raise ValueError(
                f"experts_per_token {self.experts_per_token} is more than experts {self.experts}"
            )
        return self

    def window_of(self, block: int) -> int | None:
        """Of block 0, 1, ...: the tokens that it sees, or None for all."""
        return None if (block + 1) % self.global_every == 0 else self.window


class Settings(_Settings):
    """One training run."""

    steps: int = Field(default=200, ge=1, lt=1 << 53)
    """Updates of the model. The learning rate's schedule is stretched over them."""
    batch: int = Field(default=4, ge=1, le=1 << 24)
    """Sequences in a step."""
    context: int = Field(default=256, ge=2, le=1 << 24)
    """Tokens in a sequence."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Sequences that a process computes at once; its share of the batch is divided into so many at
    a time, and their gradients are added. None: all at once."""
    packing: Literal["concatenate", "best_fit"] = "concatenate"
    """How documents become sequences: end to end, cut where a sequence is full; or each whole where
    it fits, with a little padding."""
    document_masks: bool = False
    """Tokens see those of their own document only, not what else stands in the sequence."""
    attention: Literal["auto", "sdpa", "flex", "varlen"] = "auto"
    """The kernel. `auto` is sdpa; on CUDA with document masks or a window it is flex. varlen needs
    CUDA, bf16 and flash attention."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Of the model's first weights, of dropout and of the order of the samples."""
    start: str | None = None
    """A training folder whose newest weights are the first ones here, instead of random numbers.
    Its vocabulary and the model's shape must be the same; its optimizer's state is not taken
    over."""
    model: ModelSettings = ModelSettings()
    """The decoder's shape."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """At its highest."""
    schedule: Literal["cosine", "wsd", "constant"] = "cosine"
    """How it falls after the warm-up: along half a cosine over all steps; not until the last
    `decay_ratio` of them and then in a straight line (warm-up, stable, decay: Hu et al. 2024); or
    not at all."""
    decay_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate of `wsd` falls."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from 0; at most 2,000 steps."""
    minimum_ratio: float = Field(default=0.1, ge=0, le=1)
    """The last step's learning rate as a share of the highest."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of a target's probability that training spreads over all tokens. Evaluation does
    without. Szegedy et al. 2016."""
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of the squared log of the softmax's denominator in training; 1e-4 is usual. Chowdhery
    et al. 2022."""
    skip_limit: int = Field(default=10, ge=0)
    """Steps in a row whose loss or gradient is not finite before the run gives up; each of them
    leaves the weights as they were."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Of matrices only. Brown et al. 2020."""
    clip: float = Field(default=1.0, gt=0)
    """The gradient's norm is cut down to this. Brown et al. 2020."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the matrix products; weights and optimizer are fp32 always. `auto` is bf16 where the
    hardware multiplies it (CUDA from compute capability 8.0, CPUs with AMX or AVX512-BF16)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` is cuda where there is one."""
    compile: bool = False
    """Compile each block with torch.compile: half a minute at first, faster on CUDA after that."""
    recompute: int = Field(default=0, ge=0)
    """Activation checkpointing: every so many blocks one keeps its input only and is computed again
    for the gradient. 1 is all blocks, 0 none."""
    distributed: Literal["auto", "ddp", "fsdp"] = "auto"
    """With several processes (torchrun): each holds all weights (ddp), or a share of them (fsdp:
    FSDP2). `auto` is ddp."""
    checkpoint_every: int = Field(default=20, ge=1)
    """Steps between checkpoints; the last step always has one."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """Checkpoints that are kept, the newest ones."""
    keep_every: int | None = Field(default=None, ge=1)
    """Checkpoints of steps that this divides are kept for good."""
    evaluate_every: int = Field(default=50, ge=1)
    """Steps between evaluations on the validation split; the last step always has one."""
    evaluate_batches: int = Field(default=16, ge=1)
    """Batches of each source of the validation split that an evaluation reads at most."""
    peak_tflops: float | None = Field(default=None, gt=0)
    """Operations, in 10^12 a second, that the device of one process does at most in this precision:
    `mfu` is the share of it. None: an NVIDIA data sheet's, or measured on a CPU."""
    tensorboard: bool = False
    """Write the metrics for TensorBoard, too, to `tensorboard/` in the folder. Needs the extra
    `tensorboard`."""
    energy: bool = False
    """Estimate energy and CO2 with codecarbon, offline. Needs the extra `energy`, and `country`."""
    country: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    """Whose mix of electricity the estimate is for: three letters, ISO 3166-1 (DEU, FRA, USA)."""

    @model_validator(mode="after")
    def _country_is_there(self) -> Self:
        if self.energy and self.country is None:
            raise ValueError("energy: needs `country`, three letters such as DEU")
        return self


WATCHING = frozenset({"peak_tflops", "tensorboard", "energy", "country"})
"""Settings that change nothing in what is trained: they may differ when a run goes on."""


def read_settings(config: str | None, overrides: Sequence[str]) -> Settings:
    """Settings from a YAML file and `name=value` overrides, which win.

    Raises UsageError with every mistake, each with its place, what is allowed and what was meant.
    """
    errors: list[str] = []
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    if config is not None:
        values, places = _read_file(config)
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            errors.append(f"--set {override}: write it as name=value")
            continue
        try:
            _put(values, name.strip(), _parse(text)[0])
        except (yaml.YAMLError, ValueError) as error:
            errors.append(f"--set {_shown(override)}: {_shown(str(error))}")
            continue
        places[name.strip()] = f"--set {override}"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        errors += [_message(dict(mistake), places) for mistake in error.errors()]
    if errors:
        raise UsageError("\n".join(errors))
    return settings


def _read_file(path: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The file's content, and where each dotted name stands in it."""
    try:
        if storage.file_size(path) > FILE_BYTES:
            raise UsageError(f"{path}: is larger than {FILE_BYTES} bytes: no settings file")
        values, node = _parse(storage.read_bytes(path).decode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path}: is not YAML: {error}") from None
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: must be a list of `name: value`")
    places: dict[str, str] = {}
    _note_places(path, "", node, places)
    return values, places


def _parse(text: str) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML text, and its nodes, which know their lines.

    Raises yaml.YAMLError or ValueError, also where a name stands twice in a group: YAML wants them
    to be different, but its reader takes the last one and says nothing.
    """
    refuse_hostile(text, MAX_DEPTH)
    value, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    _refuse_names_that_stand_twice(node)
    return value, node


def _refuse_names_that_stand_twice(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for part in node.value:
            _refuse_names_that_stand_twice(part)
    if not isinstance(node, yaml.MappingNode):
        return
    names = set()
    for key, value in node.value:
        if key.value in names:
            line = key.start_mark.line + 1
            raise ValueError(f"{_shown(key.value)!r} stands twice, the second time in line {line}")
        names.add(key.value)
        _refuse_names_that_stand_twice(value)


def _shown(text: str) -> str:
    """As much of it as a message holds."""
    return text if len(text) <= 200 else f"{text[:200]}..."


def _note_places(path: str, above: str, node: Any, places: dict[str, str]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{above}{key.value}"
            places[name] = f"{path}:{key.start_mark.line + 1}: {name}"
            _note_places(path, f"{name}.", value, places)


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    *groups, last = name.split(".")
    for group in groups:
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise ValueError(f"{group!r} is not a group of settings")
    before = values.get(last)
    if isinstance(before, dict) and isinstance(value, dict):
        value = {**before, **value}  # of a group only what is named changes
    values[last] = value


def _message(mistake: Mapping[str, Any], places: Mapping[str, str]) -> str:
    """One mistake as pydantic found it, in our words."""
    path = [str(step) for step in mistake["loc"]]
    name = ".".join(path)
    place = next(
        (
            places[".".join(path[:n])]
            for n in range(len(path), 0, -1)
            if ".".join(path[:n]) in places
        ),
        name or "settings",
    )
    if mistake["type"] == "extra_forbidden":
        return f"{place}: setting {one_of(path[-1], _names(path[:-1]))}"
    if mistake["type"] == "literal_error":
        group = _group(path[:-1])
        allowed = _literals(group.model_fields[path[-1]].annotation)
        return f"{place}: {one_of(_shown(str(mistake['input'])), allowed)}"
    text = mistake["msg"].removeprefix("Value error, ")
    return f"{place}: {text[0].lower()}{text[1:]}"


def _literals(annotation: Any) -> list[str]:
    """What a field of words may be; None, which some may be as well, has no name."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [word for part in get_args(annotation) for word in _literals(part)]


def _group(path: list[str]) -> type[_Settings]:
    group: type[_Settings] = Settings
    for step in path:
        kind = group.model_fields[step].annotation
        assert isinstance(kind, type)
        assert issubclass(kind, _Settings)
        group = kind
    return group


def _names(path: list[str]) -> list[str]:
    return list(_group(path).model_fields)


def flatten(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat
