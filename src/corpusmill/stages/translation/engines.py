"""What a translator offers, and what an engine is."""

from collections.abc import Collection, Sequence
from typing import Protocol

Direction = tuple[str, str]
"""From one language into another: ("en", "pt")."""


class Translator(Protocol):
    """One direction. The result for a list of sentences is always the same."""

    max_chars: int
    """Longer sentences are not sent."""

    def translate(self, sentences: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Translate sentences of plain prose, an empty text for one that could not be translated.

        `seeds` are 64-bit numbers, one for each sentence, for engines that draw at random.
        """


class Engine(Protocol):
    """A library with models."""

    def directions(self) -> Collection[Direction]:
        """What it translates; known without loading anything."""

    def check(self) -> None:
        """Raise UsageError that says what to install, or which model is wrong."""

    def open(self, direction: Direction) -> Translator:
        """Load what translates in one direction. Models that serve several are loaded once."""
