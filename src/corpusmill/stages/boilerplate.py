"""`boilerplate`: lines or paragraphs that many documents have (menus, notices, footers) go.

Each line is known by a 128-bit hash of its words. Occurrences come together by hash, as small rows,
and lines that occur once are gone there; what comes back to a part is one row for each repeated
line in it. A line that stands in every document costs `keep_first` + 1 rows for each batch of
documents on the way, about 70 bytes each.
"""

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpusmill.document import with_column
from corpusmill.filters.cuts import Numbers, cut
from corpusmill.filters.lines import Unit, Units, numbers_in_words, units
from corpusmill.filters.repeats import CHECK, KEY, run_hashes
from corpusmill.filters.shingles import word_hashes
from corpusmill.stage import Action, Apply, GlobalStage, NarrowStage, Outcome, Part, Verbs, Verdicts
from corpusmill.stages.occurrences import (
    DERIVED,
    Limits,
    Runs,
    limits,
    occurrences,
    of_part,
    parts_of_prose,
    read_runs,
    runs_by_part,
)


class Boilerplate(GlobalStage):
    """Remove lines or paragraphs that occur again and again in different documents.

    The first `keep_first` occurrences stay, in order of document id and position in the document:
    which files came first has no influence. They are compared by their words: case, punctuation and
    layout do not count. What is repeated in one document only (a refrain) stays.

    Documents that `augment` has derived are compared with each other only.

    A document that loses some is `changed` (`boilerplate_removed`; value: how many lines; detail:
    their numbers, from 1); one that has no text left is dropped (`no_text_left`). Without `for:`,
    documents of kind `code` pass: their lines repeat by nature.
    """

    name: ClassVar[str] = "boilerplate"
    version: ClassVar[int] = 2

    unit: Unit = "line"
    """What is compared: a `line`, or a `paragraph`, which ends at a blank line. Menus of several
    short lines are found as paragraphs."""
    keep_first: int = Field(default=1, ge=1)
    """Occurrences that stay, in the whole corpus. 1 as in CCNet (Wenzek et al. 2020)."""
    min_words: int = Field(default=5, ge=1)
    """Units with fewer words stay, however often they occur: `Chapter 1`, `Introduction`, `}`. In
    scripts without spaces a character counts as a word. 5 is the length of the shingles by which
    documents are compared: what is shorter says little."""

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> NarrowStage:
        """Count all lines, and return the stage that removes those that were there before."""
        measure = UnitOccurrences(unit=self.unit, min_words=self.min_words, most=self.keep_first)
        counted = verbs.map(parts_of_prose(parts, self.for_), measure)
        then = functools.partial(limits, most=self.keep_first, across=True)
        found = verbs.exchange(counted, by="key", then=then)
        return RemoveUnits(
            unit=self.unit, min_words=self.min_words, runs=runs_by_part(verbs, found)
        )


@dataclass(frozen=True, kw_only=True)
class UnitOccurrences:
    """Rows (OCCURRENCES) of all units with enough words, the first ones of each batch."""

    unit: Unit
    min_words: int
    most: int

    @property
    def columns(self) -> Sequence[str]:
        """The text, and whether it is derived."""
        return ("text", "augmented_from")

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """The measure for one batch."""

        def measure(documents: pa.RecordBatch) -> pa.RecordBatch:
            found = units(documents.column("text"), self.unit)
            document, chosen, key, check = hashed(documents, found, self.min_words)
            position = found.number_in_text()[chosen]
            return occurrences(documents.column("id"), document, position, key, check, self.most)

        return measure


def hashed(
    documents: pa.RecordBatch, found: Units, min_words: int
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Of the units with enough words: the rows of their documents, their numbers, and the two
    halves of their words' hash. Those of derived documents are none of others."""
    words = word_hashes(found.texts)
    chosen = np.flatnonzero(words.counts() >= min_words)
    key = run_hashes(words.hashes, words.offsets, KEY)[chosen]
    check = run_hashes(words.hashes, words.offsets, CHECK)[chosen]
    document = found.text_of()[chosen]
    derived = documents.column("augmented_from").is_valid().to_numpy(zero_copy_only=False)
    key = np.where(derived[document], key ^ DERIVED.view(np.int64), key)
    return document, chosen, key, check


class RemoveUnits(NarrowStage):
    """Removes the units that come after their limits."""

    name: ClassVar[str] = "remove_units"

    unit: Unit
    min_words: int
    runs: Runs
    """Part -> where its limits stand. A bound stage has those of its part only."""

    def for_part(self, part: int) -> "RemoveUnits":
        """The stage with the limits of one part."""
        return self.model_copy(update={"runs": of_part(self.runs, part)})

    def open(self) -> Apply:
        """Read the limits of this stage's parts."""
        table = read_runs(self.runs)
        if table is None:
            return lambda documents: Outcome(documents=documents)
        known = Limits(table)

        def apply(documents: pa.RecordBatch) -> Outcome:
            ids, texts = documents.column("id"), documents.column("text")
            found = units(texts, self.unit)
            document, chosen, key, check = hashed(documents, found, self.min_words)
            rows = known.rows(key, check)
            document, chosen, rows = document[rows >= 0], chosen[rows >= 0], rows[rows >= 0]
            position = found.number_in_text()[chosen]
            gone = known.compare(rows, ids, document, position) > 0
            return _without(documents, found, document[gone], position[gone], chosen[gone])

        return apply


def _without(
    documents: pa.RecordBatch, found: Units, document: Numbers, position: Numbers, gone: Numbers
) -> Outcome:
    """The documents without the units numbered `gone`."""
    offsets = np.searchsorted(document, np.arange(documents.num_rows + 1))
    texts = cut(documents.column("text"), offsets, found.firsts[gone], found.lasts[gone])
    left = pc.utf8_length(pc.utf8_trim_whitespace(texts)).to_numpy()
    ids = documents.column("id")
    verdicts = Verdicts()
    for row in np.flatnonzero(np.diff(offsets)):
        numbers = position[offsets[row] : offsets[row + 1]] + 1
        verdicts.add(
            ids[row].as_py(),
            Action.CHANGED if left[row] else Action.DROPPED,
            "boilerplate_removed" if left[row] else "no_text_left",
            value=float(len(numbers)),
            detail=json.dumps({"boilerplate": numbers_in_words(numbers.tolist())}),
        )
    return Outcome(documents=with_column(documents, "text", texts), verdicts=verdicts.batch())
