"""Runs of words that occur more than once: how they are found without keeping the texts.

A window is a run of `length` words. Its anchor is the smallest, by hash, of the shorter runs
(grams) in it, the first of equal ones (winnowing, Schleimer et al. 2003; minimizers, Roberts et al.
2004): equal windows have equal anchors, and neighbouring windows mostly share one, so that there is
about one anchor in length / 3 words. Only windows whose anchor occurs again can occur again.

Windows are known by 128 bits: 64 of a hash that rolls along the text, and 64 of one that is
computed from the window's words one by one. With n distinct windows, two of which are taken for one
another with probability n^2 / 2^129: 10^-15 at 10^12.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from corpusmill.filters.shingles import mix

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

KEY, CHECK = np.uint64(0x6C62272E07BB0142), np.uint64(0x2545F4914F6CDD1D)
"""What the two hashes of a run of words begin with: any two different numbers."""
_STEP = np.uint64(0x9E3779B97F4A7C15)


@numba.njit(cache=True)
def gram_length(length: int) -> int:
    """Words in a gram for windows of so many words."""
    return max(1, length // 3)


# ---- the meaning, on Python lists ----


def anchors_plain(grams: list[int], count: int) -> list[int]:
    """Where the smallest of each `count` grams in a row is, the first of equal ones."""
    return [
        min(range(first, first + count), key=lambda i: (grams[i], i))
        for first in range(len(grams) - count + 1)
    ]


Place = tuple[int, int]
"""A text, and the number of a word in it."""


def kept_plain(texts: list[list[str]], length: int) -> list[list[bool]]:
    """Which words of texts stay when repeated windows are removed, texts in order of preference.

    A repeated window is sound if no word of its first occurrence is in a later occurrence of
    another one. First, later occurrences of sound windows go. Then, of the windows that are not
    sound but still whole in several places, all but the first of these go; but not the words of any
    occurrence that stays for others. Therefore

    - each word that is removed was in a window that is still there, whole, at an earlier place;
    - no run of 2 * length - 1 words, in one piece in its text, is left twice: between `length` and
      that, all of it must be needed by what stays for others, on both sides of it.
    """
    windows: dict[tuple[str, ...], list[Place]] = {}
    for number, text in enumerate(texts):
        for at in range(len(text) - length + 1):
            windows.setdefault(tuple(text[at : at + length]), []).append((number, at))

    def words(places: Iterable[Place]) -> set[Place]:
        return {(number, at + i) for number, at in places for i in range(length)}

    repeated = [places for places in windows.values() if len(places) > 1]
    again = words(place for places in repeated for place in places[1:])
    sound = [places for places in repeated if again.isdisjoint(words(places[:1]))]
    removed = words(place for places in sound for place in places[1:])
    whole = [
        [place for place in places if removed.isdisjoint(words([place]))]
        for places in repeated
        if not again.isdisjoint(words(places[:1]))
    ]
    left = [places for places in whole if len(places) > 1]
    needed = words(places[0] for places in [*sound, *left])
    removed |= words(place for places in left for place in places[1:]) - needed
    return [
        [(number, at) not in removed for at in range(len(text))]
        for number, text in enumerate(texts)
    ]


# ---- kernels ----


@numba.njit(cache=True, nogil=True)
def run_hash(words: Hashes, start: np.uint64) -> np.uint64:
    """A hash of a run of words, given by theirs; `start` is KEY or CHECK."""
    value = mix(start + np.uint64(len(words)))
    for word in words:
        value = mix((value ^ word) + _STEP)
    return value


@numba.njit(cache=True, nogil=True)
def run_hashes(words: Hashes, offsets: Numbers, start: np.uint64) -> Numbers:
    """`run_hash` of the words of each text, as signed integers; shape [texts]."""
    out = np.empty(offsets.size - 1, np.int64)
    for text in range(out.size):
        out[text] = np.int64(run_hash(words[offsets[text] : offsets[text + 1]], start))
    return out


@numba.njit(cache=True, nogil=True)
def rolled_hashes(words: Hashes, length: int) -> Hashes:
    """A hash of each run of `length` words; shape [max(words - length + 1, 0)].

    A polynomial over the words' hashes modulo 2^64, mixed.
    """
    count = max(words.size - length + 1, 0)
    out = np.empty(count, np.uint64)
    rolled = np.uint64(0)
    leading = np.uint64(1)
    for _ in range(length):
        leading *= _STEP
    for i in range(words.size if count else 0):
        rolled = rolled * _STEP + words[i]
        if i >= length:
            rolled -= words[i - length] * leading
        if i >= length - 1:
            out[i - length + 1] = mix(rolled)
    return out


@numba.njit(cache=True, nogil=True)
def anchors_of(grams: Hashes, count: int) -> Numbers:
    """`anchors_plain` in linear time; ascending, shape [max(grams - count + 1, 0)].

    Each gram enters the queue of candidates once, and leaves it once.
    """
    out = np.empty(max(grams.size - count + 1, 0), np.int64)
    queue = np.empty(grams.size, np.int64)
    head, tail = 0, 0
    for i in range(grams.size):
        while tail > head and grams[queue[tail - 1]] > grams[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
        if queue[head] <= i - count:
            head += 1
        if i >= count - 1:
            out[i - count + 1] = queue[head]
    return out


@numba.njit(cache=True, nogil=True)
def anchors(words: Hashes, offsets: Numbers, length: int) -> Numbers:
    """The hashes of all anchors of several texts, as signed integers, one for each place."""
    out = np.empty(words.size, np.int64)
    n = 0
    size = gram_length(length)
    for text in range(offsets.size - 1):
        grams = rolled_hashes(words[offsets[text] : offsets[text + 1]], size)
        last = -1
        for place in anchors_of(grams, length - size + 1):
            if place != last:
                out[n] = np.int64(grams[place])
                n += 1
                last = place
    return out[:n].copy()


@numba.njit(cache=True, nogil=True)
def hash_slots(keys: Numbers) -> Numbers:
    """Open addressing, at most half full: positions in `keys`, -1 where free. Keys may repeat."""
    size = 2
    while size < 2 * keys.size:
        size *= 2
    slots = np.full(size, -1, np.int64)
    for i in range(keys.size):
        slot = keys[i] & (size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = i
    return slots


@numba.njit(cache=True, nogil=True)
def _has(key: np.int64, keys: Numbers, slots: Numbers) -> bool:
    slot = key & (slots.size - 1)
    while slots[slot] >= 0:
        if keys[slots[slot]] == key:
            return True
        slot = (slot + 1) & (slots.size - 1)
    return False


@numba.njit(cache=True, nogil=True)
def find(
    key: np.int64, check: np.int64, keys: Numbers, checks: Numbers, slots: Numbers
) -> np.int64:
    """The position of a pair in `keys` and `checks`, -1 if it is not there."""
    slot = key & (slots.size - 1)
    while slots[slot] >= 0:
        found: np.int64 = slots[slot]
        if keys[found] == key and checks[found] == check:
            return found
        slot = (slot + 1) & (slots.size - 1)
    return np.int64(-1)


@numba.njit(cache=True, nogil=True)
def find_all(
    wanted: Numbers, wanted_checks: Numbers, keys: Numbers, checks: Numbers, slots: Numbers
) -> Numbers:
    """The position of each wanted pair in `keys` and `checks`, -1 where it is not there."""
    found = np.empty(wanted.size, np.int64)
    for i in range(wanted.size):
        found[i] = find(wanted[i], wanted_checks[i], keys, checks, slots)
    return found


@numba.njit(cache=True, nogil=True)
def candidate_windows(
    words: Hashes, offsets: Numbers, length: int, keys: Numbers, slots: Numbers
) -> Marks:
    """The words with which windows begin whose anchors are among `keys`; shape [words]."""
    wanted = np.zeros(words.size, np.bool_)
    size = gram_length(length)
    for text in range(offsets.size - 1):
        first = offsets[text]
        grams = rolled_hashes(words[first : offsets[text + 1]], size)
        last, is_wanted = -1, False
        for place in anchors_of(grams, length - size + 1):
            if place != last:
                is_wanted = _has(np.int64(grams[place]), keys, slots)
                last = place
            wanted[first] = is_wanted
            first += 1
    return wanted


@numba.njit(cache=True, nogil=True)
def window_hashes(words: Hashes, starts: Numbers, length: int) -> tuple[Numbers, Numbers]:
    """Key and check of the windows that begin with these words; shape [starts] both."""
    keys, checks = np.empty(starts.size, np.int64), np.empty(starts.size, np.int64)
    for i in range(starts.size):
        window = words[starts[i] : starts[i] + length]
        keys[i] = np.int64(rolled_hashes(window, length)[0])
        checks[i] = np.int64(run_hash(window, CHECK))
    return keys, checks


@numba.njit(cache=True, nogil=True)
def known_windows(
    words: Hashes, offsets: Numbers, length: int, keys: Numbers, checks: Numbers, slots: Numbers
) -> Numbers:
    """For each word the row in `keys` and `checks` of the window that begins there; shape [words].

    -1 where the window is not among them, or is no whole window of its text.
    """
    rows = np.full(words.size, -1, np.int64)
    for text in range(offsets.size - 1):
        first = offsets[text]
        for window in rolled_hashes(words[first : offsets[text + 1]], length):
            key = np.int64(window)
            if _has(key, keys, slots):
                check = np.int64(run_hash(words[first : first + length], CHECK))
                rows[first] = find(key, check, keys, checks, slots)
            first += 1
    return rows


@dataclass(frozen=True, kw_only=True)
class WordRuns:
    """Runs of words in several texts."""

    firsts: Numbers
    """Number of each run's first word in its text; shape [runs]."""
    lasts: Numbers
    """Number of the word after it; shape [runs]."""
    offsets: Numbers
    """Where the runs of each text are; shape [texts + 1]."""


@numba.njit(cache=True, nogil=True)
def in_windows(count: int, starts: Numbers, length: int) -> Marks:
    """Which of `count` words are in the windows that begin with these, ascending; shape [count]."""
    marks = np.zeros(count, np.bool_)
    done = 0
    for start in starts:
        for i in range(max(start, done), start + length):
            marks[i] = True
        done = start + length
    return marks


def are_whole(removed: Marks, starts: Numbers, length: int) -> Marks:
    """Which of the windows that begin with these words have no removed one; shape [starts]."""
    before = np.concatenate([[0], np.cumsum(removed)])
    whole: Marks = before[starts + length] == before[starts]
    return whole


def word_runs(marks: Marks, offsets: Numbers) -> WordRuns:
    """The runs of marked words in each text, whose words `offsets` counts; shape [texts + 1]."""
    firsts, lasts, ends = _runs(marks, offsets)
    return WordRuns(firsts=firsts, lasts=lasts, offsets=ends)


@numba.njit(cache=True, nogil=True)
def _runs(marks: Marks, offsets: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    firsts = np.empty(marks.size // 2 + 1, np.int64)
    lasts = np.empty(marks.size // 2 + 1, np.int64)
    ends = np.zeros(offsets.size, np.int64)
    n = 0
    for text in range(offsets.size - 1):
        start = offsets[text]
        for i in range(start, offsets[text + 1]):
            if marks[i]:
                if i == start or not marks[i - 1]:
                    firsts[n] = i - start
                if i + 1 == offsets[text + 1] or not marks[i + 1]:
                    lasts[n] = i + 1 - start
                    n += 1
        ends[text + 1] = n
    return firsts[:n].copy(), lasts[:n].copy(), ends
