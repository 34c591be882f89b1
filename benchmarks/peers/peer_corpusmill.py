"""corpusmill: its kernels, in one process, on the same documents."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from benchmarks.peers.common import THRESHOLD, measure

from corpusmill.filters.banding import PRESETS
from corpusmill.filters.clusters import keep_mask
from corpusmill.filters.shingles import Shingling
from corpusmill.filters.signatures import Signatures, signatures

BANDING = PRESETS["fineweb"]


def as_arrow(documents: list[str]) -> pa.Array:
    """Texts as the pipeline holds them."""
    return pa.array(documents, pa.large_string())


def signature(texts: pa.Array) -> Signatures:
    """Keys of bands and stored bins of all texts."""
    return signatures(texts, Shingling(), BANDING)


def mask(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """All from raw text to what is kept."""
    return keep_mask(texts, Shingling(), BANDING, THRESHOLD)


measure(signature, mask, as_arrow)
