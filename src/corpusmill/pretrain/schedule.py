"""The learning rate of each step: a straight rise, then half a cosine."""

import math

MOST_WARMUP_STEPS = 2000
"""GPT-3 and Llama warm up over about so many steps, however long they run."""


def learning_rate(
    step: int, *, steps: int, highest: float, warmup_ratio: float, minimum_ratio: float
) -> float:
    """Of step 1, 2, ..., `steps`: `highest` at the end of the warm-up, its minimum at the last."""
    warmup = min(MOST_WARMUP_STEPS, round(warmup_ratio * steps))
    if step <= warmup:
        return highest * step / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    falling = (1 + math.cos(math.pi * progress)) / 2
    return highest * (minimum_ratio + (1 - minimum_ratio) * falling)
