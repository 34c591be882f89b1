"""What does a training of some minutes on a CPU learn from real text? Bits per byte beside gzip's.

    python benchmarks/train_text.py [FILE...] [--minutes 15] [--keep FOLDER] [--set name=value]...

Cuts text files at their paragraphs into documents, makes token shards of them and trains on these,
both by the command line, for as many steps as a short trial says will take that long. Prints JSON
lines: the shards, and what came of the training, with what `gzip -9` and `xz -9` need for exactly
the text that was evaluated. FILE is by default the prose and two books in ../shared/data; in a
fresh clone the samples of the repository.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from corpusmill.pretrain.metrics import read_metrics

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
TEXTS = ("prose/wikitext-2-valid.txt", "books/1342-0.txt", "books/faust-2229-8.txt")
"""Three works; other files there are other editions of the same, and what was learned by heart from
one would be found again in the other."""

DOCUMENT_CHARACTERS = 8000
VALIDATION_SHARE = 0.05
VOCAB_SIZE = 4096

SETTINGS = {
    "batch": 4,
    "context": 256,
    "learning_rate": 1e-2,
    "warmup_ratio": 0.05,
    "evaluate_batches": 64,
    "device": "cpu",
    "model.layers": 4,
    "model.width": 128,
    "model.heads": 4,
    "model.kv_heads": 2,
    "model.feed_forward": 384,
}

TRIAL_STEPS = 25
"""Of which the first ones are slower and do not count."""
WARM_UP = 5


def documents(text: str) -> Iterator[str]:
    """Paragraphs in groups of about DOCUMENT_CHARACTERS."""
    held: list[str] = []
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        held.append(paragraph)
        if sum(map(len, held)) >= DOCUMENT_CHARACTERS:
            yield "\n\n".join(held)
            held = []
    if held:
        yield "\n\n".join(held)


def content(path: Path) -> str:
    """Of a text file in UTF-8, or, as old books are, in Latin-1."""
    data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def command(*arguments: str) -> str:
    """What `corpusmill` prints; what it says beside that goes on to the terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "corpusmill", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def make_shards(folder: Path, texts: list[Path]) -> Path:
    """A source for each text, split by document."""
    sources = []
    for text in texts:
        place = folder / "texts" / text.stem
        place.mkdir(parents=True)
        for number, document in enumerate(documents(content(text))):
            (place / f"{number:05}.txt").write_text(document, "utf-8")
        sources.append({"name": text.stem, "kind": "book", "path": str(place)})
    split = {"train": 1 - VALIDATION_SHARE, "validation": VALIDATION_SHARE}
    recipe = {
        "name": "train-text",
        "sources": sources,
        "stages": [{"tokenize": {"tokenizer": "train", "vocab_size": VOCAB_SIZE, "split": split}}],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    command("run", str(path), "--out", str(folder / "run"))
    shards = folder / "run" / "shards"
    manifest = json.loads((shards / "manifest.json").read_text())
    print(json.dumps({"figure": "shards", "splits": manifest["splits"]}), flush=True)
    return shards


def train(shards: Path, out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The summary of `corpusmill train`."""
    given = [part for item in settings.items() for part in ("--set", "{}={}".format(*item))]
    said = command("train", "--shards", str(shards), "--out", str(out), "--json", *given)
    summary: dict[str, Any] = json.loads(said)
    return summary


def main() -> None:
    """Make shards, try a few steps, train, print."""
    arguments = argparse.ArgumentParser(description="Bits per byte after minutes of training.")
    arguments.add_argument("texts", nargs="*", type=Path, metavar="FILE")
    arguments.add_argument("--minutes", type=float, default=15)
    arguments.add_argument("--keep", type=Path, help="a new folder for shards and training")
    arguments.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = arguments.parse_args()
    texts = given.texts or [SHARED / text for text in TEXTS if (SHARED / text).exists()]
    texts = texts or sorted((ROOT / "samples" / "books").glob("*.txt"))
    settings = SETTINGS | dict(change.split("=", 1) for change in given.set)
    with tempfile.TemporaryDirectory(prefix="corpusmill-train-text-") as name:
        folder = given.keep or Path(name)
        folder.mkdir(exist_ok=True)
        shards = make_shards(folder, texts)
        trial = {"steps": TRIAL_STEPS, "evaluate_batches": 1, "checkpoint_every": TRIAL_STEPS}
        train(shards, folder / "trial", settings | trial)
        rows = [row for row in read_metrics(str(folder / "trial")) if "loss" in row]
        seconds = statistics.median(row["seconds"] for row in rows[WARM_UP:])
        steps = max(20, round(60 * given.minutes / seconds))
        every = {"evaluate_every": max(1, steps // 8), "checkpoint_every": max(1, steps // 4)}
        summary = train(shards, folder / "train", settings | every | {"steps": steps})
        rows = read_metrics(str(folder / "train"))
        compressed = summary["compressed_bits_per_byte"]
        figures = {
            "figure": "train_text",
            "minutes": round(sum(row.get("seconds", 0) for row in rows) / 60, 2),
            "steps": steps,
            "parameters": summary["parameters"],
            "tokens": summary["tokens"],
            "loss": round(summary["mean_loss_of_last_ten_steps"], 4),
            "unigram_entropy": round(summary["unigram_entropy"], 4),
            "validation_loss": round(summary["validation_loss"], 4),
            "validation_bits_per_byte": round(summary["validation_bits_per_byte"], 4),
            **{f"{name}_bits_per_byte": round(bits, 4) for name, bits in compressed.items()},
            "below_gzip": summary["validation_bits_per_byte"] < compressed["gzip"],
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
