"""What is trained: a small decoder of the Llama kind.

Shapes: B sequences, T tokens, V vocabulary, D width, H heads, K key-value heads, d = D / H.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from corpusmill.pretrain.config import ModelSettings


class Attention(nn.Module):
    """Causal attention in which groups of H / K heads share keys and values (Ainslie et al. 2023).

    It sees the whole sequence: documents that stand in one sequence are not masked from each other.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.heads, self.kv_heads = settings.heads, settings.kv_heads
        self.head_width = settings.width // settings.heads
        kv_width = self.kv_heads * self.head_width
        self.query = nn.Linear(settings.width, settings.width, bias=False)
        self.key = nn.Linear(settings.width, kv_width, bias=False)
        self.value = nn.Linear(settings.width, kv_width, bias=False)
        self.out = nn.Linear(settings.width, settings.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x [B, T, D], cos and sin [T, d / 2] -> [B, T, D]."""
        batch, length, _ = x.shape
        query = self.query(x).view(batch, length, self.heads, self.head_width).transpose(1, 2)
        key = self.key(x).view(batch, length, self.kv_heads, self.head_width).transpose(1, 2)
        value = self.value(x).view(batch, length, self.kv_heads, self.head_width).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(
            rotate(query, cos, sin),
            rotate(key, cos, sin),
            value,
            is_causal=True,
            enable_gqa=self.kv_heads < self.heads,
        )
        joined = mixed.transpose(1, 2).reshape(batch, length, self.heads * self.head_width)
        return self.out(joined)  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.gate = nn.Linear(settings.width, settings.feed_forward, bias=False)
        self.up = nn.Linear(settings.width, settings.feed_forward, bias=False)
        self.out = nn.Linear(settings.feed_forward, settings.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        return self.out(F.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and feed-forward, each on its normalised input and added to it."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(settings.width, eps=NORM_EPSILON)
        self.attention = Attention(settings)
        self.feed_forward_norm = nn.RMSNorm(settings.width, eps=NORM_EPSILON)
        self.feed_forward = FeedForward(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + self.dropout(self.attention(self.attention_norm(x), cos, sin))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))  # type: ignore[no-any-return]


NORM_EPSILON = 1e-5
"""Llama's."""


class Decoder(nn.Module):
    """Token ids in, a score for each possible next token out."""

    cos: Tensor
    sin: Tensor

    def __init__(self, settings: ModelSettings, *, vocab_size: int, context: int) -> None:
        super().__init__()
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

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [B, T], T at most the context -> logits [B, T, V]."""
        return self.head(self.hidden(tokens))  # type: ignore[no-any-return]

    def hidden(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] -> what the head scores, [B, T, D]."""
        length = tokens.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x)  # type: ignore[no-any-return]


def rotary_tables(context: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embeddings (Su et al. 2021), each [T, d / 2]."""
    frequencies = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angles = torch.outer(torch.arange(context, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + d / 2) of x [B, heads, T, d] by its position's angle."""
    left, right = x.float().chunk(2, dim=-1)
    turned = torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)
    return turned.to(x.dtype)


def count_parameters(model: nn.Module) -> int:
    """Numbers that are trained; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())
