"""Topics: what is each document about? A classifier that the run trains on seed words or labels.

Topics make coverage visible in the report and give `mix` and `augment` something to balance by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from corpusmill import storage
from corpusmill.document import (
    byte_lengths,
    id_fraction,
    metadata_entries,
    one_chunk,
    with_column,
    with_scores,
)
from corpusmill.errors import UsageError, one_of
from corpusmill.filters.classifier import Learning, import_fasttext
from corpusmill.filters.languages import LANGUAGES
from corpusmill.filters.topic_labels import read_labelled
from corpusmill.filters.topic_model import TopicModel, read_topic_card, topics_of_model
from corpusmill.filters.topic_seeds import UNKNOWN, read_seeds
from corpusmill.filters.topic_training import (
    Examples,
    labelled_examples,
    train_topics,
    weak_examples,
)
from corpusmill.stage import (
    Action,
    Apply,
    GlobalStage,
    Names,
    NarrowStage,
    Outcome,
    Part,
    Verbs,
    Verdicts,
)

TOPIC = "topic"
"""The key in a document's metadata."""
SCORE = "topic_score"
SAMPLE_CHARACTERS = 1 << 16
"""The most that one document gives to training: one book is not the corpus."""
LEARNING = Learning(epochs=5, dims=32, word_ngrams=1)
"""Of the words of a topic, not of their order: with pairs of words the model was no better on text
that was labelled by hand (benchmarks/topics.py), and larger."""


class Topics(GlobalStage):
    """Writes each document's topic to its metadata (`topic`); by default it drops nothing.

    Without settings it tells the 29 topics of the shipped English seed words: examples are found in
    the corpus by them, and a fastText classifier learns from the examples. The score `topic_score`
    is the probability of the topic, the mean over up to 8 windows of a document. Where no topic is
    likely enough, and for documents in a language without seed words, the topic is `unknown`.

    Documents of kind `code` are `unknown` unless `for:` is given.
    """

    name: ClassVar[str] = "topics"
    path_settings: ClassVar[tuple[str, ...]] = ("seeds", "labelled", "model")

    seeds: str = ""
    """A YAML file with seed words of your own, language -> topic -> list of words and phrases;
    those that are shipped (docs/topics.md) unless given."""
    labelled: Names = ()
    """JSONL files with examples to learn from instead of seed words: {text, label} on each line."""
    model: str = ""
    """A fastText classifier that was trained before, by this stage or elsewhere."""
    languages: Names = ()
    """Languages (`en`, `de`) whose documents are judged. By default those of the seed words; all
    where labelled text or a model is given. Documents of which no stage has identified the language
    are judged, too."""
    min_score: float = Field(default=0.3, ge=0, le=1, allow_inf_nan=False)
    """A document of which no topic is this probable is `unknown`."""
    keep: Names = ()
    """Topics to keep; documents of others are dropped, those of `unknown` too unless it is named.
    Empty keeps all."""
    drop: Names = ()
    """Topics to drop."""
    train_mb: float = Field(default=32, ge=0.1, le=1024, allow_inf_nan=False)
    """Megabytes of the corpus in which examples are looked for, at most; of a larger corpus, a
    sample of the documents of every part."""

    @model_validator(mode="after")
    def _fit_together(self) -> "Topics":
        given = [name for name in ("seeds", "labelled", "model") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{given[1]}: {given[0]} is given, too; topics have one origin")
        if given and given[0] != "seeds" and "train_mb" in self.model_fields_set:
            raise ValueError("train_mb: is for seed words, and none are used")
        if both := sorted({*self.keep} & {*self.drop}):
            raise ValueError(f"drop: {both[0]} is to be kept, too")
        for code in self.languages:
            if code not in LANGUAGES:
                raise ValueError(f"languages: {one_of(code, LANGUAGES)}")
        return self

    def score_fields(self) -> tuple[str, ...]:
        """The probability of the topic."""
        return (SCORE,)

    def facts(self) -> list[str]:
        """Which documents are judged, if not all."""
        judged = self._languages()
        return [f"judges documents in {', '.join(judged)} only"] if judged else []

    def check(self) -> None:
        """Raise UsageError without fastText, or for files that are missing or badly formed."""
        try:
            import_fasttext()
            topics = self._topics()
            if len(topics) < 2:
                raise UsageError(f"labelled: the only label is {topics[0]}; two can be told apart")
            known = (*topics, UNKNOWN)
            for name in ("keep", "drop"):
                for topic in getattr(self, name):
                    if topic not in known:
                        raise UsageError(f"{name}: {one_of(topic, known)}")
            if not (self.labelled or self.model):
                own = read_seeds(self.seeds)
                for code in self.languages:
                    if code not in own:
                        raise UsageError(f"languages: no seed words: {one_of(code, own)}")
        except UsageError as error:
            raise UsageError(f"topics: {error}") from None

    def _topics(self) -> list[str]:
        if self.model:
            return topics_of_model(self.model)
        if self.labelled:
            return sorted({label for path in self.labelled for label in read_labelled(path)[1]})
        return sorted({topic for found in read_seeds(self.seeds).values() for topic in found})

    def _languages(self) -> tuple[str, ...]:
        """Languages that are judged; empty for all."""
        if self.languages or self.labelled or self.model:
            return self.languages
        return tuple(read_seeds(self.seeds))

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> "LabelTopics":
        """Train the classifier, or take the one that is given."""
        return LabelTopics(
            model=self.model or self._trained(verbs, parts),
            languages=self._languages(),
            code=bool(self.for_),
            min_score=self.min_score,
            keep=self.keep,
            drop=self.drop,
        )

    def _trained(self, verbs: Verbs, parts: Sequence[Part]) -> str:
        path = storage.join(verbs.work, "topics.bin")
        samples = () if self.labelled else self._sample(verbs, parts)
        task = _Training(
            samples=samples, labelled=self.labelled, seeds=self._seeds(), seed=verbs.seed, path=path
        )
        verbs.each(_train, [task])
        for sample in samples:
            storage.remove(sample)
        card = read_topic_card(path)
        assert card is not None
        verbs.note(card.describe())
        return path

    def _seeds(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Seed words of the languages that are judged."""
        if self.labelled:
            return {}
        found = read_seeds(self.seeds)
        return {code: found[code] for code in self._languages()}

    def _sample(self, verbs: Verbs, parts: Sequence[Part]) -> tuple[str, ...]:
        """Files with the examples of a sample of the documents, one for each part."""
        rows = max(1, sum(part.rows for part in parts))
        tasks = [
            _Sample(
                part=part,
                budget=round(self.train_mb * 1e6 * part.rows / rows),
                seeds=self._seeds(),
                code=bool(self.for_),
                seed=verbs.seed,
                target=storage.join(verbs.work, f"examples-{number:05d}.arrow"),
            )
            for number, part in enumerate(parts)
        ]
        verbs.each(_write_examples, tasks)
        return tuple(task.target for task in tasks)


@dataclass(frozen=True, kw_only=True)
class _Sample:
    part: Part
    budget: int
    """Bytes of text of the part's documents in which examples are looked for."""
    seeds: Mapping[str, Mapping[str, tuple[str, ...]]]
    code: bool
    seed: int
    target: str


def _write_examples(task: _Sample) -> None:
    topics: list[str] = []
    lines: list[str] = []
    if task.code or task.part.kind != "code":
        table = storage.read_parquet(task.part.path, ["id", "text", "language"])
        texts = pc.utf8_slice_codeunits(one_chunk(table.column("text")), 0, SAMPLE_CHARACTERS)
        order = np.argsort(id_fraction(table.column("id"), task.seed, "topics.sample"))
        chosen = np.zeros(len(order), bool)
        chosen[order[: np.searchsorted(byte_lengths(texts)[order].cumsum(), task.budget) + 1]] = 1
        language = table.column("language").to_pylist()
        for code, seeds in ((None, joined(task.seeds)), *task.seeds.items()):
            rows = chosen & np.array([found == code for found in language], bool)
            found = weak_examples(texts.filter(pa.array(rows)), seeds)
            topics += found.topics
            lines += found.lines
    columns = {"topic": pa.array(topics, pa.string()), "line": pa.array(lines, pa.large_string())}
    storage.write_ipc(task.target, pa.table(columns))


def joined(seeds: Mapping[str, Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Topic -> the seed words of all languages."""
    topics = sorted({topic for found in seeds.values() for topic in found})
    return {
        topic: tuple(seed for found in seeds.values() for seed in found.get(topic, ()))
        for topic in topics
    }


@dataclass(frozen=True, kw_only=True)
class _Training:
    samples: tuple[str, ...]
    labelled: tuple[str, ...]
    seeds: Mapping[str, Mapping[str, tuple[str, ...]]]
    seed: int
    path: str


def _train(task: _Training) -> None:
    topics: list[str] = []
    lines: list[str] = []
    for path in task.samples:
        table = storage.read_ipc(path)
        topics += table.column("topic").to_pylist()
        lines += table.column("line").to_pylist()
    for path in task.labelled:
        texts, labels = read_labelled(path)
        found = labelled_examples(pa.array(texts, pa.large_string()), labels)
        topics += found.topics
        lines += found.lines
    train_topics(
        Examples(topics=topics, lines=lines),
        joined(task.seeds),
        learning=LEARNING,
        seed=task.seed,
        path=task.path,
        work=task.path.rsplit("/", 1)[0],
    )


class LabelTopics(NarrowStage):
    """Writes topics to documents, and drops those that are not wanted."""

    name: ClassVar[str] = "label_topics"

    model: str
    languages: tuple[str, ...]
    code: bool
    """Whether source code is judged."""
    min_score: float
    keep: tuple[str, ...]
    drop: tuple[str, ...]

    def open(self) -> Apply:
        """Load the model."""
        model = TopicModel(self.model)
        return lambda documents: self._apply(documents, model)

    def _apply(self, documents: pa.RecordBatch, model: TopicModel) -> Outcome:
        rows = np.array(
            [
                (self.code or kind != "code")
                and (not self.languages or language is None or language in self.languages)
                for kind, language in zip(
                    documents.column("kind").to_pylist(),
                    documents.column("language").to_pylist(),
                    strict=True,
                )
            ],
            bool,
        )
        scores = np.full(documents.num_rows, np.nan, np.float32)
        topics = [UNKNOWN] * documents.num_rows
        found = model.probabilities(documents.column("text").filter(pa.array(rows)))
        for row, of_row in zip(np.flatnonzero(rows).tolist(), found, strict=True):
            best = int(of_row.argmax())  # NaN, if the text has no word
            scores[row] = of_row[best]
            if scores[row] >= np.float32(self.min_score):
                topics[row] = model.topics[best]
        entries = [
            metadata_entries({**dict(old or ()), TOPIC: topic})
            for old, topic in zip(documents.column("metadata").to_pylist(), topics, strict=True)
        ]
        kind = documents.schema.field("metadata").type
        labelled = with_column(documents, "metadata", pa.array(entries, kind))
        return Outcome(
            documents=with_scores(labelled, {SCORE: scores}),
            verdicts=self._verdicts(documents.column("id").to_pylist(), topics, scores.tolist()),
        )

    def _verdicts(
        self, ids: Sequence[str], topics: Sequence[str], scores: Sequence[float]
    ) -> pa.RecordBatch:
        verdicts = Verdicts()
        for document, topic, score in zip(ids, topics, scores, strict=True):
            value = None if np.isnan(score) else score
            if topic in self.drop:
                verdicts.add(
                    document, Action.DROPPED, "topic_dropped", value, self.min_score, topic
                )
            elif self.keep and topic not in self.keep:
                verdicts.add(
                    document, Action.DROPPED, "topic_not_kept", value, self.min_score, topic
                )
        return verdicts.batch()
