"""The stage contract: what a step of the line must offer, and what it gets from every engine.

A **narrow** stage judges or rewrites each document by itself. It returns every document it was
given, in the same order, with its rewrites and scores in place, and verdicts on some of them; the
runner takes the dropped ones out. A stage therefore cannot lose a document.

A **global** stage looks at all documents first, through three verbs that every engine offers, and
ends in a narrow stage that carries what was found back to the documents.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Protocol

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from corpusmill import plugins
from corpusmill.errors import BrokenContract


def one_is_a_list(value: Any) -> Any:
    """`keep: longest` for `keep: [longest]`; a validator of settings that are lists of names."""
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(one_is_a_list)]
"""A setting of names or paths, of which a single one may stand by itself."""


class Action(StrEnum):
    """What happened to a document that did not simply pass."""

    DROPPED = "dropped"
    CHANGED = "changed"
    QUARANTINED = "quarantined"


VERDICT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("detail", pa.string()),
    ]
)


@dataclass
class Verdicts:
    """Verdicts under construction: at most one for each document.

    `detail` says what the numbers cannot (the id of the kept document, the line numbers removed).
    It must not hold text of the document or a personal value.
    """

    rows: list[tuple[str, str, str, float | None, float | None, str | None]] = field(
        default_factory=list
    )

    def add(
        self,
        document: str,
        action: Action,
        reason: str,
        value: float | None = None,
        threshold: float | None = None,
        detail: str | None = None,
    ) -> None:
        """Record one verdict on the document with this id."""
        self.rows.append((document, action.value, reason, value, threshold, detail))

    def batch(self) -> pa.RecordBatch:
        """The verdicts as Arrow (VERDICT_SCHEMA)."""
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(VERDICT_SCHEMA)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, VERDICT_SCHEMA, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=VERDICT_SCHEMA)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a narrow stage says about one batch."""

    documents: pa.RecordBatch
    """Every document of the batch, in its order, rewritten and scored as the stage saw fit."""
    verdicts: pa.RecordBatch = field(default_factory=lambda: Verdicts().batch())
    """VERDICT_SCHEMA: the documents to drop or quarantine, and those that were changed."""
    added: pa.RecordBatch | None = None
    """New documents, derived from kept ones: `augmented_from` is the id of one that is not derived
    itself, in the same part. They are dropped where that one is, by whatever stage."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many new documents were tried and not added."""


Apply = Callable[[pa.RecordBatch], Outcome]


class Stage(BaseModel):
    """Settings of a step, as a recipe gives them; frozen and picklable."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        populate_by_name=True,
        validate_default=True,  # 64 and 64.0 would be two fingerprints
    )

    name: ClassVar[str]
    """How a recipe calls it."""
    version: ClassVar[int] = 1
    """Raised whenever the code comes to give other results: part of the fingerprint."""
    isolated: ClassVar[bool] = False
    """Run in a child process with limits on memory and CPU time."""
    batch_rows: ClassVar[int] = 512
    """Documents in a batch: fixed, because the results of models depend on the batch's shape."""
    path_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that name files: a path, a list of them, or a mapping to them; `scorer.model` is the
    setting `model` of the settings `scorer`."""
    secret_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that refer to a secret (`env:NAME`, `file:PATH`)."""
    outside_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that name what runs share (an index): the fingerprint takes `outside` instead."""

    for_: tuple[str, ...] = Field(default=(), validation_alias="for", serialization_alias="for")
    """Kinds or source names that the stage is limited to; empty means all."""

    def score_fields(self) -> tuple[str, ...]:
        """Names of the scores that the stage sets."""
        return ()

    def judged_scores(self) -> dict[str, dict[str, Any]]:
        """Which scores decide, and how, in the order in which they do: for the run's record.

        {score: {drops: `below` or `above`, threshold, languages: {language: threshold}}}; a
        threshold of null drops nothing.
        """
        return {}

    def needed_scores(self) -> tuple[str, ...]:
        """Names of the scores that the stage reads: earlier stages must set them."""
        return ()

    def outside(self, run: str) -> tuple[str, ...]:
        """Checksums of what the result of a run of that name depends on besides input and settings.

        Part of the fingerprint. The same again when the run has added its own to it.
        """
        return ()

    def used_plugins(self) -> tuple[plugins.Plugin, ...]:
        """What of other packages the stage is or uses: part of the fingerprint."""
        offered = plugins.is_offered("stages", self.name)
        return plugins.found("stages", [self.name] if offered else [])

    def check_run(self, run: str, fingerprint: str) -> None:
        """Raise UsageError when what other runs have left outside does not allow this one."""

    def named_sources(self) -> dict[str, Collection[str]]:
        """Setting -> the sources that it names: the recipe must have them."""
        return {"sources": getattr(self, "sources", ())}

    def derives(self, seed: int) -> str:
        """What the ids of new documents are made of, besides those of their originals; nothing for
        a stage that adds none. No two stages of a recipe may have the same. `seed` is the recipe's.
        """
        return ""

    def facts(self) -> list[str]:
        """What follows from the settings and is worth telling in a plan, a line each."""
        return []

    def named_files(self) -> dict[str, list[str]]:
        """Setting -> the files it names, of `path_settings`; without those that name none."""
        found = {name: _paths(_setting(self, name)) for name in self.path_settings}
        return {name: paths for name, paths in found.items() if paths}

    def content_files(self) -> dict[str, list[str]]:
        """Setting -> the files whose content decides: the fingerprint takes it, not their place."""
        return self.named_files()

    def with_paths(self, resolve: Callable[[str], str]) -> "Stage":
        """The stage with every path of `named_files` resolved."""
        stage = self
        for name in self.named_files():
            stage = _with_paths(stage, name.split("."), resolve)
        return stage

    def check(self) -> None:
        """Raise UsageError for what can be known to be wrong before any document is read.

        Missing models, missing packages, missing secrets. Called by `plan` and before a run.
        """


def _setting(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part, None)
    return settings


def _paths(value: Any) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else list(getattr(value, "values", lambda: value)())


def _with_paths(settings: Any, names: Sequence[str], resolve: Callable[[str], str]) -> Any:
    value = getattr(settings, names[0])
    if names[1:]:
        changed = _with_paths(value, names[1:], resolve)
    elif isinstance(value, str):
        changed = resolve(value)
    elif isinstance(value, dict):
        changed = {key: resolve(path) for key, path in value.items()}
    else:
        changed = tuple(map(resolve, value))
    return settings.model_copy(update={names[0]: changed})


class NarrowStage(Stage):
    """Judges or rewrites each document by itself."""

    @property
    def cpu_seconds_per_mb(self) -> float:
        """What a child that runs the stage may take for a megabyte of a batch, besides the limit
        for a call: a long document may take longer."""
        return 2.0

    @property
    def memory_mb(self) -> int:
        """What a child that runs the stage may allocate beyond what it holds when it is opened:
        address space, of which much is never touched."""
        return 2048

    @abstractmethod
    def open(self) -> Apply:
        """Load what is needed, once per worker, and return the function that judges batches."""

    def for_part(self, part: int) -> "NarrowStage":
        """The stage as it is for one part; differs only where verdicts are joined by part."""
        return self


@dataclass(frozen=True, kw_only=True)
class Part:
    """One stored part of a dataset of documents: all of one source, in locator order."""

    number: int
    path: str
    source: str
    kind: str
    rows: int
    bytes: int
    """Of the stored file."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A dataset of small rows (ids, keys, measures; never text) in Arrow IPC files."""

    paths: tuple[str, ...]


class Measure(Protocol):
    """What `map` runs over documents: a picklable object that turns batches into small rows.

    One that computes on a GPU where there is one has an attribute `gpu = True`: a cluster gives
    each of its tasks one.
    """

    @property
    def columns(self) -> Sequence[str]:
        """The document columns it reads; `id` always comes with them."""

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Load what is needed and return the function; the engine adds a column `part` (int64)."""


class Verbs(Protocol):
    """What a global stage may ask of an engine. Calls are remembered in the stage's work folder:
    a run that was killed repeats only the calls that had not finished."""

    seed: int
    work: str
    """A folder for files that the stage writes itself, through corpusmill.storage."""
    run: str
    """The recipe's name."""
    fingerprint: str
    """Of the stage in this run: all that its result depends on."""
    outside: tuple[str, ...]
    """`Stage.outside` as it was when the fingerprint was made."""

    def map(self, parts: Sequence[Part], measure: Measure) -> Rows:
        """Measure every part; one file of rows per part, in part order."""

    def exchange(self, *datasets: Rows, by: str, then: Callable[[pa.Table], pa.Table]) -> Rows:
        """Bring rows with equal keys together.

        `by` names a column of int64 or string that all datasets have, besides `id`. With several
        datasets their columns are united (null where one has none) and a column `dataset` (int64)
        tells them apart. `then` gets tables of whole groups sorted by (key, id, dataset) and may
        depend on one group at a time only: how groups are divided over tables is not defined, and
        neither is the order of the result's rows.
        """

    def reduce(self, rows: Rows, fold: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """Fold all rows into one table.

        `fold` must be exact, commutative and associative, and must accept its own results mixed
        with rows: fold(fold(a) + b) = fold(a + b). An empty dataset gives fold(no rows).
        """

    def each(self, task: Callable[[Any], None], items: Sequence[Any]) -> None:
        """Run a picklable task on every item; it writes files of its own, the same each time."""

    def load(self, rows: Rows) -> Iterable[pa.Table]:
        """The rows, one file at a time, on the driver."""

    def note(self, text: str) -> None:
        """Tell the user something, now and in the run's record."""


class GlobalStage(Stage):
    """Looks at all documents before it judges."""

    @abstractmethod
    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> NarrowStage:
        """Look, and return the narrow stage that carries the result to the documents.

        `parts` are those that the recipe's `for:` leaves. Must be deterministic: after a kill it
        is called again, and its calls of verbs must come in the same order with the same arguments.
        """


class SinkStage(Stage):
    """Turns the documents into something else; the line ends here."""

    @abstractmethod
    def write(
        self, verbs: Verbs, parts: Sequence[Part], target: str, earlier: Sequence[Stage]
    ) -> list[str]:
        """Write files below `target`; return what the user should be told.

        `earlier` are the recipe's stages in front of this one. Deterministic and repeatable like
        `GlobalStage.prepare`.
        """


def check_opened(apply: Apply) -> Apply:
    """What `NarrowStage.open` has given, if it is a function; else BrokenContract."""
    if not callable(apply):
        raise BrokenContract(f"open gave a {type(apply).__name__} instead of a function of batches")
    return apply


def check_verdicts(documents: pa.RecordBatch, outcome: Outcome) -> dict[str, Any]:
    """Check the contract of `Outcome`; return the row of each id's verdict.

    Raises BrokenContract: a stage that loses rows for one document cannot be trusted with others.
    """
    if not isinstance(outcome, Outcome):
        raise BrokenContract(f"gave a {type(outcome).__name__} instead of an Outcome")
    _check_documents(documents, outcome.documents)
    if outcome.added is not None and not outcome.added.schema.equals(outcome.documents.schema):
        raise BrokenContract("gave new documents of another schema")
    if not outcome.verdicts.schema.equals(VERDICT_SCHEMA):
        raise BrokenContract("gave verdicts that have not VERDICT_SCHEMA")
    known = set(documents.column("id").to_pylist())
    ids = outcome.verdicts.column("id").to_pylist()
    if len(set(ids)) != len(ids) or not known.issuperset(ids):
        raise BrokenContract("verdicts must name documents of the batch, each at most once")
    unknown = set(outcome.verdicts.column("action").to_pylist()) - set(Action)
    if unknown or outcome.verdicts.column("reason").null_count:
        raise BrokenContract(f"a verdict needs a reason, and an action of {', '.join(Action)}")
    return {document: row for row, document in enumerate(ids)}


def _check_documents(before: pa.RecordBatch, after: pa.RecordBatch) -> None:
    if before.num_rows != after.num_rows:
        raise BrokenContract(
            f"gave back {after.num_rows} of {before.num_rows} documents: all are given back, and "
            "what is to be dropped is named in a verdict"
        )
    if "text" in before.schema.names and not after.schema.equals(before.schema):
        differ = {*before.schema} ^ {*after.schema}
        names = sorted({field.name for field in differ})
        raise BrokenContract(f"gave back other columns: {', '.join(names) or 'in another order'}")
    for name in ("id", "source", "kind"):
        if not after.column(name).equals(before.column(name)):
            raise BrokenContract(f"gave back documents in another order or with another {name}")
    if after.column("text").null_count:
        raise BrokenContract("gave back a document without a text; an empty one has the text ''")
