"""Batches of tokens for any training loop: NumPy in, NumPy out, no torch needed.

for tokens in TokenBatches("run/shards", context=1024, batch=16):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
"""

from collections.abc import Iterator

import numpy as np

from corpusmill.errors import UsageError
from corpusmill.tokenize.manifest import read_manifest
from corpusmill.tokenize.order import Int64Array, Stream, TrainingOrder
from corpusmill.tokenize.shards import DocumentSpan, ShardReader


class SplitTokens:
    """The tokens of one split; shards are opened when they are first needed."""

    def __init__(self, folder: str, split: str) -> None:
        self.folder = folder
        self.split = split
        self.manifest = read_manifest(folder)
        self.shards = self.manifest.of_split(split)
        self.total = sum(shard.tokens for shard in self.shards)
        self._readers: dict[int, ShardReader] = {}

    def reader(self, number: int) -> ShardReader:
        """The shard with this index in the split."""
        if number not in self._readers:
            shard = self.shards[number]
            self._readers[number] = ShardReader(self.folder, shard, self.manifest.tokenizer)
        return self._readers[number]

    def head(self, count: int) -> Int64Array:
        """The first `count` tokens, or all if there are fewer, as an owned array."""
        pieces = []
        for number, shard in enumerate(self.shards):
            pieces.append(self.reader(number).tokens(0, min(count, shard.tokens)))
            count -= len(pieces[-1])
            if not count:
                break
        return np.concatenate(pieces)

    def stretches(self, stream: Stream, first: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Tokens first..end of a stream as (shard, first, end) in the shards that hold them."""
        number = int(np.searchsorted(stream.starts, first, side="right")) - 1
        while first < end:
            stop = min(end, int(stream.starts[number + 1]))
            shift = int(stream.firsts[number] - stream.starts[number])
            yield int(stream.shards[number]), first + shift, stop + shift
            first, number = stop, number + 1


class TokenBatches:
    """Batches in training order, from step `start_step` + 1 on, without end.

    Each is an owned int64 array of shape [batch // ranks, context + 1]: inputs are its first
    `context` columns, targets its last. Rank r of R gets rows r * batch / R and following of the
    same global batch that a single rank would get. Raises UsageError for settings that do not fit
    the shards, RunError for shards that are damaged.
    """

    def __init__(
        self,
        shards_dir: str,
        *,
        context: int,
        batch: int,
        split: str = "train",
        seed: int = 1,
        rank: int = 0,
        ranks: int = 1,
        start_step: int = 0,
    ) -> None:
        if min(context, batch, ranks) < 1 or not 0 <= rank < ranks:
            raise UsageError(
                f"context {context}, batch {batch} and ranks {ranks} must be at least 1, "
                f"and rank {rank} one of 0 to ranks - 1"
            )
        if batch % ranks:
            raise UsageError(f"batch: {batch} sequences cannot be divided over {ranks} ranks")
        self.context = context
        self.split_tokens = SplitTokens(shards_dir, split)
        self.order = TrainingOrder(
            self.split_tokens.manifest, split=split, context=context, batch=batch, seed=seed
        )
        self.step = start_step
        """Steps taken so far: all the state there is."""
        per_rank = batch // ranks
        self._mine = slice(rank * per_rank, (rank + 1) * per_rank)

    def __iter__(self) -> "TokenBatches":
        return self

    def __next__(self) -> Int64Array:
        self.step += 1
        return self.batch(self.step)

    def batch(self, step: int) -> Int64Array:
        """The batch of step 1, 2, ...; int64 of shape [batch // ranks, context + 1]."""
        rows = np.empty((self._mine.stop - self._mine.start, self.context + 1), np.int64)
        for row, (stream, sample) in zip(rows, self._samples(step), strict=True):
            first = sample * self.context
            filled = 0
            for shard, begin, end in self.split_tokens.stretches(
                stream, first, first + self.context + 1
            ):
                row[filled : filled + end - begin] = self.split_tokens.reader(shard).tokens(
                    begin, end
                )
                filled += end - begin
        return rows

    def documents(self, step: int) -> list[list[DocumentSpan]]:
        """For each sequence of the batch, the documents that its inputs come from, in order."""
        return [
            [
                span
                for shard, begin, end in self.split_tokens.stretches(
                    stream, sample * self.context, (sample + 1) * self.context
                )
                for span in self.split_tokens.reader(shard).spans(begin, end)
            ]
            for stream, sample in self._samples(step)
        ]

    def _samples(self, step: int) -> list[tuple[Stream, int]]:
        streams, samples = self.order.samples(step)
        return [
            (self.order.streams[stream], sample)
            for stream, sample in zip(
                streams[self._mine].tolist(), samples[self._mine].tolist(), strict=True
            )
        ]
