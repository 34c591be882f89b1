"""Do words around a value say what it is?"""

import re

BEFORE, AFTER = 80, 32
"""Characters around a value in which such a word counts."""

_LETTER = "0-9A-Za-z\u00c0-\u024f\u0370-\u04ff"
"""Letters and digits of scripts that put spaces between words. Others have no word boundaries."""

_GOES_ON_BEFORE = re.compile(rf"[{_LETTER}@%$€£]\Z|[{_LETTER}]_+\Z|[0-9A-Za-z][-./+]\Z|\d[,:]\Z")
_GOES_ON_AFTER = re.compile(rf"[{_LETTER}@%]|_+[{_LETTER}]|[-./:+][0-9A-Za-z]|,\d")
"""Beside a stretch: it is part of a longer number, word or path. A `_` that no letter follows is
Markdown's, a comma between a name and a number parts the cells of a table."""

PLACEHOLDER = re.compile(r"<[A-Z_]{3,40}(?:-[a-z]{10})?>")
"""What masking and pseudonyms write."""
_IN_PLACEHOLDER_BEFORE = re.compile(r"<[A-Z_]{0,40}\Z")
_IN_PLACEHOLDER_AFTER = re.compile(r"[A-Z_]{0,40}(?:-[a-z]{10})?>")


def words(alternatives: str) -> re.Pattern[str]:
    """A pattern for whole words, in any case."""
    return re.compile(rf"(?<![{_LETTER}])(?:{alternatives})(?![{_LETTER}])", re.IGNORECASE)


def near(
    text: str,
    start: int,
    end: int,
    pattern: re.Pattern[str],
    before: int = BEFORE,
    after: int = AFTER,
) -> bool:
    """Whether the words stand near the span, `_` as a space. Placeholders that masking wrote are no
    words."""
    for piece in (text[max(0, start - before) : start], text[end : end + after]):
        words_only = PLACEHOLDER.sub(" ", piece) if "<" in piece else piece
        if pattern.search(words_only):
            return True
        if "_" in words_only and pattern.search(words_only.replace("_", " ")):
            return True
    return False


def stands_free(text: str, start: int, end: int) -> bool:
    """Whether the span is a number or code of its own."""
    return not (
        _GOES_ON_BEFORE.search(text, max(0, start - 3), start)
        or _GOES_ON_AFTER.match(text, end, end + 3)
    )


def in_placeholder(text: str, start: int, end: int) -> bool:
    """Whether the span is part of what masking wrote, as in `<PASSPORT>`: that is no word."""
    return (
        text[start:end].upper() == text[start:end]
        and _IN_PLACEHOLDER_AFTER.match(text, end, end + 56) is not None
        and _IN_PLACEHOLDER_BEFORE.search(text, max(0, start - 42), start) is not None
    )
