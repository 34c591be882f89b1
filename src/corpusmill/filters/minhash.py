"""How much two texts have in common: MinHash signatures that propose, sketches that verify.

A text is the set of hashes of its shingles (runs of words). Similarity is Jaccard's: shared
shingles / all shingles of both. Two texts become candidates when one band of their signatures is
equal; what counts is the similarity computed from their sketches.

Compiled kernels are cached beside this file with the code of `shingles` inside. Numba does not
notice when that changes: remove `__pycache__` after changing a kernel there.
"""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from corpusmill.filters.shingles import Hashes, Offsets, mix, shingle_hashes

PresetName = Literal["fineweb", "dolma3", "redpajama-0.7", "slimpajama"]

SKETCH = 1024
"""Hashes in a sketch. Texts with fewer shingles are compared exactly; for longer ones the standard
error of the similarity is sqrt(J (1 - J) / SKETCH): 0.014 at J = 0.75."""


@dataclass(frozen=True, kw_only=True)
class Banding:
    """How signatures are cut into bands, and texts into shingles."""

    bands: int
    rows: int
    """Values of the signature in one band."""
    shingle: int
    """Words."""

    def candidate_probability(self, similarity: float) -> float:
        """That two texts share a band: 1 - (1 - J^rows)^bands."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.bands


PRESETS: dict[PresetName, Banding] = {
    "fineweb": Banding(bands=14, rows=8, shingle=5),
    "dolma3": Banding(bands=26, rows=11, shingle=5),
    "redpajama-0.7": Banding(bands=14, rows=9, shingle=13),
    "slimpajama": Banding(bands=9, rows=13, shingle=13),
}
"""As the corpora of these names were made."""


@numba.njit(cache=True, nogil=True)
def signature(shingles: Hashes, size: int) -> Hashes:
    """Fast Similarity Sketching (Dahlgaard, Knudsen and Thorup 2017); shape [size].

    Each round throws every shingle into one bin at random; a bin keeps the smallest value of the
    first round that reaches it. After `size` rounds, rounds serve one bin each, so every bin is
    filled. Equal bins / all bins estimates the similarity, with less error than independent
    permutations for small sets, in O(n + size log size). `shingles` must not be empty.
    """
    values = np.empty(size, np.uint64)
    filled_in = np.full(size, -1, np.int64)
    low_half = np.uint64(0xFFFFFFFF)
    filled = 0
    turn = 0
    while filled < size:
        salt = np.uint64(turn + 1) * np.uint64(0x9E3779B97F4A7C15)
        for shingle in shingles:
            value = mix(shingle + salt)
            if turn < size:
                scaled = (value >> np.uint64(32)) * np.uint64(size)
                slot = np.int64(scaled >> np.uint64(32))
                value = (scaled << np.uint64(32)) | (value & low_half)
            else:
                slot = np.int64(turn - size)
            if filled_in[slot] == -1:
                filled_in[slot] = turn
                values[slot] = value
                filled += 1
            elif filled_in[slot] == turn and value < values[slot]:
                values[slot] = value
        turn += 1
    return values


@numba.njit(cache=True, nogil=True)
def band_keys(
    words: Hashes, offsets: Offsets, shingle: int, bands: int, rows: int
) -> tuple[npt.NDArray[np.int64], Offsets]:
    """The keys of all bands of each text that has a shingle: flat keys, and offsets [texts + 1].

    Keys of different bands are different, so that one exchange can serve all.
    """
    texts = len(offsets) - 1
    keys = np.empty(texts * bands, np.int64)
    ends = np.zeros(texts + 1, np.int64)
    n = 0
    for text in range(texts):
        shingles = shingle_hashes(words[offsets[text] : offsets[text + 1]], shingle)
        if len(shingles) > 0:
            values = signature(shingles, bands * rows)
            for band in range(bands):
                key = mix(np.uint64(band + 1))
                for row in range(rows):
                    key = mix(key ^ values[band * rows + row])
                keys[n] = np.int64(key)
                n += 1
        ends[text + 1] = n
    return keys[:n], ends


@numba.njit(cache=True, nogil=True)
def _distinct(values: Hashes) -> Hashes:
    ordered = np.sort(values)
    n = 0
    for i in range(len(ordered)):
        if n == 0 or ordered[i] != ordered[n - 1]:
            ordered[n] = ordered[i]
            n += 1
    return ordered[:n]


@numba.njit(cache=True, nogil=True)
def sketch(shingles: Hashes, size: int) -> Hashes:
    """The `size` smallest distinct shingles, ascending: a fair sample that is equal in equal texts.

    One pass: what exceeds the size-th smallest so far is passed over, so that long texts are
    sorted in a few small pieces.
    """
    held = np.empty(2 * size, np.uint64)
    n = 0
    bound = np.uint64(0xFFFFFFFFFFFFFFFF)
    for shingle in shingles:
        if shingle > bound:
            continue
        if n == len(held):
            distinct = _distinct(held)
            n = min(len(distinct), size)
            held[:n] = distinct[:n]
            if n == size:
                bound = held[n - 1]
                if shingle > bound:
                    continue
        held[n] = shingle
        n += 1
    return _distinct(held[:n])[:size]


@numba.njit(cache=True, nogil=True)
def sketches(
    words: Hashes, offsets: Offsets, shingle: int, size: int
) -> tuple[npt.NDArray[np.int64], Offsets]:
    """The sketch of each text: flat values, and offsets [texts + 1].

    Values are the sketches' 64 bits as signed integers, in the unsigned order.
    """
    texts = len(offsets) - 1
    flat = np.empty(min(len(words), texts * size), np.int64)
    ends = np.zeros(texts + 1, np.int64)
    n = 0
    for text in range(texts):
        shingles = shingle_hashes(words[offsets[text] : offsets[text + 1]], shingle)
        for value in sketch(shingles, size):
            flat[n] = np.int64(value)
            n += 1
        ends[text + 1] = n
    return flat[:n], ends


@numba.njit(cache=True, nogil=True)
def similarity(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64], size: int) -> float:
    """Jaccard similarity from two sketches of at most `size` values; two empty ones are unlike.

    Exact when both are shorter than `size`, for then they are whole sets. Else the share of common
    values among the `size` smallest of both (bottom-k; Cohen and Kaplan 2007).
    """
    limit = size if max(len(one), len(other)) >= size else len(one) + len(other)
    i = j = common = seen = 0
    while seen < limit and (i < len(one) or j < len(other)):
        if j == len(other):
            i += 1
        elif i == len(one):
            j += 1
        elif one[i] == other[j]:
            common += 1
            i += 1
            j += 1
        elif np.uint64(one[i]) < np.uint64(other[j]):
            i += 1
        else:
            j += 1
        seen += 1
    return common / seen if seen else 0.0


@numba.njit(cache=True, nogil=True)
def similarities(
    sketches: npt.NDArray[np.int64],
    ends: Offsets,
    others: npt.NDArray[np.int64],
    other_ends: Offsets,
    other_of: npt.NDArray[np.int64],
    size: int,
) -> npt.NDArray[np.float64]:
    """How similar each sketch is to number `other_of` of the others; shape [sketches].

    Both lists of sketches are flat values and offsets, as `sketches` gives them.
    """
    measured = np.empty(len(other_of), np.float64)
    for row in range(len(other_of)):
        other = other_of[row]
        measured[row] = similarity(
            sketches[ends[row] : ends[row + 1]],
            others[other_ends[other] : other_ends[other + 1]],
            size,
        )
    return measured
