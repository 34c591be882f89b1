"""What manifest.json says of a folder of token shards; the file is checksummed by itself."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import xxhash
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.tokenize.splits import TRAIN
from corpusmill.tokenize.vocabulary import Vocabulary

FORMAT = 1
"""Raised when a reader of this version could not read the shards of the next."""

MANIFEST_FILE = "manifest.json"
TOKENIZER_FILE = "tokenizer.json"

BY_SOURCE = "source"
"""The classes of a mixture are the sources, as long as nothing else is asked for."""

Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
"""A file name without folders: a manifest from elsewhere must not lead out of its folder."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TokenizerInfo(_Record):
    """The vocabulary that the tokens are numbers of."""

    file: Name
    """Beside the manifest."""
    hash: str
    """xxh3-128 of that file."""
    vocab_size: int = Field(ge=1)
    dtype: Literal["uint16", "uint32"]
    special_ids: dict[str, Count]
    end_of_text: Count
    """Id of the token that ends every document."""


class _Grown(_Record):
    """A record that has come to say more: written as it was before where it has nothing to add."""

    later: ClassVar[frozenset[str]]
    """The fields that came later; all have defaults."""

    @model_serializer(mode="wrap")
    def _as_before(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        left_out = {name for name in self.later if getattr(self, name) == fields[name].default}
        return {name: value for name, value in written(self).items() if name not in left_out}


class SourceRun(_Record):
    """Consecutive rows of one source in a shard."""

    source: str
    rows: Count
    tokens: Count


class GroupTotals(_Record):
    """The rows of one class in a shard, wherever in it they stand."""

    group: str
    rows: Count
    tokens: Count


class ShardInfo(_Grown):
    """One shard."""

    later: ClassVar[frozenset[str]] = frozenset({"groups"})

    name: Name
    split: Name
    rows: Count
    tokens: Count
    text_bytes: Count
    """UTF-8 bytes of the documents' text: what bits per byte are counted over."""
    bytes: Count
    """Size of the file."""
    xxh3: str
    runs: tuple[SourceRun, ...]
    """In row order."""
    groups: tuple[GroupTotals, ...] = ()
    """By name, where the shard has a column `group`: the classes of a mixture that is not by
    source."""

    def held(self, by: str) -> Counter[str]:
        """Tokens of each class."""
        if by != BY_SOURCE:
            return Counter({totals.group: totals.tokens for totals in self.groups})
        tokens = Counter[str]()
        for run in self.runs:
            tokens[run.source] += run.tokens
        return tokens


class SplitTotals(_Record):
    """What a split holds."""

    documents: Count
    tokens: Count
    text_bytes: Count


class SourceTotals(_Record):
    """What a source holds, over all splits."""

    documents: Count
    tokens: Count


Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weights = Annotated[dict[str, Weight], Field(min_length=1)]
"""Class -> weight, on any scale. A class that is not named is not trained on."""


class MixturePhase(_Record):
    """The proportions for a while."""

    tokens: int = Field(ge=1, le=1 << 60)
    """For how long, rounded to whole sequences."""
    weights: Weights


class Mixture(_Grown):
    """In which proportions training sees the classes: the sources, or what `by` says."""

    later: ClassVar[frozenset[str]] = frozenset({"by", "counted"})

    weights: dict[str, Weight]
    """After the phases of the curriculum, if there are any; empty: nothing comes after them."""
    max_repetitions: float = Field(ge=1, le=1000, allow_inf_nan=False)
    """How often an epoch may go through a class; after that the others take its turns."""
    budgets: dict[str, Annotated[int, Field(ge=1, le=1 << 60)]] = {}
    """Class -> the tokens that an epoch may take of it, if they are fewer."""
    curriculum: tuple[MixturePhase, ...] = ()
    """What comes first, in this order."""
    by: str = BY_SOURCE
    """What the classes are; of others than sources, each row's stands in the column `group`."""
    counted: Literal["sequences", "tokens"] = "sequences"
    """What weights are shares of: a class whose sequences are not all full has fewer tokens than
    sequences."""

    def named(self) -> set[str]:
        """The classes that are trained on."""
        return {*self.weights, *(name for phase in self.curriculum for name in phase.weights)}

    def limited_to(self, classes: Set[str]) -> "Mixture | None":
        """The same proportions of these classes only; None if it names none of them."""
        curriculum = [
            phase.model_copy(update={"weights": _those(phase.weights, classes)})
            for phase in self.curriculum
        ]
        weights = _those(self.weights, classes)
        if not classes & self.named():
            return None
        return self.model_copy(
            update={
                "weights": weights,
                "budgets": _those(self.budgets, classes),
                "curriculum": tuple(phase for phase in curriculum if phase.weights),
            }
        )


Number = TypeVar("Number", int, float)


def _those(numbers: Mapping[str, Number], classes: Collection[str]) -> dict[str, Number]:
    return {name: number for name, number in numbers.items() if name in classes}


class Manifest(_Record):
    """What a folder of shards holds."""

    format: Literal[1]
    seed: int
    """Of the keyed hash that divides documents over splits."""
    tokenizer: TokenizerInfo
    shards: tuple[ShardInfo, ...]
    splits: dict[Name, SplitTotals]
    sources: dict[str, SourceTotals]
    mixture: Mixture | None
    """None: every token is seen once per epoch."""
    files: dict[Name, str] = {}
    """Other files beside it -> their xxh3-128."""
    xxh3: str = ""
    """Of everything above, as canonical JSON: identifies the shards to those who read them."""

    def of_split(self, split: str) -> tuple[ShardInfo, ...]:
        """The shards of a split, in order. Raises UsageError if there are none."""
        shards = tuple(shard for shard in self.shards if shard.split == split)
        if not shards:
            splits = ", ".join(sorted(self.splits)) or "none"
            raise UsageError(f"the shards have no split {split!r}; there is: {splits}")
        return shards


def training_tokens(shards: Iterable[ShardInfo], by: str) -> Counter[str]:
    """Tokens to train on by class, of those that have any: a mixture can name no others."""
    tokens = Counter[str]()
    for shard in shards:
        if shard.split == TRAIN:
            tokens.update(shard.held(by))
    return tokens


def build_manifest(
    seed: int,
    vocabulary: Vocabulary,
    shards: Sequence[ShardInfo],
    mixture: Mixture | None,
    files: Mapping[str, str] | None = None,
) -> Manifest:
    """Sum up the shards, given in order, and seal the result with its checksum."""
    splits: dict[str, dict[str, int]] = {}
    sources: dict[str, dict[str, int]] = {}
    for shard in shards:
        _add(splits, shard.split, documents=shard.rows, tokens=shard.tokens)
        _add(splits, shard.split, text_bytes=shard.text_bytes)
        for run in shard.runs:
            _add(sources, run.source, documents=run.rows, tokens=run.tokens)
    content = {
        "format": FORMAT,
        "seed": seed,
        "tokenizer": {
            "file": TOKENIZER_FILE,
            "hash": vocabulary.hash,
            "vocab_size": vocabulary.size,
            "dtype": vocabulary.dtype,
            "special_ids": vocabulary.special_ids,
            "end_of_text": vocabulary.end_of_text,
        },
        "shards": [shard.model_dump(mode="json") for shard in shards],
        "splits": splits,
        "sources": sources,
        "mixture": None if mixture is None else mixture.model_dump(mode="json"),
        "files": dict(files or {}),
    }
    return Manifest.model_validate({**content, "xxh3": _checksum(content)})


def with_files(manifest: Manifest, files: Mapping[str, str]) -> Manifest:
    """The same shards with other files beside them, sealed anew."""
    content = {**manifest.model_dump(mode="json", exclude={"xxh3"}), "files": dict(files)}
    return Manifest.model_validate({**content, "xxh3": _checksum(content)})


def write_manifest(folder: str, manifest: Manifest) -> None:
    """Write manifest.json: the last file of the folder, for with it the shards are finished."""
    storage.write_json(storage.join(folder, MANIFEST_FILE), manifest.model_dump(mode="json"))


def read_manifest(folder: str) -> Manifest:
    """Read and check manifest.json: UsageError if it is none, RunError if it is damaged."""
    path = storage.join(folder, MANIFEST_FILE)
    if not storage.exists(path):
        raise UsageError(
            f"{folder}: holds no token shards ({MANIFEST_FILE} is missing): "
            "name the folder `shards` of a finished run"
        )
    try:
        content = storage.read_json(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not isinstance(content, dict) or "format" not in content:
        raise UsageError(f"{path}: is not a manifest of token shards")
    if content["format"] != FORMAT:
        raise UsageError(
            f"{path}: has format {content['format']!r}; this version reads format {FORMAT}"
        )
    sealed = content.get("xxh3")
    if sealed != _checksum({k: v for k, v in content.items() if k != "xxh3"}):
        raise RunError(
            f"{path} is damaged, or was changed by hand: its checksum does not fit. "
            "Change the recipe and run it with --update instead"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {place}: {first['msg']}") from None
    for shard in manifest.shards:
        # tokens are read by these numbers, straight out of memory
        if (sum(r.rows for r in shard.runs), sum(r.tokens for r in shard.runs)) != (
            shard.rows,
            shard.tokens,
        ):
            raise RunError(f"{path} is damaged: the runs of {shard.name} are not all of its rows")
        if shard.groups and (
            sum(g.rows for g in shard.groups) != shard.rows
            or sum(g.tokens for g in shard.groups) != shard.tokens
        ):
            raise RunError(f"{path} is damaged: the classes of {shard.name} are not all its rows")
    by = BY_SOURCE if manifest.mixture is None else manifest.mixture.by
    if by != BY_SOURCE and not all(shard.groups for shard in manifest.shards):
        raise RunError(f"{path} is damaged: its shards do not say what the mixture is by")
    return manifest


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return xxhash.xxh3_128_hexdigest(text.encode())


def _add(totals: dict[str, dict[str, int]], name: str, **counts: int) -> None:
    entry = totals.setdefault(name, {})
    for key, count in counts.items():
        entry[key] = entry.get(key, 0) + count
