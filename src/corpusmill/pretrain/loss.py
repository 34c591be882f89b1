"""How far predictions are from the text: cross-entropy, summed, in bounded pieces.

The scores of a batch are its largest tensor by far: V numbers for each token. They are made for a
few tokens at a time, and their gradient with them, so that no more than a piece is ever there.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from corpusmill.tokenize.batches import IGNORED

SCORE_BYTES = {"cpu": 16 << 20, "cuda": 1 << 30}
"""Scores of fp32 that are made at once. Over 32 MiB glibc takes memory from the system for each
tensor and gives it back: a third of a step went into page faults."""


class Loss(NamedTuple):
    """Sums over the targets that are not IGNORED; scalars in fp32."""

    objective: Tensor
    """What training makes smaller: nats, with label smoothing, z-loss and balance if asked for."""
    nats: Tensor
    """Cross-entropy without any of these; carries no gradient."""


def summed_loss(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, smoothing: float = 0.0, z_loss: float = 0.0
) -> Loss:
    """hidden [N, D], weight [V, D], targets [N] -> the loss of scores hidden @ weight.T.

    `smoothing` is the share of each target's probability that is spread evenly over all tokens
    (Szegedy et al. 2016); `z_loss` weighs the squared log of the softmax's denominator, which keeps
    scores from drifting (Chowdhery et al. 2022).
    """
    objective, nats = _Scored.apply(hidden, weight, targets, smoothing, z_loss)  # type: ignore[no-untyped-call]
    return Loss(objective, nats)


class _Scored(torch.autograd.Function):
    """The scores' gradient is known as soon as the scores are: both are made piece by piece."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, smoothing: float, z_loss: float
    ) -> tuple[Tensor, Tensor]:
        dtype = hidden.dtype
        if torch.is_autocast_enabled(hidden.device.type):
            dtype = torch.get_autocast_dtype(hidden.device.type)
        wanted = ctx.needs_input_grad
        matrix = weight.to(dtype)
        hidden_grad = torch.empty_like(hidden, dtype=dtype) if wanted[0] else None
        weight_grad = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        objective = torch.zeros((), device=hidden.device)
        nats = torch.zeros((), device=hidden.device)
        rows = max(1, SCORE_BYTES[hidden.device.type] // (4 * weight.shape[0]))
        with torch.autocast(hidden.device.type, enabled=False):
            for first in range(0, len(targets), rows):
                some = hidden[first : first + rows].to(dtype)
                target = targets[first : first + rows]
                valid = target != IGNORED
                place = target.clamp(min=0)[:, None]
                scores = (some @ matrix.T).float()
                log_total = torch.logsumexp(scores, dim=1)
                cost = torch.where(valid, log_total - scores.gather(1, place)[:, 0], 0.0)
                nats += cost.sum()
                objective += (1 - smoothing) * cost.sum()
                if smoothing:
                    even = torch.where(valid, log_total - scores.mean(dim=1), 0.0)
                    objective += smoothing * even.sum()
                if z_loss:
                    objective += z_loss * torch.where(valid, log_total**2, 0.0).sum()
                if hidden_grad is None and weight_grad is None:
                    continue
                # softmax, then what each target takes from it: the gradient with respect to scores
                grad = scores.sub_(log_total[:, None]).exp_()
                if z_loss:
                    grad *= (1 + 2 * z_loss * log_total)[:, None]
                if smoothing:
                    grad -= smoothing / grad.shape[1]
                grad.scatter_add_(1, place, torch.full_like(grad[:, :1], smoothing - 1.0))
                grad *= valid[:, None]
                grad = grad.to(dtype)
                if hidden_grad is not None:
                    hidden_grad[first : first + rows] = grad @ matrix
                if weight_grad is not None:
                    weight_grad += (grad.T @ some).float()
        ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.mark_non_differentiable(nats)
        ctx.dtypes = hidden.dtype, weight.dtype
        return objective, nats

    @staticmethod
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_grad, weight_grad = ctx.saved_tensors
        hidden_type, weight_type = ctx.dtypes
        return (
            None if hidden_grad is None else (hidden_grad * scale).to(hidden_type),
            None if weight_grad is None else (weight_grad * scale).to(weight_type),
            None,
            None,
            None,
        )
