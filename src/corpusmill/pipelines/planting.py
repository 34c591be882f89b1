"""Where an audit plants made-up people: into excerpts of documents, at places that differ.

At the start and the end, on lines of their own, between sentences, and in rows of tables, since
what stands around a value decides whether it is recognised; and in the fields beside the text that
are to be anonymized as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from corpusmill.privacy.identities import Passage, Planted

EXCERPT_CHARACTERS = 1000
"""Of a document that one copy takes: real surroundings, at a cost that does not grow with it. What
is planted into them is about as long; recognizers look 80 characters far."""
FIELD_SHARE = 0.2
"""Of the passages, where there are fields to plant them into; each takes one of a copy."""
PROFILE = "https://forum.brook-lane.net/members/"
"""In front of an e-mail address that stands in a document's address."""

_LINE_END = re.compile(r"\n")
_SENTENCE_END = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])[ \t]")


@dataclass(frozen=True)
class Place:
    """A planted value in a copy."""

    value: Planted
    position: str
    language: str
    field: str = "text"


@dataclass(frozen=True)
class Copy:
    """An excerpt with values planted into it."""

    text: str
    places: tuple[Place, ...]
    fields: Mapping[str, str] = field(default_factory=dict)
    """What stands in the fields beside the text: `uri`, `metadata.KEY`."""


def excerpt(text: str, random: Random) -> str:
    """Whole lines or sentences out of a text, EXCERPT_CHARACTERS at most if it has breaks."""
    if len(text) <= EXCERPT_CHARACTERS:
        return text
    first = random.randrange(len(text) - EXCERPT_CHARACTERS)
    cut = text[first : first + EXCERPT_CHARACTERS]
    breaks = [m.end() for m in _LINE_END.finditer(cut)] or [
        m.end() for m in _SENTENCE_END.finditer(cut)
    ]
    return cut[breaks[0] : breaks[-1]] if len(breaks) > 1 else cut


def plant(
    text: str,
    plants: Sequence[tuple[str, Passage]],
    random: Random,
    fields: Sequence[str] = (),
) -> Copy:
    """The text with passages (language, passage) in it or in one of the fields, each at a place of
    its own."""
    lines = [match.end() for match in _LINE_END.finditer(text)]
    sentences = [match.end() for match in _SENTENCE_END.finditer(text)]
    chosen = []
    filled: dict[str, str] = {}
    places: list[Place] = []
    for order, (language, passage) in enumerate(plants):
        if fields and random.random() < FIELD_SHARE:
            name = random.choice(fields)
            written = _for_field(name, passage)
            if name not in filled and written is not None:
                filled[name] = written.text
                places += [Place(p, name, language, name) for p in written.planted]
                continue
        positions = ["start", "end"]
        positions += ["line"] * 3 if lines else []
        if "\n" not in passage.text:
            positions += (["table"] * 2 if lines else []) + (["sentence"] * 3 if sentences else [])
        position = random.choice(positions)
        if position in ("start", "end"):
            at = 0 if position == "start" else len(text)
        else:
            at = random.choice(sentences if position == "sentence" else lines)
        chosen.append((at, order, position, language, passage))
    pieces, length, done = [], 0, 0
    for at, _, position, language, passage in sorted(chosen, key=lambda entry: entry[:2]):
        before, after = _around(position, text, at)
        offset = length + at - done + len(before)
        places += [Place(p.moved(offset), position, language) for p in passage.planted]
        pieces += [text[done:at], before, passage.text, after]
        length, done = offset + len(passage.text) + len(after), at
    return Copy("".join([*pieces, text[done:]]), tuple(places), filled)


def _for_field(name: str, passage: Passage) -> Passage | None:
    """What of a passage can stand in a field: one line, and in an address only what belongs there
    (an address itself, or an e-mail address as a part of one)."""
    if name != "uri":
        return None if "\n" in passage.text else passage
    if len(passage.planted) != 1:
        return None
    value = passage.planted[0]
    start, end = value.whole
    before = {"URL": "", "EMAIL_ADDRESS": PROFILE}.get(value.entity)
    if before is None or " " in passage.text[start:end]:  # an e-mail address may be spelled out
        return None
    return Passage(before + passage.text[start:end], (value.moved(len(before) - start),))


def _around(position: str, text: str, at: int) -> tuple[str, str]:
    """What stands before and after a passage at that position."""
    if position == "table":
        return "| 17 | ", " | 4.50 |\n"
    if position == "sentence":
        return "", " "
    if position == "end":
        return ("\n" if text and not text.endswith("\n") else ""), "\n"
    return "", "\n"
