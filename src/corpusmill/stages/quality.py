"""Quality: how good is the writing, judged by small language models that the run trains itself.

One n-gram model learns the reference (good text), one a raw sample of the corpus. What is unlikely
to the first is noise; what is likelier to the second than to the first is of another kind than the
reference (Moore and Lewis 2010). Each measure is blind to what the other sees: disorder and noise
are as unlikely to both models, and another domain may well be written in perfect order. So a
document is as good as the worse of its two ranks.

A model finds likely what it has read. There is therefore one raw model for each half of the
documents, and each document is judged by the one that has not read it.
"""

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpusmill import storage
from corpusmill.document import (
    byte_lengths,
    document_id,
    document_schema,
    documents_from_rows,
    id_fraction,
)
from corpusmill.errors import UsageError
from corpusmill.filters.ngram_counts import count_windows, fold_windows
from corpusmill.filters.ngram_model import NgramModel
from corpusmill.filters.ngram_text import hash_words
from corpusmill.stage import Action, GlobalStage, Part, Verbs
from corpusmill.stages.verdicts import SCORE, VERDICT_ROWS, JoinVerdicts, verdicts_by_part

AVAILABLE = ("ngram",)
"""Scorers of this version."""
PERPLEXITY, DIFFERENCE, UNKNOWN = "ngram_perplexity", "ngram_difference", "ngram_unknown"
MEASURES = (PERPLEXITY, DIFFERENCE)
"""What documents are ranked by; of both, more is worse."""
REASON = "quality_below_quantile"

REFERENCE_PART_BYTES = 4_000_000
"""Of a part of reference text, so that several workers count it."""
BLOCK_BYTES = 4096
"""About the size of a stored piece of the reference: large enough for its first words, which have
no context, not to matter."""
LONGEST_LINE = 1 << 16
"""Characters after which a line of the reference is cut."""
SAMPLE_CHARACTERS = 1 << 16
"""The most that one document gives to the raw sample: one book is not the corpus."""


class Quality(GlobalStage):
    """Scores prose with n-gram models and drops the worst of each kind and language.

    Sets `ngram_perplexity` (per word, under the model of the reference), `ngram_difference` (nats
    for a word that the reference's model needs more than the raw sample's; Moore and Lewis) and
    `ngram_unknown` (share of words that the reference does not have). Documents of kind `code` pass
    without scores: models of prose have nothing to say about them.

    Within each kind and language documents are ranked by both measures, worst first, equal ones by
    id. The worse of its two ranks is a document's rank, and `drop_lowest` of the documents are
    dropped from the low end, equal ranks by id. The ledger has the rank as a share of the group (0
    is the worst), and as threshold the rank of the lowest document that was kept.
    """

    name: ClassVar[str] = "quality"
    path_settings: ClassVar[tuple[str, ...]] = ("reference",)

    scorers: tuple[str, ...] = ("ngram",)
    """Who judges. In this version: ngram."""
    reference: str
    """Text such as the corpus should be: a file, a folder or a pattern of UTF-8 files. Its blank
    lines do not matter. A few megabytes in each language of the corpus are enough."""
    drop_lowest: float = Field(default=0.1, ge=0, lt=1, allow_inf_nan=False)
    """Share of the documents of each kind and language to drop, rounded down."""
    order: int = Field(default=5, ge=2, le=8)
    """Words of an n-gram. KenLM's and CCNet's customary order."""
    train_mb: float = Field(default=8, ge=0.1, le=1024)
    """Megabytes of text that each model learns from: of a longer reference and of the corpus, a
    sample. It bounds time, memory (some 60 bytes for each byte while a model is trained) and the
    size of the three tables (at most 45 bytes for each byte, mapped from disk and shared)."""
    smallest_group: int = Field(default=20, ge=1)
    """Documents of one kind and language from which on any is dropped: fewer have no quantiles."""
    max_unknown: float = Field(default=0.5, gt=0, le=1)
    """If half of a group's documents have a larger share of unknown words, the reference does not
    speak their language, and none is dropped. French against an English reference: 0.55."""

    @field_validator("scorers")
    @classmethod
    def _available(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for scorer in value:
            if scorer not in AVAILABLE:
                raise ValueError(
                    f"scorer {scorer!r} is not available in this version; "
                    f"available: {', '.join(AVAILABLE)}"
                )
        if not value:
            raise ValueError(f"name a scorer; available: {', '.join(AVAILABLE)}")
        return value

    def score_fields(self) -> tuple[str, ...]:
        """The three measures."""
        return (DIFFERENCE, PERPLEXITY, UNKNOWN)

    def check(self) -> None:
        """Raise UsageError when there is no reference."""
        if not storage.list_files(self.reference):
            raise UsageError(f"quality: reference: no file at {self.reference}")

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> JoinVerdicts:
        """Train both models, score all prose, rank it by kind and language."""
        prose = [part for part in parts if part.kind != "code"]
        if not prose:
            return JoinVerdicts(runs={})
        good = self._train(verbs, "reference", self._store_reference(verbs), share=1.0)
        total = verbs.reduce(verbs.map(prose, _SampleBytes()), _sum_bytes)
        half_bytes = total.column("bytes")[0].as_py() / 2
        share = min(1.0, self.train_mb * 1e6 / max(half_bytes, 1))
        raw = (
            self._train(verbs, "raw-0", prose, share, half=0),
            self._train(verbs, "raw-1", prose, share, half=1),
        )
        scores = verbs.map(prose, _Score(reference=good, raw=raw, seed=verbs.seed))
        judge = _JudgeGroups(
            drop_lowest=self.drop_lowest,
            smallest_group=self.smallest_group,
            max_unknown=self.max_unknown,
        )
        return verdicts_by_part(verbs, verbs.exchange(scores, by="group", then=judge))

    def _train(
        self, verbs: Verbs, name: str, parts: Sequence[Part], share: float, half: int | None = None
    ) -> str:
        """Where the model of a share of the documents of a half of these parts was written."""
        measure = _CountWindows(order=self.order, share=share, seed=verbs.seed, half=half)
        counted = verbs.reduce(verbs.map(parts, measure), partial(fold_windows, order=self.order))
        if name == "reference" and not counted.num_rows:
            raise UsageError(f"quality: reference: there is no word in {self.reference}")
        path = storage.join(verbs.work, f"{name}.ngram.arrow")
        NgramModel.train(counted, self.order).write(path)
        return path

    def _store_reference(self, verbs: Verbs) -> list[Part]:
        """The reference, or a sample of its blocks, as parts that the verbs can read."""
        files = storage.list_files(self.reference)
        share = self.train_mb * 1e6 / max(sum(storage.file_size(file) for file in files), 1)
        parts: list[Part] = []
        rows: list[dict[str, str]] = []
        held = 0

        def store() -> None:
            number = len(parts)
            path = storage.join(verbs.work, f"reference-{number:05d}.parquet")
            documents = documents_from_rows(rows, document_schema())
            info = storage.write_parquet(path, pa.Table.from_batches([documents]))
            parts.append(
                Part(
                    number=number,
                    path=path,
                    source="reference",
                    kind="book",
                    rows=info.rows,
                    bytes=info.bytes,
                )
            )

        for number, file in enumerate(files):
            for block, text in enumerate(_blocks(file)):
                identity = document_id("reference", str(number), str(block))
                if id_fraction(pa.array([identity]), verbs.seed, "reference")[0] >= share:
                    continue
                constant = {"source": "reference", "kind": "book", "uri": f"{number}#{block}"}
                rows.append({"id": identity, "text": text, **constant})
                held += len(text)
                if held >= REFERENCE_PART_BYTES:
                    store()
                    rows, held = [], 0
        if rows or not parts:
            store()
        return parts


def _blocks(file: str) -> Iterator[str]:
    """A text file in blocks of whole lines; bytes that are not UTF-8 become U+FFFD."""
    with io.TextIOWrapper(storage.open_read(file), "utf-8", errors="replace") as lines:
        block: list[str] = []
        size = 0
        while line := lines.readline(LONGEST_LINE):
            block.append(line)
            size += len(line)
            if size >= BLOCK_BYTES:
                yield "".join(block)
                block, size = [], 0
        if block:
            yield "".join(block)


@dataclass(frozen=True, kw_only=True)
class _SampleBytes:
    """Bytes of text that could go into the raw sample; one row for each batch."""

    columns: ClassVar[Sequence[str]] = ("text",)

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            lengths = np.minimum(byte_lengths(batch.column("text")), SAMPLE_CHARACTERS)
            return pa.RecordBatch.from_pydict({"bytes": pa.array([int(lengths.sum())])})

        return measure


def _sum_bytes(rows: pa.Table) -> pa.Table:
    total = pc.sum(rows.column("bytes"), min_count=0).as_py()
    return pa.table({"bytes": pa.array([total], pa.int64())})


@dataclass(frozen=True, kw_only=True)
class _CountWindows:
    """Windows of words of a sample of the documents."""

    columns: ClassVar[Sequence[str]] = ("text",)

    order: int
    share: float
    seed: int
    half: int | None
    """0 or 1; None for all documents."""

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            if self.half is not None:
                batch = batch.filter(pa.array(_halves(batch, self.seed) == self.half))
            if self.share < 1:
                fraction = id_fraction(batch.column("id"), self.seed, "quality.sample")
                batch = batch.filter(pa.array(fraction < self.share))
            texts = pc.utf8_slice_codeunits(batch.column("text"), 0, SAMPLE_CHARACTERS)
            return count_windows(texts, self.order)

        return measure


@dataclass(frozen=True, kw_only=True)
class _Score:
    """Scores of documents under the two models, and the group that each belongs to."""

    columns: ClassVar[Sequence[str]] = ("text", "kind", "language")

    reference: str
    raw: tuple[str, str]
    """Of the halves 0 and 1 of the documents."""
    seed: int

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        reference = NgramModel.read(self.reference)
        raw = [NgramModel.read(path) for path in self.raw]

        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            half = _halves(batch, self.seed)
            scored = [
                score(batch.filter(pa.array(half == number)), raw[1 - number]) for number in (0, 1)
            ]
            return pa.concat_batches(scored)

        def score(batch: pa.RecordBatch, other: NgramModel) -> pa.RecordBatch:
            words, offsets = hash_words(batch.column("text"))
            good = reference.score_words(words, offsets)
            # A text without words has no likeness to the reference that could save it.
            usual = np.where(
                np.diff(offsets) > 0, other.score_words(words, offsets).log_probability, 0.0
            )
            language = pc.fill_null(batch.column("language"), "unidentified")
            measured = {
                PERPLEXITY: good.perplexity,
                DIFFERENCE: usual - good.log_probability,
                UNKNOWN: good.unknown,
            }
            return pa.RecordBatch.from_pydict(
                {
                    "id": batch.column("id"),
                    "group": pc.binary_join_element_wise(batch.column("kind"), language, " "),
                    **{name: pa.array(values, pa.float32()) for name, values in measured.items()},
                }
            )

        return measure


def _halves(batch: pa.RecordBatch, seed: int) -> npt.NDArray[np.bool_]:
    return id_fraction(batch.column("id"), seed, "quality.half") < 0.5


@dataclass(frozen=True, kw_only=True)
class _JudgeGroups:
    """Ranks whole groups: rows of scores (`_Score`) in, rows of verdicts out.

    Holds the rows of the largest kind and language at once, some 100 bytes for each document.
    """

    drop_lowest: float
    smallest_group: int
    max_unknown: float

    def __call__(self, rows: pa.Table) -> pa.Table:
        names = [f"{SCORE}{name}" for name in (*MEASURES, UNKNOWN)]
        schema = pa.schema([*VERDICT_ROWS, *(pa.field(name, pa.float32()) for name in names)])
        group = rows.column("group").combine_chunks().dictionary_encode().indices.to_numpy()
        starts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), rows.num_rows]
        judged = [
            self._judge(rows.slice(first, last - first), schema)
            for first, last in itertools.pairwise(starts)
        ]
        return pa.concat_tables(judged)

    def _judge(self, rows: pa.Table, schema: pa.Schema) -> pa.Table:
        n = rows.num_rows
        worst, rank = self._worst(rows)
        value, threshold = np.full(n, np.nan), np.full(n, np.nan)
        dropped = np.zeros(n, bool)
        if len(worst) < n:
            dropped[worst] = True
            value[worst] = rank[worst] / n
            threshold[worst] = rank[~dropped].min() / n
        detail = f"{n} documents of {rows.column('group')[0].as_py()}" if n else ""
        columns = {
            "id": rows.column("id"),
            "action": _where(dropped, Action.DROPPED),
            "reason": _where(dropped, REASON),
            "value": pa.array(value, from_pandas=True),
            "threshold": pa.array(threshold, from_pandas=True),
            "detail": _where(dropped, detail),
            "part": rows.column("part"),
            **{f"{SCORE}{name}": rows.column(name) for name in (*MEASURES, UNKNOWN)},
        }
        return pa.table([columns[name] for name in schema.names], schema=schema)

    def _worst(self, rows: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which rows are to go, and the rank of all; rows come sorted by id."""
        n = rows.num_rows
        rank = np.full(n, n, np.int64)
        if n < self.smallest_group or np.median(rows.column(UNKNOWN).to_numpy()) > self.max_unknown:
            return np.zeros(0, np.int64), rank
        for name in MEASURES:
            position = np.empty(n, np.int64)
            position[np.argsort(-rows.column(name).to_numpy(), kind="stable")] = np.arange(n)
            rank = np.minimum(rank, position)
        return np.argsort(rank, kind="stable")[: int(self.drop_lowest * n)], rank


def _where(rows: npt.NDArray[np.bool_], word: str) -> pa.Array:
    """The word in these rows, null in the others."""
    return pa.array([word if there else None for there in rows], pa.string())
