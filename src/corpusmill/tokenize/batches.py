"""Batches of tokens for any training program: NumPy arrays, no torch needed.

for inputs, targets, documents in TokenBatches("run/shards", context=1024, batch=16):
    ...
"""

from typing import Any, get_args

import numpy as np

from corpusmill.errors import UsageError, one_of
from corpusmill.tokenize.manifest import BY_SOURCE, ShardInfo
from corpusmill.tokenize.order import WHOLE, Int64Array, TrainingOrder
from corpusmill.tokenize.packing import BestFit, Concatenated, Packing, Segments
from corpusmill.tokenize.rows import Batch, RowReader
from corpusmill.tokenize.shards import DocumentSpan, SplitTokens

ORDER_ROWS = 16384
"""Rows whose place in the order is worked out at once: one by one it would cost as much as reading
them."""


def streams_of(
    split: SplitTokens, by: str, context: int, packing: Packing
) -> dict[str, Concatenated | BestFit]:
    """The rows of each class that has tokens in the split, by name; `by` says what classes are, and
    WHOLE makes one of all."""
    stretches: dict[str, list[Int64Array]] = {}
    for number, shard in enumerate(split.shards):
        for name, each in _stretches(split, number, shard, by).items():
            stretches.setdefault(name, []).append(np.insert(each, 0, number, axis=1))
    joined = {name: np.concatenate(each) for name, each in sorted(stretches.items())}
    if packing == "concatenate":
        return {name: Concatenated(each, context) for name, each in joined.items()}
    readers = [split.reader(number) for number in range(len(split.shards))]
    return {name: BestFit(each, readers, context) for name, each in joined.items()}


def _stretches(split: SplitTokens, number: int, shard: ShardInfo, by: str) -> dict[str, Int64Array]:
    """By class: the tokens (first, end) of consecutive documents of a shard."""
    if by == WHOLE:
        return {WHOLE: np.array([[0, shard.tokens]])}
    if by != BY_SOURCE:
        return split.reader(number).stretches(by)
    found: dict[str, list[tuple[int, int]]] = {}
    first = 0
    for run in shard.runs:
        found.setdefault(run.source, []).append((first, first + run.tokens))
        first += run.tokens
    return {source: np.array(each, np.int64) for source, each in found.items()}


class TokenBatches:
    """Batches in training order, from step `start_step` + 1 on, without end.

    Rank r of R gets rows r * batch / R and following of the same global batch that a single rank
    would get. `packing` says how documents become rows (see `packing.py`); with `documents` the
    batches number the documents within their rows, for attention that does not cross from one into
    another. Raises UsageError for settings that do not fit the shards, RunError for shards that are
    damaged.
    """

    def __init__(
        self,
        shards_dir: str,
        *,
        context: int,
        batch: int,
        split: str = "train",
        seed: int = 1,
        packing: Packing = "concatenate",
        documents: bool = False,
        rank: int = 0,
        ranks: int = 1,
        start_step: int = 0,
    ) -> None:
        if min(context, batch, ranks) < 1 or not 0 <= rank < ranks or start_step < 0:
            raise UsageError(
                f"context {context}, batch {batch} and ranks {ranks} must be at least 1, "
                f"rank {rank} one of 0 to ranks - 1, and start_step {start_step} at least 0"
            )
        if packing not in get_args(Packing):
            raise UsageError(f"packing: {one_of(str(packing), get_args(Packing))}")
        if batch % ranks:
            raise UsageError(f"batch: {batch} sequences cannot be divided over {ranks} ranks")
        self.context = context
        self.split_tokens = SplitTokens(shards_dir, split)
        mixture = self.split_tokens.manifest.mixture
        by = WHOLE if mixture is None else mixture.by
        streams = streams_of(self.split_tokens, by, context, packing)
        named = {WHOLE} if mixture is None else mixture.named()
        self.streams = {name: rows for name, rows in streams.items() if name in named}
        """What training draws from, by class; one stream named WHOLE without a mixture."""
        self.order = TrainingOrder(self.streams, mixture, context=context, batch=batch, seed=seed)
        self.step = start_step
        """Steps taken so far: all the state there is."""
        per_rank = batch // ranks
        self._mine = np.arange(rank * per_rank, (rank + 1) * per_rank)
        self._reader = RowReader(self.split_tokens, context, documents=documents)
        self._block_steps = max(1, ORDER_ROWS // per_rank)
        self._block: tuple[int, Segments] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_block": None}

    def __iter__(self) -> "TokenBatches":
        return self

    def __next__(self) -> Batch:
        self.step += 1
        return self.batch(self.step)

    def batch(self, step: int) -> Batch:
        """The batch of step 1, 2, ...; its arrays have batch / ranks rows."""
        return self._reader.read(self._segments(step), len(self._mine))

    def documents(self, step: int) -> list[list[DocumentSpan]]:
        """For each row of the batch, the documents that its targets come from, in order."""
        found: list[list[DocumentSpan]] = [[] for _ in self._mine]
        columns = (column.tolist() for column in self._segments(step))
        for row, shard, first, end in zip(*columns, strict=True):
            found[row] += self.split_tokens.reader(shard).spans(first, end)
        return found

    def _segments(self, step: int) -> Segments:
        if step < 1:
            raise ValueError(f"steps count from 1, not {step}")
        block, number = divmod(step - 1, self._block_steps)
        if self._block is None or self._block[0] != block:
            self._block = (block, self._lay_out(block))
        laid = self._block[1]
        rows = len(self._mine)
        first, end = np.searchsorted(laid.row, [number * rows, (number + 1) * rows])
        row, *place = (column[first:end] for column in laid)
        return Segments(row - number * rows, *place)

    def _lay_out(self, block: int) -> Segments:
        """What stands in the rows of all steps of a block."""
        steps = np.arange(block * self._block_steps, (block + 1) * self._block_steps)
        streams, rows = self.order.draw((steps[:, None] * self.order.batch + self._mine).ravel())
        found = []
        for stream, name in enumerate(self.order.names):
            mine = np.flatnonzero(streams == stream)
            if not len(mine):  # a small weight, or a budget that is used up
                continue
            row, *place = self.streams[name].segments(rows[mine])
            found.append((mine[row], *place))
        joined = [np.concatenate(column) for column in zip(*found, strict=True)]
        order = np.argsort(joined[0], kind="stable")
        return Segments(*(column[order] for column in joined))
