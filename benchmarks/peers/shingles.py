"""Shingles in plain Python, as fast as it gets: words by one expression, joined by C code."""

import re
from collections.abc import Iterator

from benchmarks.peers.common import WORDS

ASCII_WORD_OR_BEYOND = re.compile(rb"[0-9a-z\x80-\xff]+")


def shingles(text: str) -> Iterator[bytes]:
    """Runs of five words with a blank between."""
    words = ASCII_WORD_OR_BEYOND.findall(text.lower().encode())
    return map(b" ".join, zip(*(words[i:] for i in range(WORDS)), strict=False))
