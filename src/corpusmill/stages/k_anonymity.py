"""The stage `k_anonymity`: nobody is singled out by age, postcode, occupation and the like.

Three passes. The first looks which quasi-identifiers each document holds; an exchange on the tuple
of their values makes a histogram of it; one process divides the histogram into groups of at least k
documents (corpusmill.privacy.mondrian); the last pass writes every value at the level of its group.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import AfterValidator, Field, model_validator

from corpusmill import storage
from corpusmill.document import metadata_entries, one_chunk, with_column, with_scores
from corpusmill.errors import RunError, one_of
from corpusmill.privacy.gazetteer import gazetteer
from corpusmill.privacy.hierarchies import ATTRIBUTES, HIERARCHIES, Levels, read_hierarchy
from corpusmill.privacy.mondrian import Generalisation, Histogram, mondrian
from corpusmill.privacy.quasi_documents import (
    SEVERAL,
    TEXT,
    attribute_named,
    found_in,
    labelled_as,
    rewritten,
)
from corpusmill.privacy.quasi_values import as_written
from corpusmill.stage import (
    Action,
    Apply,
    GlobalStage,
    NarrowStage,
    Outcome,
    Part,
    SinkStage,
    Stage,
    Verbs,
    Verdicts,
)
from corpusmill.stages.document_classes import METADATA

GROUP_SIZE = "k_anonymity_group"
"""Score: documents that show the same quasi-identifiers."""
LARGEST_HISTOGRAM = 10_000_000
"""Distinct tuples that one process divides: 1.4 GB of memory for each million."""


def _attribute(name: str) -> str:
    if name not in ATTRIBUTES:
        raise ValueError(one_of(name, ATTRIBUTES))
    return name


class KAnonymity(GlobalStage):
    """Generalises quasi-identifiers until each combination occurs in at least k documents.

    Found are values in the text, by the phrases around them, and in metadata, by the keys
    (privacy/quasi_documents.py). A value is written at the level of its group: `34` becomes
    `<AGE 30-39>` in a text and `30-39` in metadata, and `<AGE>` or nothing where it is suppressed.
    Documents without personal values are left alone. The ledger has, for each attribute, the levels
    that were written, never a value.
    """

    name: ClassVar[str] = "k_anonymity"
    path_settings: ClassVar[tuple[str, ...]] = ("hierarchies",)

    k: int = Field(default=5, ge=2)
    """Documents that must share what is shown of a combination."""
    quasi_identifiers: Annotated[
        tuple[Annotated[str, AfterValidator(_attribute)], ...], Field(min_length=1)
    ] = ATTRIBUTES
    """Which are looked for: `age`, `sex`, `birth_date`, `postcode`, `city`, `nationality`,
    `occupation`, `employer`."""
    sensitive: str | None = None
    """The key of metadata whose value must not follow from the combination: `metadata.KEY`."""
    l_diversity: int = Field(default=1, ge=1)
    """Different values of `sensitive` that the documents of one combination must have."""
    hierarchies: dict[Annotated[str, AfterValidator(_attribute)], str] = Field(default_factory=dict)
    """Other hierarchies than the built-in ones: attribute -> CSV file of value, generalised value,
    and so on upwards. `{employer: sectors.csv}`."""

    @model_validator(mode="after")
    def _check_together(self) -> "KAnonymity":
        if self.sensitive is not None and not self.sensitive.startswith(METADATA):
            raise ValueError("'sensitive' is a key of metadata: metadata.KEY")
        if (self.sensitive is None) != (self.l_diversity == 1):
            raise ValueError("'sensitive' and an 'l_diversity' of 2 or more belong together")
        key = (self.sensitive or "")[len(METADATA) :]
        if self.sensitive is not None and not key.strip():
            raise ValueError("'sensitive' names no key of metadata: metadata.KEY")
        if attribute_named(key) in self.quasi_identifiers:
            raise ValueError(f"'sensitive' is a quasi-identifier itself: {attribute_named(key)}")
        if self.l_diversity > self.k:
            raise ValueError(f"'l_diversity' is larger than k: {self.l_diversity} > {self.k}")
        if unused := sorted(set(self.hierarchies) - set(self.quasi_identifiers)):
            raise ValueError(f"'hierarchies' has what is no quasi-identifier here: {unused[0]}")
        if len(set(self.quasi_identifiers)) < len(self.quasi_identifiers):
            raise ValueError("an attribute is named twice in 'quasi_identifiers'")
        return self

    def score_fields(self) -> tuple[str, ...]:
        """How many documents look the same."""
        return (GROUP_SIZE,)

    def check(self) -> None:
        """Raise UsageError for hierarchies that cannot be read, and without the list of places."""
        for path in self.hierarchies.values():
            read_hierarchy(path)
        if "city" in self.quasi_identifiers:
            gazetteer()

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> "Generalise":
        """Count combinations, divide them into groups, and store what becomes of each."""
        path = storage.join(verbs.work, "groups.arrow")
        finder = _Finder(attributes=self.quasi_identifiers, sensitive=self.sensitive)
        rows = verbs.exchange(verbs.map(parts, finder), by="combination", then=_count)
        combinations: dict[str, tuple[int, set[str]]] = {}
        for table in verbs.load(rows):
            for row in table.to_pylist():
                combinations[row["combination"]] = row["documents"], set(row["sensitive"])
            if len(combinations) > LARGEST_HISTOGRAM:
                raise RunError(
                    f"k_anonymity: more than {LARGEST_HISTOGRAM:,} distinct combinations of "
                    "quasi-identifiers: name fewer of them, or limit the stage with `for:`"
                )
        ordered = sorted(combinations.items())
        levels = {name: self._levels(name) for name in self.quasi_identifiers}
        result = _divide(ordered, levels, self)
        _store(path, [combination for combination, _ in ordered], result)
        for text in _told(ordered, levels, result, self):
            verbs.note(text)
        return Generalise(
            groups=path, quasi_identifiers=self.quasi_identifiers, hierarchies=self.hierarchies
        )

    def _levels(self, attribute: str) -> Levels:
        path = self.hierarchies.get(attribute)
        return HIERARCHIES[attribute] if path is None else read_hierarchy(path)


def rarer_behind(stages: Sequence[Stage]) -> list[str]:
    """Warnings for the first of these stages, where it is `k_anonymity`: what stands behind it and
    may drop, add or rewrite documents makes a combination rarer than k, and nobody would see it."""
    if not stages or not isinstance(stages[0], KAnonymity):
        return []
    behind = [stage.name for stage in stages[1:] if not isinstance(stage, SinkStage)]
    if not behind:
        return []
    return [
        f"warning: k_anonymity: {', '.join(behind)} behind it may drop, add or rewrite documents: "
        f"k = {stages[0].k} holds where k_anonymity ends, not for what comes out at the end"
    ]


# ---- looking ----


@dataclass(frozen=True, kw_only=True)
class _Finder:
    """The combination of each document that has one."""

    attributes: tuple[str, ...]
    sensitive: str | None
    columns: ClassVar[Sequence[str]] = ("text", "metadata")

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows: list[tuple[str, str, str]] = []
            for document, text, metadata in zip(
                *(batch.column(name).to_pylist() for name in ("id", "text", "metadata")),
                strict=True,
            ):
                found = found_in(text, metadata or (), self.attributes)
                if found.combination:
                    protected = dict(metadata or ()).get((self.sensitive or "")[len(METADATA) :])
                    rows.append((document, found.combination, as_written(protected or "")))
            columns = list(zip(*rows, strict=True)) or [(), (), ()]
            names = ["id", "combination", "sensitive"]
            return pa.RecordBatch.from_arrays([pa.array(c, pa.string()) for c in columns], names)

        return measure


def _count(rows: pa.Table) -> pa.Table:
    """Documents and sensitive values of each combination; rows come sorted by combination."""
    combinations = one_chunk(rows.column("combination"))
    sensitive = rows.column("sensitive").to_pylist()
    codes = combinations.dictionary_encode().indices.to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    groups = [(first, last) for first, last in pairwise(edges) if last > first]
    return pa.table(
        {
            "combination": combinations.take(pa.array([first for first, _ in groups], pa.int64())),
            "documents": pa.array([last - first for first, last in groups], pa.int64()),
            "sensitive": pa.array(
                [sorted(set(sensitive[first:last]) - {""}) for first, last in groups],
                pa.list_(pa.string()),
            ),
        }
    )


# ---- dividing ----

Counted = Sequence[tuple[str, tuple[int, set[str]]]]
"""Combination, its documents and its sensitive values, sorted by combination."""


def _divide(ordered: Counted, levels: Mapping[str, Levels], settings: KAnonymity) -> Generalisation:
    codes = []
    for position, name in enumerate(settings.quasi_identifiers):
        cells = [json.loads(combination)[position] for combination, _ in ordered]
        shown = [_shown(cell, levels[name]) for cell in cells]
        height = max([2, *map(len, shown)])
        numbers = np.empty((height, len(cells)), np.int64)
        for level in range(height):
            names: dict[str, int] = {}
            numbers[level] = [
                names.setdefault(at[min(level, len(at) - 1)], len(names)) for at in shown
            ]
        numbers[:, [not cell for cell in cells]] = -1
        numbers[-1] = 0  # at the top an absent value and a suppressed one tell the same
        codes.append(numbers)
    known: dict[str, int] = {}
    return mondrian(
        Histogram(
            codes=codes,
            counts=np.array([documents for _, (documents, _) in ordered], np.int64),
            sensitive=[
                tuple(known.setdefault(value, len(known)) for value in sorted(values))
                for _, (_, values) in ordered
            ],
        ),
        settings.k,
        settings.l_diversity,
    )


def _shown(cell: str, levels: Levels) -> tuple[str, ...]:
    """What a cell, of one value or several, shows at each level; an empty cell shows nothing."""
    if not cell:
        return ("",)
    each = [levels(value) for value in cell.split(SEVERAL)]
    return tuple(SEVERAL.join(sorted(set(at))) for at in zip(*each, strict=True))


def _told(
    ordered: Counted,
    levels: Mapping[str, Levels],
    result: Generalisation,
    settings: KAnonymity,
) -> Iterator[str]:
    """What is worth knowing: the k that was reached, the loss, and what was suppressed."""
    documents = int(result.sizes.sum())
    if not documents:
        yield "k_anonymity: no quasi-identifiers were recognised"
        return
    lost, values, suppressed = 0.0, 0, 0
    exact: Counter[str] = Counter()
    for row, (combination, (count, _)) in enumerate(ordered):
        cells = json.loads(combination)
        for position, (name, cell) in enumerate(
            zip(settings.quasi_identifiers, cells, strict=True)
        ):
            if cell:
                height = len(levels[name](cell.split(SEVERAL)[0])) - 1
                level = min(int(result.levels[row, position]), height)
                values += count
                lost += count * level / height
                suppressed += count * (level == height)
                exact[name] += count * (level == 0)
    sensitive = len(set().union(*(values for _, (_, values) in ordered)))
    if settings.sensitive is not None and sensitive < settings.l_diversity:
        yield (
            f"warning: k_anonymity: {settings.sensitive} has only {sensitive} different values in "
            f"these documents, fewer than l_diversity = {settings.l_diversity}: all "
            "quasi-identifiers are suppressed"
        )
    if documents < settings.k:
        yield (
            f"warning: k_anonymity: only {documents} documents have recognised quasi-identifiers, "
            f"fewer than k = {settings.k}: all their values are suppressed"
        )
    smallest = f", the smallest of {result.sizes[1:].min()}" if len(result.sizes) > 1 else ""
    kept = ", ".join(f"{name} {exact[name]}" for name in settings.quasi_identifiers if exact[name])
    yield (
        f"k_anonymity: quasi-identifiers were recognised in {documents} documents, in "
        f"{len(result.sizes) - 1} groups{smallest} (k = {settings.k}), "
        f"{result.sizes[0]} documents of which nothing is shown; "
        f"information loss {lost / values:.3f}, {suppressed} of {values} values suppressed; exact "
        f"as they were: {kept or 'none'}"
    )


# ---- writing ----


def _store(path: str, combinations: Sequence[str], result: Generalisation) -> None:
    """Combinations with their levels and sizes, sorted by hash so that they can be looked up."""
    keys = np.array([_key(combination) for combination in combinations], np.int64)
    order = np.argsort(keys, kind="stable")
    levels = result.levels[order]
    table = pa.table(
        {
            "key": keys[order],
            "combination": pa.array([combinations[i] for i in order], pa.large_string()),
            "levels": pa.array(levels.tolist(), pa.list_(pa.int8())),
            "documents": result.sizes[result.groups[order]] if len(order) else keys,
        }
    )
    storage.write_ipc(path, table)


def _key(combination: str) -> int:
    return xxhash.xxh3_64_intdigest(combination.encode()) - (1 << 63)


class Generalise(NarrowStage):
    """Writes the values of each document at the level of its group."""

    name: ClassVar[str] = "generalise"

    groups: str
    quasi_identifiers: tuple[str, ...]
    hierarchies: dict[str, str]

    def open(self) -> Apply:
        """Map the groups from disk."""
        table = storage.read_ipc(self.groups).combine_chunks()
        keys = table.column("key").to_numpy()
        levels = {
            name: read_hierarchy(self.hierarchies[name])
            if name in self.hierarchies
            else HIERARCHIES[name]
            for name in self.quasi_identifiers
        }

        def look_up(combination: str) -> tuple[dict[str, int], int]:
            row = int(np.searchsorted(keys, _key(combination)))
            while table.column("combination")[row].as_py() != combination:  # equal hashes
                row += 1
            chosen = table.column("levels")[row].as_py()
            return (
                dict(zip(self.quasi_identifiers, chosen, strict=True)),
                table.column("documents")[row].as_py(),
            )

        return partial(self._apply, look_up=look_up, levels=levels)

    def _apply(
        self,
        batch: pa.RecordBatch,
        look_up: Callable[[str], tuple[dict[str, int], int]],
        levels: Mapping[str, Levels],
    ) -> Outcome:
        texts: list[str] = batch.column("text").to_pylist()
        metadata: list[Any] = batch.column("metadata").to_pylist()
        sizes = np.full(batch.num_rows, np.nan)
        verdicts = Verdicts()
        for row, document in enumerate(batch.column("id").to_pylist()):
            found = found_in(texts[row], metadata[row] or (), self.quasi_identifiers)
            if not found.combination:
                continue
            chosen, sizes[row] = look_up(found.combination)
            written: Counter[str] = Counter()
            entries = dict(metadata[row] or ())
            for key, in_text in found.texts.items():
                if key == TEXT:
                    texts[row] = rewritten(texts[row], in_text, chosen, levels, written)
                else:
                    entries[key] = rewritten(entries[key], in_text, chosen, levels, written)
            for key, attribute, value in found.metadata:
                label = labelled_as(entries[key], value, attribute, chosen, levels, written)
                if label is not None:
                    entries[key] = label
            if metadata[row]:
                metadata[row] = metadata_entries(entries)
            if written:
                verdicts.add(
                    document,
                    Action.CHANGED,
                    "generalised",
                    value=float(written.total()),
                    detail=json.dumps(written, sort_keys=True),
                )
        batch = with_column(batch, "text", pa.array(texts, pa.large_string()))
        batch = with_column(
            batch, "metadata", pa.array(metadata, batch.schema.field("metadata").type)
        )
        return Outcome(documents=with_scores(batch, {GROUP_SIZE: sizes}), verdicts=verdicts.batch())
