"""One process or several: who this one is, and what it does together with the others.

Started by `torchrun`, every process reads its rank from the environment; without it there is one.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from corpusmill.errors import MillError, RunError, UsageError
from corpusmill.pretrain.config import Settings

INTERRUPTED = 130
"""Exit code of a process that a signal ended: the command line's."""

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others before it gives up: more than a step or a check of a
checkpoint takes."""

CPU = torch.device("cpu")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes that train together."""

    rank: int = 0
    """Of this one, from 0."""
    ranks: int = 1
    device: torch.device = CPU
    """Of this one."""

    @property
    def first(self) -> bool:
        """Whether this is the one that speaks and writes what there is one of."""
        return self.rank == 0

    def on(self, device: str) -> "World":
        """The same, computing on `cpu` or `cuda`: a CUDA device for each process of a machine."""
        if device == "cpu":
            return self
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
        return replace(self, device=place)

    def total(self, numbers: Tensor) -> Tensor:
        """The numbers summed over all processes."""
        if self.ranks > 1:
            dist.all_reduce(numbers)
        return numbers

    def any(self, here: bool) -> bool:
        """Whether it is so in one of them."""
        if self.ranks == 1:
            return here
        return bool(self.total(torch.tensor([int(here)], device=self.device)))

    def agreed(self, value: T) -> T:
        """What the first process gave, in all of them."""
        if self.ranks == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, device=torch.device("cpu"))
        return held[0]

    def wait(self) -> None:
        """Until all are here."""
        if self.ranks > 1:
            dist.barrier()


@contextlib.contextmanager
def joined() -> Iterator[World]:
    """The world of this process, for as long as the context lasts.

    When one process fails and ends, the others end with it, and only the one that failed first
    raises its error: they leave by SystemExit with the same exit code.
    """
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks == 1:
        yield World()
        return
    store, rank, ranks = next(rendezvous("env://", timeout=PATIENCE))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=PrefixStore("training", store),
        rank=rank,
        world_size=ranks,
        timeout=PATIENCE,
    )
    try:
        yield World(rank=rank, ranks=ranks)
    except KeyboardInterrupt:
        if rank == 0:
            raise
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        code = error.exit_code if isinstance(error, MillError) else MillError.exit_code
        told = _first_failure(store, rank, code)
        if told is not None:
            raise SystemExit(told) from None
        if _is_of_the_others(error):
            raise RunError(
                f"process {rank} lost another process of this training, which was ended or cannot "
                "be reached; the same command goes on from the last checkpoint"
            ) from None
        raise
    finally:
        dist.destroy_process_group()


def _first_failure(store: Store, rank: int, code: int) -> int | None:
    """Tell the others of a failure; the exit code of another process that failed before, if any."""
    mine = f"{rank} {code}"
    try:
        first = store.compare_set("failure", "", mine).decode()
    except RuntimeError:  # without torchrun the store went with the first process
        return None
    return None if first == mine else int(first.split()[1])


def _is_of_the_others(error: Exception) -> bool:
    # gloo raises plain RuntimeErrors, which name its source file
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error).lower()
    )


def per_process(settings: Settings, ranks: int) -> tuple[int, int]:
    """Sequences of a step that each process gets, and how many of them it computes at once."""
    if settings.batch % ranks:
        raise UsageError(
            f"batch: {settings.batch} sequences cannot be divided over {ranks} processes"
        )
    share = settings.batch // ranks
    at_once = settings.micro_batch or share
    if share % at_once:
        raise UsageError(
            f"micro_batch: {at_once} does not divide the {share} sequences of each process"
        )
    return share, at_once


def distribute(
    model: nn.Module, blocks: nn.ModuleList, settings: Settings, world: World
) -> nn.Module:
    """The model as it is trained: itself, or with its gradients (ddp) or weights (fsdp) shared.

    Gradients are averages over the processes in either.
    """
    if world.ranks == 1:
        return model
    if settings.distributed == "fsdp":
        mesh = init_device_mesh(world.device.type, (world.ranks,))
        for block in blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model
    return DistributedDataParallel(
        model,
        device_ids=[world.device] if world.device.type == "cuda" else None,
        # tables of positions, the same everywhere
        forward_sync_buffers=False,
    )


@contextlib.contextmanager
def gradients_kept_apart(model: nn.Module, apart: bool) -> Iterator[None]:
    """With `apart` gradients are added up in each process, to be exchanged by a later backward."""
    if not apart:
        yield
    elif isinstance(model, DistributedDataParallel):
        with model.no_sync():
            yield
    elif isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            model.set_requires_gradient_sync(True)
    else:
        yield
