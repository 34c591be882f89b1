"""Tokenize: from documents to token shards, the vocabulary trained in the run or given.

Documents keep the order of their parts. Which split a document belongs to, and which shard of it,
are pure functions of ids and token counts, so shards are written in parallel and in any order.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from corpusmill import storage
from corpusmill.document import INGEST_SCORE, byte_lengths, one_chunk
from corpusmill.errors import RunError, UsageError
from corpusmill.stage import Names, Part, Rows, SinkStage, Stage, Verbs
from corpusmill.stages.document_classes import class_column, class_values
from corpusmill.stages.fertility import (
    FERTILITY_FILE,
    count_words,
    fertility_rows,
    fold_fertility,
)
from corpusmill.stages.mix import OTHER, UNKNOWN, Mix
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.given import given_files
from corpusmill.tokenize.manifest import (
    BY_SOURCE,
    MANIFEST_FILE,
    TOKENIZER_FILE,
    Mixture,
    ShardInfo,
    build_manifest,
    training_tokens,
    write_manifest,
)
from corpusmill.tokenize.pretokens import Digits, PatternName, Whitespace
from corpusmill.tokenize.shards import GROUP, write_shard, write_tokenizer
from corpusmill.tokenize.splits import (
    SHARD_TOKENS,
    TRAIN,
    VALIDATION,
    ShardPlan,
    plan_shards,
    split_at,
    split_positions,
)
from corpusmill.tokenize.vocabulary import (
    BYTES,
    END_OF_TEXT,
    TRAINING_BYTES,
    load_tokenizer,
    train_bpe,
    training_copies,
)

TRAIN_TOKENIZER = "train"

CLASS_NAME = r"^[^\pC\pZ]( ?[^\pC\pZ]){0,99}$"
"""Names of classes are shown in many places: a longer value, or one with control characters, is no
class of its own."""

SHOWN_CLASSES = 20
"""That an error names."""

MOST_VALUES = 100_000
"""Different values that a key may have: with more it tells documents apart, not classes."""


class Tokenize(SinkStage):
    """Token shards in `shards/`, with the vocabulary beside them."""

    name: ClassVar[str] = "tokenize"
    path_settings: ClassVar[tuple[str, ...]] = ("tokenizer",)

    tokenizer: str = TRAIN_TOKENIZER
    """`train`, or the path of a tokenizer.json, a tiktoken file or a `transformers` folder."""
    pattern: PatternName | None = None
    """Where a given tiktoken file cuts text, which it does not say itself; not needed for those
    that are called as OpenAI calls them (`cl100k_base.tiktoken`)."""
    vocab_size: int = Field(default=16384, ge=512, le=1 << 20)
    """Of a trained vocabulary; a small corpus gives fewer."""
    special_tokens: Names = ()
    """More tokens of a trained vocabulary that never come from a text, besides `<|endoftext|>`."""
    digits: Digits = "together"
    """What a trained vocabulary does to numbers. `together`: any run of digits may become a token,
    with the space before it (GPT-2). `single`: each digit is a token (Llama 2, Qwen 2).
    `groups_of_three`: at most three digits are one, counted from the left (GPT-4, Llama 3)."""
    whitespace: Whitespace = "runs"
    """What it does to white space; a word may always have the space before it. `runs`: line breaks
    and the indentation after them may be one token (GPT-2). `lines`: line breaks end a token, so
    that depths of indentation are tokens of their own, and words may begin with a mark such as
    `(` (GPT-4, Llama 3, Qwen 2)."""
    sample: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """Share of each source or kind in the text that the vocabulary is trained on, on any scale
    (`{crawl: 1, code: 1}`); what is not named is left out, and a source counts as itself before it
    counts as its kind. Empty: all, as large as they are."""
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

    @model_validator(mode="after")
    def _bytes_fit(self) -> "Tokenize":
        names = {END_OF_TEXT, *self.special_tokens}
        if len(names) <= len(self.special_tokens) or "" in names:
            raise ValueError(f"special_tokens must be different, none empty or {END_OF_TEXT!r}")
        if self.vocab_size < BYTES + len(names):
            raise ValueError(f"vocab_size: {BYTES} bytes and {len(names)} special tokens need more")
        return self

    def named_files(self) -> dict[str, list[str]]:
        """The given tokenizer's file or folder."""
        return {} if self.tokenizer == TRAIN_TOKENIZER else {"tokenizer": [self.tokenizer]}

    def content_files(self) -> dict[str, list[str]]:
        """The files of a folder that are read: those of a model may change."""
        return {name: given_files(path) for name, (path,) in self.named_files().items()}

    def check(self) -> None:
        """Refuse a tokenizer that cannot be used."""
        if self.tokenizer != TRAIN_TOKENIZER:
            load_tokenizer(self.tokenizer, self.pattern)

    def write(
        self, verbs: Verbs, parts: Sequence[Part], target: str, earlier: Sequence[Stage]
    ) -> list[str]:
        """Write the shards; `mix`, among the earlier stages, gives the mixture."""
        notes: list[str] = []
        path = storage.join(verbs.work, TOKENIZER_FILE)
        verbs.each(_make_vocabulary, [self._vocabulary(verbs, parts, path)])
        vocabulary = load_tokenizer(path)
        if self.tokenizer == TRAIN_TOKENIZER and vocabulary.size < self.vocab_size:
            notes.append(f"the vocabulary has {vocabulary.size} tokens: the corpus gave no more")
        slow = _encoder(vocabulary.data).slow_because
        if slow is not None:
            notes.append(f"encoding is slower than it could be: {slow}")
        mix = next((stage for stage in earlier if isinstance(stage, Mix)), None)
        encode = _Encode(
            tokenizer=path,
            seed=verbs.seed,
            split=tuple(self.split.items()),
            group=None if mix is None or mix.by == BY_SOURCE else mix.by,
        )
        rows = verbs.map(parts, encode)
        classes = None if encode.group is None or mix is None else _classes(mix, verbs, rows, notes)

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
                    classes=classes,
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
        fertility = fertility_rows(verbs.reduce(rows, _fold_rows)) if rows.paths else []
        written = storage.write_json(storage.join(target, FERTILITY_FILE), fertility)
        mixture = None if mix is None else _mixture(mix, shards, notes)
        manifest = build_manifest(
            verbs.seed, vocabulary, shards, mixture, {FERTILITY_FILE: written.xxh3}
        )
        expected = {
            MANIFEST_FILE,
            TOKENIZER_FILE,
            FERTILITY_FILE,
            *(shard.name for shard in shards),
        }
        for file in storage.list_files(target):
            if file.rsplit("/", 1)[-1] not in expected:
                storage.remove(file)
        write_manifest(target, manifest)
        return notes

    def _vocabulary(self, verbs: Verbs, parts: Sequence[Part], path: str) -> "_VocabularyTask":
        chosen = [(part, self._group(part)) for part in parts]
        missing = sorted(self.sample.keys() - {group for _, group in chosen})
        if self.tokenizer == TRAIN_TOKENIZER and missing:
            verbs.note(f"tokenize: no documents of {', '.join(missing)} for the vocabulary")
            if len(missing) == len(self.sample):
                raise UsageError(
                    f"tokenize: sample: {', '.join(missing)}: no source or kind is called so that "
                    f"has documents; there are {', '.join(sorted({p.source for p in parts}))}"
                )
        return _VocabularyTask(
            settings=self,
            parts=tuple((part, group) for part, group in chosen if group is not None),
            path=path,
            seed=verbs.seed,
        )

    def _group(self, part: Part) -> str | None:
        """As what a part counts in the sample; None where it is left out."""
        if not self.sample:
            return ""
        return next((name for name in (part.source, part.kind) if name in self.sample), None)

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
class _VocabularyTask:
    settings: Tokenize
    parts: tuple[tuple[Part, str], ...]
    """What is trained on, each with its name in the sample."""
    path: str
    seed: int


def _make_vocabulary(task: _VocabularyTask) -> None:
    settings = task.settings
    if settings.tokenizer == TRAIN_TOKENIZER:
        data = train_bpe(
            _training_texts(task),
            settings.vocab_size,
            (END_OF_TEXT, *settings.special_tokens),
            digits=settings.digits,
            whitespace=settings.whitespace,
        )
    else:
        data = load_tokenizer(settings.tokenizer, settings.pattern).data
    storage.write_atomic(task.path, data)


def _training_texts(task: _VocabularyTask) -> Iterator[str]:
    # The text that was ingested is close enough to cut a sample by, and cheap to read.
    held: dict[str, int] = {}
    for part, group in task.parts:
        scores = one_chunk(storage.read_parquet(part.path, ["scores"])["scores"])
        held[group] = held.get(group, 0) + int(pc.sum(scores.field(INGEST_SCORE)).as_py() or 0)
    copies = training_shares(held, task.settings.sample)
    for part, group in task.parts:
        table = storage.read_parquet(part.path, ["id", "text"])
        times = training_copies(table["id"], task.seed, copies[group])
        for text, n in zip(table["text"], times.tolist(), strict=True):
            for _ in range(n):
                yield text.as_py()


def training_shares(held: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, float]:
    """How often a document of each group is trained on, on average; `held` are bytes of text.

    Together as much text as there is, at most TRAINING_BYTES, divided by weight: of a group with
    little text and much weight every document is taken several times.
    """
    total = sum(held.values())
    wanted = min(total, TRAINING_BYTES)
    if not weights:
        return dict.fromkeys(held, wanted / max(1, total))
    scale = sum(weights[group] for group, size in held.items() if size)
    return {
        group: wanted * weights[group] / scale / size if size else 0.0
        for group, size in held.items()
    }


@lru_cache(maxsize=1)
def _encoder(data: bytes) -> Encoder:
    # A worker keeps it from part to part: one of 100,000 tokens takes seconds to set up.
    return Encoder(load_tokenizer(data))


_ROW_COLUMNS = ("id", "tokens", "source", "n_bytes", "original", "split", "position")


@dataclass(frozen=True, kw_only=True)
class _Encode:
    """Documents to rows of tokens, each with its split."""

    tokenizer: str
    seed: int
    split: tuple[tuple[str, float], ...]
    group: str | None = None
    """What the classes of the mixture are, where they are not the sources."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The metadata, too, where they say what class a document is of."""
        columns = ["text", "source", "kind", "language", "augmented_from"]
        columns += [class_column(self.group)] if self.group is not None else []
        return tuple(dict.fromkeys(columns))

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        encoder = _encoder(storage.read_bytes(self.tokenizer))

        def encode(batch: pa.RecordBatch) -> pa.RecordBatch:
            original = pc.coalesce(batch.column("augmented_from"), batch.column("id"))
            positions = split_positions(original, self.seed)
            group = [] if self.group is None else [_groups(batch, self.group)]
            return pa.RecordBatch.from_arrays(
                [
                    batch.column("id"),
                    encoder.encode(batch.column("text")),
                    batch.column("source"),
                    pa.array(byte_lengths(batch.column("text"))),
                    original,
                    pa.array(split_at(positions, dict(self.split)).tolist(), pa.string()),
                    pa.array(positions),
                    batch.column("kind"),
                    batch.column("language"),
                    count_words(batch.column("text")),
                    *group,
                ],
                names=[*_ROW_COLUMNS, "kind", "language", "words", *(GROUP for _ in group)],
            )

        return encode


def _groups(batch: pa.RecordBatch, by: str) -> pa.Array:
    """The class that each document says it is of."""
    found = pc.utf8_trim_whitespace(pc.fill_null(class_values(batch, by), ""))
    found = pc.if_else(pc.equal(found, ""), UNKNOWN, found)
    return pc.if_else(pc.match_substring_regex(found, CLASS_NAME), found, OTHER)


def _fold_groups(table: pa.Table) -> pa.Table:
    """Tokens of each class in rows as `_Encode` makes them, or of such sums.

    A row without a class says that there are more than MOST_VALUES, and stays when others come.
    """
    if pa.types.is_list(table.schema.field("tokens").type):
        table = pa.table({GROUP: table[GROUP], "tokens": _lengths(table)})
    sums = table.group_by(GROUP).aggregate([("tokens", "sum")])
    sums = sums.rename_columns([n.removesuffix("_sum") for n in sums.column_names])
    sums = sums.select([GROUP, "tokens"]).sort_by(GROUP)
    if sums.num_rows > MOST_VALUES or sums[GROUP].null_count:
        return pa.table({GROUP: pa.array([None], pa.string()), "tokens": pa.array([0], pa.int64())})
    return sums


def _classes(mix: Mix, verbs: Verbs, rows: Rows, notes: list[str]) -> tuple[str, ...]:
    """The classes that are told apart; the other values are one class."""
    found = verbs.reduce(rows, _fold_groups).to_pylist() if rows.paths else []
    tokens = {row[GROUP]: row["tokens"] for row in found}
    if None in tokens:
        raise UsageError(
            f"mix: by: {mix.by} has more than {MOST_VALUES:,} values: it tells documents apart, "
            "not classes; name a key with fewer"
        )
    if tokens.keys() == {UNKNOWN}:
        notes.append(f"mix: no document has a {mix.by}: all are of the class {UNKNOWN!r}")
    told = mix.told_apart(tokens)
    rest = len(tokens.keys() - set(told) - {OTHER})
    if rest:
        notes.append(f"mix: {rest:,} values of {mix.by} are together the class {OTHER!r}")
    return tuple(told)


@dataclass(frozen=True, kw_only=True)
class _Shard:
    plan: ShardPlan
    rows: tuple[str, ...]
    validation: str | None
    classes: tuple[str, ...] | None
    """Those that are told apart; None where rows are of none."""
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
    if task.classes is not None:
        told = pc.is_in(documents[GROUP], value_set=pa.array(task.classes, pa.string()))
        group = pc.if_else(told, documents[GROUP], OTHER)
        number = documents.column_names.index(GROUP)
        documents = documents.set_column(number, GROUP, group)
    vocabulary = load_tokenizer(task.tokenizer)
    info = write_shard(task.target, task.plan.name, task.plan.split, documents, vocabulary)
    storage.write_json(task.info, info.model_dump(mode="json"))


def _fold_rows(table: pa.Table) -> pa.Table:
    """The sums of rows as `_Encode` makes them, or of such sums."""
    if "tokens" in table.column_names and pa.types.is_list(table.schema.field("tokens").type):
        # The token that ends a document is no part of its text.
        table = pa.table(
            {
                "kind": table["kind"],
                "language": table["language"],
                "documents": pa.array(np.ones(table.num_rows, np.int64)),
                "words": table["words"],
                "tokens": pa.array(_lengths(table) - 1),
                "bytes": table["n_bytes"],
            }
        )
    return fold_fertility(table)


def _splits(table: pa.Table, validation: str | None) -> npt.NDArray[np.object_]:
    split = table["split"]
    if validation is not None:
        split = pc.if_else(pc.equal(table["original"], validation), VALIDATION, split)
    return np.array(split.to_pylist(), dtype=object)


def _lengths(table: pa.Table) -> npt.NDArray[np.int64]:
    lengths: npt.NDArray[np.int64] = pc.list_value_length(table["tokens"]).to_numpy()
    return lengths.astype(np.int64)


def _mixture(mix: Mix, shards: Sequence[ShardInfo], notes: list[str]) -> Mixture:
    held = training_tokens(shards, mix.by)
    asked = mix.mixture(held)
    missing = sorted(asked.named() - held.keys())
    if missing:
        notes.append(f"mix: no training tokens in {', '.join(missing)}: left out of the mixture")
    mixture = asked.limited_to(held.keys())
    if mixture is None:
        there = ", ".join(sorted(held)[:SHOWN_CLASSES]) or "none"
        raise RunError(f"mix: none of the classes it names has training tokens; there is: {there}")
    return mixture
