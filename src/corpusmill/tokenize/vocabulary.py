"""Which tokens there are: a byte-level BPE vocabulary, trained on the corpus or given.

What is given may be a tokenizer.json, a tiktoken file or a `transformers` folder.

Every vocabulary is lossless: decoding gives back each UTF-8 text exactly. One that is not (a
normaliser, lower-casing, an unknown token) is refused when it is loaded.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from corpusmill.document import id_fraction
from corpusmill.errors import UsageError
from corpusmill.tokenize.given import MOST_TOKENS, json_object, read_given
from corpusmill.tokenize.pretokens import (
    Digits,
    PatternName,
    Whitespace,
    pattern_for,
    pretokenizer,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
"""Ends every document in a shard. GPT-2's name for it."""

END_OF_TEXT_NAMES = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>")
"""What given tokenizers call the token that ends a document; the first that is there is used, and
otherwise the one that the file puts after each sequence."""

TRAINING_BYTES = 256 << 20
"""UTF-8 bytes of text that a vocabulary is trained on at most: bounds the trainer's memory."""

LONGEST_RUN = 256
"""Characters that training takes as one word at most, without white space or of nothing else. The
trainer holds every distinct word in memory; its time grows with the square of a word's length."""

BYTES = 256


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """A tokenizer.json in canonical form, and what the shards record of it."""

    data: bytes
    """Canonical JSON: sorted keys, no truncation, padding or dropout; what lies beside shards."""
    hash: str
    """xxh3-128 of `data`, 32 hex digits."""
    size: int
    """Largest token id + 1."""
    special_ids: dict[str, int]
    """Tokens that never come from a document's text, with their ids."""
    end_of_text: int
    """Id of the token that ends every document."""

    @property
    def dtype(self) -> Literal["uint16", "uint32"]:
        """The smallest type of token that shards offer for this size."""
        return "uint16" if self.size <= 1 << 16 else "uint32"

    def tokenizer(self) -> "Tokenizer":
        """The library's object, set so that a special token's name in a text is plain text."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.data.decode())
        tokenizer.encode_special_tokens = True
        return tokenizer


def train_bpe(
    texts: Iterable[str],
    vocab_size: int,
    special_tokens: tuple[str, ...] = (END_OF_TEXT,),
    *,
    digits: Digits = "together",
    whitespace: Whitespace = "runs",
) -> bytes:
    """Train a byte-level BPE and return its tokenizer.json; any order of `texts` gives the same.

    All 256 bytes are tokens, so that every text can be written in it. Where the texts do not hold
    enough different pairs, the result is smaller than `vocab_size`: pairs seen once are no tokens.
    Raises UsageError for a size or special tokens that cannot be.
    """
    from tokenizers import Tokenizer, pre_tokenizers, trainers

    if END_OF_TEXT not in special_tokens or len(set(special_tokens)) < len(special_tokens):
        raise UsageError(f"special tokens must be different and hold {END_OF_TEXT!r}")
    smallest = BYTES + len(special_tokens)
    if vocab_size < smallest:
        raise UsageError(
            f"vocab_size: {vocab_size} is too small: {BYTES} bytes and {len(special_tokens)} "
            f"special tokens need {smallest}"
        )
    empty = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": pretokenizer(pattern_for(digits, whitespace)),
        "decoder": {**pretokenizer(pattern_for("together", "runs")), "add_prefix_space": True},
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    }
    tokenizer = Tokenizer.from_str(json.dumps(empty))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces = (piece for text in texts for piece in training_pieces(text))
    tokenizer.train_from_iterator(pieces, trainer)
    return _canonical(json.loads(tokenizer.to_str()))


_LONG_RUN = re.compile(rf"\S{{{LONGEST_RUN + 1}}}|\s{{{LONGEST_RUN + 1}}}")
_RUN = re.compile(rf"\s{{0,{LONGEST_RUN}}}\S{{1,{LONGEST_RUN}}}|\s{{{LONGEST_RUN}}}")


def training_pieces(text: str) -> Iterator[str]:
    """The text whole, or in pieces without longer runs of letters or of blanks than LONGEST_RUN."""
    if _LONG_RUN.search(text):
        yield from (match.group() for match in _RUN.finditer(text))
    else:
        yield text


def training_copies(
    ids: pa.Array | pa.ChunkedArray, seed: int, copies: float
) -> npt.NDArray[np.int64]:
    """How often each document goes into the training sample, shape [documents].

    `copies` is the mean, for example 0.3 or 2.5: the whole part for everyone, and one more where
    a keyed hash of the id says so. A larger mean never takes a document out.
    """
    whole = int(copies)
    more = id_fraction(ids, seed, "vocabulary") < copies - whole
    return whole + more.astype(np.int64)


def load_tokenizer(source: str | bytes, pattern: PatternName | None = None) -> Vocabulary:
    """Load a vocabulary: the content of a tokenizer.json, or the path of one, of a tiktoken file or
    of a `transformers` folder.

    `pattern` says how text is cut where that is not known from a tiktoken file's name. Raises
    UsageError if the vocabulary cannot serve, and why.
    """
    if isinstance(source, bytes):
        name, content = "tokenizer.json", json_object("tokenizer.json", source)
    else:
        name, content = source, read_given(source, END_OF_TEXT, pattern)
    if not isinstance(content.get("model"), dict):
        raise UsageError(f"{name}: is not a tokenizer.json of the `tokenizers` library")
    if content.get("normalizer") is not None:
        raise UsageError(f"{name}: has a normalizer, which changes the text: {_WANTED}")
    content["truncation"] = content["padding"] = None
    if "dropout" in content["model"]:
        content["model"]["dropout"] = None
    canonical = _canonical(content)
    tokenizer = _library_object(name, canonical)
    special_ids = {
        token.content: number
        for number, token in sorted(tokenizer.get_added_tokens_decoder().items())
        if token.special
    }
    names = (*END_OF_TEXT_NAMES, _last_of_sequence(content))
    end_of_text = next((special_ids[n] for n in names if n in special_ids), None)
    if end_of_text is None:
        raise UsageError(
            f"{name}: has no token that ends a document: "
            f"one of {', '.join(END_OF_TEXT_NAMES)} must be a special token"
        )
    for token, number in special_ids.items():
        if number in tokenizer.encode(token, add_special_tokens=False).ids:
            raise UsageError(f"{name}: the special token {token!r} can come from a text")
    ids = tokenizer.get_vocab(with_added_tokens=False).values()
    if len(set(ids)) < len(ids):
        raise UsageError(f"{name}: two tokens have one id")
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    if size > 2 * MOST_TOKENS:
        raise UsageError(
            f"{name}: has a token with the id {size - 1}: at most {2 * MOST_TOKENS - 1}"
        )
    return Vocabulary(
        data=canonical,
        hash=xxhash.xxh3_128_hexdigest(canonical),
        size=size,
        special_ids=special_ids,
        end_of_text=end_of_text,
    )


def _last_of_sequence(content: dict[str, Any]) -> str:
    """The special token that the file's template puts after a sequence, or nothing."""
    try:
        return str(content["post_processor"]["single"][-1]["SpecialToken"]["id"])
    except (KeyError, IndexError, TypeError):
        return ""


_WANTED = "only tokenizers that give every text back unchanged are supported (byte-level BPE)"


def _canonical(content: dict[str, Any]) -> bytes:
    # Not the library's own form: it may differ between its versions, and the hash must not.
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _library_object(name: str, canonical: bytes) -> "Tokenizer":
    """Build the library's object and see that it is lossless."""
    from tokenizers import Tokenizer

    probe = probe_text()
    try:
        tokenizer = Tokenizer.from_str(canonical.decode())
        tokenizer.encode_special_tokens = True
        special = "".join(t.content for t in tokenizer.get_added_tokens_decoder().values())
        probe += special
        ids = tokenizer.encode(probe, add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library's is no Exception
        raise UsageError(f"{name}: is not a usable tokenizer.json: {error}") from None
    if decoded != probe:
        raise UsageError(f"{name}: does not give a text back as it was: {_WANTED}")
    return tokenizer


def token_texts(tokenizer: "Tokenizer", size: int) -> list[str]:
    """Every token below an id that is text by itself and not special, in the order of ids."""
    texts = tokenizer.decode_batch([[number] for number in range(size)], skip_special_tokens=True)
    return [text for text in texts if "\ufffd" not in text]


def probe_text() -> str:
    """A text with every byte that UTF-8 uses, and what lossy tokenizers change."""
    two_bytes = "".join(map(chr, range(0x800)))
    lead_bytes = "".join(chr(max(0x800, n << 12)) for n in range(16) if n != 0xD)
    four_bytes = "".join(chr(n << 16) for n in range(1, 17))
    return f"{two_bytes}{lead_bytes}\ud7ff{four_bytes}  Two  Spaces \r\n\t e\u0301 \ufb01 \u3000 "
