"""How well a model predicts text that it was not trained on."""

import math

import numpy as np
import torch

from corpusmill.pretrain.config import Settings
from corpusmill.pretrain.loss import summed_loss
from corpusmill.pretrain.model import Decoder
from corpusmill.tokenize.dataset import SplitTokens
from corpusmill.tokenize.order import Int64Array


def evaluation_batches(split: SplitTokens, settings: Settings) -> list[Int64Array]:
    """The first sequences of a split in order, in batches of shape [at most batch, context + 1].

    A split shorter than one sequence is one shorter sequence; a split of a single token none.
    """
    context = min(settings.context, split.total - 1)
    if context < 1:
        return []
    sequences = min((split.total - 1) // context, settings.evaluate_batches * settings.batch)
    tokens = split.head(sequences * context + 1)
    rows = np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context]
    return [rows[i : i + settings.batch].copy() for i in range(0, sequences, settings.batch)]


def evaluate(model: Decoder, batches: list[Int64Array], device: torch.device) -> float:
    """Mean loss in nats per token."""
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches:
            tokens = torch.from_numpy(batch).to(device)
            total += summed_loss(model, tokens).item()
            count += tokens[:, 1:].numel()
    model.train()
    return total / count if count else math.nan
