"""Plain-text books: front and back matter of Project Gutenberg, and hard-wrapped lines."""

import itertools
import re
import statistics

_EDGE = 4_000
"""Lines from either end in which the markers of front and back matter are looked for."""

_START = re.compile(
    r"^(?:\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT).*"
    r"|\*END ?\*? ?THE SMALL PRINT!.*)$",
    re.IGNORECASE,
)
_END = re.compile(
    r"^(?:\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT).*"
    r"|Ende? (?:of |dieses )(?:the |this )?Proje[ck]t Gutenberg.*"
    r"|\*\*\*START\*\*THE SMALL PRINT!.*)$",
    re.IGNORECASE,
)
_NAMED = re.compile(r"Project\s+Gutenberg", re.IGNORECASE)
_CREDIT = re.compile(
    r"(?:This e?(?:book|text) was )?(?:produced|prepared|transcribed|created|scanned|typed) by\b",
    re.IGNORECASE,
)
_FIELD = re.compile(r"^(Title|Author|Language|Release Date|Editor|Translator): +(\S.*)$")
_FIELDS = {"Title": "title", "Author": "author", "Language": "language", "Release Date": "date"}


def clean_book(text: str) -> tuple[str, dict[str, str]]:
    """A plain-text book without what the transcribers added, its lines joined to paragraphs, and
    what its header says about it (title, author, language, date)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines, metadata = without_gutenberg(lines)
    return unwrapped(lines), metadata


def without_gutenberg(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """The book between Project Gutenberg's header and licence; all of it without such markers."""
    head = "\n".join(lines[:60])
    if not _NAMED.search(head):
        return lines, {}
    starts = [i for i, line in enumerate(lines[:_EDGE]) if _START.match(line.strip())]
    start = starts[-1] + 1 if starts else 0
    first_back = max(start, len(lines) - _EDGE)
    ends = (i for i in range(first_back, len(lines)) if _END.match(lines[i].strip()))
    end = next(ends, len(lines))
    metadata = {
        _FIELDS[found[1]]: found[2].strip()
        for line in lines[:start]
        if (found := _FIELD.match(line)) and found[1] in _FIELDS
    }
    return _without_credits(lines[start:end]), metadata


def _without_credits(lines: list[str]) -> list[str]:
    """Leave out the paragraphs in front that say who transcribed the book and where it is from."""
    while True:
        first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
        behind = next((i for i in range(first, len(lines)) if not lines[i].strip()), len(lines))
        paragraph = " ".join(lines[first:behind])
        if not (_CREDIT.match(paragraph) or "Gutenberg" in paragraph):
            return lines[first:]
        lines = lines[behind:]


_SLACK = 8
"""Characters by which a line may fall short of the width and still count as filled."""
_FILLED = 0.8
"""Share of a paragraph's line ends at which the next word did not fit: prose. Verse breaks lines
for other reasons; of its line ends a third meet this by chance."""


def unwrapped(lines: list[str]) -> str:
    """Text with the lines of each hard-wrapped paragraph joined.

    A paragraph is joined when most of its lines are so full that the next line's first word did not
    fit. Indented paragraphs, verse, tables and addresses stay as they are.
    """
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        line = line.rstrip()
        if line:
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    long_lines = [len(line) for p in paragraphs if len(p) > 2 for line in p[:-1]]
    if len(long_lines) < 10:
        width = 0
    else:
        width = int(statistics.quantiles(long_lines, n=20, method="inclusive")[-1])
    if not 50 <= width <= 100:  # not wrapped, or verse throughout
        return "\n\n".join("\n".join(p) for p in paragraphs if p)
    return "\n\n".join(_joined(p, width) for p in paragraphs if p)


def _joined(paragraph: list[str], width: int) -> str:
    if len(paragraph) == 1 or any(line[0].isspace() for line in paragraph[1:]):
        return "\n".join(paragraph)
    filled = sum(
        len(line) + 1 + len(after.split(" ", 1)[0]) > width - _SLACK
        for line, after in itertools.pairwise(paragraph)
    )
    separator = " " if filled >= _FILLED * (len(paragraph) - 1) else "\n"
    return separator.join(paragraph)
