"""Megabytes of text to which `augment: {noise: ...}` adds errors in a CPU second, by operation.

    python benchmarks/noise_speed.py

Prints a JSON line for each operation, and one for documents that have one operation each, chosen by
their keys, as the stage makes them: medians of interleaved runs.
"""

import json
import statistics
import sys
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import paragraphs_of_prose

from corpusmill.stages.noise import OPERATIONS, Noise, add_noise

MEGABYTES = 4
DOCUMENT_CHARACTERS = 4000
RUNS = 5


def main() -> None:
    """Measure, and print."""
    text = "\n\n".join(islice(paragraphs_of_prose(), 40_000))[: MEGABYTES * 1_000_000]
    texts = [text[i : i + DOCUMENT_CHARACTERS] for i in range(0, len(text), DOCUMENT_CHARACTERS)]
    keys = [f"{number}" for number in range(len(texts))]
    size = sum(len(text.encode()) for text in texts) / 1e6
    nothing = dict.fromkeys(OPERATIONS, 0.0)
    kinds = {
        name: Noise.model_validate({**nothing, name: Noise.model_fields[name].default})
        for name in OPERATIONS
    }
    kinds["one of each"] = Noise()
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(RUNS + 1):
        for name, noise in kinds.items():
            started = time.process_time()
            add_noise(texts, keys, noise)
            if number:  # the first run compiles
                seconds[name].append(time.process_time() - started)
    for name, spent in seconds.items():
        speed = size / statistics.median(spent)
        figure = {"figure": "noise", "operation": name, "mb_per_cpu_second": round(speed, 1)}
        print(json.dumps({**figure, "documents": len(texts), "mb": round(size, 2)}))


if __name__ == "__main__":
    main()
