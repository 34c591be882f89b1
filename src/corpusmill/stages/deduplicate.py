"""`deduplicate`: of documents with the same or nearly the same words, keep one.

Documents are put in an order of preference by the keep rules. In that order, a document is removed
if and only if it is similar to a better one **that is kept**: clusters are stars around what is
kept, never chains, and a removed document removes nobody. Neither the order of parts nor their
number nor the division of the work has any influence.

How: `duplicate_search`. What is remembered for later runs: `duplicate_index`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from corpusmill import storage
from corpusmill.errors import UsageError, one_of
from corpusmill.filters.banding import PRESETS, Banding, PresetName
from corpusmill.filters.clusters import least_equal
from corpusmill.filters.curve import SHOWN, found_probability
from corpusmill.filters.shingles import Shingling
from corpusmill.filters.signatures import BINS
from corpusmill.stage import GlobalStage, Names, NarrowStage, Part, Verbs
from corpusmill.stages.document_classes import check_class
from corpusmill.stages.duplicate_index import (
    Index,
    check_run,
    check_settings,
    index_state,
    open_index,
    publish,
)
from corpusmill.stages.duplicate_populations import choose
from corpusmill.stages.duplicate_search import Comparison, DuplicateSearch
from corpusmill.stages.keep_rules import LONGEST, NEWEST, SCORE, SOURCE, KeepOrder
from corpusmill.stages.scorers.scoped_verbs import ScopedVerbs
from corpusmill.stages.signature_files import CORPUS, LANGUAGE, Scheme
from corpusmill.stages.verdicts import JoinVerdicts

INDEX_VERSION = 2
"""Of what an index holds: raised when signatures come to be made otherwise."""


class Deduplicate(GlobalStage):
    """Keep one of each set of documents with the same, or nearly the same, words.

    Texts with fewer words than a shingle are compared whole, and texts without any word byte by
    byte. Case, punctuation and layout do not count. Documents that `augment` has derived go with
    their originals, and are compared with each other only.
    """

    name = "deduplicate"
    version: ClassVar[int] = 3
    path_settings: ClassVar[tuple[str, ...]] = ("index",)
    outside_settings: ClassVar[tuple[str, ...]] = ("index",)

    preset: PresetName = "fineweb"
    """Bands, rows and words per shingle as in the corpus of that name."""
    bands: int | None = Field(default=None, ge=1)
    """Bands of a signature, instead of the preset's: more find more pairs."""
    rows: int | None = Field(default=None, ge=1)
    """Bins in a band, instead of the preset's: more find fewer pairs."""
    words: int | None = Field(default=None, ge=1, le=1000)
    """Words in a shingle, instead of the preset's."""
    characters: int | None = Field(default=None, ge=1, le=1000)
    """Makes shingles of so many letters and digits instead of words, all scripts alike."""
    threshold: float = Field(default=0.75, ge=0.01, le=1)
    """Jaccard similarity of the shingle sets from which a document is removed, as it is estimated:
    at 1, sets that differ in one shingle of a thousand may still count as equal."""
    scheme: Scheme = "sketch"
    """How signatures are made: `sketch` is Fast Similarity Sketching (Dahlgaard et al. 2017),
    `permutations` has the values of datasketch, and takes many times longer."""
    scope: str = CORPUS
    """Documents are compared within it only, exact copies too: `corpus`, `source`, `language` or
    `metadata.KEY`. Documents without a value make up a scope of their own."""
    keep: Names = (LONGEST,)
    """What to prefer, first rule first: `longest` (words), `newest` (metadata.date in ISO 8601),
    `score:NAME` (the higher value of a score that an earlier stage sets), `source` (the order of
    `sources`). What a rule knows nothing of comes last. The smallest id decides in the end."""
    sources: Names = ()
    """Names of sources, the preferred first, for the rule `source`; those not named come last."""
    index: str | None = Field(default=None, min_length=1)
    """A folder that remembers what this and earlier runs have seen, for the next ones. What it
    holds outranks new documents."""

    @field_validator("keep", "sources")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for name in value if value.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} stands twice")
        return value

    @field_validator("keep")
    @classmethod
    def _known_rules(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        plain = (LONGEST, NEWEST, SOURCE)
        for rule in value:
            if rule not in plain and (not rule.startswith(SCORE) or rule == SCORE):
                raise ValueError(one_of(rule, [*plain, SCORE + "NAME"]))
        return value

    @field_validator("scope")
    @classmethod
    def _known_scope(cls, value: str) -> str:
        return check_class(value, (CORPUS, SOURCE, LANGUAGE))

    @model_validator(mode="after")
    def _fits_together(self) -> "Deduplicate":
        if self.words is not None and self.characters is not None:
            raise ValueError("words and characters exclude each other")
        banding = self.banding()
        if banding.bands * banding.rows > BINS:
            raise ValueError(f"bands x rows must not be more than {BINS} bins of a signature")
        if (SOURCE in self.keep) != bool(self.sources):
            raise ValueError("the keep rule 'source' and the setting `sources` need each other")
        return self

    def banding(self) -> Banding:
        """Bands and rows."""
        preset = PRESETS[self.preset]
        return Banding(
            bands=self.bands or preset.bands,
            rows=self.rows or preset.rows,
            shingle=self.shingling().length,
        )

    def shingling(self) -> Shingling:
        """What texts are made sets of."""
        if self.characters is not None:
            return Shingling(length=self.characters, unit="character")
        return Shingling(length=self.words or PRESETS[self.preset].shingle)

    def needed_scores(self) -> tuple[str, ...]:
        """The scores that the keep rules read."""
        return tuple(rule.removeprefix(SCORE) for rule in self.keep if rule.startswith(SCORE))

    def outside(self, run: str) -> tuple[str, ...]:
        """The state of the index before this run."""
        return index_state(self.index, run) if self.index is not None else ()

    def check(self) -> None:
        """Raise UsageError for an index that was made with other settings, or cannot be one."""
        if self.index is not None:
            if storage.is_local(self.index) and storage.is_no_folder(self.index):
                raise UsageError(f"deduplicate.index: {self.index} cannot be a folder")
            check_settings(self.index, self.index_settings())

    def check_run(self, run: str, fingerprint: str) -> None:
        """Raise UsageError for an index with another run of that name."""
        if self.index is not None:
            check_run(self.index, run, fingerprint)

    def facts(self) -> list[str]:
        """How likely two documents are to be compared, and removed, by how similar they are."""
        banding = self.banding()
        curve = "  ".join(
            f"{similar:.2f}: {banding.candidate_probability(similar):.3f}" for similar in SHOWN
        )
        least = least_equal(self.threshold)
        found = found_probability(banding, self.threshold, least)
        return [
            f"{banding.bands} bands x {banding.rows} rows; compared, by similarity: {curve}",
            f"compared and found similar at the threshold of {self.threshold:g}: {found:.3f}",
        ]

    def index_settings(self) -> dict[str, Any]:
        """What must be the same for all that uses an index."""
        banding, shingling = self.banding(), self.shingling()
        return {
            "bands": banding.bands,
            "rows": banding.rows,
            "shingle": f"{shingling.length} {shingling.unit}s",
            "bins": BINS,
            "scheme": self.scheme,
            "scope": self.scope,
            "version": INDEX_VERSION,
        }

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> NarrowStage:
        """Compare all documents, and return the stage that drops the duplicates."""
        comparison = Comparison(
            banding=self.banding(),
            shingling=self.shingling(),
            threshold=self.threshold,
            scheme=self.scheme,
            scope=self.scope,
            keep=KeepOrder(rules=self.keep, sources=self.sources),
        )
        with self._opened(verbs) as index:
            return find_duplicates(comparison, verbs, parts, index)

    @contextlib.contextmanager
    def _opened(self, verbs: Verbs) -> Iterator[Index | None]:
        """The index under its lock."""
        if self.index is None:
            yield None
            return
        with storage.folder_lock(self.index):
            yield open_index(
                self.index, self.index_settings(), verbs.run, verbs.fingerprint, verbs.outside
            )


def find_duplicates(
    comparison: Comparison, verbs: Verbs, parts: Sequence[Part], index: Index | None
) -> JoinVerdicts:
    """The verdicts on all documents: first on originals, as if there were no others, then on
    derived ones whose original stays, among themselves; the others go with their original.

    So no document goes for a derived one but those that were derived, too, and none of these for
    one that goes itself.
    """
    parts = [part for part in parts if part.rows]
    originals = DuplicateSearch(comparison, verbs, choose(verbs, parts), index)
    found = originals.verdicts()
    searches = [originals]
    rest = {some.part.number: some.part.rows - some.size for some in originals.populations}
    several = [part for part in parts if rest.get(part.number, part.rows)]
    if several:
        scoped = ScopedVerbs(verbs, storage.join(verbs.work, "derived"))
        populations = choose(scoped, several, found)
        searches.append(DuplicateSearch(comparison, scoped, populations, index, originals))
        more = searches[1].verdicts().runs
        runs = {part: found.runs.get(part, ()) + more.get(part, ()) for part in found.runs | more}
        found = JoinVerdicts(runs=dict(sorted(runs.items())))
    if index is not None:
        remember(index, verbs, searches)
    return found


def remember(index: Index, verbs: Verbs, searches: Sequence[DuplicateSearch]) -> None:
    """Make what the searches have stored a generation of the index, if the run has none there."""
    own = index.own(verbs.run)
    if own is None:
        places = sum(search.places for search in searches)
        receipts = [receipt for search in searches for receipt in search.receipts]
        publish(index, verbs.run, verbs.fingerprint, places, receipts)
    elif own.revision:
        verbs.note(
            f"deduplicate: documents of this run were taken out of the index since, and stay "
            f"out: `corpusmill index {index.path} --forget {verbs.run}` and another "
            "run of the stage put them back"
        )
