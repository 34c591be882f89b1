"""What a mixture asks for, and what training gets of it: numbers for a table, and a chart.

The measure is one pass's worth of tokens, as many as there are to train on. Training keeps the
proportions until a class has given all that its budget or `max_repetitions` permits; then the
others take its turns. Shares are counted in tokens here, as if there were no rows.
"""

from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Any

from corpusmill.report.charts import bars

TRAIN = "train"
BY_SOURCE = "source"

DRAWN = 40
"""Classes that are shown: those with the most tokens."""


def mixture_facts(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of the content of manifest.json; None where it has no mixture.

    {by, weights, max_repetitions, tokens, delivered, until, classes: [{name, tokens, natural,
    asked, delivered, asked_epochs, epochs}]}: tokens there are and tokens that are delivered, at
    most one pass's worth; `until` is the token from which on a class is missing, None where there
    is none; shares of these tokens, and how often they go through the class, most tokens first.
    """
    mixture = manifest["mixture"]
    if mixture is None:
        return None
    by = str(mixture.get("by", BY_SOURCE))
    held = _held(manifest, by)
    whole = sum(held.values())
    most = float(mixture["max_repetitions"])
    left = {name: n * most for name, n in held.items()}
    for name, budget in mixture.get("budgets", {}).items():
        left[name] = min(left.get(name, 0.0), float(budget))
    phases = [(float(p["tokens"]), _numbers(p["weights"])) for p in mixture.get("curriculum", ())]
    phases.append((inf, _numbers(mixture["weights"])))
    asked, _ = _taken(phases, dict.fromkeys(held, inf), whole)
    taken, until = _taken(phases, left, whole)
    delivered = sum(taken.values())
    return {
        "by": by,
        "weights": _numbers(mixture["weights"]),
        "max_repetitions": most,
        "tokens": whole,
        "delivered": round(delivered),
        "until": until,
        "classes": [
            {
                "name": name,
                "tokens": n,
                "natural": n / whole,
                "asked": asked[name] / whole,
                "delivered": taken[name] / delivered if delivered else 0.0,
                "asked_epochs": asked[name] / n,
                "epochs": taken[name] / n,
            }
            for name, n in sorted(held.items(), key=lambda item: (-item[1], item[0]))
        ],
    }


def _held(manifest: Mapping[str, Any], by: str) -> Counter[str]:
    """Tokens to train on by class, of those that have any."""
    held: Counter[str] = Counter()
    for shard in manifest["shards"]:
        if shard["split"] == TRAIN:
            column, rows = ("source", "runs") if by == BY_SOURCE else ("group", "groups")
            for row in shard[rows]:
                held[str(row[column])] += int(row["tokens"])
    return +held


def _numbers(weights: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(weight) for name, weight in weights.items()}


def _taken(
    phases: list[tuple[float, dict[str, float]]], left: Mapping[str, float], whole: float
) -> tuple[dict[str, float], int | None]:
    """What the first `whole` tokens take of each class, and where the first one has no more."""
    rest, taken = dict(left), dict.fromkeys(left, 0.0)
    done, until = 0.0, None
    for length, weights in phases:
        end = min(whole, done + length)
        while done < end:
            held = {n: weights[n] for n in sorted(rest) if n in weights and rest[n] > 0}
            scale = sum(held.values())
            if not held:
                break
            last = min(held, key=lambda name: rest[name] / held[name])
            step = min(end - done, rest[last] * scale / held[last])
            for name, weight in held.items():
                taken[name] += step * weight / scale
                rest[name] -= step * weight / scale
            done += step
            if done < end:
                rest[last] = 0.0
                until = until or round(done)
    return taken, until


def mixture_chart(facts: Mapping[str, Any]) -> str | None:
    """How often training goes through each class, asked for and delivered, as SVG; None where there
    is no class."""
    shown = facts["classes"][:DRAWN]
    if not shown:
        return None
    epochs = {
        name: [float(row[key]) for row in shown]
        for name, key in (("asked for", "asked_epochs"), ("delivered", "epochs"))
    }
    names = [row["name"] for row in shown]
    return bars(names, epochs, "Epochs by class", stacked=False, unit="epochs")
