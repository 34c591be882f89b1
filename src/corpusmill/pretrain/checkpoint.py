"""All that a run needs to go on as if it had not stopped: one folder per checkpoint.

    checkpoints/step-00000020-CHECKSUM/checkpoint.json    step, settings, checksums of the others
    checkpoints/step-00000020-CHECKSUM/share-00000-00000.safetensors    some of what rank 0 wrote

The checksum in the name is that of checkpoint.json, and the folder gets its name last: a checkpoint
is there whole, and known to be whole, from one rename on. Any number of processes reads what any
other number has written. Files are tensors and JSON only; nothing in them is executed.
"""

import json
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from corpusmill import storage
from corpusmill.errors import RunError, UsageError

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise UsageError("checkpoints need torch: pip install 'corpusmill[train]'") from None

from safetensors import SafetensorError
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.fsdp import FSDPModule

from corpusmill.pretrain.parallel import World

FOLDER = "checkpoints"
RECORD_FILE = "checkpoint.json"
FORMAT = 1
MODEL = "model."
OPTIMIZER = "optimizer."
_NAME = re.compile(r"step-(\d{8,})-([0-9a-f]{32})")
_SHARE = re.compile(r"share-\d{5,}-\d{5,}\.safetensors")

# one process alone is no mistake
warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint's folder."""

    step: int
    """Steps that had been taken."""
    path: str
    xxh3: str


def list_checkpoints(out: str) -> list[Checkpoint]:
    """The checkpoints of a training folder, oldest first; whether they are whole is not checked."""
    folder = os.path.join(out, FOLDER)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = [
        Checkpoint(step=int(match[1]), path=os.path.join(folder, name), xxh3=match[2])
        for name in names
        if (match := _NAME.fullmatch(name))
    ]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The weights and what the optimizer knows of each, by name: the tensors themselves, no copies.

    Weights that are one tensor under several names have the first of them.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # after an evaluation weights are still together
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[f"{MODEL}{name}"] = parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{OPTIMIZER}{name}.{key}"] = value
    return tensors


def ties_of(model: nn.Module) -> dict[str, str]:
    """Other names of weights, and the name that `tensors_of` has for each."""
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    everything = model.named_parameters(remove_duplicate=False)
    return {name: first[id(p)] for name, p in everything if first[id(p)] != name}


def read_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """{step, settings, model}: its weights as they were in one process, on the CPU.

    Raises RunError if it is damaged.
    """
    record = _whole_record(checkpoint)
    metadata = _stored(checkpoint)
    weights = {
        name.removeprefix(MODEL): torch.zeros(one.size, dtype=one.properties.dtype)
        for name, one in metadata.items()
        if name.startswith(MODEL)
    }
    _load(checkpoint, {f"{MODEL}{name}": tensor for name, tensor in weights.items()})
    if not all(first in weights for first in record["tied"].values()):
        raise RunError(f"{checkpoint.path} is not a checkpoint of a training run")
    weights |= {name: weights[first] for name, first in record["tied"].items()}
    return {"step": checkpoint.step, "settings": record["settings"], "model": weights}


def newest_checkpoint(out: str, echo: Callable[[str], None]) -> Checkpoint:
    """The newest checkpoint that is whole; damaged ones stay where they are, with a warning.

    Raises UsageError when there is none.
    """

    def pass_over(_: Checkpoint, error: RunError) -> None:
        echo(f"warning: {error}: the one before it is taken")

    found = _newest_whole(out, pass_over)
    if found is None:
        raise UsageError(f"{out}: has no checkpoint yet: train it first (corpusmill train)")
    return found


def _newest_whole(out: str, damaged: Callable[[Checkpoint, RunError], None]) -> Checkpoint | None:
    """The newest that is whole, if any; `damaged` gets those that are newer, and why."""
    for checkpoint in reversed(list_checkpoints(out)):
        try:
            _whole_record(checkpoint)
        except RunError as error:
            damaged(checkpoint, error)
            continue
        return checkpoint
    return None


def resume(
    out: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    world: World,
    echo: Callable[[str], None],
) -> int:
    """Load the newest checkpoint that is whole, and return its step; 0 where there is none.

    A damaged one is removed with a warning, and the one before it is taken. All processes call it.
    """

    def remove(damaged: Checkpoint, error: RunError) -> None:
        echo(f"warning: {error}; it is removed, and training goes on from the one before it")
        remove_checkpoint(damaged)

    checkpoint = world.agreed(_newest_whole(out, remove) if world.first else None)
    if checkpoint is None:
        return 0
    if any(name.startswith(OPTIMIZER) for name in _stored(checkpoint)):
        _fill(optimizer)
    # otherwise every step so far was left out
    _load(checkpoint, tensors_of(model, optimizer))
    echo(f"going on from checkpoint {checkpoint.path} (step {checkpoint.step})")
    return checkpoint.step


def remove_checkpoint(checkpoint: Checkpoint) -> None:
    """Remove it so that it is there whole or not at all, whenever the process is killed."""
    folder, name = os.path.split(checkpoint.path)
    leaving = os.path.join(folder, f"{storage.TEMPORARY}{name}")
    os.rename(checkpoint.path, leaving)
    storage.remove(leaving)


def remove_unfinished(out: str) -> None:
    """Remove checkpoints that killed processes were writing or removing. Call it under the lock."""
    folder = os.path.join(out, FOLDER)
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.startswith(storage.TEMPORARY):
            storage.remove(os.path.join(folder, name))


def _whole_record(checkpoint: Checkpoint) -> dict[str, Any]:
    """What checkpoint.json says, after every byte was compared; raises RunError."""
    damaged = RunError(f"{checkpoint.path} is damaged: its checksums are not those of its files")
    try:
        path = os.path.join(checkpoint.path, RECORD_FILE)
        if storage.checksum_file(path) != checkpoint.xxh3:
            raise damaged
        record = storage.read_json(path)
        if not _is_record(record) or record.get("step") != checkpoint.step:
            raise RunError(f"{checkpoint.path} is not a checkpoint of a training run")
        shares = {name for name in os.listdir(checkpoint.path) if name != RECORD_FILE}
        if shares != record["shares"].keys():
            raise damaged
        for name, xxh3 in record["shares"].items():
            if storage.checksum_file(os.path.join(checkpoint.path, name)) != xxh3:
                raise damaged
    except OSError as error:
        raise RunError(
            f"{checkpoint.path} is damaged: a file cannot be read: {error.strerror or error}"
        ) from None
    checked: dict[str, Any] = record
    return checked


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and record.get("format") == FORMAT
        and isinstance(record.get("settings"), dict)
        and isinstance(record.get("tied"), dict)
        and all(isinstance(first, str) for first in record["tied"].values())
        and isinstance(record.get("shares"), dict)
        and all(_SHARE.fullmatch(name) for name in record["shares"])
    )


def _stored(checkpoint: Checkpoint) -> Mapping[str, TensorStorageMetadata]:
    """The tensors of its shares, of which nothing may be missing."""
    try:
        reader = HuggingFaceStorageReader(checkpoint.path)
        found: dict[str, Any] = reader.read_metadata().state_dict_metadata
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError):
        raise RunError(f"{checkpoint.path} is not a checkpoint of a training run") from None
    for name, one in found.items():
        if sum(math.prod(chunk.sizes) for chunk in one.chunks) != math.prod(one.size):
            raise RunError(f"{checkpoint.path} is not whole: a part of {name} is missing")
    return found


def _load(checkpoint: Checkpoint, tensors: dict[str, Tensor]) -> None:
    """Fill the tensors, or this process' shares of them."""
    try:
        reader = HuggingFaceStorageReader(checkpoint.path)
        load(dict(tensors), storage_reader=reader, no_dist=True)
    except CheckpointException as error:
        reasons = "; ".join(sorted({str(failure[0]) for failure in error.failures.values()}))
        raise RunError(f"{checkpoint.path} does not fit this model: {reasons}") from None


def _fill(optimizer: torch.optim.Optimizer) -> None:
    """Give it the state that it has after any step: what is in it, a checkpoint is to say."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def record_of(
    step: int, settings: Mapping[str, Any], tied: dict[str, str], shares: dict[str, str]
) -> bytes:
    """The bytes of checkpoint.json; `shares` are the checksums of its files by their names."""
    record = {
        "format": FORMAT,
        "step": step,
        "settings": dict(settings),
        "tied": tied,
        "shares": dict(sorted(shares.items())),
    }
    return (json.dumps(record, indent=1) + "\n").encode()
