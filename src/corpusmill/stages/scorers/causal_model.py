"""What does a causal language model pay for a text? Models of `transformers`, loaded from a folder.

Nothing is fetched, no pickle is read, no code of the folder is run, and text that looks like one of
the tokenizer's special tokens is text.

Numbers depend on the shape of what is multiplied together. Token sequences are therefore padded to
multiples of a fixed length, batches to a fixed number of rows for each length, and one thread
computes: a text's cost depends on no other text, as far as the library's kernels keep rows apart.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch  # noqa: TID253 - this module itself is imported where a model is opened

from corpusmill.errors import RunError, UsageError
from corpusmill.pretrain.device import deterministic, one_thread
from corpusmill.stages.pretrained import CannotLoad, load_pretrained

PAD_TO = 64
"""Tokens of which the padded lengths are multiples."""
BATCH_TOKENS = {"cpu": 512, "cuda": 8192}
"""In a batch, padding included. On one core larger batches are not faster; on a GPU the
probabilities of a vocabulary of 50,000 are then 0.8 GB in bf16."""
LONGEST_CONTEXT = 4096
"""Tokens that are predicted together: attention grows with the square."""


class CausalModel:
    """A model and its tokenizer, ready to judge."""

    def __init__(self, folder: str, gguf: str | None, device: str, dtype: str) -> None:
        """Load; `gguf` names the file in the folder if there is one.

        Raises UsageError if it cannot be loaded or is no causal language model.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if dtype == "auto":
            dtype = "bf16" if device == "cuda" else "fp32"
        self._device = device
        self._tokenizer, self._model = _load(folder, gguf, dtype)
        self._model.to(device).eval()
        config = self._model.config.get_text_config()
        context = getattr(config, "max_position_embeddings", None) or LONGEST_CONTEXT
        self._context = max(2, min(int(context), LONGEST_CONTEXT))
        self._vocabulary = int(self._model.get_input_embeddings().weight.shape[0])
        first = self._tokenizer.bos_token_id
        self._first = self._tokenizer.eos_token_id if first is None else first
        if len(self._tokenizer) > self._vocabulary:
            raise UsageError(
                f"transformer: model: the tokenizer in {folder} has {len(self._tokenizer)} tokens, "
                f"the model {self._vocabulary}: they do not belong together"
            )
        before = self._of_two()
        if not torch.isfinite(before).all():
            raise UsageError(
                f"transformer: model: what {folder} computes is not finite: its weights are "
                "damaged, or too large for this dtype"
            )
        if not _are_alike(before):
            raise UsageError(
                f"transformer: model: {folder} is no causal language model: it reads ahead"
            )

    def nats(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """What it costs to predict each text, from nothing, in nats; shape [texts].

        A tokenizer that marks beginnings gives the token before the first one; without such a mark
        the first costs as much as if all were equally likely.
        """
        total = np.zeros(len(texts))
        sequences: list[tuple[int, list[int]]] = []
        room = self._context - 1
        for number, tokens in enumerate(self._encode(texts)):
            for begin in range(0, len(tokens), room):
                piece = tokens[begin : begin + room]
                if self._first is None:
                    total[number] += np.log(self._vocabulary)
                sequences.append((number, piece if self._first is None else [self._first, *piece]))
        by_length: dict[int, list[tuple[int, list[int]]]] = {}
        for number, tokens in sequences:
            padded = min(-(-len(tokens) // PAD_TO) * PAD_TO, self._context)
            by_length.setdefault(padded, []).append((number, tokens))
        with one_thread(), deterministic(), torch.inference_mode():
            for padded, some in sorted(by_length.items()):
                rows = max(1, BATCH_TOKENS[self._device] // padded)
                for begin in range(0, len(some), rows):
                    batch = some[begin : begin + rows]
                    costs = self._costs([tokens for _, tokens in batch], rows, padded)
                    for (number, _), cost in zip(batch, costs, strict=True):
                        total[number] += cost
        if not np.isfinite(total).all():
            raise RunError("transformer: the model's probabilities are not finite: try dtype: fp32")
        return total

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._tokenizer(
            list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def _costs(self, batch: list[list[int]], rows: int, padded: int) -> list[float]:
        """Of each sequence, all tokens after its first."""
        block = np.zeros((rows, padded), np.int64)
        for row, tokens in enumerate(batch):
            block[row, : len(tokens)] = tokens
        ids = torch.from_numpy(block).to(self._device)
        # No mask: padding stands behind the text, and a causal model does not look there.
        logits = self._model(input_ids=ids, use_cache=False).logits
        costs = []
        for row, tokens in enumerate(batch):
            last = len(tokens) - 1
            scores = logits[row, :last].float()
            chosen = scores.gather(1, ids[row, 1 : last + 1, None])[:, 0]
            costs.append(float((scores.logsumexp(1) - chosen).double().sum()))
        return costs

    def _of_two(self) -> torch.Tensor:
        """Logits before the last of three tokens, in which two texts differ.

        Shape [2, 2, vocabulary].
        """
        with one_thread(), deterministic(), torch.inference_mode():
            other = min(3, self._vocabulary - 1)
            ids = torch.tensor([[0, 1, 0], [0, 1, other]], device=self._device)
            ids = ids[:, -self._context :]
            logits: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits[:, :-1]
            return logits


def _are_alike(logits: torch.Tensor) -> bool:
    """Whether both texts have the same, but for rounding: what follows changed nothing."""
    rounding = 5e-2 if logits.dtype == torch.bfloat16 else 1e-3
    first, second = logits.float()
    return float((first - second).abs().max()) <= rounding * float(logits.float().std())


def _load(folder: str, gguf: str | None, dtype: str) -> tuple[Any, Any]:
    """Tokenizer and model."""
    options = {} if gguf is None else {"gguf_file": gguf}
    wanted = torch.bfloat16 if dtype == "bf16" else torch.float32
    try:
        return load_pretrained("AutoModelForCausalLM", folder, wanted, **options)
    except CannotLoad as reason:
        raise UsageError(
            f"transformer: model: transformers cannot load {folder}: its files are damaged or do "
            f"not fit together, or it does not know them ({reason})"
        ) from None
