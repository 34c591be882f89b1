"""Which stretches of a document can be translated, and whether what came back can be used."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

MINIMUM_WORDS = 4
"""Shorter sentences (headings, exclamations, names) come back as something else too often."""

_PARAGRAPH = re.compile(r"(\n[^\S\n]*(?:\n[^\S\n]*)+)")
_WRAPPED_AT = range(50, 101)
"""Columns at which plain text books break their lines."""

_QUOTES = "\u2018\u2019\u201c\u201d"
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bProf)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)"
    rf"(?<!\b[A-Z])[.!?][\"'{_QUOTES})\]]*(\s+)(?=[\"'{_QUOTES}(\[]?[A-Z0-9])"
)
_PROSE = re.compile(rf"(?:[^\W_]|[\s.,;:!?'\"()%$€£&{_QUOTES}\u2013\u2014-])*")
_NAME_WITH_DOT = re.compile(r"[^\W\d_]{2,}\.[^\W\d_]{2,}")
_WORD = re.compile(r"[^\W\d_]+")
_LONG_WORD = re.compile(r"\w{31}")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_STUCK = re.compile(r"(\b\w+\b)(?:\W+\1\b){3}|(?:[^\w\s]\s?){5}")

_STRAIGHT_QUOTES = str.maketrans(_QUOTES, "''\"\"")

_ENGLISH = re.compile(
    r"the|of|and|to|that|with|for|was|it|he|they|this|are|from|have|which|not|by|you|his|her|she|be"
    r"|at|but|were|had"
)
"""Frequent words that no other language shares many of."""
MINIMUM_ENGLISH = 0.12
"""Their share in a text: 0.27 in encyclopedic English, at most 0.05 in the living languages of
Tatoeba (Danish)."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a document: a sentence, or what stands between sentences."""

    text: str
    is_sentence: bool


def pieces(text: str) -> Iterator[Piece]:
    """Cut a text into sentences and what stands between; joined they give the text back, except
    that lines wrapped at a column become one line."""
    for number, block in enumerate(_PARAGRAPH.split(text)):
        if number % 2:
            yield Piece(block, False)
            continue
        lines = block.split("\n")
        wrapped = len(lines) > 1 and all(len(line) in _WRAPPED_AT for line in lines[:-1])
        for place, line in enumerate([" ".join(lines)] if wrapped else lines):
            if place:
                yield Piece("\n", False)
            yield from _sentences(line)


def _sentences(line: str) -> Iterator[Piece]:
    content = line.strip()
    if not content:
        yield Piece(line, False)
        return
    start = line.index(content)
    done = start
    if start:
        yield Piece(line[:start], False)
    for gap in _SENTENCE_END.finditer(line, start, start + len(content)):
        yield Piece(line[done : gap.start(1)], True)
        yield Piece(gap.group(1), False)
        done = gap.end(1)
    yield Piece(line[done : start + len(content)], True)
    if line[start + len(content) :]:
        yield Piece(line[start + len(content) :], False)


def translatable(sentence: str, max_chars: int) -> bool:
    """Whether the sentence is plain prose: no markup, placeholder, address, path or code in it."""
    return (
        len(sentence) <= max_chars
        and len(_WORD.findall(sentence)) >= MINIMUM_WORDS
        and _PROSE.fullmatch(sentence) is not None
        and _NAME_WITH_DOT.search(sentence) is None
        and _LONG_WORD.search(sentence) is None
    )


def straight_quotes(sentence: str) -> str:
    """Typographic quotation marks as ASCII: small models drop the others."""
    return sentence.translate(_STRAIGHT_QUOTES)


def similar_length(original: str, result: str) -> bool:
    """Whether neither is more than 1.6 times as long as the other."""
    return len(original) <= 1.6 * len(result) and len(result) <= 1.6 * len(original)


def usable(original: str, result: str) -> bool:
    """Whether a round trip kept the sentence: about its length, all its numbers, and no word or
    sign repeated on and on."""
    return (
        similar_length(original, result)
        and Counter(_NUMBER.findall(original)) == Counter(_NUMBER.findall(result))
        and (_STUCK.search(result) is None or _STUCK.search(original) is not None)
    )


def looks_english(text: str) -> bool:
    """Whether enough of the words are frequent English ones."""
    words = _WORD.findall(text.lower())
    return sum(map(bool, map(_ENGLISH.fullmatch, words))) >= MINIMUM_ENGLISH * max(1, len(words))
