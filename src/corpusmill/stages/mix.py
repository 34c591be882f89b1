"""Mix: in which proportions training is to see the sources. Copies and drops nothing.

The weights go to `shards/manifest.json` together with exact token counts; the global order of
training realises them. Without this stage every token is seen exactly once per epoch.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from corpusmill.stage import Apply, NarrowStage, Outcome


class Mix(NarrowStage):
    """Weights by source, with a cap on how often a document may be repeated."""

    name: ClassVar[str] = "mix"

    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1)
    """Source name -> weight. Scaled to sum to one over the sources that have tokens; a source that
    is not named is not trained on."""
    max_repetitions: float = Field(default=4.0, ge=1, allow_inf_nan=False)
    """How often one token may be seen in an epoch. Muennighoff et al. 2023: up to four times is
    nearly as good as new data."""

    def open(self) -> Apply:
        """Pass every document on."""
        return lambda batch: Outcome(documents=batch)
