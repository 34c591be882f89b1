"""Whom a run silences, for people: what `measure_representation` counted, and its warnings."""

from typing import TYPE_CHECKING, Any

from corpusmill import storage
from corpusmill.errors import RunError
from corpusmill.pipelines.ledger import RunRecord, load_run
from corpusmill.report.lookup import has_texts
from corpusmill.report.terminal import make_table, plain

if TYPE_CHECKING:
    from rich.console import RenderableType

FILE = "representation.json"
SHOWN = 40
"""Warnings, and groups over all stages, that people see; the lowest ratios first."""
ALL = "all stages"


def representation_facts(run: str, record: RunRecord | None = None) -> dict[str, Any]:
    """What RUN/representation.json says, as far as it is about the run as it is now.

    {problem: why there is nothing to show, else null; sample: {share, documents, bytes}; stages:
    [{stage, in, kept}]; groups: [{stage, category, group, in, kept, ratio, high, warning}] with the
    lowest ratios first; warnings: those of them that are one}. Raises RunError for a damaged file.
    """
    record = record or load_run(run)
    path = storage.join(run, FILE)
    nothing: dict[str, Any] = {"sample": None, "stages": [], "groups": [], "warnings": []}
    known = storage.read_json(path) if storage.exists(path) else {}
    try:
        state = [[s.name, s.fingerprint, s.counts.to_json()] for s in record.stages]
        if known.get("run") != state:
            return {**nothing, "problem": _problem(run)}
        stages = [
            {"stage": str(row["stage"]), "in": int(row["in"]), "kept": int(row["kept"])}
            for row in known["stages"]
        ]
        groups = [
            {name: str(row[name]) for name in ("stage", "category", "group")}
            | {name: int(row[name]) for name in ("in", "kept")}
            | {name: None if row[name] is None else float(row[name]) for name in ("ratio", "high")}
            | {"warning": bool(row["warning"])}
            for row in known["groups"]
        ]
        sample = {
            "share": float(known["sample"]["share"]),
            **{name: int(known["sample"][name]) for name in ("documents", "bytes")},
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{path} is damaged: it does not say who is represented") from None
    groups.sort(key=lambda row: (row["ratio"] is None, row["ratio"] or 0.0))
    warnings = [row for row in groups if row["warning"]]
    return {
        "problem": None,
        "sample": sample,
        "stages": stages,
        "groups": groups,
        "warnings": warnings,
    }


def _problem(run: str) -> str:
    if has_texts(run):
        return "It has not been counted since the run last changed: corpusmill report counts it."
    return "It cannot be counted any more: the texts as they came were removed from the run folder."


def shown_representation(facts: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of the facts: the lowest ratios of each table."""
    over_all = [row for row in facts["groups"] if row["stage"] == ALL]
    return {
        **{name: facts[name] for name in ("problem", "sample")},
        "warnings": facts["warnings"][:SHOWN],
        "more_warnings": max(0, len(facts["warnings"]) - SHOWN),
        "groups": over_all[:SHOWN],
        "more_groups": max(0, len(over_all) - SHOWN),
        "all": next((row for row in facts["stages"] if row["stage"] == ALL), None),
    }


def representation_view(facts: dict[str, Any]) -> "RenderableType | None":
    """The warnings for a terminal; None where there is nothing to say."""
    from rich.console import Group

    if facts["problem"] or not facts["warnings"]:
        return None
    table = make_table(
        "Warning: documents that mention these groups are kept less than four fifths as often",
        {
            "stage": False,
            "group": False,
            **dict.fromkeys(("documents", "kept", "share", "of all", "ratio"), True),
        },
    )
    usual = {row["stage"]: row["kept"] / max(row["in"], 1) for row in facts["stages"]}
    for row in facts["warnings"][:SHOWN]:
        table.add_row(
            plain(row["stage"]),
            plain(f"{row['category']}: {row['group']}", "yellow"),
            f"{row['in']:,}",
            f"{row['kept']:,}",
            f"{row['kept'] / row['in']:.1%}",
            f"{usual.get(row['stage'], 0):.1%}",
            f"{row['ratio']:.2f}",
        )
    views: list[RenderableType] = [table]
    if (rest := len(facts["warnings"]) - SHOWN) > 0:
        views.append(plain(f"and {rest:,} other warnings"))
    if facts["sample"]["share"] < 1:
        views.append(plain(f"counted in a sample of {facts['sample']['documents']:,} documents"))
    return Group(*views)
