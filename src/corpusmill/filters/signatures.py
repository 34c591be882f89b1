"""Texts to signatures in one pass, straight from the bytes of an Arrow array.

One signature serves all purposes. It has BINS bins, filled by Fast Similarity Sketching (Dahlgaard,
Knudsen and Thorup 2017): each bin holds one shingle of the text, chosen so that two texts have the
same one there with a probability that is their Jaccard similarity. The first bins are hashed
together to band keys, by which texts meet that may be similar. Of each bin one byte is stored; the
share of equal bytes says how similar two texts are, without looking at them again.

Why one byte of a bin is enough: two different shingles have the same byte in one bin of 256, which
is corrected for (b-bit minwise hashing: Li and König 2010). The error is then that of the number
of bins: 0.0192 at a similarity of 0.75, and 0.0191 with whole bins.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.document import byte_lengths
from corpusmill.filters.banding import Banding
from corpusmill.filters.machine import load64, trailing_zeros
from corpusmill.filters.shingles import (
    WORD_START,
    Hashes,
    Offsets,
    Shingling,
    absorb,
    character_table,
    hash_characters,
    hash_words,
    mix,
    padded_buffers,
    roll,
    room_for,
)

StoredBins = npt.NDArray[np.uint8]
"""Shape [documents, BINS]."""

BINS = 512
"""Bins of a signature, a power of two. No preset's bands take more than 286. With twice as many the
error is 0.0136, and texts of 1 to 3 kB take twice the time."""

CHANCE = 1 / 256
"""That two different shingles have the same stored byte."""

_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_ROUND_BITS = 52
"""The place of a round's number in a bin's value: more than 2 * BINS rounds fit above it."""
_TOP_BYTE = np.uint64(56)
_SPREAD = np.uint64(0x9FB21C651E98DF25)
_NO_WORDS = np.uint64(0xA0761D6478BD642F)


@dataclass(frozen=True)
class Signatures:
    """What deduplication needs to know of each text of an array, in their order."""

    keys: npt.NDArray[np.int64]
    """Of each band; shape [documents, bands]. Keys of different bands are different."""
    bins: StoredBins
    """Shape [documents, BINS]."""
    units: npt.NDArray[np.int64]
    """Words (characters where shingles are made of these); shape [documents]."""
    has_shingles: npt.NDArray[np.bool_]
    """Whether there are as many as a shingle takes. What has none has neither keys nor bins that
    mean anything and is compared by `content` only; shape [documents]."""
    content: npt.NDArray[np.uint64]
    """128 bits of the words in their order, or of the bytes where there is no word (`!!!` is not
    `???`); shape [documents, 2]."""


def signatures(texts: pa.Array, shingling: Shingling, banding: Banding) -> Signatures:
    """The signatures of the texts, each read once from Arrow's buffer.

    Besides what it returns it takes 8 bytes for each byte of the longest text.
    """
    n = len(texts)
    found = Signatures(
        keys=np.zeros((n, banding.bands), np.int64),
        bins=np.zeros((n, BINS), np.uint8),
        units=np.zeros(n, np.int64),
        has_shingles=np.zeros(n, np.bool_),
        content=np.zeros((n, 2), np.uint64),
    )
    if banding.bands * banding.rows > BINS:
        raise ValueError(f"{banding.bands} x {banding.rows} bins for bands, more than {BINS}")
    longest = int(byte_lengths(texts).max(initial=0))
    work = np.empty(room_for(longest, shingling.unit), np.uint64)
    first = 0
    for data, starts in padded_buffers(texts):
        some = slice(first, first + len(starts) - 1)
        _sign(
            data,
            starts,
            character_table(),
            shingling.unit == "word",
            shingling.length,
            banding.rows,
            MULTIPLIERS,
            work,
            found.keys[some],
            found.bins[some],
            found.units[some],
            found.has_shingles[some],
            found.content[some],
        )
        first = some.stop
    return found


def stored(values: Hashes) -> npt.NDArray[np.uint8]:
    """The bytes that are stored of bins."""
    return ((values * _SPREAD) >> _TOP_BYTE).astype(np.uint8)


def similarity(equal_bins: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The Jaccard similarity that so many equal stored bins of BINS stand for."""
    return np.maximum((equal_bins / BINS - CHANCE) / (1 - CHANCE), 0.0)


def _multipliers() -> Hashes:
    """Odd numbers without a pattern, one for each round: the golden ratio's multiples, mixed."""
    state = (np.arange(2 * BINS, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))) | np.uint64(1)


MULTIPLIERS = _multipliers()


@numba.njit(cache=True, nogil=True)
def _sign(
    data: npt.NDArray[np.uint8],
    starts: Offsets,
    table: Hashes,
    by_word: bool,
    length: int,
    rows: int,
    multipliers: Hashes,
    work: Hashes,
    keys: npt.NDArray[np.int64],
    bins: StoredBins,
    units: npt.NDArray[np.int64],
    has_shingles: npt.NDArray[np.bool_],
    content: npt.NDArray[np.uint64],
) -> None:
    values = np.empty(bins.shape[1], np.uint64)
    for text in range(len(starts) - 1):
        start = starts[text]
        stop = starts[text + 1]
        if by_word:
            n = hash_words(data, start, stop, table, work, 0)
        else:
            n = hash_characters(data, start, stop, table, work, 0)
        units[text] = n
        content[text] = hash_sequence(work[:n]) if n > 0 else _hash_bytes(data, start, stop)
        if n < length:
            continue
        has_shingles[text] = True
        shingles = work[: n - length + 1]
        roll(work[:n], length, shingles)
        similarity_sketch(shingles, multipliers, values)
        for band in range(keys.shape[1]):
            key = np.uint64(band + 1)
            for row in range(rows):
                key = absorb(key, values[band * rows + row])
            keys[text, band] = np.int64(mix(key))
        for i in range(len(values)):
            bins[text, i] = np.uint8((values[i] * _SPREAD) >> _TOP_BYTE)


@numba.njit(cache=True, nogil=True)
def hash_sequence(hashes: Hashes) -> tuple[np.uint64, np.uint64]:
    """128 bits of some hashes in their order: two chains that step differently."""
    one = WORD_START
    other = np.uint64(len(hashes))
    for value in hashes:
        one = absorb(one, value)
        other = (other + value) * _SPREAD
        other ^= other >> np.uint64(29)
    return mix(one), mix(other)


@numba.njit(cache=True, nogil=True)
def _hash_bytes(data: npt.NDArray[np.uint8], start: int, stop: int) -> tuple[np.uint64, np.uint64]:
    """`hash_sequence` of a text's bytes, eight at a time, and of their number."""
    chunks = np.empty((stop - start + 7) // 8 + 2, np.uint64)
    chunks[0] = _NO_WORDS
    chunks[1] = np.uint64(stop - start)
    for i in range(2, len(chunks)):
        place = start + 8 * (i - 2)
        chunks[i] = load64(data, place)
        if stop - place < 8:
            chunks[i] &= _EMPTY >> np.uint64(64 - 8 * (stop - place))
    return hash_sequence(chunks)


@numba.njit(cache=True, nogil=True)
def similarity_sketch(shingles: Hashes, multipliers: Hashes, values: Hashes) -> None:
    """Fast Similarity Sketching of a set of well-mixed hashes into `values` (shape [bins]).

    In round 0, each shingle falls into one bin by its top bits; a bin keeps the smallest. Rounds
    after it do the same with the shingle times the round's odd multiplier, until every bin has been
    reached in some round: a bin keeps the smallest shingle of its first. From round [bins] on, a
    round serves one bin alone, so that there is an end. All rounds are one minimum, for a value has
    its round's number in front.

    Costs O(n + bins log bins): one round where there are many more shingles than bins. `bins` is a
    power of two from 2 on. `shingles` are not empty, and are overwritten in rare cases: where many
    balls leave a bin empty, most shingles are repetitions, and these are taken out.
    """
    bins = len(values)
    to_bin = np.uint64(64 - trailing_zeros(np.uint64(bins)))
    to_value = np.uint64(64 - _ROUND_BITS)
    values[:] = _EMPTY
    for shingle in shingles:
        place = shingle >> to_bin
        values[place] = min(values[place], shingle >> to_value)
    n = len(shingles)
    thrown = n
    repetitions = True
    turn = 1
    while _has_empty(values):
        if repetitions and thrown > 12 * bins + 2 * n:
            n = _drop_repetitions(shingles)
            repetitions = False
        # About `bins` balls between two looks whether all is full: rounds too many change nothing.
        end = min(turn + max(1, bins // n), 2 * bins)
        thrown += n * (end - turn)
        while turn < end:
            multiplier = multipliers[turn]
            number = np.uint64(turn) << np.uint64(_ROUND_BITS)
            if turn < bins:
                for i in range(n):
                    ball = shingles[i] * multiplier
                    place = ball >> to_bin
                    values[place] = min(values[place], (ball >> to_value) | number)
            else:
                for i in range(n):
                    ball = shingles[i] * multiplier
                    values[turn - bins] = min(values[turn - bins], (ball >> to_value) | number)
            turn += 1


@numba.njit(cache=True, nogil=True)
def _has_empty(values: Hashes) -> bool:
    empty = 0
    for value in values:
        empty += value == _EMPTY
    return empty > 0


@numba.njit(cache=True, nogil=True)
def _drop_repetitions(hashes: Hashes) -> int:
    """Sort, and move one of each to the front; returns how many there are."""
    hashes.sort()
    n = 0
    for i in range(len(hashes)):
        if i == 0 or hashes[i] != hashes[i - 1]:
            hashes[n] = hashes[i]
            n += 1
    return n
