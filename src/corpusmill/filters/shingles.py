"""Texts as words and words as hashes, straight from the bytes of an Arrow array.

A word is a run of letters, digits and combining marks of any script, with its case folded. In
scripts that are written without spaces each character is a word of its own. Everything else
separates words, except invisible format characters (soft hyphen, word joiner), which are left out.
Texts are compared by their words only: layout, punctuation and emphasis do not count.

Canonically equivalent spellings (composed, decomposed) are different words.

ASCII, which is nearly all of English, is read 64 bytes at a time and a word hashed by 8 bytes at a
time. A run of bytes without ASCII blanks or punctuation that holds anything else is read character
by character.
"""

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.document import text_buffers
from corpusmill.filters.machine import PADDING, load64, ones, trailing_zeros, word_mask

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
"""Blocks of the scripts without spaces. All lie at three UTF-8 bytes or more: `room_for`
relies on it for the largest number of words that a text can have."""

CODE_POINTS = 0x32000
"""No letters are assigned from here on; what lies above separates words."""


Unit = Literal["word", "character"]


@dataclass(frozen=True, kw_only=True)
class Shingling:
    """How a text becomes a set of shingles: every run of so many words or characters."""

    length: int = 5
    unit: Unit = "word"
    """`character`: each letter, digit and mark of every word, without anything between words."""


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


def units(text: str, unit: Unit) -> Iterator[str]:
    """What shingles of a text are runs of: its words, or the characters of its words."""
    return words(text) if unit == "word" else iter("".join(words(text)))


@functools.cache
def character_table() -> Hashes:
    """`character` for each code point: kind << 62 | bytes << 32 | UTF-8 of the folded character.

    The first byte is the lowest.
    """
    entries = np.empty(CODE_POINTS, np.uint64)
    for code in range(CODE_POINTS):
        kind, folded = character(chr(code))
        encoded = folded.encode("utf-8", "surrogatepass")
        entries[code] = kind << 62 | len(encoded) << 32 | int.from_bytes(encoded, "little")
    return entries


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


def padded_buffers(texts: pa.Array) -> Iterator[tuple[npt.NDArray[np.uint8], Offsets]]:
    """Bytes and offsets of all texts in order, in pieces with PADDING bytes after the last text.

    Only what lies within PADDING of the end of Arrow's buffer is copied: the last text, mostly.
    """
    data, starts = text_buffers(texts)
    whole = int(np.searchsorted(starts[1:], len(data) - PADDING, "right"))
    yield data, starts[: whole + 1]
    rest = np.concatenate([data[starts[whole] : starts[-1]], np.zeros(PADDING, np.uint8)])
    rest.flags.writeable = False
    yield rest, starts[whole:] - starts[whole]


def room_for(text_bytes: int, unit: Unit) -> int:
    """The largest number of words or characters that a text of so many bytes can have."""
    return (text_bytes + 1) // 2 if unit == "word" else text_bytes


def word_hashes(texts: pa.Array) -> WordHashes:
    """Hash every word of every text, as `word_hash` does.

    Takes 4 bytes of address space for each byte of text, of which English fills a third.
    """
    starts = text_buffers(texts)[1]
    hashes = np.empty(room_for(int(starts[-1] - starts[0]) + len(texts), "word"), np.uint64)
    counts = []
    n = 0
    for data, piece in padded_buffers(texts):
        found = np.empty(len(piece) - 1, np.int64)
        n += _hash_texts(data, piece, character_table(), hashes[n:], found)
        counts.append(found)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return WordHashes(hashes[:n], offsets)


WORD_START = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0xD6E8FEB86659FD93)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_CASE_BITS = np.uint64(0x2020202020202020)
"""Set in every ASCII letter and digit, they make it small."""
_HIGH_BITS = np.uint64(0x8080808080808080)
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE = np.uint64(1)
_EIGHT = np.uint64(8)
_SEGMENT = 4096
"""Bytes whose words' edges are collected before they are hashed: they stay in the nearest cache."""


@numba.njit(cache=True)
def mix(x: np.uint64) -> np.uint64:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014): a bijection that mixes all bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True)
def absorb(state: np.uint64, chunk: np.uint64) -> np.uint64:
    """A hash with 64 more bits in it: for one state, a bijection of the bits."""
    state = (state ^ chunk) * _PRIME
    return state ^ (state >> np.uint64(32))


def word_hash(word: str) -> int:
    """The hash of a word: its UTF-8 by 8 bytes, filled up with zeros, absorbed from WORD_START."""
    state, encoded = int(WORD_START), word.encode("utf-8", "surrogatepass")
    for i in range(0, len(encoded), 8):
        state = (state ^ int.from_bytes(encoded[i : i + 8], "little")) * int(_PRIME)
        state &= int(_ALL_BITS)
        state ^= state >> 32
    return state


@numba.njit(cache=True)
def character_at(
    data: npt.NDArray[np.uint8], i: int, stop: int, table: Hashes
) -> tuple[np.uint64, int]:
    """The table's entry of the character at `i`, and where the next one begins.

    Bytes that are not UTF-8 decode to some code point or other, never past `stop`.
    """
    byte = np.int64(data[i])
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
    return (table[code] if code < CODE_POINTS else np.uint64(0)), i


@numba.njit(cache=True, nogil=True)
def _hash_run(
    data: npt.NDArray[np.uint8], i: int, stop: int, table: Hashes, hashes: Hashes, n: int
) -> int:
    """Hash the words of a run that is not all ASCII into `hashes`, from the n-th on."""
    state = WORD_START
    chunk = np.uint64(0)
    bits = np.uint64(0)  # of the chunk that are in use
    inside = False
    while i < stop:
        entry, i = character_at(data, i, stop, table)
        kind = np.int64(entry >> np.uint64(62))
        if kind == WORD:
            encoded = entry & np.uint64(0xFFFFFFFF)
            chunk |= encoded << bits
            bits += ((entry >> np.uint64(32)) & _EIGHT - _ONE) * _EIGHT
            if bits >= np.uint64(64):
                state = absorb(state, chunk)
                bits -= np.uint64(64)
                written = ((entry >> np.uint64(32)) & _EIGHT - _ONE) * _EIGHT - bits
                chunk = encoded >> written
            inside = True
        elif kind != IGNORED:
            if inside:
                hashes[n] = absorb(state, chunk) if bits > np.uint64(0) else state
                n += 1
                state = WORD_START
                chunk = bits = np.uint64(0)
                inside = False
            if kind == ALONE:
                hashes[n] = absorb(WORD_START, entry & np.uint64(0xFFFFFFFF))
                n += 1
    if inside:
        hashes[n] = absorb(state, chunk) if bits > np.uint64(0) else state
        n += 1
    return n


@numba.njit(cache=True, nogil=True)
def hash_words(
    data: npt.NDArray[np.uint8], start: int, stop: int, table: Hashes, hashes: Hashes, n: int
) -> int:
    """Hash the words of one text into `hashes`, from the n-th on; returns where they end.

    PADDING bytes follow the text in `data`. Runs of bytes that separate nothing are found first,
    a segment at a time, and hashed then: two loops that a processor can predict.
    """
    edges = np.empty(_SEGMENT + 2 * 64, np.int64)
    found = 0  # edges of runs: beginnings at even, ends at odd places
    inside = np.uint64(0)
    at = start
    while at < stop:
        segment_end = min(at + _SEGMENT, stop)
        while at < segment_end:
            mask = word_mask(data, at)
            if stop - at < 64:
                mask &= (_ONE << np.uint64(stop - at)) - _ONE
            changes = mask ^ ((mask << _ONE) | inside)
            inside = mask >> np.uint64(63)
            place = found
            found += ones(changes)
            while place < found:  # by eight, some of them beyond the last: overwritten later
                for j in range(8):
                    edges[place + j] = at + trailing_zeros(changes)
                    changes &= changes - _ONE
                place += 8
            at += 64
        if at >= stop and found % 2 == 1:
            edges[found] = stop
            found += 1
        for edge in range(0, found - 1, 2):
            begin = edges[edge]
            end = edges[edge + 1]
            place = begin
            state = WORD_START
            beyond_ascii = np.uint64(0)
            while end - place > 8:
                chunk = load64(data, place)
                beyond_ascii |= chunk
                state = absorb(state, chunk | _CASE_BITS)
                place += 8
            used = _ALL_BITS >> np.uint64(64 - 8 * (end - place))
            chunk = load64(data, place)
            beyond_ascii |= chunk & used
            if beyond_ascii & _HIGH_BITS:
                n = _hash_run(data, begin, end, table, hashes, n)
            else:
                hashes[n] = absorb(state, (chunk | _CASE_BITS) & used)
                n += 1
        if found % 2 == 1:
            edges[0] = edges[found - 1]
        found %= 2
    return n


@numba.njit(cache=True, nogil=True)
def hash_characters(
    data: npt.NDArray[np.uint8], i: int, stop: int, table: Hashes, hashes: Hashes, n: int
) -> int:
    """Hash each character of the words of one text, as `hash_words` hashes words of it alone."""
    while i < stop:
        entry, i = character_at(data, i, stop, table)
        kind = np.int64(entry >> np.uint64(62))
        if kind in (WORD, ALONE):
            hashes[n] = absorb(WORD_START, entry & np.uint64(0xFFFFFFFF))
            n += 1
    return n


@numba.njit(cache=True, nogil=True)
def _hash_texts(
    data: npt.NDArray[np.uint8],
    starts: Offsets,
    table: Hashes,
    hashes: Hashes,
    counts: npt.NDArray[np.int64],
) -> int:
    n = 0
    for text in range(len(starts) - 1):
        before = n
        n = hash_words(data, starts[text], starts[text + 1], table, hashes, n)
        counts[text] = n - before
    return n


@numba.njit(cache=True, nogil=True)
def shingle_hashes(word_hashes: Hashes, length: int) -> Hashes:
    """Hash every run of `length` words of one text; shape [max(words - length + 1, 0)].

    A polynomial over the words' hashes modulo 2^64, rolled along and mixed with the length: the
    cost does not depend on the length, and runs of different lengths have different hashes.
    """
    out = np.empty(max(len(word_hashes) - length + 1, 0), np.uint64)
    roll(word_hashes, length, out)
    return out


@numba.njit(cache=True, nogil=True)
def roll(words: Hashes, length: int, out: Hashes) -> None:
    """`shingle_hashes` into an array of that shape, which may be the beginning of `words`."""
    if len(words) < length:
        return
    leading = _ONE
    rolled = np.uint64(0)
    for i in range(length):
        leading *= _BASE
        rolled = rolled * _BASE + words[i]
    salt = mix(np.uint64(length))
    for i in range(len(words) - length):
        first = words[i]
        out[i] = mix(rolled ^ salt)
        rolled = rolled * _BASE + words[i + length] - first * leading
    out[len(words) - length] = mix(rolled ^ salt)
