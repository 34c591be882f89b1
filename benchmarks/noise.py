"""Does a model that has seen noise predict noisy text better, and what does it cost on clean text?

    python benchmarks/noise.py [--mb 1.8] [--seeds 4] [--share 0.1] [--keep FOLDER]

English prose that this machine has (corpus.py); every tenth document is held out. Two recipes
differ in `augment: {noise: {}, share: 0.1}` only and have the same vocabulary. Models of both see
equally many tokens, and are then evaluated on the held-out documents as they are and with noise of
another seed. Prints JSON lines: the bits per byte of each training; and `noise`, the means, their
changes in per cent, and the change of each seed. (noise_speed.py says how fast noise is made.)
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import paragraphs_of_prose, take
from benchmarks.mixture import BATCH, CONTEXT, SETTINGS, command, documents

from corpusmill.pretrain.checkpoint import newest_checkpoint
from corpusmill.pretrain.config import read_settings
from corpusmill.pretrain.evaluate import Held
from corpusmill.pretrain.parallel import World
from corpusmill.pretrain.scoring import trained_decoder, trained_vocabulary
from corpusmill.stages.noise import Noise, add_noise
from corpusmill.tokenize.manifest import read_manifest

HELD_OUT = 10
"""One document of so many."""
OTHER_SEED = 77
"""Of the noise in held-out documents."""
TEXTS = ("clean", "noisy")


def write_texts(folder: Path, megabytes: float) -> None:
    """Training documents, and the held-out ones clean and noisy, as JSON lines."""
    texts = documents(take(paragraphs_of_prose(), megabytes * 1e6))
    clean = texts[::HELD_OUT]
    noisy = add_noise(clean, [str(n) for n in range(len(clean))], Noise(), OTHER_SEED)
    training = [text for number, text in enumerate(texts) if number % HELD_OUT]
    written = {"training": training, "clean": clean, "noisy": [made.text for made in noisy]}
    for name, each in written.items():
        lines = [json.dumps({"text": text}) + "\n" for text in each]
        (folder / f"{name}.jsonl").write_text("".join(lines), "utf-8")


def shards(
    folder: Path, name: str, sources: list[str], stages: list[dict[str, Any]], tokenizer: str
) -> Path:
    """Make shards, all for training; returns their folder."""
    tokenize = {"tokenizer": tokenizer, "vocab_size": 2048, "split": {"train": 1.0}}
    recipe = {
        "name": name,
        "sources": [
            {"name": source, "kind": "web", "path": str(folder / f"{source}.jsonl")}
            for source in sources
        ],
        "stages": [*stages, {"tokenize": tokenize}],
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    command("run", str(path), "--out", str(folder / name))
    return folder / name / "shards"


def train(place: Path, out: Path, held_out: Path, seed: int, steps: int) -> dict[str, float]:
    """Bits per byte on clean and on noisy held-out text."""
    changes = [f"{name}={value}" for name, value in SETTINGS.items()]
    changes += [f"seed={seed}", f"steps={steps}", "evaluate_batches=1000000"]
    given = [part for change in changes for part in ("--set", change)]
    command("train", "--shards", str(place), "--out", str(out), *given)
    vocabulary = trained_vocabulary(str(out))
    checkpoint = newest_checkpoint(str(out), lambda line: print(line, file=sys.stderr))
    model, _ = trained_decoder(checkpoint, vocabulary)
    held = Held(str(held_out), "train", read_settings(None, changes), vocabulary)
    found = held.evaluate(model, World())
    return {source: one.bits_per_byte for source, one in found.items()}


def summary(measured: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Means of both, and by how much noise changes them."""
    found: dict[str, Any] = {}
    for text in TEXTS:
        without, with_noise = ([each[text] for each in measured[n]] for n in ("without", "with"))
        changes = [100 * (b / a - 1) for a, b in zip(without, with_noise, strict=True)]
        means = statistics.mean(without), statistics.mean(with_noise)
        found[text] = {
            "without": round(means[0], 4),
            "with": round(means[1], 4),
            "change_percent": round(100 * (means[1] / means[0] - 1), 2),
            "change_percent_by_seed": [round(change, 2) for change in changes],
        }
    return found


def main() -> None:
    """Make texts and shards, train, compare."""
    parser = argparse.ArgumentParser(description="What noise in training text does to a model.")
    parser.add_argument("--mb", type=float, default=1.8)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--keep", type=Path, help="a folder for shards and trainings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpusmill-noise-") as name:
        folder = given.keep or Path(name)
        folder.mkdir(exist_ok=True)
        write_texts(folder, given.mb)
        without = shards(folder, "without", ["training"], [], "train")
        vocabulary = str(without / "tokenizer.json")
        augment = {"augment": {"noise": {}, "share": given.share}}
        places = {
            "without": without,
            "with": shards(folder, "with", ["training"], [augment], vocabulary),
        }
        held_out = shards(folder, "held-out", list(TEXTS), [], vocabulary)
        tokens = {n: read_manifest(str(p)).splits["train"].tokens for n, p in places.items()}
        steps = tokens["without"] // (CONTEXT * BATCH)
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in places}
        for seed in range(1, given.seeds + 1):
            for noise, place in places.items():
                found = train(place, folder / f"train-{noise}-{seed}", held_out, seed, steps)
                measured[noise].append(found)
                figure = {"figure": "training", "noise": noise, "seed": seed, "steps": steps}
                rounded = {text: round(bits, 5) for text, bits in found.items()}
                print(json.dumps(figure | rounded), flush=True)
        print(json.dumps({"figure": "noise", "training_tokens": tokens, **summary(measured)}))


if __name__ == "__main__":
    main()
