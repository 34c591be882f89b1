"""What a batch of tokens costs, beside other loaders. Tokens per CPU-second.

    python benchmarks/loader.py [--tokens 64000000] [--batches 2000] [--runs 3]

All get the same tokens (documents of lengths as in web text, in shuffled order) and give pairs of
int64 tensors of 16 x 1,024 in the process that asks: ours concatenated, and with best-fit packing
and numbered documents; nanoGPT's memory map, litdata and Hugging Face datasets as far as
`make bench-peers` has set them up. Runs are interleaved; medians. One JSON line for each figure.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from corpusmill.document import document_id
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.dataset import TokenDataset
from corpusmill.tokenize.exports import export_tokens
from corpusmill.tokenize.manifest import build_manifest, write_manifest
from corpusmill.tokenize.order import WHOLE
from corpusmill.tokenize.packing import Packing
from corpusmill.tokenize.shards import write_shard, write_tokenizer
from corpusmill.tokenize.vocabulary import load_tokenizer, train_bpe

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".venv-peers" / "bin" / "python"
PEERS = ("nanogpt", "litdata", "hf_datasets")
CONTEXT, BATCH = 1024, 16
WARM_UP = 20
SHARD_TOKENS = 16 << 20
OURS: dict[str, tuple[Packing, bool]] = {
    "corpusmill": ("concatenate", False),
    "corpusmill, best fit and documents": ("best_fit", True),
}


def write_shards(folder: Path, tokens: int) -> None:
    """Shards of made-up tokens in documents whose lengths are spread as those of web pages."""
    vocabulary = load_tokenizer(train_bpe([Path(__file__).read_text(encoding="utf-8")], 512))
    random = np.random.default_rng(1)
    shards = []
    for number in range(-(-tokens // SHARD_TOKENS)):
        lengths = np.maximum(2, random.lognormal(6.2, 1.1, SHARD_TOKENS // 500).astype(np.int64))
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
        values = random.integers(1, vocabulary.size, offsets[-1], dtype=np.uint16)
        values[offsets[1:] - 1] = vocabulary.end_of_text
        table = pa.table(
            {
                "tokens": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)),
                "id": [document_id("web", str(number), str(n)) for n in range(len(lengths))],
                "source": pa.array(["web"] * len(lengths)),
                "n_bytes": pa.array(lengths * 4),
            }
        )
        name = f"train-{number:05d}.arrow"
        shards.append(write_shard(str(folder), name, "train", table, vocabulary))
    write_tokenizer(str(folder), vocabulary)
    write_manifest(str(folder), build_manifest(1, vocabulary, shards, None))


def measure_ours(folder: Path, name: str, batches: int) -> float:
    """Tokens per CPU-second."""
    packing, documents = OURS[name]
    rows = TokenBatches(
        str(folder), context=CONTEXT, batch=BATCH, packing=packing, documents=documents
    )
    loader = iter(TokenDataset(rows))
    for _ in range(WARM_UP):
        next(loader)
    start = time.process_time()
    for _ in range(batches):
        next(loader)
    return batches * BATCH * CONTEXT / (time.process_time() - start)


def measure_peer(work: Path, name: str, batches: int) -> float:
    """Tokens per CPU-second."""
    script = ROOT / "benchmarks" / "peers" / "peer_loaders.py"
    arguments = [name, work / "flat" / "train.bin", work, CONTEXT, BATCH, batches]
    done = subprocess.run(
        [str(PEER), str(script), *map(str, arguments)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return float(found["tokens"] / found["cpu_seconds"])


def figures(work: Path, tokens: int, batches: int, runs: int) -> Iterator[dict[str, Any]]:
    """One figure after the other."""
    folder = work / "shards"
    write_shards(folder, tokens)
    export_tokens(str(folder), "nanogpt", str(work / "flat"))
    stream = TokenBatches(str(folder), context=CONTEXT, batch=1, packing="best_fit").streams[WHOLE]
    yield {"figure": "best-fit fill", "value": round(stream.tokens / (stream.rows * CONTEXT), 5)}
    peers = PEERS if PEER.exists() else ()
    speeds: dict[str, list[float]] = {name: [] for name in (*OURS, *peers)}
    for _ in range(runs):
        for name in OURS:
            speeds[name].append(measure_ours(folder, name, batches))
        for name in peers:
            speeds[name].append(measure_peer(work, name, batches))
    medians = {name: statistics.median(each) for name, each in speeds.items()}
    for name, speed in medians.items():
        yield {
            "figure": "million tokens per CPU-second",
            "of": name,
            "value": round(speed / 1e6, 1),
        }
    for name in OURS:
        for peer in peers:
            ratio = round(medians[name] / medians[peer], 2)
            yield {"figure": "ratio", "of": name, "to": peer, "value": ratio}


def main() -> None:
    """Print every figure as a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tokens", type=int, default=64_000_000)
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        for figure in figures(Path(work), options.tokens, options.batches, options.runs):
            sys.stdout.write(json.dumps(figure) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
