"""A shuffled order, computed where it is needed: nothing to store, nothing to wind forward."""

import numpy as np
import numpy.typing as npt
import xxhash

Int64Array = npt.NDArray[np.int64]
UInt64Array = npt.NDArray[np.uint64]

FEISTEL_ROUNDS = 6


def permute(index: Int64Array, size: int, key: str) -> Int64Array:
    """A keyed permutation of range(size), applied to `index` of any shape.

    A balanced Feistel network over the next even power of two, walked until it lands inside (Black
    and Rogaway 2002, "cycle walking"): at most four times on average.
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    keys = [xxhash.xxh3_64_intdigest(f"{key}\0{n}".encode()) for n in range(FEISTEL_ROUNDS)]
    result = index.astype(np.uint64)
    outside = np.ones(result.shape, bool)
    while outside.any():
        left, right = result[outside] >> half, result[outside] & mask
        for round_key in keys:
            left, right = right, left ^ (_mix(right ^ np.uint64(round_key)) & mask)
        result[outside] = (left << half) | right
        outside = result >= np.uint64(size)
    return result.astype(np.int64)


def _mix(x: UInt64Array) -> UInt64Array:
    """splitmix64's finaliser (Steele et al. 2014): every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
