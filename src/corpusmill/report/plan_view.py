"""The plan of a recipe as a picture: sources side by side, the steps below each other."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def plan_view(plan: dict[str, Any]) -> RenderableType:
    """The plan (`corpusmill.pipelines.plan.describe`) for a terminal."""
    sources = Table(title="sources", title_justify="left")
    for column in ("name", "kind", "files", "MB"):
        sources.add_column(column, justify="right" if column in ("files", "MB") else "left")
    for source in plan["sources"]:
        megabytes = f"{source['bytes'] / 1e6:.1f}"
        sources.add_row(Text(source["name"]), source["kind"], str(source["files"]), megabytes)

    names = [source["name"] for source in plan["sources"]]
    kinds = {source["name"]: source["kind"] for source in plan["sources"]}
    steps = Table(title="steps", title_justify="left")
    steps.add_column("step")
    for name in names:
        steps.add_column(Text(name), justify="center")
    steps.add_column("how")
    for stage in plan["stages"]:
        targets = stage["for"]
        cells = [
            "●" if not targets or name in targets or kinds[name] in targets else "│"
            for name in names
        ]
        how = stage["how"] + ("; writes its output" if stage["writes"] else "")
        steps.add_row(stage["name"], *cells, how)
    facts = [
        Text(f"{stage['name']}: {fact}") for stage in plan["stages"] for fact in stage["facts"]
    ]
    disk = Text(f"estimated disk: {plan['estimated_disk_bytes'] / 1e6:.0f} MB")
    return Group(sources, steps, *facts, disk)
