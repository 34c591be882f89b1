"""How far predictions are from the text: cross-entropy, summed, in bounded pieces.

The scores of a batch are its largest tensor by far: V numbers for each token. They are made for a
few tokens at a time, and their gradient with them, so that no more than a piece is ever there.
"""

import threading
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from corpusmill.tokenize.rows import IGNORED

SCORE_BYTES = {"cpu": 128 << 20, "cuda": 1 << 30}
"""Scores of fp32 that are made at once. Larger matrices multiply faster: on a core with AVX2 and
50,257 tokens 41, 49, 57 GFLOP/s for 83, 256 and 512 rows."""


class Loss(NamedTuple):
    """Sums over the targets that are not IGNORED; scalars in fp32."""

    objective: Tensor
    """What training makes smaller: nats, with label smoothing, z-loss and balance if asked for."""
    nats: Tensor
    """Cross-entropy without any of these; carries no gradient."""


class TiedGradient:
    """Of a matrix that reads tokens and scores them: where the head leaves its gradient [V, D] for
    the embedding to add its rows, once per forward and backward.

    Left to itself torch makes two of them, most of the second one zeros, and adds them up.
    """

    def __init__(self) -> None:
        self.of_head: Tensor | None = None

    def embed(self, weight: Tensor, tokens: Tensor) -> Tensor:
        """weight [V, D], tokens [B, T] -> [B, T, D]; its gradient is that of both uses."""
        embedded: Tensor = _Embedded.apply(weight, tokens, self)  # type: ignore[no-untyped-call]
        return embedded


class _Embedded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, tokens: Tensor, tied: TiedGradient) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.tied, ctx.shape = tied, weight.shape
        return F.embedding(tokens, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (tokens,) = ctx.saved_tensors
        total, ctx.tied.of_head = ctx.tied.of_head, None
        # the head's comes first: what it scores was made of what was embedded
        assert total is not None
        total.index_add_(0, tokens.flatten(), grad.flatten(0, 1).to(total.dtype))
        return total, None, None


def summed_loss(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
    tied: TiedGradient | None = None,
) -> Loss:
    """hidden [N, D], weight [V, D], targets [N] -> the loss of scores hidden @ weight.T.

    `smoothing` is the share of each target's probability that is spread evenly over all tokens
    (Szegedy et al. 2016); `z_loss` weighs the squared log of the softmax's denominator, which keeps
    scores from drifting (Chowdhery et al. 2022). With `tied` the gradient of the weight is left
    there.
    """
    objective, nats = _Scored.apply(hidden, weight, targets, smoothing, z_loss, tied)  # type: ignore[no-untyped-call]
    return Loss(objective, nats)


class _Buffers(threading.local):
    """Memory of scores on the CPU, kept from call to call.

    glibc takes each tensor over 32 MiB from the system and gives it back: to touch fresh pages cost
    twice the time of the exponentials that are written there. CUDA has torch's own cache for this.
    """

    def __init__(self) -> None:
        self._kept: dict[torch.dtype, Tensor] = {}

    def get(self, rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor [rows, columns] of any content."""
        if device.type != "cpu":
            return torch.empty((rows, columns), dtype=dtype, device=device)
        kept = self._kept.get(dtype)
        if kept is None or len(kept) < rows * columns:
            kept = self._kept[dtype] = torch.empty(rows * columns, dtype=dtype)
        return kept[: rows * columns].view(rows, columns)


_BUFFERS = _Buffers()


class _Scored(torch.autograd.Function):
    """The scores' gradient is known as soon as the scores are: both are made piece by piece.

    Of a row with scores s, largest score m, e = exp(s - m) and their sum S the gradient is e / S,
    less 1 at the target. The factor 1 / S, 0 for a row without a target, is left to the D columns
    of the hidden states: the V columns of e are not written once more for it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        smoothing: float,
        z_loss: float,
        tied: TiedGradient | None,
    ) -> tuple[Tensor, Tensor]:
        device, dtype = hidden.device, hidden.dtype
        if torch.is_autocast_enabled(device.type):
            dtype = torch.get_autocast_dtype(device.type)
        wanted = ctx.needs_input_grad
        matrix = weight.to(dtype)
        hidden_grad = torch.empty_like(hidden) if wanted[0] else None
        weight_grad = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        objective = torch.zeros((), device=device)
        nats = torch.zeros((), device=device)
        columns = len(weight)
        # as few pieces as there may be, and all of them alike
        pieces = max(1, -(-4 * columns * len(targets) // SCORE_BYTES[device.type]))
        rows = max(1, -(-len(targets) // pieces))
        for first in range(0, len(targets), rows):
            some = hidden[first : first + rows]
            target = targets[first : first + rows]
            valid = target != IGNORED
            place = target.clamp(min=0)[:, None]
            product = _BUFFERS.get(len(some), columns, dtype, device)
            torch.mm(some.to(dtype), matrix.T, out=product)
            scores = product
            if dtype != torch.float32:
                scores = _BUFFERS.get(len(some), columns, torch.float32, device).copy_(product)
            of_target = scores.gather(1, place)[:, 0]
            mean = scores.mean(dim=1) if smoothing else None
            largest = scores.amax(dim=1)
            exps = scores.sub_(largest[:, None]).exp_()
            total = exps.sum(dim=1)
            log_total = largest + total.log()
            cost = torch.where(valid, log_total - of_target, 0.0).sum()
            nats += cost
            objective += (1 - smoothing) * cost
            if mean is not None:
                objective += smoothing * torch.where(valid, log_total - mean, 0.0).sum()
            if z_loss:
                objective += z_loss * torch.where(valid, log_total**2, 0.0).sum()
            if hidden_grad is None and weight_grad is None:
                continue
            if z_loss:
                exps *= (1 + 2 * z_loss * log_total)[:, None]
            if smoothing:
                exps -= (total * (smoothing / columns))[:, None]
            exps.scatter_add_(1, place, total[:, None] * (smoothing - 1.0))
            grad = exps if dtype == torch.float32 else product.copy_(exps)
            row_scale = torch.where(valid, 1 / total, 0.0)[:, None]
            if hidden_grad is not None:
                hidden_grad[first : first + rows] = torch.mm(grad, matrix) * row_scale
            if weight_grad is not None:
                _add_product(weight_grad, grad.T, (some * row_scale).to(dtype))
        ctx.gradients, ctx.tied = (hidden_grad, weight_grad), tied
        ctx.mark_non_differentiable(nats)
        return objective, nats

    @staticmethod
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # scaled where they are, once only: the one of the weights is as large as they
        hidden_grad, weight_grad = ctx.gradients
        del ctx.gradients
        for gradient in (hidden_grad, weight_grad):
            if gradient is not None:
                gradient *= scale
        if ctx.tied is not None:
            ctx.tied.of_head, weight_grad = weight_grad, None
        return hidden_grad, weight_grad, None, None, None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right; in one go where the products are fp32 as the total is."""
    if right.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += torch.mm(left, right)
