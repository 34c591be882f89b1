"""One process or several: who this one is, and what it does together with the others.

Started by `torchrun`, every process reads its rank from the environment; without it there is one.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from corpusmill.errors import UsageError
from corpusmill.pretrain.config import Settings


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes that train together."""

    rank: int
    """Of this one, from 0."""
    ranks: int
    device: torch.device
    """Of this one."""

    @property
    def first(self) -> bool:
        """Whether this is the one that speaks and writes what there is one of."""
        return self.rank == 0

    def total(self, numbers: Tensor) -> Tensor:
        """The numbers summed over all processes."""
        if self.ranks > 1:
            dist.all_reduce(numbers)
        return numbers

    def wait(self) -> None:
        """Until all are here."""
        if self.ranks > 1:
            dist.barrier()


@contextlib.contextmanager
def joined(device: str) -> Iterator[World]:
    """The world of this process on a `cpu` or `cuda` device, for as long as the context lasts."""
    ranks, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    place = torch.device(device)
    if device == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    if ranks == 1:
        yield World(rank=0, ranks=1, device=place)
        return
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield World(rank=rank, ranks=ranks, device=place)
    finally:
        dist.destroy_process_group()


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
        model, device_ids=[world.device] if world.device.type == "cuda" else None
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
