"""How the weights move: AdamW, with decay on matrices only."""

import torch
from torch import nn


def build_optimizer(
    model: nn.Module, weight_decay: float, device: torch.device
) -> torch.optim.AdamW:
    """AdamW with beta 0.9 and 0.95, epsilon 1e-8 (Brown et al. 2020), in one pass over each tensor.

    The learning rate is set before every step. Norm weights are not decayed: pulled to zero, they
    would scale a whole layer down.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set it for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
