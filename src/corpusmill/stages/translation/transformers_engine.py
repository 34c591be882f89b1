"""Any sequence-to-sequence checkpoint of the `transformers` library, from a local folder."""

import importlib.util
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.stages.translation.engines import Direction, Translator

INSTALL = "pip install 'corpusmill[models,train]'"
PACKAGES = ("torch", "transformers", "sentencepiece")

Device = Literal["auto", "cpu", "cuda"]


class TransformersEngine:
    """Models by direction; a multilingual model is named for each of its directions."""

    def __init__(
        self,
        models: Mapping[str, str],
        *,
        codes: Mapping[str, str],
        beams: int,
        top_k: int,
        batch_tokens: int,
        device: Device,
    ) -> None:
        self._models = models
        self._codes = codes
        self._options = {"beams": beams, "top_k": top_k, "batch_tokens": batch_tokens}
        self._device = device
        self._loaded: dict[str, Any] = {}

    def directions(self) -> Collection[Direction]:
        """Those that have a model."""
        return [direction_of(name) for name in self._models]

    def check(self) -> None:
        """Raise UsageError without the packages, or if a folder holds no such model."""
        for package in PACKAGES:
            if importlib.util.find_spec(package) is None:
                raise UsageError(f"backtranslate: engine transformers needs {package}: {INSTALL}")
        for name, folder in self._models.items():
            _check_folder(name, folder)
        if self._device == "cuda":
            import torch

            if not torch.cuda.is_available():
                raise UsageError("backtranslate: device: torch finds no GPU for 'cuda': write cpu")

    def open(self, direction: Direction) -> Translator:
        """Load the model, or take the one that is loaded for another direction."""
        from corpusmill.stages.translation.seq2seq_model import Direct, Seq2Seq

        folder = self._models["-".join(direction)]
        if folder not in self._loaded:
            self._loaded[folder] = Seq2Seq(folder, device=self._device, **self._options)
        source, target = direction
        return Direct(
            self._loaded[folder],
            self._codes.get(source, source),
            self._codes.get(target, target),
        )


def direction_of(name: str) -> Direction:
    """`en-fr` as ("en", "fr"); ValueError for anything else."""
    source, hyphen, target = name.partition("-")
    if not (source.isalnum() and hyphen and target.isalnum()) or source == target:
        raise ValueError(f"{name!r} is no direction: write them like en-fr")
    return source, target


def _check_folder(name: str, folder: str) -> None:
    """Whether the folder is that of an encoder-decoder: names and the config, no weights."""

    def refused(message: str) -> UsageError:
        return UsageError(f"backtranslate: models: {name}: {message}")

    if not storage.is_local(folder):
        raise refused(f"{folder} is not a local folder: copy it first")
    root = folder.rstrip("/")
    paths = storage.list_files(folder)
    files = {path.rsplit("/", 1)[-1] for path in paths if path.rsplit("/", 1)[0] == root}
    if not files:
        raise refused(f"no folder at {folder}, or an empty one")
    if "config.json" not in files:
        raise refused(f"{folder} has no config.json")
    try:
        config = json.loads(storage.read_bytes(f"{root}/config.json"))
        encodes = config["is_encoder_decoder"] is True
    except (ValueError, KeyError, TypeError, RecursionError):
        encodes = False
    if not encodes:
        raise refused(f"{folder} is not that of an encoder-decoder (is_encoder_decoder: true)")
    if not any(file.endswith(".safetensors") for file in files):
        raise refused(
            f"{folder} has no weights in safetensors (pickled weights are not read, for they can "
            "run code: convert them with save_pretrained)"
        )
