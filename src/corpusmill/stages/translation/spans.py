"""What no translation may touch: placeholders, coined names, addresses, code, markup, numbers.

Stretches of a sentence that a model would translate, spell otherwise or drop are replaced by
markers (`X1`, `X2`), which models copy as they copy names. What is checked in the end does not rely
on markers: the same stretches, found again in the result, must be the same, each as often.

Every repetition in the patterns is bounded, so finding takes linear time.
"""

import re
from collections import Counter

from corpusmill.privacy.context import PLACEHOLDER
from corpusmill.privacy.pseudonym_names import fictitious_names

MOST_IN_SENTENCE = 6
"""Protected stretches of a sentence; one with more is a list or a table, and stays as it is."""

_LETTER = r"[^\W\d_]"
_PROTECTED = re.compile(
    "|".join(
        (
            PLACEHOLDER.pattern,
            # Markdown code and link targets, HTML, TeX, templates, references
            r"(?::[a-z]{2,12}:)?`{1,3}[^`\n]{1,400}`{1,3}",
            r"%(?:\(\w{1,40}\))?[sdifrxu]\b",
            r"(?<=\])\([^()\s]{1,400}\)",
            r"</?[A-Za-z][^<>\n]{0,400}>",
            r"&(?:[A-Za-z]{2,10}|#\d{1,7});",
            r"\$\$[^$\n]{1,200}\$\$|\$(?=[^$\s\d])[^$\n]{0,200}[^$\s]\$(?!\d)",
            r"\\[A-Za-z]{1,30}(?:\{[^{}\n]{0,200}\}){0,4}",
            r"\{\{[^{}\n]{0,200}\}\}|\{[^{}\n]{0,200}\}",
            r"\[[^\[\]\n]{1,60}\](?!\()",
            # addresses; a full stop or comma at their end belongs to the sentence
            r"(?:[a-z][a-z0-9+.-]{1,15}://|www\.)[^\s<>\"“”‘’]{0,500}[^\s<>\"“”‘’.,;:!?'()\]]/?",
            r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,6}",
            r"(?<!\S)[@#]\w{1,64}",
            # paths, calls, options, operators, names with signs or capitals or digits inside
            r"(?:[A-Za-z]:)?(?:[\w.~-]{0,64}[\\/]){2,12}(?:[\w.~-]{0,64}\w)?",
            r"(?<!\w)\w{1,64}(?:\.\w{1,64}){0,6}\([^()\s]{0,64}\)",
            rf"(?<![\w.]){_LETTER}[\w-]{{1,63}}(?:\.{_LETTER}\w{{1,63}}){{1,6}}(?!\w)",
            r"(?<!\w)\w{0,64}(?:[^\W_]_|_[^\W_])\w{0,64}",
            r"(?<!\S)--?[A-Za-z][\w-]{0,40}(?:=\S{0,64})?",
            r"[\w.]{1,40} ?(?:::|->|=>|==|!=|<=|>=|\+=|-=|=) ?[\w.\"']{1,40}",
            r"(?<!\w)[a-z]{1,32}[A-Z]\w{0,64}",
            r"(?<!\w)(?!\d{1,4}(?:st|nd|rd|th|s)\b)(?=\w{0,64}\d)(?=\w{0,64}[^\W\d_])[\w-]{2,64}(?!\w)",
        )
    )
)
_NUMBER = re.compile(r"\d{1,64}(?:[.,:]\d{1,64}){0,16}")
_PREFIXES = ("X", "XQ", "ZX", "QZ")
"""Beginnings of markers: the first of which the sentence has none."""


def protected(text: str) -> list[tuple[int, int]]:
    """Where protected stretches begin and end; in order, none overlaps another."""
    spans = [match.span() for match in _PROTECTED.finditer(text)]
    spans = sorted(spans + fictitious_names(text, 0, len(text)))
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def content(text: str) -> Counter[str]:
    """The protected stretches of a text, and how often each is there."""
    return Counter(text[start:end] for start, end in protected(text))


def numbers(text: str) -> Counter[str]:
    """The numbers of a text as they are written, and how often each is there."""
    return Counter(_NUMBER.findall(text))


def mark(text: str) -> tuple[str, dict[str, str]] | None:
    """The text with a marker for each protected stretch, and what each stands for.

    None where there are too many, or where the text itself looks like markers.
    """
    spans = protected(text)
    if len(spans) > MOST_IN_SENTENCE:
        return None
    prefix = next((p for p in _PREFIXES if not re.search(rf"{p}\d", text)), None)
    if prefix is None:
        return None
    pieces, held, done = [], {}, 0
    for number, (start, end) in enumerate(spans, 1):
        marker = f"{prefix}{number}"
        held[marker] = text[start:end]
        pieces += [text[done:start], marker]
        done = end
    return "".join([*pieces, text[done:]]), held


def restore(text: str, held: dict[str, str]) -> str | None:
    """The stretches in the places of their markers; None unless each marker is there once, as a
    word of its own, and for an empty text."""
    if not held:
        return text or None
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, held))})(?!\w)")
    if Counter(pattern.findall(text)) != Counter(list(held)):
        return None
    return pattern.sub(lambda match: held[match[0]], text)
