"""Token shards as a dataset of any torch program: no GPU and no distributed set-up needed.

from torch.utils.data import DataLoader
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.dataset import TokenDataset

dataset = TokenDataset(TokenBatches("run/shards", context=1024, batch=16))
for inputs, targets, documents in DataLoader(dataset, batch_size=None, num_workers=2):
    ...
"""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

from corpusmill.errors import UsageError
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.rows import Batch

try:
    import torch
    from torch.utils.data import IterableDataset, get_worker_info
except ModuleNotFoundError:
    raise UsageError(
        "a torch dataset needs torch: pip install 'corpusmill[train]'; "
        "corpusmill.tokenize.batches gives NumPy arrays without it"
    ) from None


class Tensors(NamedTuple):
    """A batch as tensors of shape [rows, context]; see `batches.Batch`."""

    inputs: torch.Tensor
    """int64."""
    targets: torch.Tensor
    """int64."""
    documents: torch.Tensor | None
    """int32, or None unless it was asked for."""


class TokenDataset(IterableDataset[Tensors]):
    """Whole batches in training order, without end: give DataLoader `batch_size=None`.

    With any number of loader workers the batches come in the
    order that one process would give them. `state_dict` says how far this process has come;
    `load_state_dict`, before iterating, goes on from there: `{"step": n}` after n steps, with any
    number of workers and ranks. Iterating anew goes on where this process has stopped; in loader
    workers, which make batches that are never asked for, it begins where the dataset stood.
    """

    def __init__(self, batches: TokenBatches) -> None:
        super().__init__()
        self._batches = batches
        self._start = self._batches.step
        self._taken = self._loaded = 0

    def __iter__(self) -> Iterator[Tensors]:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        if worker is not None:
            self._taken = self._loaded
        while True:
            step = self._start + self._taken * workers + number + 1
            self._taken += 1
            yield as_tensors(self._batches.batch(step))

    def state_dict(self) -> dict[str, int]:
        """`step`, before which all were taken when this process began, and how many it took since.

        A loader worker takes every n-th batch, which is why there are two numbers.
        """
        if get_worker_info() is None:
            return {"step": self._start + self._taken, "taken": 0}
        return {"step": self._start, "taken": self._taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after a state that `state_dict` gave, or after `step` steps."""
        self._start, self._taken = state["step"], state.get("taken", 0)
        self._loaded = self._taken


def as_tensors(batch: Batch) -> Tensors:
    """The same memory as tensors."""
    documents = None if batch.documents is None else torch.from_numpy(batch.documents)
    return Tensors(torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets), documents)


def prefetched(
    batches: Iterable[Tensors], device: torch.device, depth: int = 2
) -> Generator[Tensors, None, None]:
    """The batches on a device, up to `depth` of them made and copied ahead by a thread.

    For CUDA they are copied from pinned memory, beside what the device is doing. An exception of
    `batches` is raised where it would have been without the thread, which ends with the iteration.
    What a TokenDataset says of its state is ahead, too: count the steps and save `{"step": n}`.
    """
    ready: queue.Queue[Tensors | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def offer(item: Tensors | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for batch in batches:
                offer(_moved(batch, device))
                if stop.is_set():
                    return
            offer(None)
        except BaseException as error:
            offer(error)

    thread = threading.Thread(target=work, name="corpusmill-prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _moved(batch: Tensors, device: torch.device) -> Tensors:
    if device.type == "cpu":
        return batch

    def move(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)

    documents = None if batch.documents is None else move(batch.documents)
    return Tensors(move(batch.inputs), move(batch.targets), documents)
