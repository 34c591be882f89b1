"""Where a run computes, and in which precision: `auto` made definite, determinism switched on."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

from corpusmill.errors import UsageError
from corpusmill.pretrain.config import Settings

FLEX_WIDTH = 16
"""Of a head: FlexAttention has no kernel for narrower ones."""


def resolve(settings: Settings) -> Settings:
    """The settings with `auto` replaced by what this machine has, so that the folder records it."""
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device: cuda was asked for, but torch finds none: set device=cpu")
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if multiplies_bf16(device) else "fp32"
    return settings.model_copy(
        update={
            "device": device,
            "precision": precision,
            "attention": _attention(settings, device, precision),
        }
    )


def _attention(settings: Settings, device: str, precision: str) -> str:
    model = settings.model
    head_width = model.width // model.heads
    if settings.attention == "auto":
        masked = settings.document_masks or model.window is not None
        return "flex" if device == "cuda" and masked and head_width >= FLEX_WIDTH else "sdpa"
    if settings.attention != "sdpa" and device != "cuda":
        raise UsageError(f"attention: {settings.attention} needs a CUDA device: set attention=sdpa")
    if settings.attention == "flex" and head_width < FLEX_WIDTH:
        raise UsageError(
            f"attention: flex needs heads {FLEX_WIDTH} wide at least, model.width / model.heads "
            f"is {head_width}: set attention=sdpa"
        )
    if settings.attention == "varlen":
        if precision != "bf16":
            raise UsageError("attention: varlen needs precision=bf16")
        if head_width % 8 or head_width > 256:
            raise UsageError(
                "attention: varlen needs heads whose width is a multiple of 8 and at most 256, "
                f"model.width / model.heads is {head_width}: set attention=sdpa"
            )
    return settings.attention


def multiplies_bf16(device: str) -> bool:
    """Whether the hardware has instructions for products of bf16 matrices.

    Without them torch emulates bf16: a step of the default model took 7.0 CPU seconds against 0.71
    in fp32 on an AVX2 processor.
    """
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """The same numbers on the same machine each time; an operation that cannot is an error."""
    # cuBLAS reads it when it starts; without it torch refuses matrix products
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    # a module of settings that torch gives no types to
    memory: Any = torch.utils.deterministic
    fill_before = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # filling every new tensor first is for finding bugs, and costs one part in twenty of the time
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic_before)
        memory.fill_uninitialized_memory = fill_before


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums depend on how they are divided over threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
