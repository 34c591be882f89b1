"""What is there to measure in a text? All measures of the rules, in one pass over Arrow buffers.

`measure` gives one number per document and measure. What each means is defined by `measures` in
filters/plain.py, character by character: characters are Unicode code points. Time is linear in the
text, whatever it holds.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from corpusmill.filters.characters import (
    LETTER,
    NUMBER,
    REFERENCE_SYMBOL,
    SPACE,
    SYMBOL,
    TERMINAL,
    UNSPACED,
    character_flags,
)
from corpusmill.filters.phrases import Phrases, find_phrases, phrases
from corpusmill.filters.plain import ENCODED_RUN, GENERATED_MARKERS, MARKER_LINES, SHORT_LINE
from corpusmill.filters.words import (
    CHUNK_CHARACTERS,
    Bytes,
    Flags,
    cut_chunk,
    decode,
    flags_of,
    is_line_end,
    kernel_buffers,
    next_chunk,
)

Counts = npt.NDArray[np.int64]

NGRAM_TOKENS = 1 << 22
"""Repeated n-grams are looked for in the first four million tokens of a document (some 20 MB): it
bounds the memory that one document can take to 300 MB."""

_SPACE = 0xFF
"""Separates tokens in a hash: no byte of UTF-8 has this value."""
_BASE = 0x9E3779B97F4A7C15 | 1
"""Multiplier of the polynomial hashes, modulo 2**64: the golden ratio's bits, odd."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Measures of a batch of texts; arrays of int64, shape [documents] unless said otherwise."""

    characters: Counts
    tokens: Counts
    """Words and symbols."""
    words: Counts
    """Tokens that hold more than punctuation and symbols."""
    word_characters: Counts
    """Characters of words."""
    words_with_letter: Counts
    unspaced_words: Counts
    """Tokens that start with a letter of a script written without spaces."""
    stop_words: Counts
    """How many of the eight stop words of Gopher occur, in any case."""
    stop_words_exact: Counts
    """The same, in lower case only."""
    hashes: Counts
    """Characters `#`."""
    ellipses: Counts
    """Occurrences of `...` and `…`."""
    lines: Counts
    """As str.splitlines cuts them."""
    longest_line: Counts
    """Characters."""
    bullet_lines: Counts
    """Lines that start with `•` or `-`, white space aside."""
    ellipsis_lines: Counts
    """Lines that end in an ellipsis, white space aside."""
    pieces: Counts
    """What runs of newlines separate; empty at the ends of a text that starts or ends with one."""
    duplicate_pieces: Counts
    """Pieces that repeat an earlier one."""
    duplicate_piece_characters: Counts
    paragraphs: Counts
    """What empty lines separate."""
    duplicate_paragraphs: Counts
    duplicate_paragraph_characters: Counts
    newlines: Counts
    full_lines: Counts
    """What newlines separate, except white space alone."""
    short_lines: Counts
    """Full lines of at most 30 characters."""
    terminal_lines: Counts
    """Full lines that end in terminal punctuation, white space aside."""
    terminal_lines_exact: Counts
    """The same, white space at the end not put aside."""
    duplicate_full_line_characters: Counts
    digits: Counts
    """Characters 0 to 9."""
    alphanumerics: Counts
    """Letters and numbers of any script."""
    encoded_characters: Counts
    """Characters in unbroken runs of 64 and more letters, digits, `+`, `/` and `=`."""
    tag_characters: Counts
    """Characters from `<` to the next `>`."""
    opens_with_tag: Counts
    """1 if the first character, white space aside, is `<`."""
    generated_markers: Counts
    """How many of the phrases that mark generated files stand in the first five lines."""
    ngram_characters: Counts
    """Characters of the text in which n-grams were counted: all, up to NGRAM_TOKENS tokens."""
    top_ngram_counts: Counts
    """Shape [documents, 3]: occurrences of the most frequent n-gram, n = 2, 3, 4."""
    top_ngram_characters: Counts
    """Shape [documents, 3]: its characters with single spaces, times its occurrences."""
    duplicate_ngram_characters: Counts
    """Shape [documents, 6]: characters of words in n-grams seen before, n = 5 .. 10."""


_WIDTHS = {"top_ngram_counts": 3, "top_ngram_characters": 3, "duplicate_ngram_characters": 6}
_NAMES = tuple(field.name for field in fields(Features))
_ENDS = np.cumsum([_WIDTHS.get(name, 1) for name in _NAMES])
_COLUMNS = int(_ENDS[-1])


def _column(name: str) -> int:
    at = _NAMES.index(name)
    return int(_ENDS[at]) - _WIDTHS.get(name, 1)


# Columns of the kernel's table; constants, because Numba compiles globals in.
_CHARACTERS, _TOKENS, _WORDS = map(_column, ("characters", "tokens", "words"))
_WORD_CHARACTERS, _WITH_LETTER = map(_column, ("word_characters", "words_with_letter"))
_UNSPACED_WORDS, _STOP, _STOP_EXACT = map(
    _column, ("unspaced_words", "stop_words", "stop_words_exact")
)
_HASHES, _ELLIPSES, _LINES = map(_column, ("hashes", "ellipses", "lines"))
_LONGEST, _BULLETS, _ELLIPSIS_LINES = map(
    _column, ("longest_line", "bullet_lines", "ellipsis_lines")
)
_PIECES, _PARAGRAPHS = map(_column, ("pieces", "paragraphs"))
_NEWLINES, _FULL, _SHORT = map(_column, ("newlines", "full_lines", "short_lines"))
_TERMINAL, _TERMINAL_EXACT = map(_column, ("terminal_lines", "terminal_lines_exact"))
_FULL_DUPLICATES = _column("duplicate_full_line_characters")
_DIGITS, _ALPHANUMERICS = map(_column, ("digits", "alphanumerics"))
_ENCODED, _TAGS, _OPENS_TAG = map(
    _column, ("encoded_characters", "tag_characters", "opens_with_tag")
)
_MARKERS, _NGRAM_CHARACTERS = map(_column, ("generated_markers", "ngram_characters"))
_TOP_COUNTS, _TOP_CHARACTERS = map(_column, ("top_ngram_counts", "top_ngram_characters"))
_DUPLICATE_NGRAMS = _column("duplicate_ngram_characters")


def measure(texts: pa.Array, compat: bool = False) -> Features:
    """Measure texts (string or large_string, no nulls).

    `compat` takes datatrove 0.10.1's view where it differs: scripts without spaces are not cut
    into characters, only the marks on its list make a symbol, and long n-grams are compared
    without the spaces between their words. pa.ArrowInvalid if a text is not UTF-8.
    """
    data, offsets = kernel_buffers(texts)
    table = np.zeros((len(texts), _COLUMNS), np.int64)
    _measure_all(data, offsets, character_flags(), phrases(GENERATED_MARKERS), compat, table)
    columns: dict[str, Any] = {}
    for name in _NAMES:
        first = _column(name)
        width = _WIDTHS.get(name)
        columns[name] = table[:, first] if width is None else table[:, first : first + width]
    return Features(**columns)


@njit(cache=True, nogil=True)
def _measure_all(
    data: Bytes,
    offsets: Counts,
    flags: Flags,
    markers: Phrases,
    compat: bool,
    table: Counts,
) -> None:
    longest = 0
    for document in range(table.shape[0]):
        longest = max(longest, offsets[document + 1] - offsets[document])
    room = min(longest, NGRAM_TOKENS)
    hashes = np.empty(room, np.uint64)
    grams = np.empty(room, np.uint64)
    sizes = np.empty((room, 2), np.int32)
    ends = np.empty(min(longest, CHUNK_CHARACTERS) + 1, np.int64)
    slots = np.empty(_slots_for(room), np.uint64)
    seen = np.empty((slots.size, 2), np.int32)
    for document in range(table.shape[0]):
        start, end = offsets[document], offsets[document + 1]
        row = table[document]
        _measure_characters(data, start, end, flags, markers, row)
        _measure_lines(data, start, end, flags, row)
        _measure_paragraphs(data, start, end, flags, row)
        count = _measure_tokens(data, start, end, flags, compat, hashes, sizes, ends, row)
        _measure_top(hashes[:count], sizes, grams, slots, seen, row)
        _measure_duplicates(hashes[:count], sizes, grams, slots, compat, row)


@njit(cache=True, nogil=True)
def _slots_for(entries: int) -> int:
    """Size of a hash table for so many entries: a power of two, at most half full."""
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def _mix(key: np.uint64) -> np.uint64:
    """Spread a polynomial hash over all bits, so that sums of products of them do not coincide."""
    key ^= key >> np.uint64(32)
    key *= np.uint64(0xD6E8FEB86659FD93)
    key ^= key >> np.uint64(32)
    key *= np.uint64(0xD6E8FEB86659FD93)
    return key ^ (key >> np.uint64(32))


@njit(cache=True, nogil=True)
def _slot(key: np.uint64, slots: npt.NDArray[np.uint64], mask: int) -> np.int64:
    """Where the key is, or the free slot for it (0 is free; linear probing)."""
    mixed = key ^ (key >> np.uint64(32))
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    at = np.int64(mixed >> np.uint64(32)) & mask
    while slots[at] != 0 and slots[at] != key:
        at = (at + 1) & mask
    return at


@njit(cache=True, nogil=True)
def _insert(
    key: np.uint64, slots: npt.NDArray[np.uint64], used: int
) -> tuple[bool, npt.NDArray[np.uint64], int]:
    """Add a key to a set that grows; returns whether it was there, the table, and its size."""
    if key == 0:
        key = np.uint64(1)
    at = _slot(key, slots, slots.size - 1)
    if slots[at] == key:
        return True, slots, used
    slots[at] = key
    used += 1
    if 2 * used > slots.size:
        larger = np.zeros(4 * slots.size, np.uint64)
        for old in slots:
            if old != 0:
                larger[_slot(old, larger, larger.size - 1)] = old
        slots = larger
    return False, slots, used


@njit(cache=True, nogil=True)
def _measure_characters(
    data: Bytes, start: int, end: int, table: Flags, markers: Phrases, row: Counts
) -> None:
    """Characters, and the lines that str.splitlines finds."""
    characters, alphanumerics, digits, hashes, ellipses, encoded, tags = 0, 0, 0, 0, 0, 0, 0
    lines, longest, bullets, ellipsis_lines, line_characters = 0, 0, 0, 0, 0
    dots, line_dots, run, tag = 0, 0, 0, -1
    line_seen, ends_in_ellipsis, prior_dot, any_seen = False, False, False, False
    opening_end = end
    i = start
    while i < end:
        code, width = decode(data, i)
        flags = flags_of(table, code)
        characters += 1
        i += width
        if flags & (LETTER | NUMBER):
            alphanumerics += 1
            digits += 48 <= code <= 57
            if code < 0x80:
                run += 1
            else:
                if run >= ENCODED_RUN:
                    encoded += run
                run = 0
            line_characters += 1
            line_seen, any_seen = True, True
            ends_in_ellipsis, prior_dot = False, False
            dots, line_dots = 0, 0
            continue
        if code == 43 or code == 47 or code == 61:  # + / =
            run += 1
        else:
            if run >= ENCODED_RUN:
                encoded += run
            run = 0
        hashes += code == 35  # hash sign
        if code == 60 and tag < 0:  # <
            tag = characters - 1
        elif code == 62 and tag >= 0:  # >
            tags += characters - tag
            tag = -1
        dots = dots + 1 if code == 46 else 0
        ellipses += dots == 3 or code == 0x2026
        if dots == 3:
            dots = 0
        if flags & SPACE:
            if not is_line_end(code):
                line_characters += 1
                prior_dot = False
                continue
            if code == 13 and i < end and data[i] == 10:
                i += 1
                characters += 1
            lines += 1
            longest = max(longest, line_characters)
            ellipsis_lines += ends_in_ellipsis
            if lines == MARKER_LINES:
                opening_end = i
            line_characters, line_dots = 0, 0
            line_seen, ends_in_ellipsis, prior_dot = False, False, False
            continue
        line_characters += 1
        if not line_seen:
            line_seen = True
            bullets += code == 0x2022 or code == 45
            if not any_seen:
                row[_OPENS_TAG] = code == 60
        any_seen = True
        line_dots = (line_dots + 1 if prior_dot else 1) if code == 46 else 0
        prior_dot = code == 46
        ends_in_ellipsis = line_dots >= 3 or code == 0x2026
    row[_ENCODED] = encoded + (run if run >= ENCODED_RUN else 0)
    row[_LINES] = lines + (line_characters > 0)
    row[_LONGEST] = max(longest, line_characters)
    row[_ELLIPSIS_LINES] = ellipsis_lines + (ends_in_ellipsis and line_characters > 0)
    row[_CHARACTERS], row[_ALPHANUMERICS], row[_DIGITS] = characters, alphanumerics, digits
    row[_HASHES], row[_ELLIPSES], row[_TAGS] = hashes, ellipses, tags
    row[_BULLETS] = bullets
    found = find_phrases(data, start, opening_end, markers)
    while found:
        row[_MARKERS] += found & 1
        found >>= 1


@njit(cache=True, nogil=True)
def _measure_lines(data: Bytes, start: int, end: int, table: Flags, row: Counts) -> None:
    """What newlines separate: pieces (not empty), and full lines (not blank)."""
    slots = np.zeros(64, np.uint64)
    used, empty = 0, 0
    i = start
    while i <= end:
        first, characters = i, 0
        key = np.uint64(_SPACE)
        full, terminal, terminal_exact = False, False, False
        while i < end and data[i] != 10:
            code, width = decode(data, i)
            flags = flags_of(table, code)
            terminal_exact = flags & TERMINAL != 0
            if not flags & SPACE:
                full = True
                terminal = terminal_exact
            for _ in range(width):
                key = key * np.uint64(_BASE) + np.uint64(data[i])
                i += 1
            characters += 1
        if characters:
            repeated, slots, used = _insert(key, slots, used)
            row[_PIECES] += 1
            if repeated:
                row[_PIECES + 1] += 1
                row[_PIECES + 2] += characters
            if full:
                row[_FULL] += 1
                row[_SHORT] += characters <= SHORT_LINE
                row[_TERMINAL] += terminal
                row[_TERMINAL_EXACT] += terminal_exact
                if repeated:
                    row[_FULL_DUPLICATES] += characters
        elif first in (start, end):
            empty += 1
        row[_NEWLINES] += i < end
        i += 1
    row[_PIECES] += empty
    row[_PIECES + 1] += max(empty - 1, 0)


@njit(cache=True, nogil=True)
def _measure_paragraphs(data: Bytes, start: int, end: int, table: Flags, row: Counts) -> None:
    """What two and more newlines separate, white space at both ends of the text aside."""
    slots = np.zeros(64, np.uint64)
    used = 0
    i = start
    last = end  # of the stripped text
    while i < last:
        code, width = decode(data, i)
        if not flags_of(table, code) & SPACE:
            break
        i += width
    while last > i:
        at = last - 1
        while data[at] & 0xC0 == 0x80:
            at -= 1
        code, _ = decode(data, at)
        if not flags_of(table, code) & SPACE:
            break
        last = at
    characters, newlines = 0, 0
    key = np.uint64(_SPACE)
    while i <= last:
        if i < last and data[i] == 10:
            newlines += 1
            i += 1
            continue
        if newlines >= 2 or i == last:
            repeated, slots, used = _insert(key, slots, used)
            row[_PARAGRAPHS] += 1
            if repeated:
                row[_PARAGRAPHS + 1] += 1
                row[_PARAGRAPHS + 2] += characters
            characters = 0
            key = np.uint64(_SPACE)
        elif newlines == 1:
            key = key * np.uint64(_BASE) + np.uint64(10)
            characters += 1
        newlines = 0
        if i == last:
            break
        while i < last and data[i] != 10:
            key = key * np.uint64(_BASE) + np.uint64(data[i])
            characters += data[i] & 0xC0 != 0x80
            i += 1


@njit(cache=True, nogil=True)
def _stop_word(data: Bytes, start: int, end: int) -> tuple[int, bool]:
    """The number of a stop word of Gopher, or -1; and whether it stands in lower case."""
    if end - start < 2 or end - start > 4:
        return -1, False
    packed, exact = 0, True
    for i in range(start, end):
        byte = data[i] & 0xFF
        if 65 <= byte <= 90:
            byte |= 0x20
            exact = False
        packed = packed << 8 | byte
    number = -1
    if packed == 0x746865:  # the
        number = 0
    elif packed == 0x6265:  # be
        number = 1
    elif packed == 0x746F:  # to
        number = 2
    elif packed == 0x6F66:  # of
        number = 3
    elif packed == 0x616E64:  # and
        number = 4
    elif packed == 0x74686174:  # that
        number = 5
    elif packed == 0x68617665:  # have
        number = 6
    elif packed == 0x77697468:  # with
        number = 7
    return number, exact


@njit(cache=True, nogil=True)
def _measure_tokens(
    data: Bytes,
    start: int,
    end: int,
    table: Flags,
    compat: bool,
    hashes: npt.NDArray[np.uint64],
    sizes: npt.NDArray[np.int32],
    ends: Counts,
    row: Counts,
) -> int:
    """Tokens; for n-grams their hashes [tokens] and sizes [tokens, (characters, bytes)].

    Returns how many tokens were stored.
    """
    symbol = REFERENCE_SYMBOL if compat else SYMBOL
    stored, stop, stop_exact = 0, 0, 0
    chunk_start, chunk_end = next_chunk(data, start, end, table)
    row[_NGRAM_CHARACTERS] = row[_CHARACTERS]
    while chunk_start < end:
        first = chunk_start
        for k in range(cut_chunk(data, chunk_start, chunk_end, table, compat, ends)):
            last = ends[k]
            i, characters, together, alone = first, 0, 0, symbol
            key = np.uint64(_SPACE)
            starts_unspaced = False
            while i < last:
                byte, width = data[i], 1
                if byte < 0x80:
                    flags = table[byte] & 0xFFFF
                else:
                    code, width = decode(data, i)
                    flags = flags_of(table, code)
                if i == first:
                    starts_unspaced = flags & UNSPACED != 0
                together |= flags
                alone &= flags
                characters += 1
                for _ in range(width):
                    key = key * np.uint64(_BASE) + np.uint64(data[i])
                    i += 1
            row[_TOKENS] += 1
            if not alone:
                row[_WORDS] += 1
                row[_WORD_CHARACTERS] += characters
            row[_WITH_LETTER] += together & LETTER != 0
            row[_UNSPACED_WORDS] += starts_unspaced
            number, exact = _stop_word(data, first, last)
            if number >= 0:
                stop |= 1 << number
                stop_exact |= (1 << number) if exact else 0
            if stored < hashes.size:
                hashes[stored] = key
                sizes[stored, 0] = characters
                sizes[stored, 1] = last - first
                stored += 1
                if stored == NGRAM_TOKENS:
                    row[_NGRAM_CHARACTERS] = _count_characters(data, start, last)
            first = last
        chunk_start, chunk_end = next_chunk(data, chunk_end, end, table)
    for number in range(8):
        row[_STOP] += stop >> number & 1
        row[_STOP_EXACT] += stop_exact >> number & 1
    return stored


@njit(cache=True, nogil=True)
def _count_characters(data: Bytes, start: int, end: int) -> int:
    count = 0
    for i in range(start, end):
        count += data[i] & 0xC0 != 0x80
    return count


@njit(cache=True, nogil=True)
def _nonzero(key: np.uint64) -> np.uint64:
    """The hash as a key of a table in which 0 means free."""
    return key if key != 0 else np.uint64(1)


@njit(cache=True, nogil=True)
def _measure_top(
    hashes: npt.NDArray[np.uint64],
    sizes: npt.NDArray[np.int32],
    grams: npt.NDArray[np.uint64],
    slots: npt.NDArray[np.uint64],
    seen: npt.NDArray[np.int32],
    row: Counts,
) -> None:
    """The most frequent n-gram for n = 2, 3, 4; of equally frequent ones the first in the text.

    `seen` holds first place and number of occurrences of the n-gram in each slot.
    """
    count = hashes.size
    used = _slots_for(count)
    mask = used - 1
    for i in range(count):
        grams[i] = _mix(hashes[i])
    for n in range(2, 5):
        slots[:used] = 0
        best, best_first = 0, 0
        for i in range(count - n + 1):
            grams[i] = grams[i] * np.uint64(_BASE) + _mix(hashes[i + n - 1])
            key = _nonzero(grams[i])
            at = _slot(key, slots, mask)
            if slots[at] == 0:
                slots[at] = key
                seen[at, 0] = i
                seen[at, 1] = 0
            seen[at, 1] += 1
            if seen[at, 1] > best or (seen[at, 1] == best and seen[at, 0] < best_first):
                best, best_first = seen[at, 1], seen[at, 0]
        if best:
            characters = n - 1
            for i in range(best_first, best_first + n):
                characters += sizes[i, 0]
            row[_TOP_COUNTS + n - 2] = best
            row[_TOP_CHARACTERS + n - 2] = best * characters


@njit(cache=True, nogil=True)
def _power(exponent: int) -> np.uint64:
    """_BASE to this power, modulo 2**64."""
    result, factor = np.uint64(1), np.uint64(_BASE)
    while exponent:
        if exponent & 1:
            result *= factor
        factor *= factor
        exponent >>= 1
    return result


@njit(cache=True, nogil=True)
def _measure_duplicates(
    hashes: npt.NDArray[np.uint64],
    sizes: npt.NDArray[np.int32],
    grams: npt.NDArray[np.uint64],
    slots: npt.NDArray[np.uint64],
    joined: bool,
    row: Counts,
) -> None:
    """Characters in n-grams that occurred before, n = 5 .. 10.

    With `joined`, n-grams of equal letters are equal, wherever their words end. A token's hash is
    h(token) = sum byte * B**place, started with one byte more, so that hashes of texts joined are
    h(a) * B**bytes(b) + h(b) - (that byte) * B**bytes(b).
    """
    count = hashes.size
    used = _slots_for(count)
    mask = used - 1
    for i in range(count):
        grams[i] = hashes[i] if joined else _mix(hashes[i])
    for n in range(2, 11):
        for i in range(count - n + 1):
            added = hashes[i + n - 1]
            if joined:
                power = _power(sizes[i + n - 1, 1])
                grams[i] = grams[i] * power + added - np.uint64(_SPACE) * power
            else:
                grams[i] = grams[i] * np.uint64(_BASE) + _mix(added)
        if n < 5:
            continue
        slots[:used] = 0
        i = 0
        while i + n <= count:
            key = _nonzero(grams[i])
            at = _slot(key, slots, mask)
            if slots[at] == 0:
                slots[at] = key
                i += 1
                continue
            for k in range(i, i + n):
                row[_DUPLICATE_NGRAMS + n - 5] += sizes[k, 0]
            i += n
