"""Writing checkpoints beside the training: every process its share, one of them the name."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import torch
import torch.distributed as dist
import xxhash
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, WriteItem
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult

from corpusmill import storage
from corpusmill.errors import RunError
from corpusmill.pretrain.checkpoint import (
    FOLDER,
    RECORD_FILE,
    list_checkpoints,
    record_of,
    remove_checkpoint,
    tensors_of,
    ties_of,
)
from corpusmill.pretrain.parallel import PATIENCE, World

FILE_BYTES = 1 << 30
"""Tensors that a file of a share holds, where one alone is not larger: a file is in memory once
more while it is written."""


class Saver:
    """Saves what a training has reached while it goes on. All processes of a training have one."""

    def __init__(
        self,
        out: str,
        world: World,
        settings: Mapping[str, Any],
        *,
        keep: int,
        keep_every: int | None,
    ) -> None:
        """Of all checkpoints the newest `keep` stay, and those whose step `keep_every` divides."""
        self._out = out
        self._world = world
        self._settings = settings
        self._keep = keep
        self._keep_every = keep_every
        # messages about saving must not come between those of the steps
        self._group = dist.new_group(backend="gloo", timeout=PATIENCE) if world.ranks > 1 else None
        self._saving: Future[Any] | None = None

    def save(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Copy the state after `step`, and write it from now on; the one before is finished first.

        All processes call it. Raises RunError when the one before could not be written.
        """
        self.finish()
        writer = _ShareWriter(self, step, ties_of(model))
        saving = async_save(
            dict(tensors_of(model, optimizer)),
            storage_writer=writer,
            process_group=self._group,
            no_dist=self._group is None,
        )
        assert isinstance(saving, Future)
        self._saving = saving

    def finish(self) -> None:
        """Wait until what was saved is on the disk. Raises RunError if it could not be written."""
        saving, self._saving = self._saving, None
        if saving is None:
            return
        try:
            saving.result()
        except CheckpointException as error:
            reasons = "; ".join(sorted({str(failure[0]) for failure in error.failures.values()}))
            raise RunError(f"the checkpoint was not written: {reasons}") from None

    def close(self) -> None:
        """Wait as `finish` does when something else went wrong already, and say nothing."""
        with contextlib.suppress(RunError, RuntimeError):
            self.finish()

    @property
    def rank(self) -> int:
        """Of this process."""
        return self._world.rank

    def unfinished(self, step: int) -> str:
        """Where a checkpoint is until it is whole."""
        return os.path.join(self._out, FOLDER, f"{storage.TEMPORARY}step-{step:08d}")

    def publish(self, step: int, tied: dict[str, str], shares: dict[str, str]) -> None:
        """Let it be a checkpoint, for all shares are written, and remove old ones."""
        record = record_of(step, self._settings, tied, shares)
        unfinished = self.unfinished(step)
        storage.write_atomic(os.path.join(unfinished, RECORD_FILE), record)
        name = f"step-{step:08d}-{xxhash.xxh3_128_hexdigest(record)}"
        os.rename(unfinished, os.path.join(self._out, FOLDER, name))
        for old in list_checkpoints(self._out)[: -self._keep]:
            if self._keep_every is None or old.step % self._keep_every:
                remove_checkpoint(old)


class _ShareWriter(StorageWriter):
    """What torch.distributed.checkpoint asks to write the tensors that it shared out.

    Its own writers pickle, or write the notes of a safetensors file in an order of chance.
    """

    def __init__(self, saver: Saver, step: int, tied: dict[str, str]) -> None:
        super().__init__()
        self._saver = saver
        self._step = step
        self._tied = tied

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> torch.futures.Future[Any]:
        """Write this process' share; the results name the file and checksum of each tensor."""
        from safetensors.torch import save

        results = []
        for number, items in enumerate(_files(plan.items)):
            tensors: dict[str, Tensor] = {}
            offsets = {}
            for item in items:
                tensor = planner.resolve_data(item)
                assert isinstance(tensor, Tensor)
                assert item.tensor_data is not None
                tensors[item.index.fqn] = tensor.detach().contiguous()
                offsets[item.index.fqn] = {"saved_offsets": list(item.tensor_data.chunk.offsets)}
            # the notes that HuggingFaceStorageReader reads: where in its whole a tensor belongs
            data = save(tensors, {"DCP_SHARDING_INFO": json.dumps(offsets)})
            name = f"share-{self._saver.rank:05d}-{number:05d}.safetensors"
            path = os.path.join(self._saver.unfinished(self._step), name)
            info = storage.write_atomic(path, data)
            results += [
                WriteResult(
                    index=item.index,
                    size_in_bytes=tensors[item.index.fqn].nbytes,
                    storage_data=(name, info.xxh3),
                )
                for item in items
            ]
        written: torch.futures.Future[Any] = torch.futures.Future()
        written.set_result(results)
        return written

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """In one process, when all have written."""
        shares = dict(result.storage_data for share in results for result in share)
        self._saver.publish(self._step, self._tied, shares)

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Nothing is kept between checkpoints: each has a writer of its own."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Folders are made with their first file."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """As it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """As they are."""
        return plans

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Where a checkpoint goes, the saver says."""
        return False


def _files(items: list[WriteItem]) -> Iterator[list[WriteItem]]:
    """The tensors of a share, in their order, as many at a time as one file is to hold."""
    held: list[WriteItem] = []
    size = 0
    for item in items:
        more = item.tensor_storage_size() or 0
        if held and size + more > FILE_BYTES:
            yield held
            held, size = [], 0
        held.append(item)
        size += more
    if held:
        yield held
