"""Tasks that wait to be killed from outside: they say who they are, once. Importable by workers."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

HELD_SECONDS = 300
MARK = "held"


def hold(folder: str) -> None:
    """The first call writes the process that makes it and waits; later ones go on."""
    mark = Path(folder) / MARK
    try:
        number = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.write(number, b"%d\n" % os.getpid())
    os.close(number)
    time.sleep(HELD_SECONDS)


def square_held(item: tuple[str, int]) -> int:
    """Item 3 waits to be killed."""
    folder, n = item
    if n == 3:
        hold(folder)
    return n * n


def stop(n: int) -> int:
    """Item 1 stands still."""
    if n == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return n


@dataclass(frozen=True)
class HeldAtTheEnd:
    """Gives back what it gets; the first partition waits to be killed."""

    folder: str

    def __call__(self, rows: pa.Table) -> pa.Table:
        hold(self.folder)
        return rows


@dataclass(frozen=True)
class HeldAtTheBeginning:
    """Gives back what it gets; who reads it first, to cut a file, waits to be killed."""

    folder: str

    def __call__(self, rows: pa.Table) -> pa.Table:
        return rows

    def __reduce__(self) -> Any:
        return _read_held, (self.folder,)


def _read_held(folder: str) -> HeldAtTheBeginning:
    hold(folder)
    return HeldAtTheBeginning(folder)
