"""How well a model predicts text that it was not trained on, source by source."""

import gzip
import lzma
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from corpusmill.pretrain.config import Settings
from corpusmill.pretrain.parallel import World
from corpusmill.tokenize.batches import stream_of
from corpusmill.tokenize.dataset import Tensors, as_tensors
from corpusmill.tokenize.order import Rows
from corpusmill.tokenize.pretokens import byte_letters
from corpusmill.tokenize.rows import IGNORED, RowReader
from corpusmill.tokenize.shards import SplitTokens
from corpusmill.tokenize.vocabulary import Vocabulary

TOKENS_AT_ONCE = 1 << 14
"""In a call of the model. It depends on neither `micro_batch` nor the number of processes, so that
the numbers do not either."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Of one source."""

    nats: float
    """Summed over its tokens."""
    tokens: int
    text_bytes: int
    """UTF-8 bytes of the text that the tokens are of."""

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / max(1, self.tokens)

    @classmethod
    def of_all(cls, several: Iterable["Evaluation"]) -> "Evaluation":
        """Of all of them together."""
        every = list(several)
        return cls(
            nats=sum(one.nats for one in every),
            tokens=sum(one.tokens for one in every),
            text_bytes=sum(one.text_bytes for one in every),
        )

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of text: comparable between vocabularies, and with compressors."""
        return self.nats / math.log(2) / max(1, self.text_bytes)


class Held:
    """The first sequences of each source of a split, documents end to end."""

    def __init__(self, shards: str, split: str, settings: Settings, vocabulary: Vocabulary) -> None:
        self._split = SplitTokens(shards, split)
        self._settings = settings
        self._contents = token_contents(vocabulary)
        sizes = np.array([len(content) for content in self._contents], np.int64)
        self._sizes = torch.from_numpy(sizes)
        self._reader = RowReader(self._split, settings.context, documents=settings.document_masks)
        self._at_once = max(1, min(settings.batch, TOKENS_AT_ONCE // settings.context))
        self.sources = self._split.sources()

    def pieces(self, source: str) -> int:
        """How many pieces of at most TOKENS_AT_ONCE its sequences are divided into."""
        return -(-self._count(self._rows(source)) // self._at_once)

    def _rows(self, source: str) -> Rows:
        return stream_of(self._split, source, self._settings.context, "concatenate")

    def _count(self, rows: Rows) -> int:
        return min(rows.rows, self._settings.evaluate_batches * self._settings.batch)

    def piece(self, source: str, number: int) -> Tensors:
        """Piece 0, 1, ...: the same rows whoever asks; a last row may be padded."""
        rows = self._rows(source)
        first = number * self._at_once
        numbers = np.arange(first, min(first + self._at_once, self._count(rows)))
        return as_tensors(self._reader.read(rows.segments(numbers), len(numbers)))

    def evaluate(self, model: nn.Module, world: World) -> Mapping[str, Evaluation]:
        """By source, without label smoothing. All processes call it, and get the same numbers, to
        the last bit those of one process.

        Processes take turns with the pieces. Each calls the model equally often, for shared
        gradients and weights are exchanged in every call; what comes of the last calls that are too
        many is not counted.
        """
        model.eval()
        found = {}
        with torch.no_grad():
            for source in self.sources:
                pieces = self.pieces(source)
                # one row each, added up in one order: sums do not depend on who computed what
                sums = torch.zeros((pieces, 3), dtype=torch.float64)
                for first in range(0, pieces, world.ranks):
                    number = min(first + world.rank, pieces - 1)
                    measured = self._measure(model, self.piece(source, number), world)
                    if first + world.rank < pieces:
                        sums[number] = measured
                nats, tokens, size = world.total(sums.to(world.device)).cpu().sum(dim=0).tolist()
                found[source] = Evaluation(nats=nats, tokens=int(tokens), text_bytes=int(size))
        model.train()
        return found

    def _measure(self, model: nn.Module, piece: Tensors, world: World) -> Tensor:
        """Nats, tokens and bytes, shape [3]."""
        inputs, targets, documents = piece
        nats = model(
            inputs.to(world.device),
            targets.to(world.device),
            None if documents is None else documents.to(world.device),
        ).nats
        valid = targets[targets != IGNORED]
        size = int(self._sizes[valid].sum())
        return torch.tensor([nats.item(), len(valid), size], dtype=torch.float64)

    def compressed(self) -> dict[str, float] | None:
        """Bits per byte of `gzip -9` and `xz -9` for the text that `evaluate` predicts, all sources
        one after another; None when it has no bytes.

        Compressors begin without knowing anything; what a model was trained on is not counted.
        """
        texts = [
            self._contents[token]
            for source in self.sources
            for number in range(self.pieces(source))
            for token in _targets(self.piece(source, number))
        ]
        text = b"".join(texts)
        if not text:
            return None
        return {
            "gzip": 8 * len(gzip.compress(text, 9, mtime=0)) / len(text),
            "xz": 8 * len(lzma.compress(text, preset=9)) / len(text),
        }


def _targets(piece: Tensors) -> list[int]:
    tokens: list[int] = piece.targets[piece.targets != IGNORED].tolist()
    return tokens


def token_contents(vocabulary: Vocabulary) -> list[bytes]:
    """The bytes of text that each token of a byte-level vocabulary stands for, by its number.

    Nothing for special ones, and for numbers that no token has. Added tokens are plain text; those
    of the model are spelled with a letter for each byte.
    """
    spelled = {letter: byte for byte, letter in enumerate(byte_letters())}
    tokenizer = vocabulary.tokenizer()
    contents = [b""] * vocabulary.size
    for token, number in tokenizer.get_vocab(with_added_tokens=False).items():
        contents[number] = bytes(spelled[character] for character in token if character in spelled)
    for number, added in tokenizer.get_added_tokens_decoder().items():
        contents[number] = b"" if added.special else added.content.encode()
    for number in vocabulary.special_ids.values():
        contents[number] = b""
    return contents
