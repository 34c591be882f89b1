"""What a block does with each token by itself: one network for all, or a choice of experts."""

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from corpusmill.pretrain.config import ModelSettings

FEWEST_TOKENS = 16
"""That an expert computes, if need be with zeros, and at least PER_THREAD for each thread. MKL
multiplies a few rows in another order (fewer than 8 with one thread, 28 with 16, 172 with 64): a
token's result would depend on how many others its expert has."""

PER_THREAD = 4


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.gate = nn.Linear(settings.width, settings.feed_forward, bias=False)
        self.up = nn.Linear(settings.width, settings.feed_forward, bias=False)
        self.out = nn.Linear(settings.feed_forward, settings.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return self.out(F.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]


class Experts(nn.Module):
    """A mixture of experts: each token goes to the `experts_per_token` that its router scores
    highest (Shazeer et al. 2017), and gets their sum, weighted by the softmax over those scores.

    No token is dropped. The imbalance, a part of the loss, is E * sum of (share of the choices) *
    (mean probability) over the experts, 1 when all are used alike (Fedus et al. 2021). It is that
    of each sequence: over a batch it would depend on how processes and pieces divide the batch.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.chosen = settings.experts_per_token
        self.router = nn.Linear(settings.width, settings.experts, bias=False)
        self.experts = nn.ModuleList(FeedForward(settings) for _ in range(settings.experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, D] -> the same shape, and the imbalance of each sequence, [B] in fp32."""
        tokens = x.flatten(0, 1)
        with torch.autocast(x.device.type, enabled=False):
            scores = F.linear(tokens.float(), self.router.weight.float())
            best, expert = scores.topk(self.chosen, dim=1)
            weights = best.softmax(dim=1).to(x.dtype)
            chosen = F.one_hot(expert, len(self.experts)).sum(1).float() / self.chosen
            used = chosen.view(*x.shape[:2], -1).mean(dim=1)
            likely = scores.softmax(dim=1).view(*x.shape[:2], -1).mean(dim=1)
            imbalance = len(self.experts) * (used * likely).sum(dim=1)
        mixed = torch.zeros_like(tokens)
        networks = cast("list[FeedForward]", list(self.experts))
        taken = [torch.where(expert == number) for number in range(len(networks))]
        # an expert that nobody chose takes part as well: all ranks must have its gradient
        inputs = [_padded(tokens[token]) for token, _ in taken]
        gates = torch.cat(
            [
                network.gate(some)[: len(token)]
                for network, some, (token, _) in zip(networks, inputs, taken, strict=True)
            ]
        )
        # By token, then by expert again: the last few numbers of a tensor, or of a thread's share,
        # go through another exponential than the others. Where a token stands must not depend on
        # what the others chose.
        order = torch.cat([token * self.chosen + place for token, place in taken])
        gates = F.silu(gates.index_select(0, order.argsort())).index_select(0, order)
        opened = torch.split(gates, [len(token) for token, _ in taken])
        for network, some, gate, (token, place) in zip(
            networks, inputs, opened, taken, strict=True
        ):
            inner = gate * network.up(some)[: len(token)]
            result = network.out(_padded(inner))[: len(token)] * weights[token, place, None]
            mixed = mixed.index_add(0, token, result.to(mixed.dtype))
        return mixed.view_as(x), imbalance


def _padded(rows: Tensor) -> Tensor:
    """With zeros below, so that there are enough to be multiplied as any number of rows is."""
    fewest = max(FEWEST_TOKENS, PER_THREAD * torch.get_num_threads())
    return F.pad(rows, (0, 0, 0, max(0, fewest - len(rows))))
