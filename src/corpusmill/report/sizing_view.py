"""The size of a cluster as a table: what each stage takes, and all of them."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_COLUMNS = (
    "step",
    "enters",
    "documents",
    "MB per core-hour",
    "core-hours",
    "shuffle per document",
    "shuffle",
    "disk",
    "memory of a worker",
)


def sizing_view(facts: dict[str, Any]) -> RenderableType:
    """The facts of `corpusmill.pipelines.sizing.describe_size` for a terminal."""
    table = Table(title=f"{_bytes(facts['input_bytes'])} of input", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "step" else "right")
    for stage in facts["stages"]:
        rate = stage["mb_per_core_hour"]
        unknown = "not measured" if stage["not_measured"] else "-"
        table.add_row(
            stage["name"],
            _bytes(stage["bytes_in"]),
            f"{stage['documents_in']:,.0f}",
            f"{rate:,.0f}" if rate else unknown,
            f"{stage['core_hours']:,.1f}",
            f"{stage['shuffle_bytes_per_document']:,.0f} B",
            _bytes(stage["shuffle_bytes"]),
            _bytes(stage["disk_bytes"]),
            f"{stage['worker_mb']:,.0f} MB" if stage["worker_mb"] else "-",
        )
    lines = [
        f"in all: {facts['core_hours']:,.1f} core-hours; on {facts['cores']} cores "
        f"{_hours(facts['wall_hours'])}, of which {_hours(facts['driver_hours'])} are the driver's "
        "alone",
        f"run folder: {_bytes(facts['disk_bytes'])}; shuffle: {_bytes(facts['shuffle_bytes'])}, "
        "written once and read once",
        f"memory: {facts['worker_mb']:,.0f} MB for each worker (one core each), "
        f"{_bytes(facts['worker_mb'] * 1e6 * facts['cores'])} in all",
        f"measured on {facts['machine']}; what was not measured on a cluster is taken to grow with "
        "the input and to divide by the cores: see docs/cluster.md",
    ]
    if facts["not_measured"]:
        names = ", ".join(facts["not_measured"])
        lines.insert(0, f"no measure, so not in the figures: {names}")
    return Group(table, *map(Text, lines))


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} PB"


def _hours(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.1f} s"
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
