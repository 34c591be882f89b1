"""Tokenize: from documents to token shards, the vocabulary trained in the run or given.

Documents keep the order of their parts. Which split a document belongs to, and which shard of it,
are pure functions of ids and token counts, so shards are written in parallel and in any order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpusmill import storage
from corpusmill.document import INGEST_SCORE, byte_lengths, one_chunk
from corpusmill.errors import RunError
from corpusmill.stage import Part, Rows, SinkStage, Stage, Verbs
from corpusmill.stages.mix import Mix
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.manifest import (
    MANIFEST_FILE,
    TOKENIZER_FILE,
    Mixture,
    ShardInfo,
    build_manifest,
    training_sources,
    write_manifest,
)
from corpusmill.tokenize.shards import write_shard, write_tokenizer
from corpusmill.tokenize.splits import (
    SHARD_TOKENS,
    TRAIN,
    VALIDATION,
    ShardPlan,
    plan_shards,
    split_of,
    split_positions,
)
from corpusmill.tokenize.vocabulary import (
    TRAINING_BYTES,
    in_training_sample,
    load_tokenizer,
    train_bpe,
)

TRAIN_TOKENIZER = "train"


class Tokenize(SinkStage):
    """Token shards in `shards/`, with the vocabulary beside them."""

    name: ClassVar[str] = "tokenize"
    path_settings: ClassVar[tuple[str, ...]] = ("tokenizer",)

    tokenizer: str = TRAIN_TOKENIZER
    """`train`, or the path of a tokenizer.json."""
    vocab_size: int = Field(default=16384, ge=512, le=1 << 20)
    """Of a trained vocabulary; a small corpus gives fewer."""
    split: dict[str, Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]] = Field(
        default_factory=lambda: {TRAIN: 0.99, VALIDATION: 0.01}
    )
    """Share of the documents in each split; they sum to 1."""
    shard_tokens: int = Field(default=SHARD_TOKENS, ge=1024, le=1 << 30)
    """Tokens in a shard."""

    @field_validator("split")
    @classmethod
    def _sums_to_one(cls, value: dict[str, float]) -> dict[str, float]:
        if TRAIN not in value:
            raise ValueError("a split named 'train' is needed")
        if any(not (name.isidentifier() and name.isascii()) for name in value):
            raise ValueError("the names of splits are letters a-z, digits and underscores")
        if abs(sum(value.values()) - 1) > 1e-9:
            raise ValueError(f"the shares must sum to 1, not {sum(value.values()):g}")
        return value

    def named_files(self) -> dict[str, list[str]]:
        """The given tokenizer's file."""
        return {} if self.tokenizer == TRAIN_TOKENIZER else {"tokenizer": [self.tokenizer]}

    def check(self) -> None:
        """Refuse a tokenizer that cannot be used."""
        if self.tokenizer != TRAIN_TOKENIZER:
            load_tokenizer(self.tokenizer)

    def write(
        self, verbs: Verbs, parts: Sequence[Part], target: str, earlier: Sequence[Stage]
    ) -> list[str]:
        """Write the shards; `mix`, among the earlier stages, gives the mixture."""
        notes = []
        if self.tokenizer == TRAIN_TOKENIZER:
            path = storage.join(verbs.work, TOKENIZER_FILE)
            training = _Training(
                parts=tuple(parts), path=path, vocab_size=self.vocab_size, seed=verbs.seed
            )
            verbs.each(_train, [training])
        else:
            path = self.tokenizer
        vocabulary = load_tokenizer(path)
        if self.tokenizer == TRAIN_TOKENIZER and vocabulary.size < self.vocab_size:
            notes.append(f"the vocabulary has {vocabulary.size} tokens: the corpus gave no more")
        encode = _Encode(tokenizer=path, seed=verbs.seed, split=tuple(self.split.items()))
        rows = verbs.map(parts, encode)

        validation = self._validation(verbs, rows)
        if validation is not None:
            notes.append(
                "no document fell into the validation split: the one with the smallest hash is it"
            )
        plans = self._plans(verbs, rows, validation)
        infos = storage.join(verbs.work, "infos")
        verbs.each(
            _write,
            [
                _Shard(
                    plan=plan,
                    rows=rows.paths,
                    validation=validation,
                    tokenizer=path,
                    target=target,
                    info=storage.join(infos, f"{plan.name}.json"),
                )
                for plan in plans
            ],
        )
        found = [storage.read_json(storage.join(infos, f"{plan.name}.json")) for plan in plans]
        shards = [ShardInfo.model_validate(info) for info in found if info is not None]
        write_tokenizer(target, vocabulary)
        mixture = _mixture(earlier, shards, notes)
        manifest = build_manifest(verbs.seed, vocabulary, shards, mixture)
        expected = {MANIFEST_FILE, TOKENIZER_FILE, *(shard.name for shard in shards)}
        for file in storage.list_files(target):
            if file.rsplit("/", 1)[-1] not in expected:
                storage.remove(file)
        write_manifest(target, manifest)
        return notes

    def _validation(self, verbs: Verbs, rows: Rows) -> str | None:
        """The document that is validation because no other is.

        None where there are some, and where there is only one document: it is for training.
        """
        if VALIDATION not in self.split:
            return None
        best: tuple[float, str] | None = None
        worst: tuple[float, str] | None = None
        for table in verbs.load(rows):
            if pc.any(pc.equal(table["split"], VALIDATION)).as_py():
                return None
            for position, original in zip(
                table["position"].to_pylist(), table["original"].to_pylist(), strict=True
            ):
                best = min(best or (position, original), (position, original))
                worst = max(worst or (position, original), (position, original))
        return best[1] if best and best != worst else None

    def _plans(self, verbs: Verbs, rows: Rows, validation: str | None) -> list[ShardPlan]:
        tokens: dict[str, list[int]] = {name: [] for name in sorted(self.split)}
        for table in verbs.load(rows):
            split = _splits(table, validation)
            lengths = _lengths(table)
            for name, counts in tokens.items():
                counts.append(int(lengths[split == name].sum()))
        return [
            plan
            for name, counts in tokens.items()
            for plan in plan_shards(name, counts, self.shard_tokens)
        ]


@dataclass(frozen=True, kw_only=True)
class _Training:
    parts: tuple[Part, ...]
    path: str
    vocab_size: int
    seed: int


def _train(task: _Training) -> None:
    storage.write_atomic(task.path, train_bpe(_training_texts(task), task.vocab_size))


def _training_texts(task: _Training) -> Iterator[str]:
    # The text that was ingested is close enough to cut a sample by, and cheap to read.
    corpus_bytes = 0
    for part in task.parts:
        scores = one_chunk(storage.read_parquet(part.path, ["scores"])["scores"])
        corpus_bytes += int(pc.sum(scores.field(INGEST_SCORE)).as_py() or 0)
    share = min(1.0, TRAINING_BYTES / max(1, corpus_bytes))
    for part in task.parts:
        table = storage.read_parquet(part.path, ["id", "text"])
        chosen = in_training_sample(table["id"], task.seed, share)
        yield from table.filter(pa.array(chosen))["text"].to_pylist()


@dataclass(frozen=True, kw_only=True)
class _Encode:
    """Documents to rows of tokens, each with its split."""

    tokenizer: str
    seed: int
    split: tuple[tuple[str, float], ...]
    columns: tuple[str, ...] = ("text", "source", "augmented_from")

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        encoder = Encoder(load_tokenizer(self.tokenizer))

        def encode(batch: pa.RecordBatch) -> pa.RecordBatch:
            original = pc.coalesce(batch.column("augmented_from"), batch.column("id"))
            return pa.RecordBatch.from_arrays(
                [
                    batch.column("id"),
                    encoder.encode(batch.column("text")),
                    batch.column("source"),
                    pa.array(byte_lengths(batch.column("text"))),
                    original,
                    pa.array(split_of(original, self.seed, dict(self.split)).tolist(), pa.string()),
                    pa.array(split_positions(original, self.seed)),
                ],
                names=["id", "tokens", "source", "n_bytes", "original", "split", "position"],
            )

        return encode


@dataclass(frozen=True, kw_only=True)
class _Shard:
    plan: ShardPlan
    rows: tuple[str, ...]
    validation: str | None
    tokenizer: str
    target: str
    info: str


def _write(task: _Shard) -> None:
    pieces = []
    for part, start in task.plan.parts:
        table = storage.read_ipc(task.rows[part])
        table = table.filter(pa.array(_splits(table, task.validation) == task.plan.split))
        wanted = task.plan.rows(start, _lengths(table))
        pieces.append(table.slice(wanted.start, wanted.stop - wanted.start))
    documents = pa.concat_tables(pieces)
    if not documents.num_rows:
        storage.write_json(task.info, None)
        return
    vocabulary = load_tokenizer(task.tokenizer)
    info = write_shard(task.target, task.plan.name, task.plan.split, documents, vocabulary)
    storage.write_json(task.info, info.model_dump(mode="json"))


def _splits(table: pa.Table, validation: str | None) -> npt.NDArray[np.object_]:
    split = table["split"]
    if validation is not None:
        split = pc.if_else(pc.equal(table["original"], validation), VALIDATION, split)
    return np.array(split.to_pylist(), dtype=object)


def _lengths(table: pa.Table) -> npt.NDArray[np.int64]:
    lengths: npt.NDArray[np.int64] = pc.list_value_length(table["tokens"]).to_numpy()
    return lengths.astype(np.int64)


def _mixture(
    earlier: Sequence[Stage], shards: Sequence[ShardInfo], notes: list[str]
) -> Mixture | None:
    mix = next((stage for stage in earlier if isinstance(stage, Mix)), None)
    if mix is None:
        return None
    held = training_sources(shards)
    asked = mix.mixture()
    missing = sorted(asked.named() - held)
    if missing:
        notes.append(f"mix: no training tokens in {', '.join(missing)}: left out of the mixture")
    mixture = asked.limited_to(held)
    if mixture is None:
        raise RunError("mix: none of the sources it names has training tokens")
    return mixture
