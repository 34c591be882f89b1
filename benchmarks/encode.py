"""How fast is text encoded, and are the tokens those of `tokenizers`? MB per CPU-second.

    python benchmarks/encode.py [--mb 10] [--runs 3] [--vocab-size 16384]

Text of this machine (benchmarks/corpus.py) and of `../shared/data` where that is. A vocabulary is
trained on it for each of the patterns of `corpusmill.tokenize.pretokens`. One core, all encoders
in turn, medians over the runs. Each run of ours begins with a new encoder, which has seen no text.
`agreement` is the share of documents whose tokens are those of `tokenizers`. The other libraries
are asked where they are installed, in this environment or by `make bench-peers`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import pyarrow as pa

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import SHARED, make_corpus, paragraphs_of_prose

from corpusmill.document import document_id, document_schema, documents_from_rows
from corpusmill.stages.tokenize import _Encode
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.pretokens import PATTERNS, pretokenizer
from corpusmill.tokenize.vocabulary import Vocabulary, load_tokenizer, train_bpe

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".venv-peers" / "bin" / "python"
PEERS = ("tiktoken", "tokie", "kitoken", "gigatoken")
DOCUMENT_CHARACTERS = 4000
TRAINED_BYTES = 4_000_000
BATCH = 512
"""Documents at a time, as the stage sees them."""


def texts_of_machine(megabytes: float) -> list[str]:
    """Documents of some kilobytes: prose, code and other languages."""
    with tempfile.TemporaryDirectory(prefix="corpusmill-encode-") as name:
        corpus = make_corpus(Path(name), megabytes)
        code = [file.read_text("utf-8", "replace") for file in sorted(corpus.code.rglob("*.py"))]
    prose: list[str] = []
    held = 0
    for paragraph in paragraphs_of_prose():
        prose.append(paragraph)
        held += len(paragraph)
        if held > megabytes * 1e6:
            break
    sources = ["\n\n".join(prose), "".join(code)]
    sources += [
        file.read_bytes().decode("utf-8", "replace") for file in sorted(SHARED.glob("books/*.txt"))
    ]
    found: list[str] = []
    held = 0  # bytes
    longest = max(map(len, sources))
    for start in range(0, longest, DOCUMENT_CHARACTERS):
        for source in sources:
            if start < len(source) and held < megabytes * 1e6:
                found.append(source[start : start + DOCUMENT_CHARACTERS])
                held += len(found[-1].encode())
    return found


def trained(texts: list[str], size: int) -> dict[str, Vocabulary]:
    """A vocabulary for each pattern, all of the same merges: only what text is cut by differs."""
    sample: list[str] = []
    held = 0
    for text in texts[:: max(1, len(texts) * DOCUMENT_CHARACTERS // TRAINED_BYTES)]:
        sample.append(text)
        held += len(text)
        if held > TRAINED_BYTES:
            break
    content = json.loads(train_bpe(sample, size))
    found: dict[str, Vocabulary] = {}
    for name, pattern in PATTERNS.items():
        content["pre_tokenizer"] = pretokenizer(pattern)
        found[name] = load_tokenizer(json.dumps(content).encode())
    return found


def figures(megabytes: float, runs: int, vocab_size: int) -> Iterator[dict[str, Any]]:
    """One figure after the other."""
    texts = texts_of_machine(megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    yield {"figure": "encode_text", "mb": round(size, 1), "documents": len(texts)}
    for name, vocabulary in trained(texts, vocab_size).items():
        yield from _compared(name, vocabulary, texts, size, runs)
    yield _stage(trained(texts, vocab_size)["gpt2"], texts, size, runs)


def _compared(
    name: str, vocabulary: Vocabulary, texts: list[str], size: float, runs: int
) -> Iterator[dict[str, Any]]:
    batches = [
        pa.array(texts[i : i + BATCH], pa.large_string()) for i in range(0, len(texts), BATCH)
    ]
    library = vocabulary.tokenizer()

    def ours(fast: bool) -> list[Any]:
        encoder = Encoder(vocabulary, fast=fast)
        start = time.process_time()
        rows = [encoder.encode(batch) for batch in batches]
        seconds["ours" if fast else "ours_without_gigatoken"].append(time.process_time() - start)
        return rows

    def theirs() -> list[list[int]]:
        start = time.process_time()
        found = [
            encoding.ids
            for i in range(0, len(texts), BATCH)
            for encoding in library.encode_batch(texts[i : i + BATCH], add_special_tokens=False)
        ]
        seconds["tokenizers"].append(time.process_time() - start)
        return found

    seconds: dict[str, list[float]] = {"ours": [], "ours_without_gigatoken": [], "tokenizers": []}
    peers = _Peers(vocabulary, texts)
    for _ in range(runs):
        rows = ours(True)
        slow_rows = ours(False)
        expected = theirs()
        peers.run()
    base = statistics.median(seconds["tokenizers"])
    yield _figure(name, "tokenizers", size, seconds["tokenizers"], base, 1.0)
    for which, batched in (("ours", rows), ("ours_without_gigatoken", slow_rows)):
        tokens = [row[:-1] for batch in batched for row in batch.to_pylist()]
        same = sum(a == b for a, b in zip(tokens, expected, strict=True)) / len(expected)
        yield _figure(name, which, size, seconds[which], base, same)
    for peer, (times, digests) in peers.found.items():
        wanted = [_digest(row) for row in expected]
        same = sum(a == b for a, b in zip(digests, wanted, strict=True)) / len(wanted)
        yield _figure(name, peer, size, times, base, same)


def _figure(
    pattern: str, encoder: str, size: float, seconds: list[float], base: float, agreement: float
) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "figure": "encode",
        "pattern": pattern,
        "encoder": encoder,
        "mb_per_cpu_second": round(size / median, 2),
        "to_tokenizers": round(base / median, 2),
        "agreement": agreement,
    }


def _digest(tokens: list[int]) -> int:
    """Equal for equal tokens in this machine's processes, and hardly ever for others."""
    return hash(tuple(tokens))  # of numbers: the same in every process


class _Peers:
    """Other libraries, each in a process of its own, which goes on between runs."""

    def __init__(self, vocabulary: Vocabulary, texts: list[str]) -> None:
        self.found: dict[str, tuple[list[float], list[int]]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="corpusmill-encode-")
        folder = Path(self._folder.name)
        (folder / "tokenizer.json").write_bytes(vocabulary.data)
        (folder / "texts.json").write_text(json.dumps(texts))

    def run(self) -> None:
        """Ask each library once."""
        python = PEER if PEER.is_file() else Path(sys.executable)
        for peer in PEERS:
            answer = subprocess.run(
                [python, ROOT / "benchmarks/peers/peer_encode.py", peer, self._folder.name],
                check=True,
                capture_output=True,
            )
            found = json.loads(answer.stdout)
            if found:
                times, _ = self.found.setdefault(peer, ([], []))
                times.append(found["seconds"])
                self.found[peer] = times, found["digests"]


def _stage(vocabulary: Vocabulary, texts: list[str], size: float, runs: int) -> dict[str, Any]:
    """What the stage does with a batch, besides reading and writing."""
    rows = [
        {"id": document_id("b", "f", str(n)), "text": text, "source": "b", "kind": "web", "uri": ""}
        for n, text in enumerate(texts)
    ]
    schema = document_schema()
    batches = [documents_from_rows(rows[i : i + BATCH], schema) for i in range(0, len(rows), BATCH)]
    whole, encoding = [], []
    with tempfile.TemporaryDirectory(prefix="corpusmill-encode-") as name:
        path = Path(name) / "tokenizer.json"
        path.write_bytes(vocabulary.data)
        measure = _Encode(
            tokenizer=str(path), seed=1, split=(("train", 0.99), ("validation", 0.01))
        )
        for _ in range(runs):
            apply = measure.open()
            start = time.process_time()
            for batch in batches:
                apply(batch)
            whole.append(time.process_time() - start)
            encoder = Encoder(vocabulary)
            start = time.process_time()
            for batch in batches:
                encoder.encode(batch.column("text"))
            encoding.append(time.process_time() - start)
    return {
        "figure": "encode_stage",
        "mb_per_cpu_second": round(size / statistics.median(whole), 2),
        "share_of_encoding": round(float(np.median(encoding) / np.median(whole)), 2),
    }


def main() -> None:
    """Print."""
    arguments = argparse.ArgumentParser(description="Speed of encoding, and whether it is right.")
    arguments.add_argument("--mb", type=float, default=10, help="size of the text")
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    arguments.add_argument("--vocab-size", type=int, default=16384, help="tokens")
    given = arguments.parse_args()
    for figure in figures(given.mb, given.runs, given.vocab_size):
        print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
