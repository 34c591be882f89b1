"""The two ends of an exchange: rows are cut by partition, and brought together in their order.

What lies between, moving pieces to the worker of their partition, is the engine's. A partition is a
function of the key alone and never of the engine: all of them write the same files.
"""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.pipelines.engines.engine import ExchangeTask


def partition_of(keys: pa.Array, partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key (int64 or string)."""
    if pa.types.is_integer(keys.type):
        mixed = keys.to_numpy(zero_copy_only=False).astype(np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        hashed = mixed >> np.uint64(32)
    else:
        hashes = (xxhash.xxh3_64_intdigest(key.encode()) for key in keys.to_pylist())
        hashed = np.fromiter(hashes, np.uint64, len(keys))
    result: npt.NDArray[np.int64] = (hashed % np.uint64(partitions)).astype(np.int64)
    return result


def cut(task: ExchangeTask, dataset: int, path: str) -> list[pa.Table]:
    """The rows of one file, a table per partition; with several datasets, `dataset` tags them."""
    table = storage.read_ipc(path)
    if len(task.datasets) > 1:
        tag = pa.array(np.full(table.num_rows, dataset, np.int64))
        table = table.append_column("dataset", tag)
    partitions = partition_of(one_chunk(table.column(task.by)), task.partitions)
    order = np.argsort(partitions, kind="stable")
    ends = np.searchsorted(partitions[order], np.arange(task.partitions + 1))
    table = table.take(pa.array(order))
    return [table.slice(a, b - a) for a, b in pairwise(ends)]


def bring_together(task: ExchangeTask, partition: int, pieces: Iterable[pa.Table]) -> str:
    """Write what `then` makes of a partition's rows, sorted by key, id and dataset; the file.

    Pieces come in the order of datasets and files, and there is one at least, which may be empty.
    """
    rows = pa.concat_tables(pieces, promote_options="default")
    order = [(task.by, "ascending"), ("id", "ascending")]
    if len(task.datasets) > 1:
        order.append(("dataset", "ascending"))
    path = storage.join(task.folder, f"rows-{partition:05d}.arrow")
    storage.write_ipc(path, task.then(rows.sort_by(list(dict.fromkeys(order)))))
    return path
