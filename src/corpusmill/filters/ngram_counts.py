"""Counting for n-gram models: the distinct windows of words, a table that is exact to merge.

A window is a word with the order-1 words before it; what is before a text is word 0. All counts of
all orders follow from the windows, and windows with counts can be added in any order and grouping.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.filters.ngram_text import hash_words

Windows = npt.NDArray[np.uint32]
"""Shape [windows, order]; the last word of a window is the one that is predicted."""

SEED = np.uint64(0x6A09E667F3BCC909)  # any constant with many bits; this is sqrt(2)'s fraction
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)


@numba.njit(cache=True, nogil=True, inline="always")
def extend(key: Any, word: Any) -> Any:
    """The key of an n-gram from that of the n-gram without its first word.

    Keys grow backwards from the last word, so those of all n-grams that end at one place are a
    chain of one multiplication each. 64 bits: equal keys of different n-grams do not occur in
    practice (1e-5 for 20 million n-grams).
    """
    key = (key ^ np.uint64(word)) * _MULTIPLIER
    return key ^ (key >> _SHIFT)


@numba.njit(cache=True, nogil=True)
def _cut_windows(words: Any, offsets: Any, windows: Any) -> None:
    order = windows.shape[1]
    for document in range(len(offsets) - 1):
        start = offsets[document]
        for i in range(start, offsets[document + 1]):
            for k in range(order):
                place = i - order + 1 + k
                windows[i, k] = words[place] if place >= start else np.uint32(0)


@numba.njit(cache=True, nogil=True)
def _window_keys(windows: Any) -> Any:
    keys = np.empty(len(windows), np.uint64)
    for i in range(len(windows)):
        key = SEED
        for k in range(windows.shape[1] - 1, -1, -1):
            key = extend(key, windows[i, k])
        keys[i] = key
    return keys


def columns_of(order: int) -> list[str]:
    """Names of the columns that hold a window's words, first word first."""
    return [f"word_{i}" for i in range(1, order + 1)]


def count_windows(texts: pa.Array, order: int) -> pa.RecordBatch:
    """One row for each word of the texts: its window (int32 `word_1` ...) and `count` (int64) 1."""
    words, offsets = hash_words(texts)
    windows = np.empty((len(words), order), np.uint32)
    _cut_windows(words, offsets, windows)
    return _as_rows(windows, np.ones(len(words), np.int64))


def fold_windows(rows: pa.Table, order: int) -> pa.Table:
    """Equal windows as one row with the sum of their counts, sorted by key.

    Exact, commutative, associative. Needs some 100 bytes of memory for each row it is given.
    """
    windows, counts = windows_of(rows, order)
    keys = _window_keys(windows)
    by_key = np.argsort(keys, kind="stable")
    keys = keys[by_key]
    first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else by_key
    summed = np.add.reduceat(counts[by_key], first) if len(keys) else counts
    return pa.Table.from_batches([_as_rows(windows[by_key[first]], summed)])


def windows_of(rows: pa.Table, order: int) -> tuple[Windows, npt.NDArray[np.int64]]:
    """The windows and counts that rows hold."""
    windows = np.empty((rows.num_rows, order), np.uint32)
    for k, name in enumerate(columns_of(order)):
        windows[:, k] = rows.column(name).to_numpy().view(np.uint32)
    return windows, rows.column("count").to_numpy()


def _as_rows(windows: Windows, counts: npt.NDArray[np.int64]) -> pa.RecordBatch:
    # Spark has no unsigned types
    columns = [np.ascontiguousarray(column).view(np.int32) for column in windows.T]
    arrays = [pa.array(column) for column in [*columns, counts]]
    return pa.RecordBatch.from_arrays(arrays, names=[*columns_of(windows.shape[1]), "count"])
