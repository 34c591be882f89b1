"""Finds direct identifiers in texts: one scan for candidates, recognizers at the candidates only.

What is looked for is a table of small recognizers (corpusmill.privacy.patterns); their signs and
words are compiled into one automaton (corpusmill.privacy.candidates), so that one more recognizer
costs nothing where it has no candidate. Nothing is contacted.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from corpusmill import plugins
from corpusmill.document import text_buffers
from corpusmill.errors import BrokenContract
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
from corpusmill.privacy.recognizer import Find, Recognizer

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

_ENTITY = re.compile(r"[A-Z][A-Z_]{1,38}[A-Z]")
"""What a placeholder of masking can be made of."""


def plugin_recognizers(names: Sequence[str]) -> tuple[Recognizer, ...]:
    """The recognizers that other packages offer under these names."""
    found = plugins.found("recognizers", names)
    return tuple(recognizer for plugin in found for recognizer in _of_plugin(plugin))


@functools.cache
def _of_plugin(plugin: plugins.Plugin) -> tuple[Recognizer, ...]:
    taken = plugins.load(plugin)
    some = (taken,) if isinstance(taken, Recognizer) else taken
    if not isinstance(some, Sequence) or not some:
        raise _no_recognizer(
            plugin, "is no Recognizer (corpusmill.privacy.recognizer), nor several"
        )
    for one in some:
        if not isinstance(one, Recognizer) or not callable(one.find):
            raise _no_recognizer(plugin, "holds something that is no Recognizer")
        fit = [isinstance(entity, str) and _ENTITY.fullmatch(entity) for entity in one.entities]
        if not fit or not all(fit):
            raise _no_recognizer(
                plugin, f"entities: {one.entities!r}: each is 3 to 40 of A to Z and _"
            )
        if not set(one.kinds) <= set(range(FIRST_LITERAL)) or not all(
            isinstance(literal, Literal) and literal.text for literal in one.literals
        ):
            raise _no_recognizer(plugin, "kinds are NUMBER, CODE, HEX; a literal has a text")
        if not one.kinds and not one.literals:
            raise _no_recognizer(plugin, "has neither kinds nor literals: it would look at nothing")
    return tuple(_checked(plugin, one) for one in some)


def _no_recognizer(plugin: plugins.Plugin, why: str) -> Exception:
    return plugins.refused(plugin, f"{plugin.target} {why}")


def _checked(plugin: plugins.Plugin, recognizer: Recognizer) -> Recognizer:
    """The recognizer, whose findings lie in the text and are of the entities that it names."""

    def find(text: str, start: int, end: int) -> Iterator[Finding]:
        for finding in recognizer.find(text, start, end):
            if finding.entity not in recognizer.entities:
                raise BrokenContract(f"{plugin} found something that is none of its entities")
            if not 0 <= finding.start < finding.end <= len(text):
                raise BrokenContract(f"{plugin} found something outside of the text")
            yield finding

    return replace(recognizer, find=find)


_Looking = tuple[Find, frozenset[str]]
"""What looks at a candidate, and which of its entities count."""


class Scanner:
    """Finds entities in texts."""

    def __init__(
        self,
        entities: Sequence[str] = ENTITIES,
        *,
        presidio: Sequence[str] = (),
        others: Sequence[Recognizer] = (),
    ) -> None:
        """`presidio`: names of recognizers as corpusmill.privacy.presidio takes them, and `others`:
        recognizers of other packages; what they find counts whatever `entities` says."""
        check_entities(entities)
        check_installed()
        asked = frozenset(entities)
        wanted: defaultdict[Literal, list[_Looking]] = defaultdict(list)
        by_kind: list[list[_Looking]] = [[] for _ in range(FIRST_LITERAL)]
        looking = [(recognizer, asked) for recognizer in RECOGNIZERS]
        looking += [(recognizer, frozenset(recognizer.entities)) for recognizer in others]
        for recognizer, counts in looking:
            if counts.isdisjoint(recognizer.entities):
                continue
            for kind in recognizer.kinds:
                by_kind[kind].append((recognizer.find, counts))
            for literal in recognizer.literals:
                wanted[literal].append((recognizer.find, counts))
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
            for find, counts in self._recognizers[kind]:
                for finding in find(text, start, stop):
                    if finding.entity in counts:
                        found[finding] = None
        if in_columns and names and (columns := written_out(text, names)):
            lines, places = columns
            found.update(dict.fromkeys(in_original(self._find(lines, in_columns=False), places)))
        return [*found, *(self._presidio.find(text) if self._presidio and in_columns else ())]
