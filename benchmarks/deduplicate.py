"""How fast, how lean and how right is deduplication, beside what else there is?

    make bench-peers && .venv/bin/python benchmarks/deduplicate.py [--mb 200] [--runs 3] [--quick]

Prints one JSON object for each figure:

- `signature`: raw text to signature on one thread: MB per CPU-second and peak memory of each tool,
  medians over interleaved runs, each in a process of its own; `ratio` is corpusmill's rate by the
  other's. Imports, compiled kernels and tables are warmed up before the clock starts.
- `mask`: the same from raw text to a mask of what is kept, checked against whole signatures.
- `recall`: of planted pairs whose exact similarity reaches the threshold, the share that is not
  kept both, against the sum of P(candidate) x P(verified); for each kind of edit and in all.
- `below`, `precision`: pairs more than 0.05 below the threshold that were removed all the same, and
  removals whose exact similarity to what is kept is at least the threshold less 0.03.
- `template`: documents with 200 words in common, and without these unrelated, that were removed.
- `synthetic`: signatures on disk that are clustered, in three sizes; `slope` is the growth of time
  with size (1 is linear), `bytes_per_document` that of resident memory.

Peers below 5 MB/s get 10 MB of the text only.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.edited_copies import EDITS, PlantedCorpus, exact_similarities, make_planted_corpus

from corpusmill.filters.banding import PRESETS
from corpusmill.filters.clusters import kept_instead, least_equal
from corpusmill.filters.shingles import Shingling
from corpusmill.filters.signatures import BINS, CHANCE

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("datasketch", "rensa", "datatrove")
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SLOW_MB_PER_SECOND, SLOW_MB = 5, 10
PROBE_MB = 2
BANDING, SHINGLING, THRESHOLD = PRESETS["fineweb"], Shingling(length=5), 0.75
TEMPLATE_WORDS, TEMPLATE_DOCUMENTS = 200, 10_000
UNRELATED = 0.5
SIZES = 2_500_000, 5_000_000, 10_000_000


def show(figure: str, **values: object) -> None:
    """One line; numbers with four digits."""
    short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in values.items()}
    print(json.dumps({"figure": figure, **short}), flush=True)


# ---- time and memory ----


def write_documents(path: Path, documents: Iterable[str], megabytes: float) -> None:
    """So many megabytes from the start, a zero byte after each document."""
    size = 0
    with path.open("wb") as stream:
        for text in documents:
            size += stream.write(text.encode() + b"\0")
            if size >= megabytes * 1e6:
                break


def run_peer(peer: str, mode: str, documents: Path) -> dict[str, float]:
    """What one process of a tool measured."""
    python = sys.executable if peer == "corpusmill" else str(PEER_PYTHON)
    threads = ("OMP", "OPENBLAS", "RAYON", "NUMBA", "MKL")
    environment = os.environ | {f"{name}_NUM_THREADS": "1" for name in threads}
    done = subprocess.run(
        [python, "-m", f"benchmarks.peers.peer_{peer}", mode, str(documents)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{peer} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(
    mode: str, corpus: PlantedCorpus, folder: Path, runs: int, peers: Iterable[str]
) -> None:
    """Rates of all tools that have the mode, in turns."""
    whole, probe, little = folder / "whole", folder / "probe", folder / "little"
    for path, megabytes in ((whole, math.inf), (probe, PROBE_MB), (little, SLOW_MB)):
        write_documents(path, corpus.documents, megabytes)
    texts = {"corpusmill": whole}
    for peer in peers:
        if mode == "mask" and peer == "datatrove":
            continue  # its later stages work on files
        tried = run_peer(peer, mode, probe)
        slow = tried["mb"] / tried["cpu_seconds"] < SLOW_MB_PER_SECOND
        texts[peer] = little if slow else whole
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in texts}
    for _ in range(runs):
        for name, path in texts.items():
            measured[name].append(run_peer(name, mode, path))
    rates = {}
    for name, results in measured.items():
        seconds = statistics.median(r["cpu_seconds"] for r in results)
        rates[name] = results[0]["mb"] / seconds
        show(
            mode,
            tool=name,
            mb=results[0]["mb"],
            cpu_seconds=seconds,
            mb_per_cpu_second=rates[name],
            peak_mb=statistics.median(r["peak_mb"] for r in results),
            ratio=rates["corpusmill"] / rates[name],
        )


# ---- right or wrong ----


def probability_of_removal(similarity: float) -> float:
    """P(candidate) x P(verified) of a pair, from the number of its bins."""
    equal = similarity * (1 - CHANCE) + CHANCE
    needed = least_equal(THRESHOLD)
    if equal >= 1:
        verified = 1.0
    else:
        logs = (
            math.lgamma(BINS + 1) - math.lgamma(k + 1) - math.lgamma(BINS - k + 1)
            + k * math.log(equal) + (BINS - k) * math.log1p(-equal)
            for k in range(needed, BINS + 1)
        )  # fmt: skip
        verified = sum(map(math.exp, logs))
    return BANDING.candidate_probability(similarity) * verified


def judge(corpus: PlantedCorpus) -> None:
    """Recall over what was planted, and precision over what was removed."""
    texts = pa.array(corpus.documents, pa.large_string())
    instead = kept_instead(texts, SHINGLING, BANDING, THRESHOLD)
    planted = [(one, other) for one, other, _ in corpus.pairs]
    exact = exact_similarities(corpus.documents, planted, SHINGLING)
    removed = instead != np.arange(len(instead))
    gone = np.array([bool(removed[one] or removed[other]) for one, other in planted])
    kinds = np.array([edit for _, _, edit in corpus.pairs])
    expected = np.array([probability_of_removal(similarity) for similarity in exact])
    reached = exact >= THRESHOLD
    for edit in (*EDITS, "all"):
        chosen = reached & ((kinds == edit) | (edit == "all"))
        _recall(edit, gone[chosen], expected[chosen])
    below = exact < THRESHOLD - 0.05
    show("below", pairs=int(below.sum()), removed_share=_share(gone[below]), target="<= 0.01")
    rows = np.flatnonzero(removed)
    to_kept = list(zip(rows.tolist(), instead[rows].tolist(), strict=True))
    found = exact_similarities(corpus.documents, to_kept, SHINGLING)
    precise = found >= THRESHOLD - 0.03
    show("precision", removed=len(rows), precision=_share(precise), target=">= 0.99")


def _recall(edit: str, gone: npt.NDArray[np.bool_], expected: npt.NDArray[np.float64]) -> None:
    if len(gone):
        recall, theory = _share(gone), float(np.mean(expected))
        show("recall", edit=edit, pairs=len(gone), recall=recall, expected=theory)


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(np.mean(flags)) if len(flags) else 0.0


def judge_template(corpus: PlantedCorpus) -> None:
    """Documents with one template in each: none may go that resembles no other without it.

    Some do: where the machine has little text, one long paragraph may be all of two documents.
    """
    copies = {other for _, other, _ in corpus.pairs}
    distinct = [text for i, text in enumerate(corpus.documents) if i not in copies]
    template = " ".join(distinct.pop().split()[:TEMPLATE_WORDS])
    distinct = distinct[:TEMPLATE_DOCUMENTS]
    texts = pa.array([f"{text}\n\n{template}" for text in distinct], pa.large_string())
    instead = kept_instead(texts, SHINGLING, BANDING, THRESHOLD)
    rows = np.flatnonzero(instead != np.arange(len(distinct)))
    pairs = list(zip(rows.tolist(), instead[rows].tolist(), strict=True))
    unrelated = exact_similarities(distinct, pairs, SHINGLING) < UNRELATED
    show("template", documents=len(distinct), removed_unrelated=int(unrelated.sum()), target="0")


# ---- many signatures ----


def cluster_synthetic(sizes: Iterable[int]) -> None:
    """Time and memory by number of documents."""
    found: list[dict[str, Any]] = []
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.synthetic_signatures", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        found.append(json.loads(done.stdout))
        show("synthetic", **found[-1])
    if len(found) < 2:
        return  # no growth to be seen
    logs = np.log([[f["documents"], f["cpu_seconds"]] for f in found])
    slope = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    first, last = found[0], found[-1]
    more = (last["peak_mb"] - first["peak_mb"]) * 1e6 / (last["documents"] - first["documents"])
    show("synthetic", slope=slope, bytes_per_document=float(more))


def main() -> None:
    """Make the corpus, measure, judge."""
    arguments = argparse.ArgumentParser(description="Deduplication beside its peers.")
    arguments.add_argument("--mb", type=float, default=200, help="size of the corpus")
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    arguments.add_argument("--quick", action="store_true", help="4 MB, one run, small sizes")
    arguments.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    arguments.add_argument(
        "--sizes", nargs="*", type=int, default=SIZES, help="synthetic documents"
    )
    given = arguments.parse_args()
    if given.quick:
        given.mb, given.runs, given.sizes = 4, 1, (50_000, 100_000, 200_000)
    if given.peers and not PEER_PYTHON.exists():
        raise SystemExit(
            "no .venv-peers: `make bench-peers` installs it, --peers alone does without"
        )
    corpus = make_planted_corpus(given.mb)
    show("corpus", mb=corpus.mb(), documents=len(corpus.documents), copies=len(corpus.pairs))
    with tempfile.TemporaryDirectory(prefix="corpusmill-deduplicate-") as name:
        for mode in ("signature", "mask"):
            compare(mode, corpus, Path(name), given.runs, given.peers)
    judge(corpus)
    judge_template(corpus)
    if given.sizes:
        cluster_synthetic(given.sizes)


if __name__ == "__main__":
    main()
