"""Labelled text to learn topics from: JSONL, {text, label} on each line."""

import json

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.filters.shingles import words
from corpusmill.filters.topic_seeds import MOST_TOPICS, check_topic

MOST_BYTES = 1 << 30
"""Of a file: all of it is held while the model learns."""
FEWEST = 20
"""Lines of a file from which on there is something to learn."""


def read_labelled(path: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a file in UTF-8, without texts that have no word.

    Other fields of a line do not matter.

    Raises UsageError that names file and line, and never quotes a text.
    """
    try:
        if storage.file_size(path) > MOST_BYTES:
            raise UsageError(f"labelled {path}: is larger than {MOST_BYTES >> 20} MiB")
        lines = storage.read_bytes(path).splitlines()
    except OSError as error:
        raise UsageError(
            f"labelled {path}: cannot be read: {error.strerror or 'no such file'}"
        ) from None
    texts, labels = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"labelled {path}:{number}: is not JSON in UTF-8") from None
        if not isinstance(row, dict) or not all(
            isinstance(row.get(name), str) for name in ("text", "label")
        ):
            raise UsageError(f"labelled {path}:{number}: needs the strings `text` and `label`")
        if not any(words(row["text"])):
            continue
        try:
            labels.append(check_topic(row["label"]))
            texts.append(row["text"].encode("utf-8", "replace").decode())
        except ValueError:
            raise UsageError(
                f"labelled {path}:{number}: label: letters, digits and any of . & + - _, "
                "64 at most, and not unknown"
            ) from None
    if len(texts) < FEWEST:
        raise UsageError(
            f"labelled {path}: has {len(texts)} texts with words; {FEWEST} at least are needed"
        )
    if len(set(labels)) > MOST_TOPICS:
        raise UsageError(f"labelled {path}: has more than {MOST_TOPICS} labels")
    return texts, labels
