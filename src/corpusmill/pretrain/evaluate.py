"""How well a model predicts text that it was not trained on, source by source."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from corpusmill.pretrain.config import Settings
from corpusmill.pretrain.parallel import World
from corpusmill.pretrain.scoring import token_bytes
from corpusmill.tokenize.batches import IGNORED, Row, RowReader, SplitTokens
from corpusmill.tokenize.dataset import Tensors, as_tensors
from corpusmill.tokenize.order import Int64Array
from corpusmill.tokenize.vocabulary import Vocabulary


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


def text_bytes(vocabulary: Vocabulary) -> Int64Array:
    """UTF-8 bytes of the text that each token stands for, 0 for special ones; shape [V]."""
    sizes = token_bytes(vocabulary)
    sizes[list(vocabulary.special_ids.values())] = 0
    return sizes


class Held:
    """The first sequences of each source of a split, documents end to end."""

    def __init__(self, shards: str, split: str, settings: Settings, sizes: Int64Array) -> None:
        """`sizes` are the UTF-8 bytes of each token, shape [V]."""
        self._split = SplitTokens(shards, split)
        self._settings = settings
        self._sizes = torch.from_numpy(sizes)
        self._reader = RowReader(self._split, settings.context, documents=settings.document_masks)
        self.sources = self._split.sources()

    def batches(self, source: str, rank: int, ranks: int) -> list[Tensors]:
        """Every `ranks`-th of them; the last rows of a batch may be padding."""
        rows = self._split.stream(source, self._settings.context, "concatenate")
        size = self._settings.batch
        found = []
        count = min(rows.rows, self._settings.evaluate_batches * size)
        for first in range(0, count, size):
            if first // size % ranks != rank:
                continue
            numbers = np.arange(first, min(first + size, count))
            laid: list[Row] = [[] for _ in numbers]
            for row, *place in zip(*(c.tolist() for c in rows.segments(numbers)), strict=True):
                laid[row].append((place[0], place[1], place[2]))
            found.append(as_tensors(self._reader.read(laid)))
        return found

    def evaluate(self, model: nn.Module, world: World) -> Mapping[str, Evaluation]:
        """By source. All processes call it, and get the same."""
        model.eval()
        sums = torch.zeros((len(self.sources), 3), dtype=torch.float64)
        with torch.no_grad():
            for number, source in enumerate(self.sources):
                for inputs, targets, documents in self.batches(source, world.rank, world.ranks):
                    nats = model(
                        inputs.to(world.device),
                        targets.to(world.device),
                        None if documents is None else documents.to(world.device),
                    ).nats
                    valid = targets[targets != IGNORED]
                    sums[number, 0] += nats.item()
                    sums[number, 1] += len(valid)
                    sums[number, 2] += int(self._sizes[valid].sum())
        model.train()
        sums = world.total(sums.to(world.device)).cpu()
        return {
            source: Evaluation(nats=nats, tokens=int(tokens), text_bytes=int(size))
            for source, (nats, tokens, size) in zip(self.sources, sums.tolist(), strict=True)
        }
