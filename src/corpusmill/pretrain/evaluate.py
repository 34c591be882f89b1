"""How well a model predicts text that it was not trained on, by source and by class."""

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
from corpusmill.tokenize.batches import streams_of
from corpusmill.tokenize.dataset import Tensors, as_tensors
from corpusmill.tokenize.manifest import BY_SOURCE
from corpusmill.tokenize.order import Rows
from corpusmill.tokenize.pretokens import byte_letters
from corpusmill.tokenize.rows import IGNORED, RowReader
from corpusmill.tokenize.shards import SplitTokens
from corpusmill.tokenize.vocabulary import Vocabulary

TOKENS_AT_ONCE = 1 << 14
"""In a call of the model. It depends on neither `micro_batch` nor the number of processes, so that
the numbers do not either."""


MANY_CLASSES = 8
"""Of more classes each gives fewer sequences, so that all take about as long as so many."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Of one source, or one class of a mixture."""

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
    """The first sequences of each source of a split, documents end to end; and, where the mixture
    is by something else, of each of its classes."""

    def __init__(self, shards: str, split: str, settings: Settings, vocabulary: Vocabulary) -> None:
        self._split = SplitTokens(shards, split)
        self._settings = settings
        self._contents = token_contents(vocabulary)
        sizes = np.array([len(content) for content in self._contents], np.int64)
        self._sizes = torch.from_numpy(sizes)
        self._reader = RowReader(self._split, settings.context, documents=settings.document_masks)
        self._at_once = max(1, min(settings.batch, TOKENS_AT_ONCE // settings.context))
        self.sources = streams_of(self._split, BY_SOURCE, settings.context, "concatenate")
        """The sequences of each source."""
        self.classes: dict[str, Rows] = {}
        """The sequences of each class of the mixture, if these are not the sources."""
        if self._split.by != BY_SOURCE:
            found = streams_of(self._split, self._split.by, settings.context, "concatenate")
            self.classes = dict(found)
        self._most = settings.evaluate_batches * settings.batch

    def pieces(self, source: str) -> int:
        """How many pieces of at most TOKENS_AT_ONCE its sequences are divided into."""
        return self._pieces(self.sources[source], self._most)

    def piece(self, source: str, number: int) -> Tensors:
        """Piece 0, 1, ...: the same rows whoever asks; a last row may be padded."""
        return self._piece(self.sources[source], self._most, number)

    def _pieces(self, rows: Rows, most: int) -> int:
        return -(-min(rows.rows, most) // self._at_once)

    def _piece(self, rows: Rows, most: int, number: int) -> Tensors:
        first = number * self._at_once
        numbers = np.arange(first, min(first + self._at_once, rows.rows, most))
        return as_tensors(self._reader.read(rows.segments(numbers), len(numbers)))

    def evaluate(self, model: nn.Module, world: World) -> Mapping[str, Evaluation]:
        """By source, without label smoothing. All processes call it, and get the same numbers, to
        the last bit those of one process.

        Processes take turns with the pieces. Each calls the model equally often, for shared
        gradients and weights are exchanged in every call; what comes of the last calls that are too
        many is not counted.
        """
        return self._evaluate(model, world, self.sources, self._most)

    def evaluate_classes(self, model: nn.Module, world: World) -> Mapping[str, Evaluation]:
        """By class of the mixture, like `evaluate`; none where the classes are the sources."""
        most = max(1, self._most * MANY_CLASSES // max(MANY_CLASSES, len(self.classes)))
        return self._evaluate(model, world, self.classes, most)

    def _evaluate(
        self, model: nn.Module, world: World, streams: Mapping[str, Rows], most: int
    ) -> Mapping[str, Evaluation]:
        model.eval()
        found = {}
        with torch.no_grad():
            for name, rows in streams.items():
                pieces = self._pieces(rows, most)
                # one row each, added up in one order: sums do not depend on who computed what
                sums = torch.zeros((pieces, 3), dtype=torch.float64)
                for first in range(0, pieces, world.ranks):
                    number = min(first + world.rank, pieces - 1)
                    measured = self._measure(model, self._piece(rows, most, number), world)
                    if first + world.rank < pieces:
                        sums[number] = measured
                nats, tokens, size = world.total(sums.to(world.device)).cpu().sum(dim=0).tolist()
                found[name] = Evaluation(nats=nats, tokens=int(tokens), text_bytes=int(size))
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
