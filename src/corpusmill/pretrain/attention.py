"""Which earlier tokens a token sees, and what it takes from them.

Shapes: B sequences, T tokens, H heads, K key-value heads, d numbers of a head, D = H * d.

Three back ends compute the same: `sdpa` with a mask that is written out, which runs everywhere and
is what the others are tested against; on CUDA `flex` (FlexAttention, which leaves out blocks that
are masked as a whole) and `varlen` (one kernel over documents of different lengths, without mask).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from corpusmill.pretrain.config import NORM_EPSILON, ModelSettings


@dataclass(frozen=True, kw_only=True)
class View:
    """What the tokens of one batch may see; made once, used by all blocks with this window."""

    backend: str
    window: int | None
    """Tokens that are seen at most, the token itself counted; None for all."""
    mask: Any = None
    """bool [B, 1, T, T] for sdpa, a BlockMask for flex; None where plain causality is meant."""
    bounds: Tensor | None = None
    """varlen: where documents begin in the B * T tokens laid end to end, and B * T; int32."""
    longest: int = 0
    """varlen: tokens of the longest document."""


def make_view(tokens: Tensor, documents: Tensor | None, window: int | None, backend: str) -> View:
    """For tokens [B, T] with the numbers of their documents, if they are not to see others'."""
    length = tokens.shape[1]
    if window is not None and window >= length:
        window = None
    if backend == "varlen":
        return _varlen_view(tokens, documents, window)
    if documents is None and window is None:
        return View(backend=backend, window=None)
    if backend == "flex":
        return _flex_view(tokens, documents, window)
    place = torch.arange(length, device=tokens.device)
    distance = place[:, None] - place
    mask = (distance >= 0) if window is None else (distance >= 0) & (distance < window)
    mask = mask[None]
    if documents is not None:
        mask = mask & (documents[:, :, None] == documents[:, None, :])
    return View(backend=backend, window=window, mask=mask[:, None])


def _flex_view(tokens: Tensor, documents: Tensor | None, window: int | None) -> View:
    from torch.nn.attention.flex_attention import create_block_mask

    def sees(row: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = query >= key
        if window is not None:
            seen = seen & (query - key < window)
        if documents is not None:
            seen = seen & (documents[row, query] == documents[row, key])
        return seen

    rows = None if documents is None else len(tokens)
    length = tokens.shape[1]
    mask = create_block_mask(sees, rows, None, length, length, device=tokens.device)
    return View(backend="flex", window=window, mask=mask)


def _varlen_view(tokens: Tensor, documents: Tensor | None, window: int | None) -> View:
    starts = torch.zeros_like(tokens, dtype=torch.bool)
    starts[:, 0] = True
    if documents is not None:
        starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
    bounds = F.pad(torch.nonzero(starts.flatten())[:, 0], (0, 1), value=tokens.numel()).int()
    longest = int(bounds.diff().max())
    return View(backend="varlen", window=window, bounds=bounds, longest=longest)


def attend(query: Tensor, key: Tensor, value: Tensor, view: View) -> Tensor:
    """query [B, H, T, d], key and value [B, K, T, d] -> [B, H, T, d]."""
    grouped = key.shape[1] < query.shape[1]
    if view.backend == "varlen":
        return _varlen(query, key, value, view)
    if view.mask is None:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=grouped)
    if view.backend == "flex":
        mixed: Tensor = _flex_kernel()(query, key, value, block_mask=view.mask, enable_gqa=grouped)
        return mixed
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=view.mask, enable_gqa=grouped
    )


@cache
def _flex_kernel() -> Callable[..., Tensor]:
    """FlexAttention is a kernel only when compiled; as it stands it writes the scores out."""
    from torch.nn.attention.flex_attention import flex_attention

    compiled: Callable[..., Tensor] = torch.compile(flex_attention)
    return compiled


def _varlen(query: Tensor, key: Tensor, value: Tensor, view: View) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    assert view.bounds is not None
    batch, heads, length, width = query.shape
    query, key, value = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, value))
    mixed = varlen_attn(
        query,
        key,
        value,
        view.bounds,
        view.bounds,
        view.longest,
        view.longest,
        window_size=(-1 if view.window is None else view.window - 1, 0),
        enable_gqa=key.shape[1] < heads,
    )
    assert isinstance(mixed, Tensor)
    return mixed.view(batch, length, heads, width).transpose(1, 2)


class Attention(nn.Module):
    """Causal attention in which groups of H / K heads share keys and values (Ainslie et al. 2023).

    With `qk_norm` queries and keys are normalised per head (Henry et al. 2020), which keeps the
    scores of large models from growing.
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
        self.query_norm: nn.Module = nn.Identity()
        self.key_norm: nn.Module = nn.Identity()
        if settings.qk_norm:
            self.query_norm = nn.RMSNorm(self.head_width, eps=NORM_EPSILON)
            self.key_norm = nn.RMSNorm(self.head_width, eps=NORM_EPSILON)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, view: View) -> Tensor:
        """x [B, T, D], cos and sin [T, d / 2] -> [B, T, D]."""
        batch, length, _ = x.shape
        query = self.query(x).view(batch, length, self.heads, self.head_width)
        key = self.key(x).view(batch, length, self.kv_heads, self.head_width)
        value = self.value(x).view(batch, length, self.kv_heads, self.head_width)
        # norms and angles in fp32 under autocast as well; flex and varlen want one type
        query = rotate(self.query_norm(query.float()).transpose(1, 2), cos, sin)
        key = rotate(self.key_norm(key.float()).transpose(1, 2), cos, sin)
        value = value.transpose(1, 2)
        mixed = attend(query.to(value.dtype), key.to(value.dtype), value, view)
        joined = mixed.transpose(1, 2).reshape(batch, length, self.heads * self.head_width)
        return self.out(joined)  # type: ignore[no-any-return]


def rotary_tables(context: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embeddings (Su et al. 2021), each [T, d / 2]."""
    frequencies = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angles = torch.outer(torch.arange(context, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + d / 2) of x [B, heads, T, d] by its position's angle."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)
