"""One update of the weights, the same for any number of processes and of rows at once."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import xxhash
from torch import nn

from corpusmill.pretrain.config import Settings
from corpusmill.pretrain.parallel import World, gradients_kept_apart
from corpusmill.tokenize.dataset import Tensors
from corpusmill.tokenize.rows import IGNORED


@dataclass(frozen=True, kw_only=True)
class Result:
    """Of a step."""

    loss: float
    """Nats per token, over all tokens of the global batch that have a target."""
    grad_norm: float
    """Before it was cut down."""
    tokens: int
    """Targets of the global batch."""

    @property
    def finite(self) -> bool:
        """Whether the weights were moved: they are not by numbers that are none."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Let dropout draw the same numbers in this step however often the training was stopped."""
    torch.manual_seed(xxhash.xxh3_64_intdigest(f"{seed}\0{step}\0{rank}".encode()))


def take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Tensors,
    settings: Settings,
    world: World,
    at_once: int,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> Result:
    """Gradients of this process' rows of the batch, `at_once` at a time, then the update.

    The loss is summed over all valid tokens of the global batch and divided by their number once:
    a row with little to predict weighs no more for standing in another process or piece.
    """
    counts = torch.tensor(
        [int((batch.targets != IGNORED).sum())], dtype=torch.int64, device=world.device
    )
    tokens = int(world.total(counts))
    # both ways of sharing gradients average them over the processes
    scale = world.ranks / max(1, tokens)
    nats = torch.zeros((), dtype=torch.float64, device=world.device)
    optimizer.zero_grad(set_to_none=True)
    rows = len(batch.inputs)
    for first in range(0, rows, at_once):
        inputs, targets, documents = (
            None if part is None else part[first : first + at_once] for part in batch
        )
        with gradients_kept_apart(model, first + at_once < rows):
            with autocast():
                loss = model(
                    inputs,
                    targets,
                    documents,
                    smoothing=settings.label_smoothing,
                    z_loss=settings.z_loss,
                )
            (loss.objective * scale).backward()
        nats += loss.nats.detach()
    norm = _clip(model, settings.clip)
    result = Result(loss=float(world.total(nats)) / max(1, tokens), grad_norm=norm, tokens=tokens)
    if result.finite:
        optimizer.step()
    return result


def _clip(model: nn.Module, largest: float) -> float:
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), largest)
    # with weights shared out (fsdp) each process holds a part of the norm
    whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return float(whole)
