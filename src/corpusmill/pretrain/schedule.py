"""The learning rate of each step: a straight rise, then one of three ways down."""

import math

from corpusmill.pretrain.config import Settings

MOST_WARMUP_STEPS = 2000
"""GPT-3 and Llama warm up over about so many steps, however long they run."""


def learning_rate(step: int, settings: Settings) -> float:
    """Of step 1, 2, ..., `steps`: highest at the end of the warm-up, its minimum at the last."""
    warmup = min(MOST_WARMUP_STEPS, round(settings.warmup_ratio * settings.steps))
    if step <= warmup:
        return settings.learning_rate * step / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "wsd":
        falling = min(1.0, (settings.steps - step) / max(1, _decay_steps(settings, warmup)))
    else:
        progress = (step - warmup) / max(1, settings.steps - warmup)
        falling = (1 + math.cos(math.pi * progress)) / 2
    ratio = settings.minimum_ratio
    return settings.learning_rate * (ratio + (1 - ratio) * falling)


def _decay_steps(settings: Settings, warmup: int) -> int:
    return min(settings.steps - warmup, round(settings.decay_ratio * settings.steps))
