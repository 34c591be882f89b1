"""What a translator offers, and what an engine is."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from corpusmill import plugins
from corpusmill.errors import BrokenContract

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


MakeEngine = Callable[[Mapping[str, str]], Engine]
"""What other packages offer: given `models` of the settings, the engine."""


def plugin_engine(plugin: plugins.Plugin, models: Mapping[str, str]) -> Engine:
    """The engine of another package, whose translators give a text for each sentence."""
    make: Any = plugins.load(plugin)
    engine = make(models) if callable(make) else None
    if not all(callable(getattr(engine, name, None)) for name in ("directions", "check", "open")):
        raise plugins.refused(
            plugin, f"{plugin.target} makes no Engine (corpusmill.stages.translation.engines)"
        )
    return _PluginEngine(plugin, engine)


class _PluginEngine:
    def __init__(self, plugin: plugins.Plugin, engine: Any) -> None:
        self._plugin = plugin
        self._engine: Engine = engine

    def directions(self) -> Collection[Direction]:
        found = self._engine.directions()
        for direction in found:
            if not isinstance(direction, tuple) or list(map(type, direction)) != [str, str]:
                raise plugins.refused(self._plugin, f"{direction!r} is no pair of languages")
        return found

    def check(self) -> None:
        self._engine.check()

    def open(self, direction: Direction) -> Translator:
        translator = self._engine.open(direction)
        if not callable(getattr(translator, "translate", None)) or not isinstance(
            getattr(translator, "max_chars", None), int
        ):
            raise plugins.refused(self._plugin, "opens no Translator: `translate` and `max_chars`")
        return _PluginTranslator(self._plugin, translator)


class _PluginTranslator:
    def __init__(self, plugin: plugins.Plugin, translator: Translator) -> None:
        self._plugin = plugin
        self._translator = translator
        self.max_chars = translator.max_chars

    def translate(self, sentences: Sequence[str], seeds: Sequence[int]) -> list[str]:
        results = list(self._translator.translate(sentences, seeds))
        if len(results) != len(sentences) or not all(isinstance(text, str) for text in results):
            raise BrokenContract(f"{self._plugin} gave not one text for each sentence")
        return results
