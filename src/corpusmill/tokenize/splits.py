"""Which split a document belongs to, and which shard of it: pure functions of ids and counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.document import id_fraction

TRAIN = "train"
VALIDATION = "validation"

SHARD_TOKENS = 64 << 20
"""Tokens in a shard: 128 MiB of uint16, large enough to read fast and small enough to copy."""


def split_positions(originals: pa.Array | pa.ChunkedArray, seed: int) -> npt.NDArray[np.float64]:
    """Where each document stands in [0, 1), shape [documents].

    `originals` are ids; for a derived document (`augmented_from`) that of its original, so that
    the two never stand on different sides of a split.
    """
    return id_fraction(originals, seed, "split")


def split_of(
    originals: pa.Array | pa.ChunkedArray, seed: int, fractions: Mapping[str, float]
) -> npt.NDArray[np.str_]:
    """The name of each document's split, shape [documents]; `split_at` its position."""
    return split_at(split_positions(originals, seed), fractions)


def split_at(
    positions: npt.NDArray[np.float64], fractions: Mapping[str, float]
) -> npt.NDArray[np.str_]:
    """The name of the split at each position, shape [documents].

    `fractions` sum to 1. The others take the positions from 0 upwards, by name, and train the rest:
    a document never changes sides when documents are added, and a larger validation share only
    adds to it. If none stands in the validation split, the one to take is that with the smallest
    position.
    """
    names = [*sorted(name for name in fractions if name != TRAIN), TRAIN]
    bounds = np.cumsum([fractions[name] for name in names[:-1]])
    return np.array(names)[np.searchsorted(bounds, positions, side="right")]


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """A shard to be written: the documents of one split that start in a range of its tokens."""

    split: str
    number: int
    first_token: int
    end_token: int
    """Exclusive."""
    parts: tuple[tuple[int, int], ...]
    """(index into the parts, position of that part's first token in the split), in order."""

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.split}-{self.number:05d}.arrow"

    def rows(self, part_start: int, tokens: npt.NDArray[np.int64]) -> slice:
        """Which of a part's documents of this split belong to the shard.

        `tokens`, shape [documents of the split in the part], counts each one's tokens.
        """
        starts = part_start + np.cumsum(tokens) - tokens
        first, end = np.searchsorted(starts, [self.first_token, self.end_token])
        return slice(int(first), int(end))


def plan_shards(
    split: str, part_tokens: Sequence[int], shard_tokens: int = SHARD_TOKENS
) -> tuple[ShardPlan, ...]:
    """Divide a split's tokens, given per part, into shards of about `shard_tokens`.

    A document belongs to the shard in which its first token falls, so that a shard ends up to one
    document past its size. A shard whose range lies inside one long document has no row, and is
    not written.
    """
    ends = np.cumsum(np.array(part_tokens, np.int64))
    starts = ends - np.array(part_tokens, np.int64)
    total = int(ends[-1]) if len(ends) else 0
    plans = []
    for number, first in enumerate(range(0, total, shard_tokens)):
        end = min(first + shard_tokens, total)
        parts = np.flatnonzero((starts < end) & (ends > first))
        plans.append(
            ShardPlan(
                split=split,
                number=number,
                first_token=first,
                end_token=end,
                parts=tuple((int(part), int(starts[part])) for part in parts),
            )
        )
    return tuple(plans)
