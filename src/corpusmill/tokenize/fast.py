"""Encoding by gigatoken, where its tokens are surely those of `tokenizers`, many times as fast.

It is taken for byte-level BPE whose text is cut by a pattern that is known here, and only after
both libraries have given the same tokens for a text made of the whole vocabulary. Everything else
stays with `tokenizers`. The tokens are the same either way, so the choice changes no output.
"""

import importlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from corpusmill.tokenize.pretokens import PATTERNS, pattern_of
from corpusmill.tokenize.vocabulary import Vocabulary, probe_text, token_texts

RENEW_BYTES = 64 << 20
"""UTF-8 bytes of text after which the library is loaded anew. It remembers every word it has seen;
text without a repeated word was seen to take five times its size."""


class FastEncoder:
    """gigatoken with one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        content = json.loads(vocabulary.data)
        # It would find the names of special tokens in a text; and a whole word that is in the
        # vocabulary, which only what merges lead to should be.
        content["added_tokens"] = []
        for name in vocabulary.special_ids:
            content["model"]["vocab"].pop(name, None)
        self._data = json.dumps(content)
        self._read = 0
        self._renew()

    def encode(self, text: str) -> npt.NDArray[np.uint32]:
        """The tokens of a text, without one that ends it."""
        data = text.encode()
        self._read += len(data)
        if self._read > RENEW_BYTES:
            self._read = len(data)
            self._renew()
        tokens: npt.NDArray[np.uint32] = self._library.encode(data)
        return tokens

    def _renew(self) -> None:
        self._library = importlib.import_module("gigatoken").Tokenizer.from_json(self._data).backend


def fast_encoder(vocabulary: Vocabulary) -> FastEncoder | str:
    """The fast way to encode with this vocabulary, or why there is none."""
    reason = _obstacle(json.loads(vocabulary.data))
    if reason is not None:
        return reason
    try:
        fast = FastEncoder(vocabulary)
        same = _agrees(fast, vocabulary)
    except ModuleNotFoundError:
        return "gigatoken is not installed"
    except (RuntimeError, ValueError) as error:
        return f"gigatoken does not take it: {str(error).splitlines()[0]}"
    return fast if same else "gigatoken gave other tokens for a probe"


def _obstacle(content: dict[str, Any]) -> str | None:
    model = content["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        return "it is not byte-level BPE"
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return "its tokens are marked as parts of words"
    if any(not token["special"] for token in content.get("added_tokens", [])):
        return "tokens that were added to it match anywhere in a text"
    if pattern_of(content.get("pre_tokenizer")) not in PATTERNS.values():
        return f"text is cut in another way than {', '.join(PATTERNS)}"
    return None


def _agrees(fast: FastEncoder, vocabulary: Vocabulary) -> bool:
    """Whether both give the same for every kind of character and every token of the vocabulary."""
    tokenizer = vocabulary.tokenizer()
    probes = [probe_text(), " ".join(token_texts(tokenizer, vocabulary.size))]
    found = tokenizer.encode_batch_fast(probes, add_special_tokens=False)
    return all(
        np.array_equal(fast.encode(probe), encoding.ids)
        for probe, encoding in zip(probes, found, strict=True)
    )
