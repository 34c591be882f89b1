"""Texts as lines or paragraphs: where each begins, and a hash of its words.

A line ends where `str.splitlines` says. A paragraph begins with the text, and with each line that
is not blank and follows a blank one (white space at most).
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import pyarrow as pa

from corpusmill.filters.cuts import (
    SPACE,
    Classes,
    Numbers,
    character_classes,
    class_of,
)
from corpusmill.filters.words import Bytes, decode, is_line_end, kernel_buffers

Unit = Literal["line", "paragraph"]


@dataclass(frozen=True, kw_only=True)
class Units:
    """The lines, or paragraphs, of several texts."""

    texts: pa.Array
    """Of each unit, white space and line ends included, large_string; shape [units]. No copy."""
    firsts: Numbers
    """Where each begins, in bytes from the start of its text; shape [units]."""
    lasts: Numbers
    """Where each ends; shape [units]."""
    offsets: Numbers
    """Where the units of each text are; shape [texts + 1]."""

    def text_of(self) -> Numbers:
        """The number of each unit's text; shape [units]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def number_in_text(self) -> Numbers:
        """Which of its text's units each is, from 0; shape [units]."""
        return np.arange(len(self.firsts)) - self.offsets[self.text_of()]


def units_plain(text: str, unit: Unit) -> list[str]:
    """The lines or paragraphs of a text; together they are the text."""
    lines = text.splitlines(keepends=True)
    if unit == "line":
        return lines
    paragraphs: list[str] = []
    previous = "filled"
    for line in lines:
        if not paragraphs or (previous.isspace() and not line.isspace()):
            paragraphs.append("")
        paragraphs[-1] += line
        previous = line
    return paragraphs


def units(texts: pa.Array, unit: Unit) -> Units:
    """The lines or paragraphs of texts (string or large_string, no nulls)."""
    data, starts = kernel_buffers(texts)
    begins = np.empty(_most_lines(data, starts), np.int64)
    offsets = np.zeros(len(starts), np.int64)
    _unit_starts(data, starts, character_classes(), unit == "paragraph", begins, offsets)
    count = int(offsets[-1])
    begins = begins[:count]
    borders = np.append(begins, starts[-1])
    text_starts = np.repeat(starts[:-1], np.diff(offsets))
    return Units(
        texts=pa.LargeStringArray.from_buffers(count, pa.py_buffer(borders), pa.py_buffer(data)),
        firsts=begins - text_starts,
        lasts=borders[1:] - text_starts,
        offsets=offsets,
    )


@numba.njit(cache=True, nogil=True)
def _most_lines(data: Bytes, starts: Numbers) -> int:
    """No fewer than there are lines: bytes that begin a line end, and one line for each text."""
    most = starts.size
    for i in range(starts[0], starts[-1]):
        byte = data[i]
        most += byte < 32 or byte == 0xC2 or byte == 0xE2
    return most


@numba.njit(cache=True, nogil=True)
def _unit_starts(
    data: Bytes,
    starts: Numbers,
    classes: Classes,
    paragraphs: bool,
    begins: Numbers,
    offsets: Numbers,
) -> None:
    n = 0
    for text in range(starts.size - 1):
        stop = starts[text + 1]
        i = starts[text]
        first_line = True
        after_blank = False
        while i < stop:
            line = i
            blank = True
            while i < stop:
                byte = data[i]
                if 32 < byte < 0x80:
                    blank = False
                    i += 1
                    continue
                code, width = decode(data, i)
                i += width
                if is_line_end(code):
                    if code == 13 and i < stop and data[i] == 10:
                        i += 1
                    break
                blank = blank and class_of(classes, code) == SPACE
            if first_line or not paragraphs or (after_blank and not blank):
                begins[n] = line
                n += 1
            first_line, after_blank = False, blank
        offsets[text + 1] = n


def numbers_in_words(numbers: Iterable[int]) -> str:
    """Ascending numbers as people write them: "2,5-7"."""
    runs = []
    for _, found in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in found]
        runs.append(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ",".join(runs)
