"""What every peer's script does around its own work: read documents, count CPU and memory, print.

    python SCRIPT {signature,mask} DOCUMENTS

DOCUMENTS holds texts in UTF-8 with a zero byte after each. Reading them, and holding them as the
tool wants them, is not measured. One JSON object is printed.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BANDS, ROWS, WORDS, THRESHOLD = 14, 8, 5, 0.75
"""What all are asked to do: the bands of FineWeb, shingles of five words."""

WARM_UP = 20
"""Documents on which everything runs once before it is measured: imports, compiled code, tables."""


def peak_mb() -> float:
    """The most memory that was resident since this program began (the high-water mark)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def measure(
    signature: Callable[[Any], object],
    mask: Callable[[Any], object] | None,
    prepare: Callable[[list[str]], Any] = list,
) -> None:
    """Run what the command line asks for, on the documents in the form that `prepare` gives."""
    mode, path = sys.argv[1:3]
    data = Path(path).read_bytes()
    texts = [text.decode() for text in data.split(b"\0")[:-1]]
    size = len(data) - len(texts)
    documents = prepare(texts)
    del data, texts
    work = signature if mode == "signature" else mask
    if work is None:
        raise SystemExit(f"mode {mode!r} is not measured here")
    work(documents[:WARM_UP])
    start = time.process_time()
    work(documents)
    seconds = time.process_time() - start
    figures = {
        "cpu_seconds": seconds,
        "mb": size / 1e6,
        "peak_mb": peak_mb(),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
