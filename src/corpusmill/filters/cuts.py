"""Stretches cut out of texts, and the gaps closed so that lines and paragraphs stay apart.

What is cut goes with the white space around it. In its place stands the strongest break that was in
it: a blank line, a line end (both with the indentation of what follows), or a space. At the ends of
a text nothing is put in its place, nor next to a character of a script without spaces.

A word is what filters/shingles.py takes for one.
"""

import functools
import re
from collections.abc import Iterable, Sequence

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.filters.characters import TABLE_SIZE
from corpusmill.filters.shingles import ALONE, IGNORED, SEPARATOR, WORD, character
from corpusmill.filters.words import Bytes, before, decode, is_line_end, kernel_buffers

Numbers = npt.NDArray[np.int64]
Classes = npt.NDArray[np.uint8]

SPACE = 4
"""Class of white space; the other classes are those of `character`."""

NOTHING, BLANK, LINE_END, BLANK_LINE = range(4)
"""How strong a break is."""


@functools.cache
def character_classes() -> Classes:
    """SEPARATOR, WORD, ALONE, IGNORED or SPACE for each code point; what lies above separates."""
    kinds = (SPACE if c.isspace() else character(c)[0] for c in map(chr, range(TABLE_SIZE)))
    classes = np.fromiter(kinds, np.uint8, TABLE_SIZE)
    classes.setflags(write=False)
    return classes


@numba.njit(cache=True, nogil=True)
def class_of(classes: Classes, code: int) -> int:
    """The class of a code point."""
    return classes[code] & 7 if code < TABLE_SIZE else SEPARATOR


# ---- the meaning, on Python strings ----


def cut_plain(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without the characters in `spans`: ascending, not empty, not overlapping."""
    out, done = "", 0
    for first, last in _regions_plain(text, list(spans)):
        out += text[done:first]
        if first > 0 and last < len(text):
            out += _joint_plain(text, first, last)
        done = last
    return out + text[done:]


def _regions_plain(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans with the white space around them; those that then touch are one."""
    regions: list[tuple[int, int]] = []
    for span in spans:
        first = len(text[: span[0]].rstrip())
        last = len(text) - len(text[span[1] :].lstrip())
        if regions and first <= regions[-1][1]:
            first, _ = regions.pop()
        regions.append((first, last))
    return regions


def _joint_plain(text: str, first: int, last: int) -> str:
    breaks = [len(f"x{run}x".splitlines()) for run in re.findall(r"\s+", text[first:last])]
    if not breaks:
        beside = (character(text[first - 1])[0], character(text[last])[0])
        return "" if ALONE in beside else " "
    if max(breaks) == 1:
        return " "
    end = text[first:last][len(text[first:last].rstrip()) :]
    indentation = f"{end}x".splitlines()[-1][:-1] if len(f"x{end}x".splitlines()) > 1 else ""
    return ("\n" if max(breaks) == 2 else "\n\n") + indentation


def word_spans_plain(text: str) -> list[tuple[int, int]]:
    """For each word of a text the characters to cut if it is the first, or the last, of a cut.

    The marks in front of a word, and behind it, up to the next white space go with it. Where there
    is no white space between two words, all marks between them belong to the first.
    """
    places: list[tuple[int, int]] = []
    for at, char in enumerate(text):
        kind, _ = character(char)
        if kind == ALONE or (kind == WORD and not _goes_on(text, places, at)):
            places.append((at, at + 1))
        elif kind == WORD:
            places[-1] = (places[-1][0], at + 1)
    spans = []
    for number, (first, last) in enumerate(places):
        earlier = places[number - 1][1] if number else 0
        later = places[number + 1][0] if number + 1 < len(places) else len(text)
        in_front = re.split(r"\s", text[earlier:first])
        begins = first - len(in_front[-1]) if len(in_front) > 1 or number == 0 else first
        ends = last + len(re.split(r"\s", text[last:later])[0])
        spans.append((begins, ends))
    return spans


def _goes_on(text: str, places: list[tuple[int, int]], at: int) -> bool:
    """Whether the character here belongs to the word before it."""
    if not places or character(text[places[-1][0]])[0] != WORD:
        return False
    return all(character(char)[0] == IGNORED for char in text[places[-1][1] : at])


# ---- the same on the bytes of Arrow arrays ----


def cut(texts: pa.Array, offsets: Numbers, firsts: Numbers, lasts: Numbers) -> pa.Array:
    """Texts without some of their bytes; large_string.

    Text i loses the bytes `firsts[j]` to `lasts[j]`, counted from its start, for j from
    `offsets[i]` to `offsets[i + 1]`: ascending, not empty, not overlapping, at whole characters.
    """
    data, starts = kernel_buffers(texts)
    out = np.empty(starts[-1] - starts[0], np.uint8)
    ends = np.zeros(len(starts), np.int64)
    _cut(data, starts, character_classes(), offsets, firsts, lasts, out, ends)
    return pa.LargeStringArray.from_buffers(
        len(texts), pa.py_buffer(ends), pa.py_buffer(out[: ends[-1]])
    )


def word_runs_in_bytes(
    texts: pa.Array, offsets: Numbers, firsts: Numbers, lasts: Numbers
) -> tuple[Numbers, Numbers]:
    """Where runs of words stand in the bytes of their texts; firsts and lasts as `cut` wants them.

    Text i has the runs of words number `firsts[j]` to `lasts[j]` (not included), ascending, not
    empty and not touching, for j from `offsets[i]` to `offsets[i + 1]`.
    """
    data, starts = kernel_buffers(texts)
    first_bytes, last_bytes = np.zeros((2, len(firsts)), np.int64)
    _run_bytes(data, starts, character_classes(), offsets, firsts, lasts, first_bytes, last_bytes)
    return first_bytes, last_bytes


@numba.njit(cache=True, nogil=True)
def _run_bytes(
    data: Bytes,
    starts: Numbers,
    classes: Classes,
    offsets: Numbers,
    firsts: Numbers,
    lasts: Numbers,
    first_bytes: Numbers,
    last_bytes: Numbers,
) -> None:
    for text in range(starts.size - 1):
        start, stop = starts[text], starts[text + 1]
        run, end = offsets[text], offsets[text + 1]
        if run == end:
            continue
        word = -1  # number of the word that was seen last
        inside = False
        begins = start  # where a cut would begin that has the next word as its first
        spaced = False  # whether there was white space since the last word
        open_end = False  # whether run - 1 ended with the last word, and its end is not found yet
        i = start
        while i < stop:
            code, width = decode(data, i)
            kind = class_of(classes, code)
            if kind in (WORD, ALONE):
                if kind == ALONE or not inside:
                    word += 1
                    if word > 0 and not spaced:
                        begins = i
                    if open_end:
                        last_bytes[run - 1] = i - start
                        open_end = False
                    if run < end and firsts[run] == word:
                        first_bytes[run] = begins - start
                    if run < end and lasts[run] == word + 1:
                        run += 1
                        open_end = True
                    spaced = False
                inside = kind == WORD
            elif kind == SPACE:
                if open_end:
                    last_bytes[run - 1] = i - start
                    open_end = False
                inside = False
                spaced = True
                begins = i + width
            elif kind == SEPARATOR:
                inside = False
            i += width
            if run == end and not open_end:
                break
        if open_end:
            last_bytes[run - 1] = stop - start


@numba.njit(cache=True, nogil=True)
def _is_space(data: Bytes, i: int, classes: Classes) -> bool:
    code, _ = decode(data, i)
    return class_of(classes, code) == SPACE


@numba.njit(cache=True, nogil=True)
def _strongest_break(data: Bytes, first: int, last: int, classes: Classes) -> tuple[int, int]:
    """The strongest break in these bytes, and where the indentation at their end begins."""
    strongest, ends, indentation = NOTHING, 0, last
    previous = 0
    i = first
    while i < last:
        code, width = decode(data, i)
        i += width
        if class_of(classes, code) != SPACE:
            ends, indentation = 0, last
        else:
            if is_line_end(code):
                ends += not (code == 10 and previous == 13)
                indentation = i
            strongest = max(strongest, BLANK + min(ends, 2))
        previous = code
    return strongest, indentation


@numba.njit(cache=True, nogil=True)
def _copy(data: Bytes, first: int, last: int, out: Bytes, at: int) -> int:
    """Copy bytes to `out`, and say where they end there. A slice takes seconds to compile."""
    for i in range(first, last):
        out[at] = data[i]
        at += 1
    return at


@numba.njit(cache=True, nogil=True)
def _cut(
    data: Bytes,
    starts: Numbers,
    classes: Classes,
    offsets: Numbers,
    firsts: Numbers,
    lasts: Numbers,
    out: Bytes,
    ends: Numbers,
) -> None:
    written = 0
    for text in range(starts.size - 1):
        start, stop = starts[text], starts[text + 1]
        done = start
        span = offsets[text]
        while span < offsets[text + 1]:
            first = start + firsts[span]
            while first > done and _is_space(data, before(data, first), classes):
                first = before(data, first)
            last = first
            while (span < offsets[text + 1] and start + firsts[span] <= last) or last == first:
                last = start + lasts[span]
                while last < stop and _is_space(data, last, classes):
                    _, width = decode(data, last)
                    last += width
                span += 1
            written = _copy(data, done, first, out, written)
            done = last
            if first == start or last == stop:
                continue
            strongest, indentation = _strongest_break(data, first, last, classes)
            if strongest >= LINE_END:
                out[written] = 10
                written += 1
                if strongest == BLANK_LINE:
                    out[written] = 10
                    written += 1
                written = _copy(data, indentation, last, out, written)
            else:
                left, _ = decode(data, before(data, first))
                right, _ = decode(data, last)
                beside_alone = class_of(classes, left) == ALONE or class_of(classes, right) == ALONE
                if strongest == BLANK or not beside_alone:
                    out[written] = 32
                    written += 1
        written = _copy(data, done, stop, out, written)
        ends[text + 1] = written
