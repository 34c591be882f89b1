"""How a run goes, on a terminal (bars) or anywhere else (lines)."""

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from corpusmill.pipelines.ledger import StageRecord


def stage_line(record: StageRecord) -> str:
    """One finished stage in one line."""
    counts = record.counts
    parts = [f"{record.name}: {counts.found} in", f"{counts.out} out"]
    parts += [f"{n} {reason}" for reason, n in counts.dropped.most_common(3)]
    if counts.changed:
        parts.append(f"{counts.changed} changed")
    if counts.added:
        parts.append(f"{counts.added} added")
    if counts.quarantined:
        parts.append(f"{counts.quarantined} quarantined")
    parts += [f"{n} {reason} skipped" for reason, n in counts.skipped.most_common(3)]
    return ", ".join(parts) + f" ({record.wall_seconds:.1f} s)"


class Lines:
    """A line as each stage ends."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def begin(self, stage: str, total: int) -> None:
        """Nothing yet."""

    def advance(self) -> None:
        """Nothing yet."""

    def end(self, record: StageRecord) -> None:
        """The stage's line."""
        self._write(stage_line(record))

    def note(self, text: str) -> None:
        """The note."""
        self._write(f"note: {text}")


class Bars:
    """A bar for the stage at work, lines for those that are done."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, stage: str, total: int) -> None:
        """A new bar."""
        self._progress.reset(self._task, description=stage, total=total or None)

    def advance(self) -> None:
        """One task further."""
        self._progress.advance(self._task)

    def end(self, record: StageRecord) -> None:
        """The stage's line."""
        self._progress.console.print(stage_line(record), markup=False, highlight=False)

    def note(self, text: str) -> None:
        """The note."""
        self._progress.console.print(f"note: {text}", markup=False, highlight=False)
