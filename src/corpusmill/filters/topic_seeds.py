"""Seed words of topics: what is said about a topic before any model has been trained.

The shipped list is ours, after the top levels of the IPTC media topics and of web directories.
"""

import re
from pathlib import Path

from corpusmill.errors import UsageError, one_of
from corpusmill.filters.languages import LANGUAGES
from corpusmill.filters.shingles import words
from corpusmill.filters.term_file import read_term_file
from corpusmill.filters.term_labels import LONGEST_TERM

SHIPPED = Path(__file__).parent / "data" / "topic_seeds.yaml"
UNKNOWN = "unknown"
"""The topic of a document of which no topic is likely enough."""
MOST_BYTES = 4 << 20
"""Of a file of seed words: a list of words, not a corpus."""
MOST_TOPICS = 1000
FEWEST_SEEDS = 5
"""Of a topic: two must meet in a text before it is believed."""
NAME = re.compile(r"[\w.&+-]{1,64}")
"""What a topic may be called: it becomes a label of fastText's, which ends at white space."""

Seeds = dict[str, dict[str, tuple[str, ...]]]
"""Language -> topic -> words and phrases."""


def read_seeds(path: str = "") -> Seeds:
    """The seed words of a file, or the shipped ones.

    Raises UsageError that names the file and what is wrong with it.
    """
    name, plain = read_term_file(
        path, SHIPPED, "seeds", most_bytes=MOST_BYTES, max_depth=4, of="topics"
    )
    seeds = {_language(name, language): _topics(name, found) for language, found in plain.items()}
    topics = {topic for found in seeds.values() for topic in found}
    if not 2 <= len(topics) <= MOST_TOPICS:
        raise UsageError(f"seeds {name}: has {len(topics)} topics; 2 to {MOST_TOPICS} can be told")
    return seeds


def check_topic(name: str) -> str:
    """The name of a topic; ValueError if it cannot be one."""
    if not NAME.fullmatch(name) or name == UNKNOWN:
        raise ValueError(
            f"topic {name!r}: letters, digits and any of . & + - _, 64 at most, and not {UNKNOWN}"
        )
    return name


def _language(file: str, code: object) -> str:
    if code is False:
        raise UsageError(f"seeds {file}: YAML reads no as false: write Norwegian as 'no'")
    if code not in LANGUAGES:
        raise UsageError(f"seeds {file}: language {one_of(str(code), LANGUAGES)}")
    return str(code)


def _topics(file: str, found: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(found, dict) or not found:
        raise UsageError(f"seeds {file}: a language is no mapping of topics to words")
    for topic, seeds in found.items():
        try:
            check_topic(str(topic))
        except ValueError as problem:
            raise UsageError(f"seeds {file}: {problem}") from None
        if not isinstance(seeds, list) or not all(isinstance(seed, str) for seed in seeds):
            raise UsageError(f"seeds {file}: {topic}: is no list of words and phrases")
        different = {tuple(words(seed)) for seed in seeds} - {()}
        if len(different) < FEWEST_SEEDS:
            raise UsageError(f"seeds {file}: {topic}: has fewer than {FEWEST_SEEDS} words")
        if max(map(len, different)) > LONGEST_TERM:
            raise UsageError(f"seeds {file}: {topic}: more than {LONGEST_TERM} words in a phrase")
    return {
        str(topic): tuple(seeds)
        for topic, seeds in sorted(found.items(), key=lambda item: str(item[0]))
    }
