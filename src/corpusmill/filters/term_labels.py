"""How often does a text mention each label of a list of terms? One pass, whatever the list's size.

A label (a topic, a group of people) has terms of one or several words. Terms are compared by their
words (filters/shingles.py): whole words, case folded, whatever stands between them.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.filters.ngrams import slot_of
from corpusmill.filters.shingles import Hashes, Offsets, word_hash, word_hashes, words

Counts = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]

LONGEST_TERM = 10
"""Words of a term."""


@dataclass(frozen=True, kw_only=True)
class Mentions:
    """What of a list is in texts; arrays of shape [texts, labels]."""

    hits: Counts
    """How often a term of the label stands in the text."""
    distinct: Counts
    """How many different terms of the label do."""


class LabelledTerms:
    """Terms by label, to be found in texts in one pass."""

    def __init__(self, terms: Mapping[str, Sequence[str]]) -> None:
        """A term may stand under several labels; one without a word is nowhere found."""
        self.labels = tuple(terms)
        entries = sorted(
            {
                (tuple(words(term)), label)
                for label, name in enumerate(self.labels)
                for term in terms[name]
                if any(words(term))
            }
        )
        hashes = [[word_hash(word) for word in phrase] for phrase, _ in entries]
        self._label = np.array([label for _, label in entries], np.int64)
        self._ends = np.cumsum([0, *map(len, hashes)], dtype=np.int64)
        self._words = np.array([h for phrase in hashes for h in phrase], np.uint64)
        # entries are sorted, so those with one first word stand together
        firsts = [phrase[0] for phrase in hashes]
        begins = [i for i, first in enumerate(firsts) if i == 0 or first != firsts[i - 1]]
        self._slots = np.zeros(1 << (4 * len(begins) + 1).bit_length(), np.uint64)
        self._ranges = np.zeros((len(self._slots), 2), np.int64)
        for begin, end in itertools.pairwise([*begins, len(firsts)]):
            key = np.uint64(firsts[begin])
            slot = slot_of(key, self._slots, len(self._slots) - 1)
            self._slots[slot] = key
            self._ranges[slot] = begin, end

    def find(self, texts: pa.Array) -> Mentions:
        """Count the terms in texts (large_string)."""
        found = word_hashes(texts)
        shape = len(texts), len(self.labels)
        hits, distinct = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        _find(
            found.hashes, found.offsets, self._slots, self._ranges, self._label, self._ends,
            self._words, hits, distinct,
        )  # fmt: skip
        return Mentions(hits=hits, distinct=distinct)


@numba.njit(cache=True, nogil=True)
def _find(
    hashes: Hashes,
    offsets: Offsets,
    slots: Hashes,
    ranges: Numbers,
    labels: Numbers,
    ends: Numbers,
    terms: Hashes,
    hits: Counts,
    distinct: Counts,
) -> None:
    mask = len(slots) - 1
    seen = np.full(len(labels), -1, np.int64)  # the text in which an entry was found last
    for text in range(len(offsets) - 1):
        last = offsets[text + 1]
        for at in range(offsets[text], last):
            slot = slot_of(hashes[at], slots, mask)
            if slots[slot] == 0:
                continue
            for entry in range(ranges[slot, 0], ranges[slot, 1]):
                size = ends[entry + 1] - ends[entry]
                if at + size > last:
                    continue
                same = True
                for k in range(1, size):
                    if hashes[at + k] != terms[ends[entry] + k]:
                        same = False
                        break
                if same:
                    label = labels[entry]
                    hits[text, label] += 1
                    if seen[entry] != text:
                        seen[entry] = text
                        distinct[text, label] += 1


def find_plain(text: str, terms: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Hits and distinct terms of each label in one text: what `LabelledTerms.find` repeats."""
    own = tuple(words(text))
    counted = {}
    for label, entries in terms.items():
        phrases = {tuple(words(entry)) for entry in entries} - {()}
        counts = [
            sum(own[at : at + len(phrase)] == phrase for at in range(len(own)))
            for phrase in phrases
        ]
        counted[label] = sum(counts), sum(count > 0 for count in counts)
    return counted
