"""Loaders of tokens for training: nanoGPT's memory map, litdata, Hugging Face datasets.

    python peer_loaders.py NAME TOKENS FOLDER CONTEXT BATCH BATCHES

TOKENS is the flat stream of uint16 that all of them get. What a loader wants made of it is made in
FOLDER beforehand and not measured. Batches are shuffled pairs of int64 tensors [BATCH, CONTEXT];
CPU time is of this process, threads included. One JSON object is printed.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

torch.set_num_threads(1)
WARM_UP = 20


def nanogpt(tokens: Path, folder: Path, context: int, batch: int) -> Iterator[Any]:
    """`get_batch` as nanoGPT has it: a new memory map each time, random places, two stacks."""
    del folder
    while True:
        data = np.memmap(tokens, dtype=np.uint16, mode="r")
        places = torch.randint(len(data) - context, (batch,)).tolist()
        yield tuple(
            torch.stack(
                [torch.from_numpy(data[i + s : i + s + context].astype(np.int64)) for i in places]
            )
            for s in (0, 1)
        )


def litdata(tokens: Path, folder: Path, context: int, batch: int) -> Iterator[Any]:
    """Its loader of blocks of tokens, which are one longer than the context."""
    import os

    os.environ["DO_NOT_TRACK"] = "1"
    from litdata import StreamingDataLoader, StreamingDataset, TokensLoader
    from litdata.streaming.cache import Cache

    target = folder / "litdata"
    if not (target / "index.json").exists():
        loader = TokensLoader(block_size=context + 1)
        cache = Cache(str(target), chunk_size=(context + 1) * 8192, item_loader=loader)
        data = np.memmap(tokens, dtype=np.uint16, mode="r")
        size = 64 * (context + 1)
        for number, first in enumerate(range(0, len(data) - size, size)):
            cache[number] = torch.from_numpy(data[first : first + size].astype(np.int32))
        cache.done()
        cache.merge()
    while True:
        dataset = StreamingDataset(
            str(target), item_loader=TokensLoader(block_size=context + 1), shuffle=True
        )
        for rows in StreamingDataLoader(dataset, batch_size=batch, num_workers=0, drop_last=True):
            rows = rows.long()
            yield rows[:, :-1], rows[:, 1:]


def hf_datasets(tokens: Path, folder: Path, context: int, batch: int) -> Iterator[Any]:
    """Rows of a fixed length in an Arrow file, shuffled by index, read a batch at a time."""
    from datasets import Dataset, load_from_disk

    target = folder / "hf"
    if not target.exists():
        data = np.fromfile(tokens, np.uint16)
        rows = len(data) // (context + 1)
        import pyarrow as pa

        flat = pa.array(data[: rows * (context + 1)])
        table = pa.table({"tokens": pa.FixedSizeListArray.from_arrays(flat, context + 1)})
        Dataset(table).save_to_disk(str(target))
    dataset = load_from_disk(str(target)).with_format("numpy")
    epoch = 0
    while True:
        shuffled = dataset.shuffle(seed=epoch, keep_in_memory=True)
        for rows in shuffled.iter(batch_size=batch, drop_last_batch=True):
            block = torch.from_numpy(np.asarray(rows["tokens"]).astype(np.int64))
            yield block[:, :-1], block[:, 1:]
        epoch += 1


LOADERS: dict[str, Callable[[Path, Path, int, int], Iterator[Any]]] = {
    "nanogpt": nanogpt,
    "litdata": litdata,
    "hf_datasets": hf_datasets,
}


def main() -> None:
    """Make batches and count what they cost."""
    name, tokens, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    context, batch, batches = map(int, sys.argv[4:7])
    loader = LOADERS[name](tokens, folder, context, batch)
    for _ in range(WARM_UP):
        inputs, targets = next(loader)
    assert inputs.shape == targets.shape == (batch, context)
    assert inputs.dtype == targets.dtype == torch.int64
    start = time.process_time()
    for _ in range(batches):
        next(loader)
    seconds = time.process_time() - start
    sys.stdout.write(json.dumps({"tokens": batches * batch * context, "cpu_seconds": seconds}))


if __name__ == "__main__":
    main()
