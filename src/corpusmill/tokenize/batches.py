"""Batches of tokens for any training program: NumPy arrays, no torch needed.

for inputs, targets, documents in TokenBatches("run/shards", context=1024, batch=16):
    ...
"""

from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from corpusmill.errors import RunError, UsageError, one_of
from corpusmill.tokenize.manifest import read_manifest
from corpusmill.tokenize.order import WHOLE, Rows, TrainingOrder
from corpusmill.tokenize.packing import BestFit, Concatenated, Packing, Stretch
from corpusmill.tokenize.shards import DocumentSpan, ShardReader

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

IGNORED = -100
"""A target where there is nothing to predict: after the last token of a row that is not full.
torch's cross-entropy leaves it out."""

ORDER_ROWS = 4096
"""Rows whose place in the order is worked out at once: one by one it would cost as much as reading
them."""

Row = list[tuple[int, int, int]]
"""Segments (shard, first, end)."""

NO_BLOCK: tuple[int, list[Row]] = (-1, [])


class Batch(NamedTuple):
    """Arrays that belong to the caller, each of shape [rows, context]."""

    inputs: Int64Array
    """What the model reads: before each target the token that it follows. A document's first token
    follows the end-of-text token, which is thus the beginning of every document."""
    targets: Int64Array
    """What it is to predict, or IGNORED."""
    documents: Int32Array | None
    """Number of the document within its row that an input belongs to, from 0; padding is a document
    of its own. None unless it was asked for."""


class SplitTokens:
    """The tokens of one split; shards are opened when they are first needed."""

    def __init__(self, folder: str, split: str) -> None:
        self.folder = folder
        self.split = split
        self.manifest = read_manifest(folder)
        self.shards = self.manifest.of_split(split)
        self.total = sum(shard.tokens for shard in self.shards)
        self._readers: dict[int, ShardReader] = {}

    def __getstate__(self) -> dict[str, Any]:
        # a memory map would be copied into the other process
        return self.__dict__ | {"_readers": {}}

    def reader(self, number: int) -> ShardReader:
        """The shard with this index in the split."""
        if number not in self._readers:
            shard = self.shards[number]
            self._readers[number] = ShardReader(self.folder, shard, self.manifest.tokenizer)
        return self._readers[number]

    def stream(self, source: str, context: int, packing: Packing) -> Rows:
        """The rows of one source, or with WHOLE those of all; raises UsageError if it has none."""
        stretches = []
        for number, shard in enumerate(self.shards):
            first = 0
            for run in shard.runs:
                if source in (WHOLE, run.source):
                    stretches.append(Stretch(number, first, first + run.tokens))
                first += run.tokens
        if not stretches:
            raise UsageError(f"split {self.split!r} has no tokens of source {source!r}")
        if packing == "concatenate":
            return Concatenated(stretches, context)
        readers = [self.reader(number) for number in range(len(self.shards))]
        return BestFit(stretches, readers, context)

    def sources(self) -> list[str]:
        """Those that have tokens in the split, sorted."""
        return sorted({run.source for shard in self.shards for run in shard.runs})


class RowReader:
    """Rows of a stream as arrays."""

    def __init__(self, split: SplitTokens, context: int, *, documents: bool) -> None:
        self._split = split
        self._context = context
        self._documents = documents
        self._end_of_text = split.manifest.tokenizer.end_of_text

    def read(self, rows: list[Row]) -> Batch:
        """The rows, each given as segments (shard, first, end)."""
        if all(len(row) == 1 and row[0][2] - row[0][1] == self._context for row in rows):
            return self._read_full(rows)
        block = np.full((2, len(rows), self._context), self._end_of_text, np.int64)
        inputs, targets = block
        starts = np.zeros(inputs.shape, bool)
        for row, segments in enumerate(rows):
            filled = 0
            for shard, first, end in segments:
                stop = filled + end - first
                reader = self._split.reader(shard)
                reader.fill(inputs[row, filled:stop], first - 1)
                reader.fill(targets[row, filled:stop], first)
                starts[row, filled] = True
                filled = stop
            if filled < self._context:
                starts[row, filled] = True
                targets[row, filled:] = IGNORED
        self._check(block)
        if not self._documents:
            return Batch(inputs, targets, None)
        starts |= (inputs == self._end_of_text) & (targets != IGNORED)
        return Batch(inputs, targets, _numbered(starts))

    def _read_full(self, rows: list[Row]) -> Batch:
        """Rows of one segment each: one array serves for inputs and targets."""
        block = np.empty((len(rows), self._context + 1), np.int64)
        for line, ((shard, first, _),) in zip(block, rows, strict=True):
            self._split.reader(shard).fill(line, first - 1)
        self._check(block)
        inputs = block[:, :-1]
        numbers = _numbered(inputs == self._end_of_text) if self._documents else None
        return Batch(inputs, block[:, 1:], numbers)

    def _check(self, block: Int64Array) -> None:
        largest = int(block.max())
        if largest >= self._split.manifest.tokenizer.vocab_size:
            raise RunError(
                f"{self._split.folder} is damaged: token {largest} is not in the vocabulary. "
                "Make the shards again, or copy them again"
            )


def _numbered(starts: npt.NDArray[np.bool_]) -> Int32Array:
    """The number of each position's document in its row, given where documents start."""
    starts[:, 0] = False
    numbers: Int32Array = np.cumsum(starts, axis=1, dtype=np.int32)
    return numbers


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
        held = self.split_tokens.sources()
        sources = [WHOLE] if mixture is None else [s for s in held if s in mixture.named()]
        self.streams = {s: self.split_tokens.stream(s, context, packing) for s in sources}
        """What training draws from, by source; one stream named WHOLE without a mixture."""
        self.order = TrainingOrder(self.streams, mixture, context=context, batch=batch, seed=seed)
        self.step = start_step
        """Steps taken so far: all the state there is."""
        per_rank = batch // ranks
        self._mine = np.arange(rank * per_rank, (rank + 1) * per_rank)
        self._rows = RowReader(self.split_tokens, context, documents=documents)
        self._block_steps = max(1, ORDER_ROWS // per_rank)
        self._block = NO_BLOCK

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_block": NO_BLOCK}

    def __iter__(self) -> "TokenBatches":
        return self

    def __next__(self) -> Batch:
        self.step += 1
        return self.batch(self.step)

    def batch(self, step: int) -> Batch:
        """The batch of step 1, 2, ...; its arrays have batch / ranks rows."""
        return self._rows.read(self._segments(step))

    def documents(self, step: int) -> list[list[DocumentSpan]]:
        """For each row of the batch, the documents that its targets come from, in order."""
        return [
            [
                span
                for shard, first, end in row
                for span in self.split_tokens.reader(shard).spans(first, end)
            ]
            for row in self._segments(step)
        ]

    def _segments(self, step: int) -> list[Row]:
        if step < 1:
            raise ValueError(f"steps count from 1, not {step}")
        block, number = divmod(step - 1, self._block_steps)
        if self._block[0] != block:
            self._block = (block, self._lay_out(block))
        rows = len(self._mine)
        return self._block[1][number * rows : (number + 1) * rows]

    def _lay_out(self, block: int) -> list[Row]:
        """The rows of all steps of a block, as segments (shard, first, end)."""
        steps = np.arange(block * self._block_steps, (block + 1) * self._block_steps)
        numbers = (steps[:, None] * self.order.batch + self._mine).ravel()
        streams, rows = self.order.draw(numbers)
        laid: list[Row] = [[] for _ in range(len(numbers))]
        for stream, name in enumerate(self.order.names):
            mine = np.flatnonzero(streams == stream)
            row, *segment = self.streams[name].segments(rows[mine])
            places = zip(*(column.tolist() for column in segment), strict=True)
            for line, place in zip(mine[row].tolist(), places, strict=True):
                laid[line].append(place)
        return laid
