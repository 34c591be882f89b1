"""MinHash by k permutations, with the values of datasketch 2 (scheme `affine32`).

The second choice beside `signatures`, for those who have sketches or indexes made with datasketch,
or want to read corpusmill's there:

    datasketch.MinHash(hashvalues=values[i], seed=SEED, scheme="affine32")

A shingle as bytes is its words, folded, in UTF-8, with one blank between them; shingles of
characters have nothing between. Its hash is the first four bytes of SHA-1, as datasketch's default.
Permutation k is a_k * h + b_k modulo 2^32 of that hash, mixed by MurmurHash3's finalizer.
"""

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.document import byte_lengths
from corpusmill.filters.shingles import (
    ALONE,
    WORD,
    Hashes,
    Offsets,
    Shingling,
    character_at,
    character_table,
    padded_buffers,
)

SEED = 1
"""datasketch's default."""

Values = npt.NDArray[np.uint32]

_TOP = np.uint32(0xFFFFFFFF)
"""In every place of a signature without any shingle; datasketch calls such a one empty."""


def permutation_signatures(
    texts: pa.Array, shingling: Shingling, permutations: int, seed: int = SEED
) -> Values:
    """The MinHash values of each text; shape [texts, permutations].

    Takes 18 bytes for each byte of the longest text besides.
    """
    random = np.random.RandomState(seed)
    # Both draws as datasketch makes them. Odd multipliers make each permutation a bijection.
    a = random.randint(0, 1 << 31, permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = random.randint(0, 1 << 32, permutations, dtype=np.uint32)
    values = np.full((len(texts), permutations), _TOP, np.uint32)
    longest = int(byte_lengths(texts).max(initial=0))
    # Folding lengthens a character by a byte at most, and a word of its own has a blank after it.
    normal = np.empty(2 * longest + 1, np.uint8)
    edges = np.empty((longest + 1, 2), np.int64)
    first = 0
    for data, starts in padded_buffers(texts):
        some = slice(first, first + len(starts) - 1)
        by_word = shingling.unit == "word"
        table = character_table()
        _permute(data, starts, table, by_word, shingling.length, a, b, normal, edges, values[some])
        first = some.stop
    return values


@numba.njit(cache=True, nogil=True)
def _permute(
    data: npt.NDArray[np.uint8],
    starts: Offsets,
    table: Hashes,
    by_word: bool,
    length: int,
    a: Values,
    b: Values,
    normal: npt.NDArray[np.uint8],
    edges: npt.NDArray[np.int64],
    values: Values,
) -> None:
    for text in range(len(starts) - 1):
        n = _normalize(data, starts[text], starts[text + 1], table, by_word, normal, edges)
        row = values[text]
        for i in range(n - length + 1):
            h = sha1_32(normal[edges[i, 0] : edges[i + length - 1, 1]])
            h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
            h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
            h = np.uint32(h ^ (h >> np.uint32(16)))
            for k in range(len(a)):
                row[k] = min(row[k], np.uint32(a[k] * h + b[k]))


@numba.njit(cache=True, nogil=True)
def _normalize(
    data: npt.NDArray[np.uint8],
    i: int,
    stop: int,
    table: Hashes,
    by_word: bool,
    normal: npt.NDArray[np.uint8],
    edges: npt.NDArray[np.int64],
) -> int:
    """Write a text's words with blanks between, or its characters without, and their edges.

    Returns how many there are.
    """
    n = 0
    size = 0
    inside = False
    while i < stop:
        entry, i = character_at(data, i, stop, table)
        kind = np.int64(entry >> np.uint64(62))
        if inside and (kind == ALONE or kind < WORD):
            edges[n, 1] = size
            n += 1
            inside = False
        if kind != WORD and kind != ALONE:
            continue
        if not inside:
            if by_word and n > 0:
                normal[size] = ord(" ")
                size += 1
            edges[n, 0] = size
        for _ in range((entry >> np.uint64(32)) & np.uint64(7)):
            normal[size] = entry & np.uint64(0xFF)
            entry >>= np.uint64(8)
            size += 1
        inside = by_word and kind == WORD
        if not inside:
            edges[n, 1] = size
            n += 1
    if inside:
        edges[n, 1] = size
        n += 1
    return n


@numba.njit(cache=True, inline="always")
def _rotated(x: np.uint32, by: int) -> np.uint32:
    # Numba widens what it computes to 64 bits.
    return np.uint32((x << np.uint32(by)) | (x >> np.uint32(32 - by)))


@numba.njit(cache=True, nogil=True)
def sha1_32(message: npt.NDArray[np.uint8]) -> np.uint32:
    """The first four bytes of SHA-1 (FIPS 180-4), the first one lowest."""
    h0, h1, h2 = np.uint32(0x67452301), np.uint32(0xEFCDAB89), np.uint32(0x98BADCFE)
    h3, h4 = np.uint32(0x10325476), np.uint32(0xC3D2E1F0)
    w = np.empty(80, np.uint32)
    size = len(message)
    for block in range((size + 8) // 64 + 1):
        for t in range(16):
            word = np.uint32(0)
            for j in range(4):
                place = 64 * block + 4 * t + j
                byte = message[place] if place < size else np.uint8(0x80 * (place == size))
                word = (word << np.uint32(8)) | np.uint32(byte)
            w[t] = word
        if block == (size + 8) // 64:
            w[14] = np.uint32((8 * size) >> 32)
            w[15] = np.uint32((8 * size) & 0xFFFFFFFF)
        for t in range(16, 80):
            w[t] = _rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1)
        a, b, c, d, e = h0, h1, h2, h3, h4
        for t in range(20):
            rest = ((b & c) | (~b & d)) + e + np.uint32(0x5A827999) + w[t]
            a, b, c, d, e = np.uint32(_rotated(a, 5) + rest), a, _rotated(b, 30), c, d
        for t in range(20, 40):
            rest = (b ^ c ^ d) + e + np.uint32(0x6ED9EBA1) + w[t]
            a, b, c, d, e = np.uint32(_rotated(a, 5) + rest), a, _rotated(b, 30), c, d
        for t in range(40, 60):
            rest = ((b & c) | (b & d) | (c & d)) + e + np.uint32(0x8F1BBCDC) + w[t]
            a, b, c, d, e = np.uint32(_rotated(a, 5) + rest), a, _rotated(b, 30), c, d
        for t in range(60, 80):
            rest = (b ^ c ^ d) + e + np.uint32(0xCA62C1D6) + w[t]
            a, b, c, d, e = np.uint32(_rotated(a, 5) + rest), a, _rotated(b, 30), c, d
        h0, h1, h2 = np.uint32(h0 + a), np.uint32(h1 + b), np.uint32(h2 + c)
        h3, h4 = np.uint32(h3 + d), np.uint32(h4 + e)
    even = np.uint32(_rotated(h0, 8) & np.uint32(0x00FF00FF))
    odd = np.uint32(_rotated(h0, 24) & np.uint32(0xFF00FF00))
    return np.uint32(even | odd)
