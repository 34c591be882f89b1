"""An index of `deduplicate` for a terminal: its generations and their sources."""

from typing import TYPE_CHECKING, Any

from corpusmill.report.showing import visible

if TYPE_CHECKING:
    from rich.console import RenderableType


def index_view(data: dict[str, Any]) -> "RenderableType":
    """What `corpusmill.stages.duplicate_index.index_data` found."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=visible(data["index"]), title_justify="left")
    for column in ("run", "source", "documents", "accepted", "MB"):
        right = column in ("documents", "accepted", "MB")
        table.add_column(column, justify="right" if right else "left")
    for generation in data["generations"]:
        megabytes = f"{generation['bytes'] / 1e6:.1f}"
        rows = list(generation["sources"].items()) or [("", {"documents": 0, "accepted": 0})]
        for source, counts in rows:
            table.add_row(
                Text(visible(generation["run"])),
                Text(visible(source)),
                f"{counts['documents']:,}",
                f"{counts['accepted']:,}",
                megabytes,
            )
            megabytes = ""
    made_with = ", ".join(f"{name} {value}" for name, value in data["settings"].items())
    return Group(table, Text(f"made with {visible(made_with)}"))
