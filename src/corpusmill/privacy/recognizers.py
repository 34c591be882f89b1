"""Finds direct identifiers in texts: one scan for candidates, recognizers at the candidates only.

What is looked for is a table of small recognizers (corpusmill.privacy.patterns); their signs and
words are compiled into one automaton (corpusmill.privacy.candidates), so that one more recognizer
costs nothing where it has no candidate. Nothing is contacted.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from corpusmill.document import text_buffers
from corpusmill.privacy.candidates import (
    FIRST_LITERAL,
    Automaton,
    Bytes,
    Integers,
    Literal,
    automaton,
    find_candidates,
)
from corpusmill.privacy.columns import COLUMN_NAMES, written_out
from corpusmill.privacy.entities import ENTITIES, check_entities, check_installed
from corpusmill.privacy.finding import Finding
from corpusmill.privacy.patterns import (
    announced,
    crypto,
    network,
    numbers,
    phones,
    places,
    secrets,
)
from corpusmill.privacy.plain_form import in_original, plain_form
from corpusmill.privacy.presidio import presidio_recognizers
from corpusmill.privacy.recognizer import Recognizer

RECOGNIZERS: tuple[Recognizer, ...] = (
    *network.RECOGNIZERS,
    *numbers.RECOGNIZERS,
    *phones.RECOGNIZERS,
    *crypto.RECOGNIZERS,
    *secrets.RECOGNIZERS,
    *announced.RECOGNIZERS,
    *places.RECOGNIZERS,
)
"""All recognizers of patterns."""


class Scanner:
    """Finds entities in texts."""

    def __init__(self, entities: Sequence[str] = ENTITIES, *, presidio: Sequence[str] = ()) -> None:
        """`presidio`: names of recognizers as corpusmill.privacy.presidio takes them; what they
        find counts whatever `entities` says."""
        check_entities(entities)
        check_installed()
        self._entities = frozenset(entities)
        wanted: defaultdict[Literal, list[Recognizer]] = defaultdict(list)
        by_kind: list[list[Recognizer]] = [[] for _ in range(FIRST_LITERAL)]
        for recognizer in RECOGNIZERS:
            if self._entities.isdisjoint(recognizer.entities):
                continue
            for kind in recognizer.kinds:
                by_kind[kind].append(recognizer)
            for literal in recognizer.literals:
                wanted[literal].append(recognizer)
        for name in COLUMN_NAMES:
            wanted.setdefault(name, [])
        names = frozenset(COLUMN_NAMES)
        self._column_names = frozenset(
            FIRST_LITERAL + number for number, literal in enumerate(wanted) if literal in names
        )
        self._automaton: Automaton = automaton(list(wanted))
        self._recognizers = [*by_kind, *wanted.values()]
        self._presidio = presidio_recognizers(presidio) if presidio else None

    def find(self, text: str) -> list[Finding]:
        """Everything that recognizers find in one text; findings may overlap."""
        plain, places = plain_form(text)
        if places is not None:
            return in_original(self.find(plain), places)
        return self._find(text)

    def _find(self, text: str, *, in_columns: bool = True) -> list[Finding]:
        data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
        bounds = np.array([0, len(data)], np.int64)
        rows, _ = find_candidates(data, bounds, self._automaton)
        return self._judge(text, data, rows, 0, len(data), in_columns=in_columns)

    def find_all(self, texts: pa.Array) -> list[list[Finding]]:
        """The same for every text of a string array; null is as empty."""
        data, bounds = text_buffers(texts)
        rows, counts = find_candidates(data, bounds, self._automaton)
        # Null texts may hide bytes: they have candidates, and no text to look at.
        ends = np.cumsum(counts)
        found: list[list[Finding]] = [[] for _ in range(len(texts))]
        for number in range(len(texts)):
            if (counts[number] or self._presidio) and texts[number].is_valid:
                part = rows[ends[number] - counts[number] : ends[number]]
                text = texts[number].as_py()
                plain, places = plain_form(text)
                if places is None:
                    found[number] = self._judge(
                        text, data, part, bounds[number], bounds[number + 1]
                    )
                else:
                    found[number] = in_original(self.find(plain), places)
        return found

    def _judge(
        self,
        text: str,
        data: Bytes,
        candidates: Integers,
        begin: int,
        end: int,
        *,
        in_columns: bool = True,
    ) -> list[Finding]:
        """What recognizers make of the candidates of one text, which is data[begin:end]."""
        spans = candidates[:, 1:] - begin
        if len(text) != end - begin:
            continued = np.cumsum((data[begin:end] & 0xC0) == 0x80)
            continued = np.concatenate([[0], continued])
            spans = spans - continued[spans]
        found: dict[Finding, None] = {}
        names = []
        for kind, (start, stop) in zip(candidates[:, 0].tolist(), spans.tolist(), strict=True):
            if kind in self._column_names:
                names.append(start)
            for recognizer in self._recognizers[kind]:
                for finding in recognizer.find(text, start, stop):
                    if finding.entity in self._entities:
                        found[finding] = None
        if in_columns and names and (columns := written_out(text, names)):
            lines, places = columns
            found.update(dict.fromkeys(in_original(self._find(lines, in_columns=False), places)))
        return [*found, *(self._presidio.find(text) if self._presidio and in_columns else ())]
