"""How much time and memory does it take to cluster so many signatures that lie on disk?

    python -m benchmarks.synthetic_signatures DOCUMENTS

Run by benchmarks/deduplicate.py in a process of its own for each size. A fifth of the signatures
are noisy copies of earlier ones, that share some of their bands. Keys are a file for each band,
signatures one file that is read by row. Prints one JSON object.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from benchmarks.peers.common import peak_mb

from corpusmill.filters.clusters import near_duplicates
from corpusmill.filters.signatures import BINS

BANDS, THRESHOLD = 14, 0.75
COPIES = 0.2
CHANGED_BINS = 0.15
SHARED_BANDS = 0.3
AT_ONCE = 50_000


def write(folder: Path, documents: int) -> int:
    """Write keys and signatures; returns how many copies share a band with their original."""
    chance = np.random.default_rng(7)
    copies = int(documents * COPIES)
    originals = documents - copies
    source = chance.integers(0, originals, copies)
    met = np.zeros(copies, np.bool_)
    for band in range(BANDS):
        keys = chance.integers(-(2**63), 2**63 - 1, documents)
        shared = chance.random(copies) < SHARED_BANDS
        keys[originals:][shared] = keys[source[shared]]
        met |= shared
        keys.tofile(folder / f"band-{band}")
    with (folder / "bins").open("wb") as stream:
        for start in range(0, originals, AT_ONCE):
            stream.write(chance.bytes(min(AT_ONCE, originals - start) * BINS))
        stream.flush()
        fetch = fetcher(folder)
        for start in range(0, copies, AT_ONCE):
            some = source[start : start + AT_ONCE]
            bins = fetch(some)
            changed = slice(0, int(BINS * CHANGED_BINS))
            shape = (len(some), changed.stop)
            bins[:, changed] = chance.integers(0, 256, shape, np.uint8)
            stream.write(bins.tobytes())
    return int(met.sum())


def fetcher(folder: Path) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]]:
    """A function that reads the signatures of some rows, one by one."""
    file = os.open(folder / "bins", os.O_RDONLY)

    def fetch(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        bins = np.empty((len(rows), BINS), np.uint8)
        for place, row in enumerate(rows.tolist()):
            os.preadv(file, [bins[place]], row * BINS)
        return bins

    return fetch


def main() -> None:
    """Write, cluster, print."""
    documents = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="corpusmill-signatures-") as name:
        folder = Path(name)
        met = write(folder, documents)
        near_duplicates([np.zeros(2, np.int64)], lambda rows: np.zeros((2, BINS), np.uint8), 1.0)
        start = time.process_time()
        bands = (np.fromfile(folder / f"band-{band}", np.int64) for band in range(BANDS))
        removed = near_duplicates(bands, fetcher(folder), THRESHOLD)
        seconds = time.process_time() - start
    figures = {
        "documents": documents,
        "cpu_seconds": round(seconds, 2),
        "peak_mb": round(peak_mb(), 1),
        "removed": len(removed.rows),
        "copies_that_meet": met,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
