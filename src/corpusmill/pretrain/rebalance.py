"""What a training says of the classes of its mixture: for the mixture of the next round."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from corpusmill.errors import UsageError
from corpusmill.pretrain.folder import read_record
from corpusmill.pretrain.metrics import read_metrics
from corpusmill.tokenize.manifest import BY_SOURCE

WORST_BITS = 16.0
"""Bits per byte that count at most: a model that knows nothing needs 8."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Of a training folder."""

    bits_per_byte: Mapping[str, float]
    """Class -> what the newest evaluation measured."""
    weights: Mapping[str, float]
    """Class -> what the training was asked to see; empty where it had no mixture."""


def read_judgement(train: str, by: str) -> Judgement:
    """The newest evaluation of a training folder by class.

    Raises UsageError when there is none, or one of other classes only.
    """
    record = read_record(train)
    mixture = record.get("mixture")
    trained_by = mixture.get("by") if isinstance(mixture, dict) else BY_SOURCE
    if by not in (BY_SOURCE, trained_by):
        raise UsageError(
            f"{train}: was evaluated by {trained_by}, not by {by}: train once on shards of a "
            f"recipe with `mix: {{by: {by}, temperature: 1}}`, which leaves the proportions as "
            "they are"
        )
    column = "sources" if by == BY_SOURCE else "classes"
    rows = [row for row in read_metrics(train) if isinstance(row.get(column), dict)]
    found = _numbers(rows[-1][column]) if rows else {}
    if not found:
        raise UsageError(
            f"{train}: has no evaluation by {by} yet: its shards need a validation "
            "split, and the training must have come to its first evaluation"
        )
    weights = mixture.get("weights") if isinstance(mixture, dict) and trained_by == by else None
    return Judgement(bits_per_byte=found, weights=_weights(weights))


def _numbers(measured: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, measures in sorted(measured.items()):
        bits = measures.get("bits_per_byte") if isinstance(measures, dict) else None
        if isinstance(bits, int | float) and not isinstance(bits, bool) and bits >= 0:
            found[name] = min(float(bits), WORST_BITS)
    return found


def _weights(weights: Any) -> dict[str, float]:
    if not isinstance(weights, dict):
        return {}
    return {
        name: float(weight)
        for name, weight in sorted(weights.items())
        if isinstance(weight, int | float) and isfinite(weight) and weight > 0
    }
