"""Printed pages to running text: page numbers and the lines that stand at the head or foot of many
pages are left out."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

_EDGE_LINES = 2
"""Lines at the head and at the foot of a page that may be the printer's."""
_REPEATS = 3
"""Pages from which the same line at the same edge is no text."""
_LONGEST = 100
"""Characters of a running head."""

_COUNTED = 0.3
"""Share of pages whose number stands at an edge, from which a number there is the page's."""

_FIRST_NUMBER = re.compile(r"\s*\d{1,4}(?=\s|$)")
_LAST_NUMBER = re.compile(r"(?<!\S)\d{1,4}\s*$")
_DIGITS = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(
    r"\W{0,6}(?:(?:page|pg|p|seite|s|p\u00e1gina)\b\.? ?)?(\d{1,4}|[ivxlc]{1,7})\W{0,6}",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"[.!?:;\u2026\u3002\uff01\uff1f][\"'\u201d\u2019\u00bb\u00ab)\]*_]{0,3}$"
)


def ends_sentence(line: str) -> bool:
    """Whether a line ends as a sentence or a clause does, perhaps inside quotation marks."""
    return bool(_SENTENCE_END.search(line.rstrip()[-6:]))


def bodies(pages: Sequence[Sequence[str]]) -> list[range]:
    """For each page, given as its lines, the lines between running head and running foot.

    A line is a running head or foot when lines that differ from it in digits alone stand at the
    same edge of three pages or more (page numbers, titles of books and of chapters), or when it
    begins or ends with a number that counts the pages.
    """
    filled = [[i for i, line in enumerate(page) if line.strip()] for page in pages]
    running = _Running(pages, filled)
    kept = []
    for number, (page, lines) in enumerate(zip(pages, filled, strict=True)):
        first, last = 0, len(lines)
        while first < min(last, _EDGE_LINES) and running.has(
            page[lines[first]], True, number if first == 0 else None
        ):
            first += 1
        while last > max(first, len(lines) - _EDGE_LINES) and running.has(
            page[lines[last - 1]], False, number if last == len(lines) else None
        ):
            last -= 1
        kept.append(range(lines[first], lines[last - 1] + 1) if first < last else range(0))
    return kept


class _Running:
    """What stands at the edges of pages again and again."""

    def __init__(self, pages: Sequence[Sequence[str]], filled: Sequence[list[int]]) -> None:
        self._seen: Counter[tuple[bool, str]] = Counter()
        counts: Counter[tuple[bool, int]] = Counter()
        for number, (page, lines) in enumerate(zip(pages, filled, strict=True)):
            for at_head in (True, False):
                edge = lines[:_EDGE_LINES] if at_head else lines[: -_EDGE_LINES - 1 : -1]
                self._seen.update({(at_head, _without_digits(page[i])) for i in edge})
                numbers = {value for i in edge[:1] for value in _outer_numbers(page[i])}
                counts.update((at_head, value - number) for value in numbers)
        enough = max(_REPEATS, _COUNTED * len(pages))
        self._first_numbers = {place for place, count in counts.items() if count >= enough}

    def has(self, line: str, at_head: bool, page: int | None) -> bool:
        """Whether a line at an edge is one; for the outermost line, on which page it stands."""
        text = _without_digits(line)
        if text and self._seen[at_head, text] >= _REPEATS:
            return True
        return page is not None and any(
            (at_head, value - page) in self._first_numbers for value in _outer_numbers(line)
        )


def _outer_numbers(line: str) -> list[int]:
    """The numbers that a short line begins and ends with."""
    if len(line) > _LONGEST:
        return []
    return [
        int(found[0]) for found in (_FIRST_NUMBER.match(line), _LAST_NUMBER.search(line)) if found
    ]


def _without_digits(line: str) -> str:
    line = _SPACE.sub(" ", line).strip()
    if len(line) > _LONGEST:
        return ""
    return "#" if _NUMBER.fullmatch(line) else _DIGITS.sub("#", line.casefold())


def without_page_breaks(text: str) -> list[str]:
    """The lines of a text with form feeds between its pages; a paragraph that goes on over the
    break goes on in the result."""
    pages = [page.split("\n") for page in text.split("\f")]
    lines: list[str] = []
    for page, body in zip(pages, bodies(pages), strict=True):
        if not body:
            continue
        if lines and ends_sentence(lines[-1]):
            lines.append("")
        lines += [page[i].rstrip() for i in body]
    return lines


_FEWEST = 10
"""Page numbers from which a text is taken to have them."""
_PAGE_LINES = range(10, 120)
"""Lines from one page number to the next."""
_MID_SENTENCE = 0.25
"""Share of page numbers in the middle of a sentence, from which they are that and not numbers of
chapters or verses: of a novel's pages, more than half end in one."""


def without_page_numbers(lines: list[str]) -> list[str]:
    """Lines without those that hold the number of a page only, as OCR leaves them.

    They are left out where they rise page by page, at a page's distance, and often stand in the
    middle of a sentence.
    """
    found = [
        (i, int(number[1]))
        for i, line in enumerate(lines)
        if len(line) < 20
        and any(map(str.isdigit, line))
        and (number := _NUMBER.fullmatch(line.strip()))
        and number[1].isdigit()
    ]
    numbers: set[int] = set()
    for (i, first), (j, second) in itertools.pairwise(found):
        if 0 < second - first <= 3 and j - i in _PAGE_LINES:
            numbers |= {i, j}
    inside = {i for i in numbers if not ends_sentence(_before(lines, i))}
    if len(numbers) < _FEWEST or len(inside) < _MID_SENTENCE * len(numbers):
        return lines
    kept: list[str] = []
    joining = False
    for i, line in enumerate(lines):
        if i in numbers:
            joining = i in inside
            while joining and kept and not kept[-1]:
                kept.pop()
        elif line.strip() or not joining:
            joining = False
            kept.append(line.rstrip())
    return kept


def _before(lines: list[str], i: int) -> str:
    return next((lines[k] for k in range(i - 1, max(-1, i - 5), -1) if lines[k].strip()), "")
