"""What a block does with each token by itself: one network for all, or a choice of experts."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from corpusmill.pretrain.config import ModelSettings

FEWEST_TOKENS = 16
"""That an expert computes, if need be with zeros. With fewer than 8 rows MKL multiplies in another
order: a token's result would depend on how many others its expert has."""


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
        for number, network in enumerate(self.experts):
            token, place = torch.where(expert == number)
            # an expert that nobody chose takes part as well: all ranks must have its gradient
            missing = max(0, FEWEST_TOKENS - len(token))
            result = network(F.pad(tokens[token], (0, 0, 0, missing)))[: len(token)]
            result = result * weights[token, place, None]
            mixed = mixed.index_add(0, token, result.to(mixed.dtype))
        return mixed.view_as(x), imbalance
