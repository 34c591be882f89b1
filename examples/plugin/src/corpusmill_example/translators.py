"""A translator for `augment`: word by word through bilingual word lists, for languages without a
model. There and back, a word becomes one of its synonyms."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from corpusmill.errors import UsageError
from corpusmill.stages.translation.engines import Direction, Translator

_WORD = re.compile(r"\w+")


class Glossary:
    """Word lists: `backtranslate: {engine: glossary, models: {en-de: en-de.tsv, ...}}`, with a word,
    a tabulator and its translation on each line."""

    def __init__(self, models: Mapping[str, str]) -> None:
        self._files = {(key.split("-")[0], key.split("-")[1]): models[key] for key in models}

    def directions(self) -> Collection[Direction]:
        """Those of the word lists."""
        return list(self._files)

    def check(self) -> None:
        """Raise UsageError for a word list that is not there."""
        for path in self._files.values():
            if not Path(path).is_file():
                raise UsageError(f"backtranslate: models: there is no word list {path}")

    def open(self, direction: Direction) -> Translator:
        """Read the word list."""
        lines = Path(self._files[direction]).read_text(encoding="utf-8").splitlines()
        pairs = (line.split("\t") for line in lines if "\t" in line)
        return WordByWord({word.lower(): other for word, other, *_ in pairs})


class WordByWord:
    """One direction."""

    max_chars = 2000

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words

    def translate(self, sentences: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Words that are not in the list stay; a capital stays a capital."""
        return [_WORD.sub(self._word, sentence) for sentence in sentences]

    def _word(self, match: re.Match[str]) -> str:
        other = self._words.get(match[0].lower(), match[0])
        return other[:1].upper() + other[1:] if match[0][:1].isupper() else other
