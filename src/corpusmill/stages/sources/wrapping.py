"""Hard-wrapped lines to paragraphs: which lines belong together, and what a hyphen at a line's end
means."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

Block = tuple[int, list[str]]
"""Blank lines in front, and lines without blank lines between them, without trailing spaces."""
Paragraph = tuple[int, str]
"""Blank lines in front, and the text."""


def blocks_of(lines: Iterable[str]) -> list[Block]:
    """Lines, cut at blank ones."""
    blocks: list[Block] = []
    gap, block = 0, None
    for line in lines:
        line = line.rstrip()
        if not line:
            gap, block = gap + 1, None
        elif block is None:
            block = [line]
            blocks.append((gap, block))
            gap = 0
        else:
            block.append(line)
    return blocks


_LINES_PER_BLOCK = 15
"""Lines between blank ones, on average, from which blank lines are not what parts paragraphs."""


def one_line_each(blocks: Sequence[Block]) -> list[Block]:
    """Blocks, with each line a block in books that put every paragraph on one long line without
    blank lines between."""
    lengths = sorted(len(line) for _, block in blocks for line in block)
    if len(lengths) < _LINES_PER_BLOCK * len(blocks):
        return list(blocks)
    sample = "".join(line for _, block in blocks[:20] for line in block[:100])
    longest = _widths(sample).stop
    if not lengths or lengths[int(0.95 * (len(lengths) - 1))] < longest:
        return list(blocks)
    return [(gap if i == 0 else 0, [line]) for gap, block in blocks for i, line in enumerate(block)]


def _widths(sample: str) -> range:
    """How wide lines of a text may be wrapped."""
    narrow = len(_EAST_ASIAN.findall(sample)) > len(sample) / 4
    return _NARROW_WIDTHS if narrow else _WIDTHS


_SLACK = 8
"""Characters by which a line may fall short of the width and still count as filled."""
_FILLED = 0.8
"""Share of a paragraph's line ends at which the next word did not fit: prose. Verse breaks lines
for other reasons; of its line ends a third meet this by chance."""
_CAPITALS = 0.8
"""Share of lines after the first that begin with a capital letter: verse. In English prose it is
0.15, in German prose 0.35."""
_WIDTHS = range(50, 101)
"""Characters that wrapped lines may be wide."""
_NARROW_WIDTHS = range(18, 51)
"""The same for Chinese and Japanese."""
_ENOUGH = 10
"""Lines from which a width can be told."""

_COLUMNS = re.compile(r"\S {3,}\S|\t|\.{5}|(?: \.){4}|^\s*\|")
_WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60"
_EAST_ASIAN = re.compile(f"[{_WIDE}]")


def unwrapped(blocks: Sequence[Block]) -> list[Paragraph]:
    """Paragraphs, each with its hard-wrapped lines joined.

    A paragraph is joined when most of its lines are so full that the next line's first word did not
    fit. Verse, drama in verse, tables and addresses stay as they are. Quotations, which are
    indented as a whole, are measured against others with the same indentation.
    """
    lines = [line for _, block in blocks for line in block]
    joiner = Joiner(lines)
    widths = _Widths(blocks)
    paragraphs = []
    for gap, block in _with_indented_paragraphs_apart(blocks, lines):
        if len(block) > 1 and widths.is_wrapped(block):
            text = joiner.join(block)
        else:
            text = "\n".join(block)
        paragraphs.append((gap, text.replace("\N{SOFT HYPHEN}", "")))
    return paragraphs


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


class _Widths:
    """How wide lines are wrapped, for each indentation that is common in the book."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        lengths: dict[int, list[int]] = {}
        capitals: Counter[int] = Counter()
        for _, block in blocks:
            if len(block) > 2:
                indent = _indent(block[1])
                lengths.setdefault(indent, []).extend(len(line) for line in block[:-1])
                capitals[indent] += sum(_begins_with_capital(line) for line in block[1:])
        sample = "".join(line for _, block in blocks[:2000] for line in block)
        self._allowed = _widths(sample)
        self._narrow = self._allowed is _NARROW_WIDTHS
        self._main = self._width(lengths.get(0, []))
        self._by_indent = {}
        for indent, found in lengths.items():
            verse = capitals[indent] > _CAPITALS * len(found)
            self._by_indent[indent] = 0 if verse else self._width(found)

    def _width(self, lengths: list[int]) -> int:
        if len(lengths) < _ENOUGH:
            return 0
        width = sorted(lengths)[int(0.95 * (len(lengths) - 1))]
        return width if width in self._allowed else 0

    def is_wrapped(self, block: list[str]) -> bool:
        """Whether the lines of a block are one paragraph of prose."""
        indent = _indent(block[1])
        width = self._by_indent.get(indent) or self._main
        if not width or any(_indent(line) != indent for line in block[2:]):
            return False
        ends = len(block) - 1
        least = width - (3 if self._narrow else _SLACK)
        filled = capitals = 0
        for line, after in itertools.pairwise(block):
            filled += len(line) + 1 + self._first_word(after, indent) > least or _is_cut(line)
            capitals += _begins_with_capital(after)
        if filled < _FILLED * ends:
            return False
        if capitals >= _CAPITALS * ends and (ends > 3 or max(map(len, block)) < width - _SLACK / 2):
            return False
        return 2 * sum(map(_has_columns, block)) < len(block)

    def _first_word(self, line: str, indent: int) -> int:
        """Columns of the word that would have stood on the line before."""
        if self._narrow:
            return 0
        end = line.find(" ", indent)
        return (end if end > 0 else len(line)) - indent


def _is_cut(line: str) -> bool:
    """Whether the line's last word goes on in the next: it did not fit."""
    return line[-1] in _LINE_HYPHENS and line[-2:-1].isalpha()


def _has_columns(line: str) -> bool:
    if "   " in line or ". ." in line or "...." in line or "|" in line or "\t" in line:
        return _COLUMNS.search(line) is not None
    return False


_OPENING = " \"'\u201c\u2018\u00ab\u00bb\u201e\u201a_*([-\u2014\u00bf\u00a1"
"""What stands in front of a sentence's first letter."""


def _begins_with_capital(line: str) -> bool:
    return line.lstrip(_OPENING)[:1].isupper()


def _with_indented_paragraphs_apart(
    blocks: Sequence[Block], lines: Sequence[str]
) -> Iterator[Block]:
    """Blocks, cut before indented lines in books that begin paragraphs so, without blank lines."""
    indents = Counter(_indent(line) for _, block in blocks for line in block)
    indented = len(lines) - indents.pop(0, 0)
    (indent, count), *_ = [*indents.most_common(1), (0, 0)]
    style = (
        len(lines) > 15 * len(blocks)
        and 0.02 * len(lines) < indented < 0.6 * len(lines)
        and count > 0.8 * indented
    )
    for gap, block in blocks:
        start = 0
        for i in range(1, len(block)) if style else ():
            if _indent(block[i]) == indent:
                yield gap, block[start:i]
                gap, start = 1, i
        yield gap, block[start:]


_LINE_HYPHENS = ("-", "\N{HYPHEN}", "\N{SOFT HYPHEN}", "\N{NOT SIGN}")
"""What a word cut at a line's end ends with; OCR of German print gives the NOT SIGN."""
_EM_DASH = "\N{EM DASH}"
_CERTAIN = ("\N{SOFT HYPHEN}", "\N{NOT SIGN}")
_LETTERS = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_SUSPENDED = {
    "and", "bis", "bzw", "e", "eller", "en", "et", "o", "och", "oder", "of", "og", "or", "ou",
    "sowie", "to", "und", "wie", "y",
}  # fmt: skip
"""Words after a hyphen that stands for the rest of a word: "Haus- und Gartenarbeit"."""
_OFTEN = 0.02
"""Share of lines that end in a hyphen from which the hyphens are the typesetter's. Where nobody
cut words, only compounds stand there by chance."""
_CHUNK = 20_000
"""Lines whose words are looked at together."""


class Joiner:
    """Joins lines, given all lines of the book.

    A word cut at a line's end is written as the rest of the book writes it: "exam-/ple" becomes
    "example" and "well-/known" stays "well-known". What occurs nowhere else goes with the majority.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        wanted: set[str] = set()
        pairs = [
            pair
            for line, after in itertools.pairwise(lines)
            if line.endswith(_LINE_HYPHENS) and (pair := _cut_word(line, after))
        ]
        for left, right in pairs:
            wanted |= {left + right, f"{left}-{right}"}
        self._count: Counter[str] = Counter()
        for i in range(0, len(lines) if wanted else 0, _CHUNK):
            words = _WORD.findall("\n".join(lines[i : i + _CHUNK]).lower())
            self._count.update(word for word in words if word in wanted)
        whole = sum(self._count[a + b] > self._count[f"{a}-{b}"] for a, b in pairs)
        compound = sum(self._count[a + b] < self._count[f"{a}-{b}"] for a, b in pairs)
        often = len(pairs) >= _OFTEN * len(lines)
        self._join_unknown = whole > compound or (whole == compound and often)
        sample = "\n".join(lines[:_CHUNK])
        closed = len(re.findall(r"\w(?:--|\u2014)\w", sample))
        self._closed_dashes = closed > len(re.findall(r"\w(?:--|\u2014) ", sample))

    def join(self, lines: Sequence[str]) -> str:
        """One line."""
        parts = [lines[0].strip()]
        for line in lines[1:]:
            text = line.strip()
            last = parts[-1][-1]
            if last in _LINE_HYPHENS or last >= _EM_DASH:
                parts[-1], text = self._seam(parts[-1], text)
                parts.append(text)
            else:
                parts.append(" " + text)
        return "".join(parts)

    def _seam(self, line: str, after: str) -> tuple[str, str]:
        """The end of the line, and the text that follows it."""
        if line.endswith(("--", _EM_DASH)):
            glued = self._closed_dashes and line[:-2][-1:].isalnum() and after[:1].isalnum()
            return line, after if glued else " " + after
        if line.endswith(_LINE_HYPHENS):
            return self._hyphen(line, after)
        if _EAST_ASIAN.match(line[-1:]) and _EAST_ASIAN.match(after[:1]):
            return line, after
        return line, " " + after

    def _hyphen(self, line: str, after: str) -> tuple[str, str]:
        if line.endswith(_CERTAIN):
            glued = line[-2:-1].isalpha() and after[:1].isalpha()
            return (line[:-1], after) if glued else (line, " " + after)
        pair = _cut_word(line, after)
        if not pair:
            return line, after if line[-2:-1].isalnum() else " " + after
        left, right = pair
        whole, compound = self._count[left + right], self._count[f"{left}-{right}"]
        if whole == compound == 0:
            if right in _SUSPENDED:
                return line, " " + after
            if after[0].isupper() and not line[-2].isupper():
                return line, after
        if whole > compound or (whole == compound and self._join_unknown):
            return line[:-1], after
        return line, after


def _cut_word(line: str, after: str) -> tuple[str, str] | None:
    """The halves of a word that the line's end cuts, in lower case; of a compound that has more
    hyphens, the parts next to the last one."""
    last = line[-101:-1].rpartition(" ")[2].rpartition("-")[2]
    letters = _LETTERS.findall(last)
    right = _LETTERS.match(after.lstrip())
    if not letters or not right or not last.endswith(letters[-1]):
        return None
    return letters[-1].lower(), right[0].lower()
