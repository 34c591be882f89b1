"""What a word is to the n-gram models: one pass from UTF-8 bytes to word hashes.

A word is a run of letters, marks and digits; every symbol is a word of its own, and so is every
character of the scripts that are written without spaces. A to Z count as a to z and every digit
as 0, as in CCNet (Wenzek et al. 2020): years and prices would only fill the tables.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.document import text_buffers

Words = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]

SEPARATOR, LETTER, ALONE = 0, 1, 2
"""Classes of characters: between words, part of a word, a word by itself."""

# (first, last, class) of the code points that are not letters. The word of ranges is the standard's
# blocks: general punctuation to miscellaneous symbols, Thai and Lao, Myanmar, Khmer, CJK and kana,
# full-width forms, and everything from the emoji on, which includes the rarer CJK planes.
_RANGES = np.array(
    [
        (0x00, 0x20, SEPARATOR),
        (0x21, 0x2F, ALONE),
        (0x3A, 0x40, ALONE),
        (0x5B, 0x60, ALONE),
        (0x7B, 0x7E, ALONE),
        (0x7F, 0xA0, SEPARATOR),
        (0xA1, 0xA9, ALONE),
        (0xAB, 0xB4, ALONE),
        (0xB6, 0xB9, ALONE),
        (0xBB, 0xBF, ALONE),
        (0xD7, 0xD7, ALONE),
        (0xF7, 0xF7, ALONE),
        (0x0E00, 0x0EFF, ALONE),
        (0x1000, 0x109F, ALONE),
        (0x1680, 0x1680, SEPARATOR),
        (0x1780, 0x17FF, ALONE),
        (0x2000, 0x200B, SEPARATOR),
        (0x200E, 0x2027, ALONE),  # between them the joiners, which Persian and Hindi have in words
        (0x2028, 0x2029, SEPARATOR),
        (0x202A, 0x202E, ALONE),
        (0x202F, 0x202F, SEPARATOR),
        (0x2030, 0x205E, ALONE),
        (0x205F, 0x205F, SEPARATOR),
        (0x2060, 0x2BFF, ALONE),
        (0x2E00, 0x2FFF, ALONE),
        (0x3000, 0x3000, SEPARATOR),
        (0x3001, 0x9FFF, ALONE),
        (0xF900, 0xFAFF, ALONE),
        (0xFE30, 0xFE6F, ALONE),
        (0xFEFF, 0xFEFF, SEPARATOR),
        (0xFF00, 0xFFEF, ALONE),
        (0x1F000, 0x10FFFF, ALONE),
    ],
    np.int32,
)


def _class_table() -> npt.NDArray[np.uint8]:
    table = np.full(0x10000, LETTER, np.uint8)
    for first, last, kind in _RANGES[:-1].tolist():
        table[first : last + 1] = kind
    return table


_CLASSES = _class_table()
"""Class of each code point of the basic plane; shape [65536]."""
_FOLDED = np.arange(256, dtype=np.uint8)
_FOLDED[ord("A") : ord("Z") + 1] += 32
_FOLDED[ord("0") : ord("9") + 1] = ord("0")

_START = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bits
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: FNV's upper bits are weak
_SHIFT = np.uint64(32)


@numba.njit(cache=True, nogil=True)
def _finish(h: Any) -> Any:
    h = (h ^ (h >> _SHIFT)) * _MIX
    word = np.uint32(h >> _SHIFT)
    return word if word != 0 else np.uint32(1)  # 0 stands for what is before a text


@numba.njit(cache=True, nogil=True)
def _hash_words(
    data: Any, starts: Any, classes: Any, folded: Any, words: Any, offsets: Any
) -> None:
    n = 0
    for document in range(len(starts) - 1):
        i = starts[document]
        end = starts[document + 1]
        h = _START
        inside = False
        while i < end:
            byte = data[i]
            if byte < 0x80:
                size = 1
                kind = classes[byte]
            elif byte < 0xE0:
                size = 2
                kind = classes[((byte & 0x1F) << 6) | (data[i + 1] & 0x3F)]
            elif byte < 0xF0:
                size = 3
                point = ((byte & 0x0F) << 12) | ((data[i + 1] & 0x3F) << 6) | (data[i + 2] & 0x3F)
                kind = classes[point]
            else:
                size = 4
                point = ((byte & 0x07) << 18) | ((data[i + 1] & 0x3F) << 12)
                kind = ALONE if point >= 0x1F000 else LETTER
            if inside and kind != LETTER:
                words[n] = _finish(h)
                n += 1
                h = _START
                inside = False
            if kind != SEPARATOR:
                for k in range(i, i + size):
                    h = (h ^ np.uint64(folded[data[k]])) * _PRIME
                if kind == LETTER:
                    inside = True
                else:
                    words[n] = _finish(h)
                    n += 1
                    h = _START
            i += size
        if inside:
            words[n] = _finish(h)
            n += 1
        offsets[document + 1] = n


def hash_words(texts: pa.Array) -> tuple[Words, Offsets]:
    """The words of each text as hashes, and the n+1 offsets of the texts among them.

    32 bits: among a million distinct words some hundred pairs share a hash, which no perplexity
    can show. 0 is never a word.
    """
    data, starts = text_buffers(texts)
    words = np.empty(int(starts[-1] - starts[0]), np.uint32)  # a word has one byte at least
    offsets = np.zeros(len(starts), np.int64)
    _hash_words(data, starts, _CLASSES, _FOLDED, words, offsets)
    return words[: offsets[-1]], offsets


def plain_words(text: str) -> list[str]:
    """The words of a text, folded: the plain twin of `hash_words`, which defines its meaning."""
    words: list[str] = []
    inside = False
    for character in text:
        point = ord(character)
        kind = next((int(k) for first, last, k in _RANGES if first <= point <= last), LETTER)
        if point < 0x80:
            character = chr(_FOLDED[point])
        if kind == LETTER and inside:
            words[-1] += character
        elif kind != SEPARATOR:
            words.append(character)
        inside = kind == LETTER
    return words
