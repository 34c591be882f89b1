"""What is left of a planted value after anonymization, seen from outside.

The text before and the text after are all that is looked at, so that any method and any number of
stages can be judged. Both are compared word by word; what stands between unchanged words on both
sides of a value is what took its place.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from difflib import SequenceMatcher

from corpusmill.privacy.context import PLACEHOLDER
from corpusmill.privacy.finding import Span
from corpusmill.privacy.pseudonym_names import fictitious_names

LEAST_LEFT = 5
"""Letters and digits in a row that must be left of a value for it to count as leaked ..."""
LEAST_SHARE = 0.4
"""... and the share of the value's letters and digits that they must be. An area code or the
first number of an address may stand in a pseudonym too."""

_WORD = re.compile(rf"(?:{PLACEHOLDER.pattern}|\w+|[^\w\s])\s*|\s+")
"""With the space behind it: as words of their own, spaces would be anchors everywhere. What
masking wrote is one word, or its brackets would pass for those that stood there before."""

_APART = "\0"
"""Stands where something made up was cut out: what is left on both sides is not in a row."""


class Comparison:
    """A text before and after anonymization."""

    def __init__(self, before: str, after: str) -> None:
        self.before = before
        self.after = after
        self._kept = _kept(before, after)
        """Stretches that are in both: (start before, start after, length), in order."""
        self._starts = [start for start, _, _ in self._kept]

    def replaced(self) -> list[Span]:
        """Stretches of the text before that are not in the text after; some may be empty."""
        spans, done, after = [], 0, 0
        for start, place, length in [*self._kept, (len(self.before), len(self.after), 0)]:
            if start > done or place > after:
                spans.append((done, start))
            done, after = start + length, place + length
        return spans

    def instead(self, start: int, end: int) -> str:
        """What stands where before[start:end] stood: it, or what it was replaced by."""
        at = bisect_right(self._starts, start - 1) - 1 if start else -1
        begin = 0
        if at >= 0:
            first, place, length = self._kept[at]
            begin = place + min(length, start - first)
        at = bisect_left(self._starts, end)
        if at and self._kept[at - 1][0] + self._kept[at - 1][2] > end:
            first, place, _ = self._kept[at - 1]
            return self.after[begin : place + end - first]
        stop = self._kept[at][1] if at < len(self._kept) else len(self.after)
        return self.after[begin:stop]

    def leaked(self, start: int, end: int) -> bool:
        """Whether what replaced the value still tells it, or a good part of it. Placeholders and
        coined names tell nothing: the STREET of a placeholder is not that of an address."""
        value = _plain(self.before[start:end])
        instead = _plain(_without_made_up(self.instead(start, end)))
        if not value:
            return False
        match = SequenceMatcher(None, value, instead, autojunk=False)
        longest = match.find_longest_match().size
        return longest >= min(LEAST_LEFT, len(value)) and longest >= LEAST_SHARE * len(value)


def _without_made_up(text: str) -> str:
    """The text with what masking wrote and coined names cut out; a sign keeps the rest apart."""
    pieces, done = [], 0
    spans = [match.span() for match in PLACEHOLDER.finditer(text)]
    for start, end in sorted([*spans, *fictitious_names(text, 0, len(text))]):
        if end > done:
            pieces.append(text[done:start])
            done = end
    return _APART.join([*pieces, text[done:]])


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum() or c == _APART)


def _kept(before: str, after: str) -> list[tuple[int, int, int]]:
    """Equal stretches: line by line, and word by word where lines differ."""
    kept: list[tuple[int, int, int]] = []
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = _offsets(lines[0]), _offsets(lines[1])
    matcher = SequenceMatcher(None, *lines, autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        one, other = starts[0][i], starts[1][j]
        if tag == "equal":
            kept.append((one, other, starts[0][i_end] - one))
        elif tag == "replace":
            pieces = before[one : starts[0][i_end]], after[other : starts[1][j_end]]
            kept += [(one + a, other + b, size) for a, b, size in _kept_words(*pieces)]
    return kept


def _kept_words(before: str, after: str) -> list[tuple[int, int, int]]:
    words = _WORD.findall(before), _WORD.findall(after)
    starts = _offsets(words[0]), _offsets(words[1])
    matcher = SequenceMatcher(None, *words, autojunk=False)
    return [
        (starts[0][i], starts[1][j], starts[0][i + size] - starts[0][i])
        for i, j, size in matcher.get_matching_blocks()
        if size
    ]


def _offsets(pieces: Sequence[str]) -> list[int]:
    """Where each piece begins, and where the last one ends."""
    offsets = [0]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return offsets
