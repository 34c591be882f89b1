"""Is a text in English? Asked of documents whose language no stage has identified."""

import re

_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH = re.compile(
    r"the|of|and|to|that|with|for|was|it|he|they|this|are|from|have|which|not|by|you|his|her|she|be"
    r"|at|but|were|had"
)
"""Frequent words that no other language shares many of."""
MINIMUM_ENGLISH = 0.12
"""Their share in a text: 0.27 in encyclopedic English, at most 0.05 in the living languages of
Tatoeba (Danish)."""


def looks_english(text: str) -> bool:
    """Whether enough of the words are frequent English ones."""
    words = _WORD.findall(text.lower())
    return sum(map(bool, map(_ENGLISH.fullmatch, words))) >= MINIMUM_ENGLISH * max(1, len(words))
