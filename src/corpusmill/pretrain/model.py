"""What is trained: a decoder of the Llama kind.

Shapes: B sequences, T tokens, V vocabulary, D width, H heads, K key-value heads, d = D / H.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from corpusmill.pretrain.attention import Attention, View, make_view, rotary_tables
from corpusmill.pretrain.config import NORM_EPSILON, ModelSettings
from corpusmill.pretrain.feed_forward import Experts, FeedForward
from corpusmill.pretrain.loss import Loss, TiedGradient, summed_loss
from corpusmill.tokenize.rows import IGNORED


class Block(nn.Module):
    """Attention and feed-forward, each on its normalised input and added to it."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(settings.width, eps=NORM_EPSILON)
        self.attention = Attention(settings)
        self.feed_forward_norm = nn.RMSNorm(settings.width, eps=NORM_EPSILON)
        self.feed_forward = Experts(settings) if settings.experts else FeedForward(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, view: View
    ) -> tuple[Tensor, Tensor | None]:
        """[B, T, D] -> the same, and the imbalance of its experts, [B], if it has any."""
        x = x + self.dropout(self.attention(self.attention_norm(x), cos, sin, view))
        imbalance = None
        added = self.feed_forward(self.feed_forward_norm(x))
        if isinstance(added, tuple):
            added, imbalance = added
        return x + self.dropout(added), imbalance


class Decoder(nn.Module):
    """Token ids in, a score for each possible next token out, or the loss of given ones."""

    cos: Tensor
    sin: Tensor

    def __init__(
        self, settings: ModelSettings, *, vocab_size: int, context: int, attention: str = "sdpa"
    ) -> None:
        super().__init__()
        self.settings = settings
        self.backend = attention
        self.recompute = 0
        """Every so many blocks one keeps only its input and is computed again on the way back."""
        self.embedding = nn.Embedding(vocab_size, settings.width)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.layers))
        self.norm = nn.RMSNorm(settings.width, eps=NORM_EPSILON)
        self.head = nn.Linear(settings.width, vocab_size, bias=False)
        self._initialise(settings)
        if settings.tied_embeddings:
            self.head.weight = self.embedding.weight
        cos, sin = rotary_tables(context, settings.width // settings.heads, settings.rope_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def _initialise(self, settings: ModelSettings) -> None:
        # GPT-2's: 0.02, and less for what is added to the residual stream 2 * layers times
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                scaled = 0.02 / math.sqrt(2 * settings.layers)
                nn.init.normal_(parameter, std=scaled if name.endswith("out.weight") else 0.02)

    def forward(
        self,
        tokens: Tensor,
        targets: Tensor | None = None,
        documents: Tensor | None = None,
        *,
        smoothing: float = 0.0,
        z_loss: float = 0.0,
    ) -> Any:
        """tokens [B, T], T at most the context -> logits [B, T, V]; with targets [B, T] a Loss.

        With `documents` [B, T] tokens see those of their own document only.
        """
        both = targets is not None and self.settings.tied_embeddings and torch.is_grad_enabled()
        tied = TiedGradient() if both else None
        hidden, imbalance = self.hidden(tokens, documents, tied)
        if targets is None:
            return self.head(hidden)
        loss = summed_loss(
            hidden.flatten(0, 1),
            self.head.weight,
            targets.flatten(),
            smoothing=smoothing,
            z_loss=z_loss,
            tied=tied,
        )
        if imbalance is None or not self.settings.balance:
            return loss
        # per token, as everything in the sum
        unbalanced = (imbalance * (targets != IGNORED).sum(dim=1)).sum()
        return Loss(loss.objective + self.settings.balance * unbalanced, loss.nats)

    def hidden(
        self,
        tokens: Tensor,
        documents: Tensor | None = None,
        tied: TiedGradient | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """What the head scores, [B, T, D], and the mean imbalance of experts, [B], if any."""
        length = tokens.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        views = {
            window: make_view(tokens, documents, window, self.backend)
            for window in {self.settings.window_of(n) for n in range(len(self.blocks))}
        }
        x = self.embedding(tokens) if tied is None else tied.embed(self.embedding.weight, tokens)
        imbalances = []
        for number, block in enumerate(self.blocks):
            run = partial(block, cos=cos, sin=sin, view=views[self.settings.window_of(number)])
            if self.recompute and self.training and number % self.recompute == 0:
                x, imbalance = checkpoint(run, x, use_reentrant=False)
            else:
                x, imbalance = run(x)
            if imbalance is not None:
                imbalances.append(imbalance)
        mean = torch.stack(imbalances).mean(dim=0) if imbalances else None
        return self.norm(x), mean


def count_parameters(model: nn.Module) -> int:
    """Numbers that are trained; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())
