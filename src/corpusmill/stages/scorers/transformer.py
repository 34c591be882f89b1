"""A causal language model of the `transformers` library, from a folder, as a judge of documents.

It knows more than the n-gram models (what a sentence is about, not only how its words follow) and
costs a thousand times as much: it is for a GPU, or for a sample.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from corpusmill.document import byte_lengths
from corpusmill.errors import UsageError
from corpusmill.filters.windows import WINDOW_BYTES, cut_windows, median_by_document
from corpusmill.stage import Part, Verbs
from corpusmill.stages.scorers.model_folder import gguf_file
from corpusmill.stages.scorers.pretrained import NO_TEXT, PretrainedScorer, score_sample
from corpusmill.stages.scorers.scorer import Scores

NATS_PER_BYTE = "transformer_nats_per_byte"

INSTALL = "pip install 'corpusmill[models,train]'"


class TransformerScorer(PretrainedScorer):
    """A causal language model in a folder, such as `save_pretrained` writes it.

    Sets `transformer_nats_per_byte`: what it costs to predict the text, for each byte of it. Unlike
    perplexity for a token this compares between models with other vocabularies.
    """

    name: ClassVar[str] = "transformer"
    measure: ClassVar[str] = NATS_PER_BYTE

    model: str
    """Folder with a model and its tokenizer: `config.json`, `tokenizer.json` and weights in
    safetensors, or one GGUF file that holds them all. Pickled weights are not read and code in the
    folder is not run."""
    window: int = Field(default=WINDOW_BYTES, ge=256, le=1 << 20)
    """Bytes of text that are judged at a time, each from its own beginning; a document's score is
    the median of its windows. What is longer than the model's context is divided further."""
    windows: int = Field(default=8, ge=1)
    """The most windows of a document that are read, evenly spaced."""
    sample: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """Share of the documents that is scored; this scorer says nothing of the others. A model of 135
    million parameters reads some 150 tokens a second on a processor core: a document of 2 kB takes
    3 seconds."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it computes; `auto` takes a GPU if there is one. Each worker loads the model."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision; `auto` is fp32 on the CPU and bf16 on a GPU."""

    def check(self) -> None:
        """Raise UsageError without the packages, or if the folder is not that of a causal model."""
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise UsageError(f"transformer: needs {package}: {INSTALL}")
        if gguf_file(self.model) is not None:
            for package in ("gguf", "accelerate"):
                if importlib.util.find_spec(package) is None:
                    raise UsageError(f"transformer: model: GGUF needs {package}: {INSTALL}")
        if self.device == "cuda":
            import torch

            if not torch.cuda.is_available():
                raise UsageError("transformer: device: torch finds no GPU for 'cuda': write cpu")

    def prepare(
        self, verbs: Verbs, reference: Sequence[Part], raw: Sequence[Part]
    ) -> "TransformerJudge":
        """There is nothing to learn."""
        return TransformerJudge(settings=self, seed=verbs.seed)


@dataclass(frozen=True, kw_only=True)
class TransformerJudge:
    """A model, by where it is stored."""

    settings: TransformerScorer
    seed: int

    @property
    def gpu(self) -> bool:
        """Whether it takes a GPU where there is one."""
        return self.settings.device != "cpu"

    def open(self) -> Callable[[pa.RecordBatch], Scores]:
        """Load the model."""
        from corpusmill.stages.scorers.causal_model import CausalModel

        settings = self.settings
        model = CausalModel(
            settings.model, gguf_file(settings.model), settings.device, settings.dtype
        )

        def nats_per_byte(texts: pa.Array) -> npt.NDArray[np.float64]:
            windows, offsets = cut_windows(texts, settings.window)
            read = _spread(offsets, settings.windows)
            offsets = np.searchsorted(read, offsets)  # of the documents among those that are read
            windows = windows.take(pa.array(read))
            sizes = byte_lengths(windows)
            nats = model.nats([window or "" for window in windows.to_pylist()])
            costs = np.divide(nats, sizes, out=np.full(len(sizes), NO_TEXT), where=sizes > 0)
            return median_by_document(np.minimum(costs, NO_TEXT), offsets)

        return lambda batch: score_sample(
            batch, TransformerScorer, settings.sample, self.seed, nats_per_byte
        )


def _spread(offsets: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Places of at most so many windows of each document, evenly spaced."""
    picked = [np.zeros(0, np.int64)]
    for first, last in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        count = min(most, last - first)
        picked.append(first + np.arange(count) * (last - first) // max(count, 1))
    return np.concatenate(picked)
