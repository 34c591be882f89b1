"""What an audit found, in a terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from corpusmill.report.terminal import amount, make_table, plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

SHOWN_LEAKS = 10
"""Kinds of leaks that are shown; all of them are in RUN/audit.json."""

_RATE = {"planted": True, "left": True, "recall": True, "95 % interval": True}
_GROUPS = (("entity", "By type"), ("language", "By language"), ("position", "By position"))


def audit_view(facts: Mapping[str, Any]) -> "RenderableType":
    """What `corpusmill.pipelines.audit.audit` returned."""
    from rich.console import Group

    goal = facts["min_recall"]
    head = plain(
        f"{facts['run']}: {facts['identities']:,} made-up people in {facts['copies']:,} copies, "
        f"through {', '.join(facts['stages'])}",
        "bold",
    )
    views: list[RenderableType] = [head]
    for name, title in _GROUPS:
        views.append(_rates(title, name, facts[name], goal))
    if facts["not_covered"]:
        title = "Let stand by the recipe, and not counted"
        views.append(_rates(title, "entity", facts["not_covered"], 0.0))
    if facts["leaks"]:
        views.append(_leaks(facts["leaks"]))
    views += [plain(line) for line in _summary(facts)]
    findings = facts["findings"]
    views += [plain(f"failed: {finding}", "red") for finding in findings]
    if not findings:
        views.append(plain(f"passed: recall is at least {goal}", "green"))
    return Group(*views)


def _rates(title: str, name: str, rates: Mapping[str, Mapping[str, Any]], goal: float) -> "Table":
    table = make_table(title, {name: False, **_RATE})
    for key, rate in rates.items():
        low = rate["recall"] is not None and rate["recall"] < goal
        table.add_row(
            plain(key),
            amount(rate["values"]),
            amount(rate["leaked"]),
            plain(_share(rate["recall"]), "yellow" if low else ""),
            _bounds(rate["interval_95"]),
        )
    return table


def _leaks(leaks: list[dict[str, Any]]) -> "Table":
    columns = ("entity", "language", "position", "template")
    table = make_table("Most frequent leaks", {**dict.fromkeys(columns, False), "left": True})
    for leak in leaks[:SHOWN_LEAKS]:
        table.add_row(*(plain(leak[name]) for name in columns), amount(leak["leaks"]))
    return table


def _summary(facts: Mapping[str, Any]) -> list[str]:
    sample, shards = facts["sample"], facts["shards"]
    lines = [
        f"recall {_share(facts['recall'])} {_bounds(facts['interval_95'])}: "
        f"{facts['leaked']:,} of {facts['values']:,} values left",
        f"precision {_share(facts['precision'])} {_bounds(facts['precision_interval_95'])}: "
        f"{facts['false_replacements']:,} replacements where nothing was planted",
        f"sample: {sample['documents']:,} documents, {amount(sample['replacements_per_mb'])} "
        f"replacements per MB, {sample['changed_again']:,} documents changed by a second pass",
    ]
    if shards is None:
        lines.append("shards: none")
    else:
        lines.append(
            f"shards: {shards['documents']:,} of {shards['of']:,} documents decoded, "
            f"{shards['identifiers']:,} identifiers in {shards['documents_with_identifiers']:,}"
        )
        lines += [f"  {entity}: {n:,}" for entity, n in shards["entities"].items()]
    if facts["leave"]:
        lines.append(f"left on purpose: {', '.join(facts['leave'])}")
    if facts["not_anonymized"]:
        lines.append(f"sources that no stage anonymizes: {', '.join(facts['not_anonymized'])}")
    return lines


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"


def _bounds(interval: list[float]) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}"
