"""A document's text from barrier to barrier, masked, and the words that changed on the way."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from corpusmill.report.explorer.catalogue import Catalogue
from corpusmill.report.lookup import read_texts
from corpusmill.report.showing import mask_beginning

CHARACTERS = 6000
"""Of each text that are read, masked and compared."""
LINES = 300
"""Of each text that are compared; what is between the ends that agree counts."""
WORDS = 400
"""Of two groups of lines that are compared word by word; longer ones are shown as replaced."""

SAME, GONE, NEW = "same", "gone", "new"
Spans = list[tuple[str, str]]
"""SAME, GONE or NEW, and the text of it."""

_WORD = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A text before and after the stages between two barriers."""

    before: str
    """What the left side is."""
    after: str
    left: Spans
    right: Spans
    changed: bool
    """Whether what is shown of the texts differs at all."""
    cut: bool
    """Whether either text goes on behind what is shown."""


@dataclass(frozen=True, kw_only=True)
class Journey:
    """The texts of a document as far as the run holds them."""

    first: str | None
    """The first barrier that holds the document; None where no text remains."""
    text: str
    """Its text there."""
    cut: bool
    steps: list[Step]


def journey(catalogue: Catalogue, identity: str, part: int, original: str | None = None) -> Journey:
    """The document's texts at every barrier that holds it, each compared with the one before.

    A derived document's first text is compared with its original's. Where the stages were removed,
    only the text that came out remains.
    """
    names = [(stage.name, f"stages/{stage.name}") for stage in catalogue.record.stages]
    areas = [(name, area) for name, area in names if catalogue.files(area)]
    wanted = {part: [identity] if original is None else [identity, original]}
    texts: list[tuple[str, str]] = []
    for name, area in areas or [("documents", "documents")]:
        found = read_texts(catalogue.run, wanted, CHARACTERS + 1, area)
        if identity in found:
            if original in found and not texts:
                texts.append((f"the original after {name}", found[original]))
            label = f"as it left {name}" if area != "documents" else "as it came out"
            texts.append((label, found[identity]))
    if not texts:
        return Journey(first=None, text="", cut=False, steps=[])
    return Journey(
        first=texts[0][0],
        text=mask_beginning(texts[0][1], CHARACTERS),
        cut=len(texts[0][1]) > CHARACTERS,
        steps=[_step(before, after) for before, after in pairwise(texts)],
    )


def _step(before: tuple[str, str], after: tuple[str, str]) -> Step:
    left, right = differences(*(mask_beginning(text, CHARACTERS) for _, text in (before, after)))
    return Step(
        before=before[0],
        after=after[0],
        left=left,
        right=right,
        changed=any(kind != SAME for kind, _ in [*left, *right]),
        cut=max(len(before[1]), len(after[1])) > CHARACTERS,
    )


def differences(before: str, after: str) -> tuple[Spans, Spans]:
    """Both texts as spans: lines are compared first, then the words of lines that differ."""
    left: Spans = []
    right: Spans = []
    ours, theirs = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for same, mine, other in _blocks(ours, theirs, LINES):
        if same:
            left.append((SAME, mine))
            right.append((SAME, other))
            continue
        for equal, gone, new in _blocks(_WORD.findall(mine), _WORD.findall(other), WORDS):
            left.append((SAME if equal else GONE, gone))
            right.append((SAME if equal else NEW, new))
    return _merged(left), _merged(right)


def _blocks(
    ours: Sequence[str], theirs: Sequence[str], most: int
) -> Iterable[tuple[bool, str, str]]:
    """Stretches of two sequences: whether they are equal, and both as text.

    Equal ends are found first; of more than `most` items between them all are one stretch, which
    bounds the time that a hostile text takes.
    """
    shorter = min(len(ours), len(theirs))
    head = next((n for n in range(shorter) if ours[n] != theirs[n]), shorter)
    room = shorter - head
    tail = next((n for n in range(room) if ours[-1 - n] != theirs[-1 - n]), room)
    mine, other = ours[head : len(ours) - tail], theirs[head : len(theirs) - tail]
    yield True, "".join(ours[:head]), "".join(theirs[:head])
    if max(len(mine), len(other)) > most:
        yield False, "".join(mine), "".join(other)
    else:
        matcher = difflib.SequenceMatcher(None, mine, other, autojunk=False)
        for what, a, b, c, d in matcher.get_opcodes():
            yield what == "equal", "".join(mine[a:b]), "".join(other[c:d])
    yield True, "".join(ours[len(ours) - tail :]), "".join(theirs[len(theirs) - tail :])


def _merged(spans: Spans) -> Spans:
    """Neighbours of one kind as one, empty ones left out."""
    merged: Spans = []
    for kind, text in spans:
        if not text:
            continue
        if merged and merged[-1][0] == kind:
            text = merged.pop()[1] + text
        merged.append((kind, text))
    return merged
