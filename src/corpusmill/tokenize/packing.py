"""How documents become rows of `context` tokens: end to end, or each whole where it fits.

A row is a list of segments: stretches of a shard's flat token stream that stand one after another.
Every token of a stream is in exactly one row. Which row holds what depends on the shards, the
context and the packing only.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from corpusmill.tokenize.shards import ShardReader

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

Packing = Literal["concatenate", "best_fit"]


class Segments(NamedTuple):
    """Stretches of tokens, in the order in which they stand in rows; each of shape [segments]."""

    row: Int64Array
    """Index into the rows that were asked for; ascending."""
    shard: Int64Array
    first: Int64Array
    end: Int64Array


class Concatenated:
    """Documents end to end, cut every `context` tokens; the last row may be shorter.

    `stretches` are consecutive documents: the number of the shard in its split, first token and end
    in that shard; shape [stretches, 3].
    """

    def __init__(self, stretches: Int64Array, context: int) -> None:
        self._shards, self._firsts, ends = stretches.T
        self._starts = np.concatenate(([0], np.cumsum(ends - self._firsts)))
        self._context = context
        self.tokens = int(self._starts[-1])
        """Of the stream, which are all in rows."""
        self.rows = -(-self.tokens // context)
        """Rows that they make."""

    def segments(self, rows: Int64Array) -> Segments:
        """What stands in these rows; shape [rows]."""
        row = np.arange(len(rows))
        at = rows * self._context
        end = np.minimum(at + self._context, self.tokens)
        found = []
        while len(row):
            stretch = np.searchsorted(self._starts, at, side="right") - 1
            stop = np.minimum(end, self._starts[stretch + 1])
            shift = self._firsts[stretch] - self._starts[stretch]
            found.append((row, self._shards[stretch], at + shift, stop + shift))
            crosses = stop < end
            row, at, end = row[crosses], stop[crosses], end[crosses]
        joined = [np.concatenate(column) for column in zip(*found, strict=True)]
        order = np.argsort(joined[0], kind="stable")
        return Segments(*(column[order] for column in joined))


class BestFit:
    """Documents whole in rows of `context` tokens, with as little left empty as can be found.

    A document that is longer is cut every `context` tokens, and only what is left over at its end
    shares a row. Each goes, the longest first, where it leaves the least room (best-fit decreasing;
    Johnson 1974; for language models Ding et al. 2024), among the documents of its stream in its
    shard: rows of one shard do not depend on the others. It holds 12 bytes for each segment.
    `stretches` are as those of `Concatenated`.
    """

    def __init__(self, stretches: Int64Array, readers: Sequence[ShardReader], context: int) -> None:
        shards, firsts, lengths, counts = [], [], [], []
        for shard in np.unique(stretches[:, 0]).tolist():
            mine = stretches[stretches[:, 0] == shard]
            first, length = readers[shard].documents_of(mine[:, 1], mine[:, 2])
            packed = _pack(*_pieces(first, length, context), context)
            shards.append(np.full(len(packed[0]), shard, np.int32))
            firsts.append(packed[0])
            lengths.append(packed[1])
            counts.append(packed[2])
        self._shards = np.concatenate(shards)
        self._firsts = np.concatenate(firsts)
        self._lengths = np.concatenate(lengths)
        self._starts = np.concatenate(([0], np.cumsum(np.concatenate(counts))))
        self.tokens = int(self._lengths.sum(dtype=np.int64))
        """Of the stream, which are all in rows."""
        self.rows = len(self._starts) - 1
        """Rows that they make."""

    def segments(self, rows: Int64Array) -> Segments:
        """What stands in these rows; shape [rows]."""
        begin = self._starts[rows]
        count = self._starts[rows + 1] - begin
        row = np.repeat(np.arange(len(rows)), count)
        within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        segment = np.repeat(begin, count) + within
        first = self._firsts[segment].astype(np.int64)
        return Segments(
            row, self._shards[segment].astype(np.int64), first, first + self._lengths[segment]
        )


def _pieces(first: Int64Array, length: Int64Array, context: int) -> tuple[Int32Array, Int32Array]:
    """Documents cut to at most `context` tokens, each piece as (first token, length)."""
    count = -(-length // context)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    begin = number * context
    piece = np.minimum(np.repeat(length, count) - begin, context)
    return (np.repeat(first, count) + begin).astype(np.int32), piece.astype(np.int32)


def _pack(
    first: Int32Array, length: Int32Array, context: int
) -> tuple[Int32Array, Int32Array, Int64Array]:
    """Pieces in the order of their rows, (first, length), and how many each row has, [rows]."""
    order = np.argsort(-length, kind="stable")
    row = _best_fit(length[order], context)
    order = order[np.argsort(row, kind="stable")]
    return first[order], length[order], np.bincount(row)


@numba.njit(cache=True, nogil=True)
def _best_fit(lengths: Int32Array, context: int) -> Int32Array:
    """The row of each piece, given with falling lengths; rows count from 0.

    `newest[s]` is the row with s tokens of space that came to it last, `below` the one before it,
    and `tree` says for stretches of 64 spaces at a time whether there is any.
    """
    newest = np.full(context + 1, -1, np.int32)
    below = np.full(len(lengths), -1, np.int32)
    in_64 = np.zeros(context // 64 + 2, np.int64)
    rows = np.empty(len(lengths), np.int32)
    count = 0
    for piece in range(len(lengths)):
        length = lengths[piece]
        space = length
        while space <= context and newest[space] < 0:
            space += 1
            if space % 64 == 0:
                while space <= context and in_64[space // 64] == 0:
                    space += 64
        if space <= context:
            row = newest[space]
            newest[space] = below[row]
            in_64[space // 64] -= 1
        else:
            row = np.int32(count)
            count += 1
            space = context
        rows[piece] = row
        left = space - length
        below[row] = newest[left]
        newest[left] = row
        in_64[left // 64] += 1
    return rows
