"""How signatures are cut into bands, and what the well-known corpora took.

A text is the set of its shingles (runs of words). Two texts become candidates when one band of
their signatures is equal.
"""

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["fineweb", "dolma3", "redpajama-0.7", "slimpajama"]


@dataclass(frozen=True, kw_only=True)
class Banding:
    """How signatures are cut into bands, and texts into shingles."""

    bands: int
    rows: int
    """Values of the signature in one band."""
    shingle: int
    """Words."""

    def candidate_probability(self, similarity: float) -> float:
        """That two texts share a band: 1 - (1 - J^rows)^bands."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.bands


PRESETS: dict[PresetName, Banding] = {
    "fineweb": Banding(bands=14, rows=8, shingle=5),
    "dolma3": Banding(bands=26, rows=11, shingle=5),
    "redpajama-0.7": Banding(bands=14, rows=9, shingle=13),
    "slimpajama": Banding(bands=9, rows=13, shingle=13),
}
"""As the corpora of these names were made."""
