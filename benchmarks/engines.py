"""What do Ray and Spark cost beside the local engine, and how does cost grow with the input?

    python benchmarks/engines.py [--mb 40] [--runs 3] [--workers 2]
    python benchmarks/engines.py --growth 0.1 1 4

Runs one recipe (fineweb's rules, deduplication, personal data, a given vocabulary, shards) over
lines of real text on each engine, one after the other, several times, and compares the bytes of
what came. CPU-seconds are those of all processes: of the driver, of workers, of Ray's servers and
of the JVM. Start-up is what the same engine takes to start, to do nothing on every worker, to end.

`--growth` (in GB, with the local engine) prints CPU-seconds and the largest memory for each size,
and the slope: the power of the size with which the cost grows; 1 is linear.
"""

import argparse
import hashlib
import json
import math
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import paragraphs_of_prose
from benchmarks.line import trained_tokenizer
from benchmarks.process_tree import Cost, cost_of

ENGINES = ("local", "ray", "spark")
DOCUMENT_BYTES = 1_000, 12_000
FILE_MB = 50
MILL = [sys.executable, "-m", "corpusmill"]

START = """
import sys, time
from corpusmill.pipelines.engines.choice import open_engine
from corpusmill.pipelines.engines.settings import EngineSettings
engine = open_engine(EngineSettings(name=sys.argv[1], workers=int(sys.argv[2])))
engine.map(time.sleep, [0.2] * engine.workers)
engine.close()
"""


def write_lines(folder: Path, size: float) -> int:
    """JSONL files of documents whose paragraphs were drawn by lot; their bytes of text.

    Paragraphs come in several documents, few of them in the same two: copies are rare, as they are
    in a crawl that was deduplicated before.
    """
    pool = list(paragraphs_of_prose())
    chance = random.Random(8)
    smallest, largest = map(math.log, DOCUMENT_BYTES)
    written = files = 0
    folder.mkdir(parents=True)
    while written < size:
        held = 0
        with (folder / f"lines-{files:05d}.jsonl").open("w", encoding="utf-8") as stream:
            while held < FILE_MB * 1e6 and written + held < size:
                wanted = math.exp(chance.uniform(smallest, largest))
                parts: list[str] = []
                length = 0
                while length < wanted:
                    parts.append(chance.choice(pool))
                    length += len(parts[-1])
                text = "\n\n".join(parts)
                held += len(text.encode())
                stream.write(json.dumps({"text": text}) + "\n")
        written += held
        files += 1
    return written


def recipe_of(lines: Path, tokenizer: Path) -> dict[str, Any]:
    """From lines to shards."""
    return {
        "name": "engines",
        "part_mb": 16,
        "sources": [{"name": "lines", "kind": "web", "path": str(lines / "*.jsonl")}],
        "stages": [
            {"heuristics": {"preset": "fineweb"}},
            {"deduplicate": {"preset": "fineweb"}},
            {"anonymize": {"method": "mask"}},
            {"tokenize": {"tokenizer": str(tokenizer)}},
        ],
    }


def digest(run: Path) -> str:
    """Of all bytes of documents and shards."""
    total = hashlib.sha256()
    for area in ("documents", "shards"):
        for file in sorted((run / area).rglob("*")):
            if file.is_file():
                total.update(file.name.encode())
                total.update(file.read_bytes())
    return total.hexdigest()


def run_on(engine: str, recipe: Path, out: Path, workers: int) -> Cost:
    """One run of the command line."""
    options = ["--out", str(out), "--engine", engine, "--workers", str(workers), "--json"]
    return cost_of([*MILL, "run", str(recipe), *options])


def compared(folder: Path, megabytes: float, runs: int, workers: int) -> Iterator[dict[str, Any]]:
    """The figures of the engines on one input."""
    size = write_lines(folder / "lines", megabytes * 1e6)
    tokenizer = trained_tokenizer(folder / "tokenizer.json")
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(recipe_of(folder / "lines", tokenizer)))
    costs: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    starts: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    digests: dict[str, set[str]] = {engine: set() for engine in ENGINES}
    peaks: dict[str, float] = {}
    for number in range(runs):
        for engine in ENGINES:
            start = [sys.executable, "-c", START, engine, str(workers)]
            starts[engine].append(cost_of(start).cpu_seconds)
            out = folder / f"{engine}-{number}"
            cost = run_on(engine, recipe, out, workers)
            costs[engine].append(cost.cpu_seconds)
            peaks[engine] = max(cost.peak_mb, peaks.get(engine, 0.0))
            digests[engine].add(digest(out))
    local = statistics.median(costs["local"]) - statistics.median(starts["local"])
    for engine in ENGINES:
        start_up = statistics.median(starts[engine])
        spent = statistics.median(costs[engine])
        yield {
            "figure": "engines",
            "engine": engine,
            "input_mb": round(size / 1e6, 1),
            "workers": workers,
            "cpu_seconds": round(spent, 2),
            "start_up_cpu_seconds": round(start_up, 2),
            "ratio_to_local_without_start_up": round((spent - start_up) / local, 2),
            "peak_mb": round(peaks[engine]),
            "same_bytes_as_local": digests[engine] == digests["local"],
        }


def growth(folder: Path, sizes: Sequence[float], workers: int) -> Iterator[dict[str, Any]]:
    """Cost by size, on the local engine."""
    tokenizer = trained_tokenizer(folder / "tokenizer.json")
    seconds: list[float] = []
    for gigabytes in sizes:
        lines = folder / f"lines-{gigabytes:g}"
        size = write_lines(lines, gigabytes * 1e9)
        recipe = folder / f"{gigabytes:g}.yaml"
        recipe.write_text(yaml.safe_dump(recipe_of(lines, tokenizer)))
        cost = run_on("local", recipe, folder / f"run-{gigabytes:g}", workers)
        seconds.append(cost.cpu_seconds)
        yield {
            "figure": "growth",
            "input_gb": round(size / 1e9, 3),
            "cpu_seconds": round(cost.cpu_seconds, 1),
            "wall_seconds": round(cost.wall_seconds, 1),
            "mb_per_cpu_second": round(size / 1e6 / cost.cpu_seconds, 2),
            "peak_mb": round(cost.peak_mb),
        }
    if len(sizes) > 1:
        times = math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0])
        yield {"figure": "growth_slope", "from_gb": sizes[0], "to_gb": sizes[-1], "slope": times}


def main() -> None:
    """Print the figures, one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=float, default=40.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--growth", type=float, nargs="+", metavar="GB")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="engines-") as folder:
        figures = (
            growth(Path(folder), asked.growth, asked.workers)
            if asked.growth
            else compared(Path(folder), asked.mb, asked.runs, asked.workers)
        )
        for figure in figures:
            print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
