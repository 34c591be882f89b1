"""What a model costs: its parameters, and the multiplications that a token takes.

Both follow from the settings alone; torch is not needed. Only products of matrices count, as usual
(Chowdhery et al. 2022, appendix B): a multiplication and an addition each, and twice as many on the
way back as forward. Norms, rotations and the optimizer are left out, and so is what activation
checkpointing computes again.
"""

from corpusmill.pretrain.config import ModelSettings


def parameters(settings: ModelSettings, vocab_size: int) -> int:
    """Numbers that are trained; tied ones count once."""
    width, head_width = settings.width, settings.width // settings.heads
    kv_width = settings.kv_heads * head_width
    attention = 2 * width * (width + kv_width) + (2 * head_width if settings.qk_norm else 0)
    network = 3 * width * settings.feed_forward
    if settings.experts:
        network = settings.experts * (network + width)
    blocks = settings.layers * (attention + network + 2 * width)
    matrices = 1 if settings.tied_embeddings else 2
    return blocks + width + matrices * vocab_size * width


def training_flops(settings: ModelSettings, vocab_size: int, context: int) -> float:
    """Floating-point operations that one token costs in training: forward and backward.

    Of experts those that a token uses count. In attention, what a token may see of its sequence
    counts: half of it on average, less with a window. Document masks are not considered.
    """
    width = settings.width
    kv_width = settings.kv_heads * (width // settings.heads)
    network = 3 * width * settings.feed_forward
    if settings.experts:
        network = settings.experts_per_token * network + settings.experts * width
    multiplications = float(vocab_size * width)
    for block in range(settings.layers):
        seen = mean_seen(context, settings.window_of(block))
        multiplications += 2 * width * (width + kv_width) + network + 2 * width * seen
    return 6 * multiplications


def mean_seen(context: int, window: int | None) -> float:
    """Tokens that one sees, itself included, on average over a sequence of `context`."""
    window = min(window or context, context)
    rising = window * (window + 1) / 2
    return (rising + (context - window) * window) / context
