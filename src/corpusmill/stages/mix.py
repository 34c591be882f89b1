"""Mix: in which proportions training is to see the sources. Copies and drops nothing.

The weights go to `shards/manifest.json` together with exact token counts; the global order of
training realises them. Without this stage every token is seen exactly once per epoch.
"""

from collections.abc import Collection
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from corpusmill.stage import Apply, NarrowStage, Outcome
from corpusmill.tokenize.manifest import Mixture, MixturePhase, Weights


class Phase(BaseModel):
    """The proportions at the beginning of training, for so many tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tokens: int = Field(ge=1, le=1 << 60)
    """For how long; rounded to whole sequences."""
    weights: Weights
    """Source name -> weight."""


class Mix(NarrowStage):
    """Weights by source, with caps on how much of each is used."""

    name: ClassVar[str] = "mix"

    weights: Weights
    """Source name -> weight. Scaled to sum to one over the sources that have tokens; a source that
    is not named is not trained on."""
    max_repetitions: float = Field(default=4.0, ge=1, le=1000, allow_inf_nan=False)
    """How often one token may be seen in an epoch; a source that has been gone through so often
    leaves its turns to the others. Muennighoff et al. 2023: up to four times is nearly as good as
    new data."""
    budgets: dict[str, Annotated[int, Field(ge=1, le=1 << 60)]] = Field(default_factory=dict)
    """Source name -> the tokens that an epoch may take of it, if they are fewer."""
    curriculum: tuple[Phase, ...] = ()
    """Phases that come first, one after another, each {tokens, weights}; `weights` are for what
    comes after them."""

    def open(self) -> Apply:
        """Pass every document on."""
        return lambda batch: Outcome(documents=batch)

    def named_sources(self) -> dict[str, Collection[str]]:
        """All that have a weight or a budget."""
        later = [source for phase in self.curriculum for source in phase.weights]
        return {"weights": self.weights, "budgets": self.budgets, "curriculum": later}

    def mixture(self) -> Mixture:
        """What the manifest is to say."""
        return Mixture(
            weights=dict(sorted(self.weights.items())),
            max_repetitions=self.max_repetitions,
            budgets=dict(sorted(self.budgets.items())),
            curriculum=tuple(
                MixturePhase(tokens=phase.tokens, weights=dict(sorted(phase.weights.items())))
                for phase in self.curriculum
            ),
        )
