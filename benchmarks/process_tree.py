"""What a command costs with all processes below it: CPU-seconds, memory, wall time."""

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

PR_SET_CHILD_SUBREAPER = 36
SAMPLED_SECONDS = 0.25
"""Between two looks at the memory."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one command."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    """The largest sum of all processes' memory that was seen; what they share counts once."""
    printed: str


def cost_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end, and that of all that it has started. Raises SystemExit if it fails.

    What loses its parent becomes a child of this process, so that the kernel adds up all of them.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    before, started = _children_seconds(), time.monotonic()
    with tempfile.TemporaryFile() as complaints, _watched() as peak:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env={**os.environ, **(environment or {})},
        )
        printed = process.communicate()[0].decode()
        if process.returncode:
            complaints.seek(0)
            sys.stderr.buffer.write(complaints.read())
            raise SystemExit(f"{' '.join(command[:4])} ... failed: {process.returncode}")
        with contextlib.suppress(ChildProcessError):  # until there are no more
            while True:
                os.wait()
    return Cost(
        cpu_seconds=_children_seconds() - before,
        wall_seconds=time.monotonic() - started,
        peak_mb=max(peak, default=0.0),
        printed=printed,
    )


@contextlib.contextmanager
def _watched() -> Iterator[list[float]]:
    sums: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(SAMPLED_SECONDS):
            sums.append(_memory_mb())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield sums
    finally:
        over.set()
        thread.join()


def _memory_mb() -> float:
    total = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += child.memory_full_info().pss
    return total / 1e6


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
