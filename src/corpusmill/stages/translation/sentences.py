"""Cuts a document into sentences that can be translated and what must stay between them."""

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corpusmill.stages.translation import spans

MINIMUM_WORDS = 4
"""Shorter sentences (headings, exclamations, names) come back as something else too often."""
MINIMUM_HAN = 6
"""The same in characters of scripts without spaces."""
LONGEST_LINE = 50_000
"""Characters. A longer line is data, and stays as it is."""

_PARAGRAPH = re.compile(r"(\n[^\S\n]*(?:\n[^\S\n]*)+)")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_CODE_LINE = re.compile(r" {4}|\t|.*[{;}\\|]\s*$")
_LIST_SIGN = re.compile(r"\s*(?:(?:[-*+>#\u2022]{1,6}|\d{1,3}[.)])\s+)*")
_WRAPPED_AT = range(50, 101)
"""Columns at which plain text books break their lines."""

_QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb\u201e"
_END = re.compile(
    rf"[.!?\u2026][\"'{_QUOTES})\]]{{0,4}}(\s+)(?=[\"'{_QUOTES}(\[<`\u00bf\u00a1]{{0,2}}(\w))"
    r"|[\u3002\uff01\uff1f][\u201d\u2019\u300d\u300f\uff09]{0,4}(\s*)"
)
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr st prof vs e.g i.e cf etc no vol pp fig jr sr inc ltd co gen rev hon capt"
    " z.b d.h u.a bzw ca nr str hr fr sra sres ud uds p.ej av mme mlle ex art".split()
)
_LAST_WORD = re.compile(r"([^\W\d_][\w.]{0,11})\.\Z")

_SPACE_BEFORE_SIGN = re.compile(r" (?=[.,;:!?](?:\s|\Z))")
_WORD = re.compile(r"[^\W\d_]+")
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
_NO_PROSE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f<>{}\[\]\\|`~^*=+#@_/]|\w{31}")
_NO_PROSE_CATEGORIES = frozenset(("So", "Sm", "Sk", "Cc", "Cf", "Co", "Cn", "Cs"))
"""Pictures, formulas, controls and direction marks, which models drop."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A line, a paragraph or what stands between two: its pieces joined are its text."""

    text: str
    pieces: tuple[str, ...]
    sentences: tuple[int, ...]
    """Places of the pieces that are sentences; the others are white space, code or data."""
    width: int = 0
    """Columns at which its lines were wrapped; the pieces have spaces where the lines ended. 0 if
    they were not."""

    def written(self, instead: Mapping[int, str]) -> str:
        """The text with other pieces in some places; wrapped again where it was."""
        if not instead:
            return self.text
        pieces = [instead.get(place, piece) for place, piece in enumerate(self.pieces)]
        line = "".join(pieces)
        return _wrapped(line, self.width) if self.width else line


def blocks(text: str) -> Iterator[Block]:
    """Cut a text; the texts of the blocks joined are the text, to the last white space."""
    fenced = False
    for number, paragraph in enumerate(_PARAGRAPH.split(text)):
        lines = paragraph.split("\n")
        if number % 2:
            yield Block(text=paragraph, pieces=(paragraph,), sentences=())
            continue
        fences = sum(_FENCE.match(line) is not None for line in lines)
        if fences or fenced or len(paragraph) > LONGEST_LINE:
            # what stands beside a fence in the same paragraph is rarely prose
            fenced ^= fences % 2 == 1
            yield Block(text=paragraph, pieces=(paragraph,), sentences=())
            continue
        end = len(lines) - (lines[-1] == "")
        if _is_wrapped(lines[:end]):
            pieces, places = _cut(" ".join(line.strip() for line in lines[:end]))
            whole, width = "\n".join(lines[:end]), max(map(len, lines))
            yield Block(text=whole, pieces=pieces, sentences=places, width=width)
            if end < len(lines):
                yield Block(text="\n", pieces=("\n",), sentences=())
            continue
        for place, line in enumerate(lines):
            if place:
                yield Block(text="\n", pieces=("\n",), sentences=())
            pieces, places = ((line,), ()) if _CODE_LINE.match(line) else _cut(line)
            yield Block(text=line, pieces=pieces, sentences=places)


def is_prose(marked: str) -> bool:
    """Whether a sentence, its protected stretches replaced by markers, is text to be translated."""
    words = len(_WORD.findall(marked))
    if words < MINIMUM_WORDS and len(_WITHOUT_SPACES.findall(marked)) < MINIMUM_HAN:
        return False
    if not _WITHOUT_SPACES.search(marked) and _NO_PROSE.search(marked):
        return False
    return marked.isascii() or not any(
        unicodedata.category(sign) in _NO_PROSE_CATEGORIES for sign in marked
    )


def tidy(result: str, original: str) -> str:
    """A translation without the white space that the original would not have: rules and small
    models leave some where a word was dropped, or before a full stop."""
    words = " ".join(result.split())
    return words if _SPACE_BEFORE_SIGN.search(original) else _SPACE_BEFORE_SIGN.sub("", words)


def _is_wrapped(lines: list[str]) -> bool:
    return (
        len(lines) > 1
        and all(len(line) in _WRAPPED_AT for line in lines[:-1])
        and not any(line[:1].isspace() for line in lines)
    )


def _cut(line: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Pieces of a line, and the places of those that are sentences."""
    found = _LIST_SIGN.match(line)
    start, end = found.end() if found else 0, len(line.rstrip())
    if start >= end:
        return (line,), ()
    held = spans.protected(line)
    pieces = [line[:start]] if start else []
    places = []
    done, span = start, 0
    for match in _END.finditer(line, start, end):
        gap = 1 if match[1] is not None else 3
        while span < len(held) and held[span][1] <= match.end(gap):
            span += 1
        inside = span < len(held) and held[span][0] < match.start(gap)
        if inside or (gap == 1 and not _ends(line, match)) or match.end(gap) >= end:
            continue
        places.append(len(pieces))
        pieces.append(line[done : match.start(gap)])
        if match[gap]:
            pieces.append(match[gap])
        done = match.end(gap)
    places.append(len(pieces))
    pieces.append(line[done:end])
    if end < len(line):
        pieces.append(line[end:])
    return tuple(pieces), tuple(places)


def _ends(line: str, match: re.Match[str]) -> bool:
    """Whether a sentence ends there: not after an initial or an abbreviation, not before a small
    letter."""
    if match[2].islower():
        return False
    word = _LAST_WORD.search(line, max(0, match.start() - 12), match.start() + 1)
    return word is None or not (
        (len(word[1]) == 1 and word[1].isupper()) or word[1].lower() in _ABBREVIATIONS
    )


def _wrapped(line: str, width: int) -> str:
    """Wrapped at a column, with no break inside what is protected."""
    solid, done = [], 0
    for start, end in spans.protected(line):
        solid += [line[done:start], line[start:end].replace(" ", "\0")]
        done = end
    text = "".join([*solid, line[done:]])
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")
