"""How far a model's predictions are from the text: cross-entropy, summed, in bounded pieces."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from corpusmill.pretrain.model import Decoder

SCORE_BYTES = {"cpu": 16 << 20, "cuda": 1 << 30}
"""Scores of fp32 that are made at once. Over 32 MiB glibc takes memory from the system for each
tensor and gives it back: a third of a step went into page faults."""


def summed_loss(model: Decoder, tokens: Tensor) -> Tensor:
    """tokens [B, T + 1] -> the loss in nats, summed over all B * T targets; a scalar."""
    hidden = model.hidden(tokens[:, :-1]).flatten(0, 1)
    targets = tokens[:, 1:].flatten()
    rows = max(1, SCORE_BYTES[tokens.device.type] // (4 * model.head.out_features))
    pieces = [
        F.cross_entropy(model.head(some).float(), wanted, reduction="sum")
        for some, wanted in zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
    ]
    total = pieces[0]
    for piece in pieces[1:]:
        total = total + piece
    return total
