"""Texts as words and words as hashes, straight from the bytes of an Arrow array.

A word is a run of letters, digits and combining marks of any script, with its case folded. In
scripts that are written without spaces each character is a word of its own. Everything else
separates words, except invisible format characters (soft hyphen, word joiner), which are left out.
Texts are compared by their words only: layout, punctuation and emphasis do not count.

Canonically equivalent spellings (composed, decomposed) are different words.
"""

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.document import text_buffers

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

SEPARATOR, WORD, ALONE, IGNORED = range(4)

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x31FFF),
)
"""Blocks of the scripts without spaces. All lie at three UTF-8 bytes or more: `word_hashes` relies
on it for the largest number of words that a text can have."""

CODE_POINTS = 0x32000
"""No letters are assigned from here on; what lies above separates words."""


def character(char: str) -> tuple[int, str]:
    """What a character is to words, and the character with its case folded.

    Folding is one to one: where the full folding is longer (ß, ligatures), lower case is used.
    """
    code = ord(char)
    category = unicodedata.category(char)
    if category == "Cf":
        return IGNORED, char
    if category[0] not in "LNM" or code >= CODE_POINTS:
        return SEPARATOR, char
    if code >= UNSPACED[0][0]:
        for first, last in UNSPACED:
            if first <= code <= last:
                return ALONE, char
    folded = char.casefold()
    if len(folded) > 1:
        folded = char.lower()
    return WORD, folded if len(folded) == 1 else char


def words(text: str) -> Iterator[str]:
    """The words of a text: the definition that the kernel below repeats on bytes."""
    word = ""
    for char in text:
        kind, folded = character(char)
        if kind == WORD:
            word += folded
        elif kind != IGNORED:
            if word:
                yield word
            word = ""
            if kind == ALONE:
                yield folded
    if word:
        yield word


@functools.cache
def _table() -> npt.NDArray[np.uint32]:
    """`character` for each code point: kind << 30 | folded code point."""
    entries = (
        kind << 30 | ord(folded) for kind, folded in map(character, map(chr, range(CODE_POINTS)))
    )
    return np.fromiter(entries, np.uint32, CODE_POINTS)


@dataclass(frozen=True)
class WordHashes:
    """The words of several texts as 64-bit hashes."""

    hashes: Hashes
    """Of all words, text after text; shape [words]."""
    offsets: Offsets
    """Where each text's words begin and end in `hashes`; shape [texts + 1]."""

    def counts(self) -> npt.NDArray[np.int64]:
        """Words of each text; shape [texts]."""
        return np.diff(self.offsets)


def word_hashes(texts: pa.Array) -> WordHashes:
    """Hash every word of every text (FNV-1a over folded code points, then mixed).

    Takes 4 bytes of address space for each byte of text, of which English fills a third.
    """
    data, starts = text_buffers(texts)
    size = int(starts[-1] - starts[0])
    hashes = np.empty((size + len(starts)) // 2 + 1, np.uint64)
    offsets = np.zeros(len(starts), np.int64)
    _hash_words(data, starts, _table(), hashes, offsets)
    return WordHashes(hashes[: offsets[-1]], offsets)


_FNV_START = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_CODE_MASK = np.uint32(0x1FFFFF)


@numba.njit(cache=True, inline="always")
def mix(x: np.uint64) -> np.uint64:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014): a bijection that mixes all bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _hash_words(
    data: npt.NDArray[np.uint8],
    starts: Offsets,
    table: npt.NDArray[np.uint32],
    hashes: Hashes,
    offsets: Offsets,
) -> None:
    n = 0
    for text in range(len(starts) - 1):
        i = starts[text]
        stop = starts[text + 1]
        word = _FNV_START
        inside = False
        while i < stop:
            byte = np.int64(data[i])
            # Bytes that are not UTF-8 decode to some code point or other, never past `stop`.
            if byte < 0x80:
                code = byte
                i += 1
            elif byte < 0xE0 and i + 1 < stop:
                code = (byte & 0x1F) << 6 | (np.int64(data[i + 1]) & 0x3F)
                i += 2
            elif byte < 0xF0 and i + 2 < stop:
                code = (
                    (byte & 0x0F) << 12
                    | (np.int64(data[i + 1]) & 0x3F) << 6
                    | (np.int64(data[i + 2]) & 0x3F)
                )
                i += 3
            elif i + 3 < stop:
                code = (
                    (byte & 0x07) << 18
                    | (np.int64(data[i + 1]) & 0x3F) << 12
                    | (np.int64(data[i + 2]) & 0x3F) << 6
                    | (np.int64(data[i + 3]) & 0x3F)
                )
                i += 4
            else:
                code = np.int64(0)
                i = stop
            entry = table[code] if code < CODE_POINTS else np.uint32(0)
            kind = entry >> np.uint32(30)
            folded = np.uint64(entry & _CODE_MASK)
            if kind == WORD:
                word = (word ^ folded) * _FNV_PRIME
                inside = True
            elif kind != IGNORED:
                if inside:
                    hashes[n] = mix(word)
                    n += 1
                    word = _FNV_START
                    inside = False
                if kind == ALONE:
                    hashes[n] = mix((_FNV_START ^ folded) * _FNV_PRIME)
                    n += 1
        if inside:
            hashes[n] = mix(word)
            n += 1
        offsets[text + 1] = n


@numba.njit(cache=True, nogil=True)
def shingle_hashes(word_hashes: Hashes, length: int) -> Hashes:
    """Hash every run of `length` words of one text; shape [max(words - length + 1, 0)].

    A polynomial over the words' hashes modulo 2^64, rolled along and mixed with the length: the
    cost does not depend on the length, and runs of different lengths have different hashes.
    """
    count = max(len(word_hashes) - length + 1, 0)
    out = np.empty(count, np.uint64)
    if count == 0:
        return out
    leading = np.uint64(1)
    rolled = np.uint64(0)
    for i in range(length):
        leading *= _BASE
        rolled = rolled * _BASE + word_hashes[i]
    salt = mix(np.uint64(length))
    out[0] = mix(rolled ^ salt)
    for i in range(1, count):
        rolled = rolled * _BASE + word_hashes[i + length - 1] - word_hashes[i - 1] * leading
        out[i] = mix(rolled ^ salt)
    return out
