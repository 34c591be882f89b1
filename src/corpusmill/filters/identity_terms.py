"""Which groups of people does a text mention? By lists of words for each language.

A list speaks for texts in its language only (German `man` is no man): the language is that whose
function words a text has most of, of those that have a list. This needs no stage before it.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.errors import UsageError, one_of
from corpusmill.filters.shingles import words
from corpusmill.filters.stop_words import STOP_WORDS
from corpusmill.filters.term_file import read_term_file
from corpusmill.filters.term_labels import LONGEST_TERM, LabelledTerms

SHIPPED = Path(__file__).parent / "data" / "identity_terms.yaml"
MOST_BYTES = 1 << 20
"""Of a file of terms."""
MOST_GROUPS = 500
LONGEST_NAME = 80
"""Characters of the name of a category or group."""

Group = tuple[str, str]
"""Category and group: (`religion`, `Muslims`)."""
Terms = dict[str, dict[Group, tuple[str, ...]]]
"""Language -> group -> words and phrases."""


def read_identity_terms(path: str = "") -> Terms:
    """The terms of a file, or the shipped ones. Raises UsageError that names the file.

    The file is YAML: language -> category -> group -> list of words and phrases.
    """
    name, plain = read_term_file(
        path,
        SHIPPED,
        "terms",
        most_bytes=MOST_BYTES,
        max_depth=5,
        of="categories of groups",
    )
    terms: Terms = {}
    for language, categories in plain.items():
        if language not in STOP_WORDS:
            raise UsageError(f"terms {name}: language {one_of(str(language), STOP_WORDS)}")
        terms[language] = _groups(name, language, categories)
    if len({group for found in terms.values() for group in found}) > MOST_GROUPS:
        raise UsageError(f"terms {name}: has more than {MOST_GROUPS} groups")
    return terms


def _groups(file: str, language: str, categories: object) -> dict[Group, tuple[str, ...]]:
    found: dict[Group, tuple[str, ...]] = {}
    for category, groups in categories.items() if isinstance(categories, dict) else ():
        for group, terms in groups.items() if isinstance(groups, dict) else ():
            place = f"terms {file}: {language}: {category}: {group}"
            if max(len(str(category)), len(str(group))) > LONGEST_NAME:
                raise UsageError(f"terms {file}: {language}: a name of over {LONGEST_NAME} letters")
            if not isinstance(terms, list) or not all(isinstance(t, str) for t in terms):
                raise UsageError(f"{place}: is no list of words and phrases")
            sizes = [len(list(words(term))) for term in terms]
            if not sizes or not all(0 < size <= LONGEST_TERM for size in sizes):
                raise UsageError(f"{place}: each term has 1 to {LONGEST_TERM} words")
            found[str(category), str(group)] = tuple(terms)
    if not found:
        raise UsageError(f"terms {file}: {language}: no category with a group and its words")
    return found


class IdentityTerms:
    """Terms of all languages, to be found in one pass."""

    def __init__(self, terms: Terms) -> None:
        self.groups = tuple(sorted({group for found in terms.values() for group in found}))
        labels = {f"{language}\n": STOP_WORDS[language] for language in terms}
        self._columns: list[list[tuple[int, int]]] = []  # (label, group) of each language
        for language, found in terms.items():
            columns = []
            for group, listed in found.items():
                columns.append((len(labels), self.groups.index(group)))
                labels["\n".join((language, *group))] = listed
            self._columns.append(columns)
        self._terms = LabelledTerms(labels)

    def mentioned(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Whether each text mentions each group; shape [texts, groups]."""
        hits = self._terms.find(texts).hits
        function_words = hits[:, : len(self._columns)]
        language = np.where(function_words.any(1), function_words.argmax(1), -1)
        mentioned = np.zeros((len(texts), len(self.groups)), bool)
        for number, columns in enumerate(self._columns):
            rows = np.flatnonzero(language == number)
            labels, groups = (list(column) for column in zip(*columns, strict=True))
            mentioned[np.ix_(rows, groups)] = hits[np.ix_(rows, labels)] > 0
        return mentioned
