"""TRAIN/tensorboard: the rows of metrics.jsonl as TensorBoard reads them.

It is made anew of the rows whenever a run goes on, so that no step stands there twice.
"""

import glob
import os
from collections.abc import Iterator, Mapping
from typing import Any

from corpusmill.errors import UsageError

FOLDER = "tensorboard"

STATES = frozenset({"step", "tokens", "seconds", "skipped"})
"""What a row says besides its measures."""

PARTS = {"sources": "", "classes": "class "}
"""What a row measures one by one, and what stands before their names: a class of a mixture may be
called as a source is."""


def require_tensorboard() -> None:
    """Raise UsageError unless TensorBoard's writer is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise UsageError(
            "tensorboard: needs the package: pip install 'corpusmill[tensorboard]', "
            "or leave `tensorboard` off: metrics.jsonl has the same numbers"
        ) from None


class Board:
    """Writes rows; those that are not yet on the disk when the process is killed come again."""

    def __init__(self, out: str) -> None:
        """An empty one: the event files of earlier calls are removed."""
        from torch.utils.tensorboard.writer import SummaryWriter

        folder = os.path.join(out, FOLDER)
        for path in glob.glob(os.path.join(glob.escape(folder), "events.out.tfevents.*")):
            os.remove(path)
        # tells a TensorBoard that is looking on to forget what it has read
        self._writer: Any = SummaryWriter(folder, purge_step=0)

    def add(self, row: Mapping[str, Any]) -> None:
        """One row of metrics.jsonl."""
        for tag, value in scalars(row):
            self._writer.add_scalar(tag, value, row["step"])

    def close(self) -> None:
        """Bring everything to the disk."""
        self._writer.close()


def scalars(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The measures of a row by their tags: `training/loss`, `validation/books/bits_per_byte`."""
    group = "training" if "loss" in row else "validation" if "sources" in row else "energy"
    for name, value in row.items():
        if name in PARTS:
            for part, measures in value.items():
                for measure, number in measures.items():
                    if number is not None:
                        yield f"{group}/{PARTS[name]}{part}/{measure}", number
        elif name not in STATES and value is not None:
            yield f"{group}/{name.removeprefix('validation_')}", value
