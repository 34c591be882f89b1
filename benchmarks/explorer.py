"""How long do the explorer's answers take over a run of a million documents, and in what memory?

A small run (the quickstart, unless --run names another) is multiplied as for `report.py`; its
shards too, with eight tokens for each document. Prints one JSON line for opening the run and one
for each question: the first, the median and the longest of `--times` answers to different ones of
its kind, and the memory that the process holds then.

    python benchmarks/explorer.py [--run RUN] [--documents 1000000] [--times 9]
"""

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
from starlette.testclient import TestClient

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import PART_DOCUMENTS, QUICKSTART, multiply, repeated

from corpusmill import storage
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.run import run
from corpusmill.report.explorer.server import application

TOKEN = "the-token-of-a-benchmark"
TOKENS = 8
"""Of each document in the multiplied shards."""
MOVED = ("gopher_short_doc", "gopher_top_2_gram", "fineweb_list_ratio", "c4_too_few_sentences")

QUESTIONS: dict[str, Callable[[int], str]] = {
    "documents": lambda n: f"/?page={n + 1}",
    "dropped": lambda n: f"/?fate=dropped&page={n + 1}",
    "address": lambda n: f"/?uri=site{n}-",
    "text": lambda n: f"/?text=the+bell+{n}",
    "stage_read": lambda n: "/thresholds/02-heuristics",
    "one_slider": lambda n: f"/thresholds/02-heuristics/counts?at.{MOVED[0]}={40 + n}",
    "four_sliders": lambda n: (
        "/thresholds/02-heuristics/counts?"
        + "&".join(f"at.{rule}={0.1 + n / 100}" for rule in MOVED)
    ),
}


def main() -> None:
    """Make the run and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run; the quickstart is run without")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        if arguments.run is None:
            run(recipe_for([str(QUICKSTART)], [])[0], str(small))
        else:
            shutil.copytree(arguments.run, small)
        multiply(small, large, arguments.documents)
        multiply_shards(small, large)
        ask(large, arguments.times)


def multiply_shards(small: Path, large: Path) -> None:
    """Shards with as many copies of each document as the run has, and few tokens of each."""
    counts = [
        storage.read_json(str(folder / "run.json"))["stages"][0]["counts"]["in"]
        for folder in (small, large)
    ]
    copies = counts[1] // counts[0]
    shutil.copy(small / "shards/tokenizer.json", large / "shards/tokenizer.json")
    for path in (small / "shards").glob("*.arrow"):
        table = storage.read_ipc(str(path)).select(["id", "tokens"])
        short = pc.list_slice(table.column("tokens"), 0, TOKENS)
        addresses = pa.array([""] * table.num_rows)
        table = pa.table({"id": table.column("id"), "uri": addresses, "tokens": short})
        pieces = [
            repeated(table, range(first, min(first + PART_DOCUMENTS, copies)), 0)
            for first in range(0, copies, PART_DOCUMENTS)
        ]
        whole = pa.concat_tables(pieces).select(["id", "tokens"])
        storage.write_ipc(str(large / "shards" / path.name), whole)


def ask(folder: Path, times: int) -> None:
    """Open the run as `corpusmill explore` does, and ask every question."""
    began = time.perf_counter()
    app = application(str(folder), TOKEN)
    tell("open", [time.perf_counter() - began])
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get(f"/?token={TOKEN}")
        for name, question in QUESTIONS.items():
            seconds = []
            for number in range(times):
                began = time.perf_counter()
                answer = client.get(question(number))
                seconds.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text
            tell(name, seconds)


def tell(figure: str, seconds: list[float]) -> None:
    """One line of figures."""
    line = {
        "figure": f"explorer_{figure}",
        "first_ms": round(1000 * seconds[0]),
        "median_ms": round(1000 * statistics.median(seconds)),
        "longest_ms": round(1000 * max(seconds)),
        "memory_mb": round(psutil.Process().memory_info().rss / 1e6),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
