"""Takes direct identifiers out of texts: by placeholders, or by fictitious values."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.privacy.entities import Method, precedence
from corpusmill.privacy.finding import Finding, Span
from corpusmill.privacy.pseudonyms import (
    fictitious,
    mask,
    placeholders,
    pseudonym,
    value_hash,
)

Find = Callable[[pa.Array, Sequence[int]], list[list[Finding]]]
"""Given some texts of a batch and their rows in it: what is found in each; it may overlap."""

MAXIMUM_PASSES = 8
"""A replacement can uncover a value that its neighbour hid; one more pass finds it. Two passes are
the rule, three are seen where names are looked for."""


class Unsettled(Exception):
    """The text still held identifiers after MAXIMUM_PASSES."""


@dataclass(frozen=True)
class Treated:
    """What was done about one finding."""

    entity: str
    start: int
    """In the text as it came, in characters, like `end`."""
    end: int
    recognizer: str
    score: float
    method: Method
    hash: str | None
    """Keyed hash of the value; None without a key."""


class Anonymizer:
    """Treats what is found in texts, each entity by its method.

    `mask` writes `<ENTITY>`, `pseudonym` a fictitious value, `drop` a placeholder, too (the caller
    drops the document), `keep` nothing. A second run over the result changes nothing: passes are
    made until one finds nothing more. Where any entity has a pseudonym, values reserved for
    examples (user@example.org, 212-555-0123) are left alone, as pseudonyms are such values; else
    they are masked as well.
    """

    def __init__(
        self, method: Method, key: bytes | None = None, methods: Mapping[str, Method] | None = None
    ) -> None:
        """`methods`: entities and what to do about them where `method` is not it.

        `key` is needed for pseudonyms; with it, every value has a hash.
        """
        self._method = method
        self._methods = dict(methods or {})
        self._pseudonymous = "pseudonym" in (method, *self._methods.values())
        if key is None and self._pseudonymous:
            raise ValueError("pseudonyms need a key")
        self._key = key

    def method_of(self, entity: str) -> Method:
        """What is done about an entity."""
        return self._methods.get(entity, self._method)

    def anonymize(self, texts: pa.Array, find: Find) -> tuple[pa.Array, dict[int, list[Treated]]]:
        """The texts (large_string or string; null stays) without what was found, and by row what
        that was. Raises Unsettled when passes keep finding more.

        Placeholders are written until nothing more is found: a pseudonym beside a value could hide
        it. Then pseudonyms take their places, and further passes see that these are left alone.
        """
        treated: dict[int, list[Treated]] = {}
        changed: dict[int, _Text] = {}
        rows: Sequence[int] = range(len(texts))
        current = texts
        for number in range(MAXIMUM_PASSES):
            again: list[int] = []
            for row, findings in zip(rows, find(current, rows), strict=True):
                text = changed.get(row)
                if findings:
                    text = text or _Text(texts[row].as_py())
                    chosen = self._chosen(text.text, findings)
                    replaced = [f for f in chosen if self.method_of(f.entity) != "keep"]
                    noted = chosen if number == 0 else replaced
                    if noted:
                        treated.setdefault(row, []).extend(self._noted(text, f) for f in noted)
                    if replaced:
                        text.replace([self._change(text.text, f) for f in replaced])
                        changed[row] = text
                        again.append(row)
                        continue
                if text is not None and text.finish():
                    again.append(row)
            if not again:
                return _with_texts(texts, changed), treated
            rows = again
            current = pa.array([changed[row].text for row in rows], texts.type)
        raise Unsettled

    def _chosen(self, text: str, findings: Iterable[Finding]) -> list[Finding]:
        """Those that are somebody's, without overlaps, in the order of the text. What is kept
        covers nothing that is to go."""
        some = [f for f in findings if f.start < f.end]
        if self._key is not None and self._pseudonymous:
            nobodys = fictitious(text, some, self._key)
        else:
            nobodys = placeholders(text, some)
        real = [f for f, anonymous in zip(some, nobodys, strict=True) if not anonymous]
        going = resolve_overlaps(f for f in real if self.method_of(f.entity) != "keep")
        kept = resolve_overlaps(f for f in real if self.method_of(f.entity) == "keep")
        return sorted([*going, *_clear_of(kept, going)], key=lambda f: f.start)

    def _change(self, text: str, finding: Finding) -> "_Change":
        placeholder = mask(finding.entity)
        last = placeholder
        if self._key is not None and self.method_of(finding.entity) == "pseudonym":
            last = pseudonym(finding.entity, text[finding.start : finding.end], self._key)
        return _Change(finding.start, finding.end, placeholder, last)

    def _noted(self, text: "_Text", finding: Finding) -> Treated:
        value = text.text[finding.start : finding.end]
        return Treated(
            finding.entity,
            *text.before(finding.start, finding.end),
            finding.recognizer,
            finding.score,
            self.method_of(finding.entity),
            None if self._key is None else value_hash(finding.entity, value, self._key),
        )


class _Change(NamedTuple):
    """Something to be written into a text."""

    start: int
    end: int
    placeholder: str
    """What stands there while passes are made ..."""
    last: str
    """... and afterwards."""


class _Edit(NamedTuple):
    """Something that was written into a text."""

    first_start: int
    """Where it stands, in the text as it came."""
    first_end: int
    start: int
    """Where it stands now."""
    end: int
    last: str
    """What shall stand there at last."""


class _Text:
    """A text under change, which knows where its characters stood at first."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._edits: list[_Edit] = []
        """In the order of the text."""

    def before(self, start: int, end: int) -> Span:
        """Where a stretch of the text as it is now stood at first."""
        return self._place(start, last=False), self._place(end, last=True)

    def _place(self, at: int, *, last: bool) -> int:
        number = bisect_right(self._edits, at - last, key=lambda edit: edit.start) - 1
        if number < 0:
            return at
        edit = self._edits[number]
        if at <= edit.end if last else at < edit.end:
            return edit.first_end if last else edit.first_start
        return at - edit.end + edit.first_end

    def replace(self, changes: Sequence[_Change]) -> None:
        """Write placeholders for stretches that do not overlap, in order. An earlier edit that a
        stretch covers or touches with a part is taken up by it."""
        edits: list[tuple[int, int, int, int, str, str]] = []
        for change in changes:
            start, end = self._widened(change)
            if not edits or edits[-1][3] <= start:  # else the next pass finds what is left of it
                placed = self.before(start, end)
                edits.append((*placed, start, end, change.placeholder, change.last))
        starts, ends = [edit[2] for edit in edits], [edit[3] for edit in edits]
        for old in self._edits:
            place = bisect_right(ends, old.start)
            if place == len(ends) or starts[place] >= old.end:
                edits.append((*old[:4], self.text[old.start : old.end], old.last))
        self._write(sorted(edits, key=lambda edit: edit[2]))

    def _widened(self, change: _Change) -> Span:
        """The stretch, with all of the edits that it touches with a part."""
        first = bisect_right(self._edits, change.start, key=lambda edit: edit.end)
        last = bisect_left(self._edits, change.end, key=lambda edit: edit.start)
        start, end = change.start, change.end
        if first < last:
            start, end = min(start, self._edits[first].start), max(end, self._edits[last - 1].end)
        return start, end

    def finish(self) -> bool:
        """Write what shall stand there at last; whether anything came to be another."""
        if all(self.text[edit.start : edit.end] == edit.last for edit in self._edits):
            return False
        self._write([(*edit[:4], edit.last, edit.last) for edit in self._edits])
        return True

    def _write(self, edits: Sequence[tuple[int, int, int, int, str, str]]) -> None:
        """`edits`: first_start, first_end, start, end, what to write, what to write at last."""
        pieces: list[str] = []
        written: list[_Edit] = []
        done = length = 0
        for first_start, first_end, start, end, instead, last in edits:
            pieces += [self.text[done:start], instead]
            begin = length + start - done
            length = begin + len(instead)
            done = end
            written.append(_Edit(first_start, first_end, begin, length, last))
        self.text = "".join([*pieces, self.text[done:]])
        self._edits = written


def _with_texts(texts: pa.Array, changed: Mapping[int, _Text]) -> pa.Array:
    """The array with some of its texts replaced; the others' bytes are not looked at."""
    if not changed:
        return texts
    rows = sorted(changed)
    chosen = pa.array([row in changed for row in range(len(texts))], pa.bool_())
    return pc.replace_with_mask(
        texts, chosen, pa.array([changed[row].text for row in rows], texts.type)
    )


def resolve_overlaps(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that do not overlap, in the order of the text.

    Of two that overlap, the one stays that comes first by corpusmill.privacy.entities.precedence.
    """
    kept: list[Finding] = []
    for finding in sorted(findings, key=precedence):
        place = bisect_right(kept, finding.start, key=lambda f: f.start)
        clear_before = place == 0 or kept[place - 1].end <= finding.start
        clear_after = place == len(kept) or finding.end <= kept[place].start
        if clear_before and clear_after:
            kept.insert(place, finding)
    return kept


def _clear_of(findings: Iterable[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Those that overlap none of the others, which stand in order and apart."""
    return [
        finding
        for finding in findings
        if (place := bisect_left(others, finding.end, key=lambda f: f.start)) == 0
        or others[place - 1].end <= finding.start
    ]
