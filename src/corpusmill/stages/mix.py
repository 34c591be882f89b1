"""Mix: in which proportions training is to see the classes of documents. Copies and drops nothing.

Classes are the sources, or kinds, languages or the values of a metadata key. Their weights are
given, or computed when the shards are written and exact token counts are known; they go to
`shards/manifest.json`, and the global order of training realises them. Without this stage every
token is seen exactly once per epoch.
"""

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from corpusmill import storage
from corpusmill.stage import Apply, NarrowStage, Outcome
from corpusmill.stages.document_classes import METADATA, check_class
from corpusmill.tokenize.manifest import BY_SOURCE, Mixture, MixturePhase, Weight, Weights
from corpusmill.tokenize.weighting import as_weights, bounded_shares, by_perplexity, tempered

if TYPE_CHECKING:
    from corpusmill.pretrain.rebalance import Judgement

PLAIN_CLASSES = (BY_SOURCE, "kind", "language")
"""What classes can be, besides keys of metadata."""

CLASSES = 100
"""That a mixture tells apart, if the recipe does not say."""

BOOST = 3.0
"""How much more, at most, than its natural share a class is seen, if the recipe does not say."""

UNKNOWN = "unknown"
"""The class of documents that have no value."""

OTHER = "other"
"""The class of documents whose value has no class of its own."""


class Phase(BaseModel):
    """The proportions at the beginning of training, for so many tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tokens: int = Field(ge=1, le=1 << 60)
    """For how long; rounded to whole sequences."""
    weights: Weights
    """Class -> weight."""


class Mix(NarrowStage):
    """Weights by class, with caps on how much of each is used."""

    name: ClassVar[str] = "mix"
    path_settings: ClassVar[tuple[str, ...]] = ("rebalance",)

    by: str = BY_SOURCE
    """What the classes are: `source`, `kind`, `language` or `metadata.KEY`. Documents without a
    value are the class `unknown`."""
    weights: dict[str, Weight] = Field(default_factory=dict)
    """Class -> weight. Scaled to sum to one over the classes that have tokens; a class that is not
    named is not trained on. With `by` other than source, all that is not named is together the
    class `other`, which may have a weight. Instead: `temperature` or `rebalance`."""
    temperature: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)
    """Computes weights as tokens ** (1 / temperature) within `boost`: 1 keeps the natural shares,
    and the higher, the more often rare classes are seen. 3.33 is mT5's (Xue et al. 2021)."""
    rebalance: str | None = Field(default=None, min_length=1)
    """A folder of `corpusmill train`: computes weights as those that this training had (natural
    shares where it had none) times the perplexity per byte that its newest evaluation found for the
    class, within `boost` in both directions."""
    boost: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)
    """How many times its natural share a computed weight is at most; 3 if nothing is said."""
    max_repetitions: float = Field(default=4.0, ge=1, le=1000, allow_inf_nan=False)
    """How often one token may be seen in an epoch; a class that has been gone through so often
    leaves its turns to the others. Muennighoff et al. 2023: up to four times is nearly as good as
    new data."""
    budgets: dict[str, Annotated[int, Field(ge=1, le=1 << 60)]] = Field(default_factory=dict)
    """Class -> the tokens that an epoch may take of it, if they are fewer."""
    classes: int | None = Field(default=None, ge=2, le=1000)
    """Classes that computed weights tell apart, 100 if nothing is said: those that are named and
    those with the most tokens; the rest is together the class `other`. Not for sources."""
    curriculum: tuple[Phase, ...] = ()
    """Phases that come first, one after another, each {tokens, weights}; the weights of the stage
    are for what comes after them."""

    @field_validator("by")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in PLAIN_CLASSES and not value.removeprefix(METADATA).strip():
            raise ValueError("metadata. must be followed by a key")
        return check_class(value, PLAIN_CLASSES)

    @model_validator(mode="after")
    def _one_way(self) -> "Mix":
        ways = [bool(self.weights), self.temperature is not None, self.rebalance is not None]
        if sum(ways) != 1:
            raise ValueError("give exactly one of weights, temperature and rebalance")
        if self.weights and self.boost is not None:
            raise ValueError("boost: is for temperature and rebalance; weights are as given")
        if self.classes is not None and (self.weights or self.by == BY_SOURCE):
            raise ValueError(
                "classes: is for temperature and rebalance, by something else than source"
            )
        if self.classes is not None and len(self.named()) >= self.classes:
            raise ValueError(f"classes: {len(self.named())} are named, and `other` is one more")
        if self.by != BY_SOURCE and len(self.named()) >= 1000:
            raise ValueError("at most 999 classes can be named")
        return self

    def open(self) -> Apply:
        """Pass every document on."""
        return lambda batch: Outcome(documents=batch)

    def named(self) -> set[str]:
        """The classes that the settings name."""
        later = {name for phase in self.curriculum for name in phase.weights}
        return {*self.weights, *self.budgets, *later}

    def named_sources(self) -> dict[str, Collection[str]]:
        """All that have a weight or a budget, where classes are sources."""
        if self.by != BY_SOURCE:
            return {}
        later = [source for phase in self.curriculum for source in phase.weights]
        return {"weights": self.weights, "budgets": self.budgets, "curriculum": later}

    def content_files(self) -> dict[str, list[str]]:
        """Of a training what is read, not its checkpoints."""
        return {
            name: [storage.join(path, file) for file in ("train.json", "metrics.jsonl")]
            for name, (path,) in self.named_files().items()
        }

    def check(self) -> None:
        """Refuse a training that says nothing about such classes."""
        self._judgement()

    def facts(self) -> list[str]:
        """How weights are found that the recipe does not give."""
        if self.temperature is not None:
            how = f"weights by {self.by}: tokens ** (1 / {self.temperature:g})"
        elif self.rebalance is not None:
            how = f"weights by {self.by}: those of {self.rebalance} times its perplexity per byte"
        else:
            return []
        return [f"{how}, within {self.boost or BOOST:g} times the natural share"]

    def told_apart(self, tokens: Mapping[str, int]) -> list[str]:
        """The classes that documents keep, of all values that there are; the others are `other`."""
        named = self.named()
        if self.weights:
            return sorted(named & tokens.keys())
        rest = sorted(tokens.keys() - named, key=lambda name: (-tokens[name], name))
        room = (self.classes or CLASSES) - len(named)
        kept = rest if len(rest) <= room else rest[: max(0, room - 1)]
        return sorted({*kept, *(named & tokens.keys())})

    def mixture(self, tokens: Mapping[str, int]) -> Mixture:
        """What the manifest is to say; `tokens` are those to train on, by class, of those that
        have any."""
        weights = dict(sorted(self.weights.items()))
        if not weights and tokens:
            weights = as_weights(self._shares(tokens))
        return Mixture(
            by=self.by,
            counted="sequences" if self.weights and self.by == BY_SOURCE else "tokens",
            weights=weights,
            max_repetitions=self.max_repetitions,
            budgets=dict(sorted(self.budgets.items())),
            curriculum=tuple(
                MixturePhase(tokens=phase.tokens, weights=dict(sorted(phase.weights.items())))
                for phase in self.curriculum
            ),
        )

    def _shares(self, tokens: Mapping[str, int]) -> dict[str, Fraction]:
        """Within bounds that let one pass's worth of tokens keep them to its end: what a class may
        give at most, by `boost`, `max_repetitions` and its budget, is spread over all of it."""
        whole = sum(tokens.values())
        boost = Fraction(repr(self.boost or BOOST))
        times = min(boost, Fraction(repr(self.max_repetitions)))
        natural = {name: Fraction(n, whole) for name, n in sorted(tokens.items())}
        most = {name: times * share for name, share in natural.items()}
        for name in self.budgets.keys() & most.keys():
            most[name] = min(most[name], Fraction(self.budgets[name], whole))
        least = dict.fromkeys(natural, Fraction(0))
        judgement = self._judgement()
        if judgement is None:
            assert self.temperature is not None
            wanted = tempered(tokens, self.temperature)
        else:
            wanted = by_perplexity(_known(natural, judgement.weights), judgement.bits_per_byte)
            least = {name: min(most[name], share / boost) for name, share in natural.items()}
        return bounded_shares(wanted, least, most)

    def _judgement(self) -> "Judgement | None":
        """Of the training that the settings name."""
        if self.rebalance is None:
            return None
        from corpusmill.pretrain.rebalance import read_judgement

        return read_judgement(self.rebalance, self.by)


def _known(natural: Mapping[str, Fraction], weights: Mapping[str, float]) -> dict[str, Fraction]:
    """The shares that a training had; natural ones for classes that it did not have."""
    had = {name: Fraction(repr(weights[name])) for name in natural if name in weights}
    if not had:
        return dict(natural)
    scale = sum((natural[n] for n in had), Fraction(0)) / sum(had.values(), Fraction(0))
    return {name: had[name] * scale if name in had else s for name, s in natural.items()}
