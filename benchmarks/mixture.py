"""Does dynamic weighting show a rare language three times as often, and does the model learn it?

    python benchmarks/mixture.py [--mb 2] [--seeds 2] [--engines local,ray,spark] [--keep FOLDER]

English prose that this machine has (corpus.py) with 1 % of German planted in it: manual pages, or
Faust where ../shared is. Two recipes differ in `mix` only: temperature 1 leaves the proportions as
they are, temperature 5 is held at three times the natural share by `boost`. Prints JSON lines:

- `exposure`: tokens of German in the batches of one pass's worth of tokens, counted document by
  document, against its natural share;
- `engines`: whether the manifests of all engines are the same bytes;
- `validation`: of both recipes, with equally many tokens, the loss on German and on English.
"""

import argparse
import gzip
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import SHARED, paragraphs_of_prose, take

from corpusmill import storage
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.manifest import read_manifest, training_tokens

TAIL = "de"
TAIL_SHARE = 0.01
DOCUMENT_BYTES = 2000
CONTEXT, BATCH = 128, 8
MIXES: dict[str, dict[str, Any]] = {
    "natural": {"by": "language", "temperature": 1},
    "dynamic": {"by": "language", "temperature": 5, "boost": 3},
}
SETTINGS = {
    "batch": BATCH,
    "context": CONTEXT,
    "learning_rate": 4e-3,
    "warmup_ratio": 0.05,
    "evaluate_batches": 16,
    "device": "cpu",
    "model.layers": 2,
    "model.width": 96,
    "model.heads": 4,
    "model.kv_heads": 2,
    "model.feed_forward": 256,
}
MAN = Path("/usr/share/man/de")
LETTERS = dict(zip(":a :o :u :A :O :U ss".split(), "äöüÄÖÜß", strict=True))
"""As roff writes them."""


def german() -> list[str]:
    """Paragraphs of German."""
    pages = sorted(MAN.glob("man*/*.gz"))
    texts = [
        _plain(gzip.decompress(page.read_bytes()).decode("utf-8", "replace")) for page in pages
    ]
    if not texts and (SHARED / "books").exists():
        texts = [(SHARED / "books" / "faust-2229-8.txt").read_text("latin-1")]
    if not texts:
        raise SystemExit("there is no German text here: apt-get install manpages-de")
    found = (" ".join(part.split()) for text in texts for part in re.split(r"\n\s*\n", text))
    return list(dict.fromkeys(part for part in found if len(part) >= 80))


def _plain(page: str) -> str:
    """The prose of a manual page: without requests and font changes of roff."""
    lines = ("" if line[:1] in (".", "'") else line for line in page.splitlines())
    text = re.sub(r"\\(?:\(|\[)(:[aouAOU]|ss)\]?", lambda m: LETTERS[m[1]], "\n".join(lines))
    text = re.sub(r"\\f(?:\(..|\[[^]]*\]|.)|\\[&|%/,:]|\\s[-+]?\d", "", text)
    return text.replace("\\-", "-").replace("\\(bu", "").replace("\\e", "\\")


def documents(paragraphs: list[str]) -> list[str]:
    """Paragraphs in groups of about DOCUMENT_BYTES."""
    source = iter(paragraphs)
    found = []
    while group := take(source, DOCUMENT_BYTES):
        found.append("\n\n".join(group))
    return found


def write_corpus(path: Path, megabytes: float) -> None:
    """JSON lines of both languages, the tail spread evenly."""
    size = megabytes * 1e6
    head = documents(take(paragraphs_of_prose(), size * (1 - TAIL_SHARE)))
    tail = documents(take(iter(german()), size * TAIL_SHARE))
    texts = sorted(
        [(number / len(each), text) for each in (head, tail) for number, text in enumerate(each)]
    )
    lines = [json.dumps({"text": text}) + "\n" for _, text in texts]
    path.write_text("".join(lines), "utf-8")


def run(folder: Path, mix: str, engine: str) -> Path:
    """Make the shards of a recipe; returns their folder."""
    recipe = {
        "name": f"mixture-{mix}",
        "sources": [{"name": "texts", "kind": "web", "path": str(folder / "texts.jsonl")}],
        "stages": [
            {"language": {"keep": ["en", TAIL]}},
            {"mix": MIXES[mix]},
            {"tokenize": {"vocab_size": 2048, "split": {"train": 0.8, "validation": 0.2}}},
        ],
    }
    path = folder / f"{mix}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    out = folder / f"run-{mix}-{engine}"
    command("run", str(path), "--out", str(out), "--engine", engine)
    return out / "shards"


def command(*arguments: str) -> None:
    """Run `corpusmill`; what it says goes to the terminal's error output."""
    corpusmill = [sys.executable, "-m", "corpusmill", *arguments]
    subprocess.run(corpusmill, stdout=sys.stderr, check=True)


def exposure(shards: Path) -> dict[str, Any]:
    """How often training sees the tail, in as many tokens as there are."""
    language: dict[str, str] = {}
    for shard in read_manifest(str(shards)).of_split("train"):
        table = storage.read_ipc(str(shards / shard.name))
        language |= dict(zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True))
    held = training_tokens(read_manifest(str(shards)).shards, "language")
    batches = TokenBatches(str(shards), context=CONTEXT, batch=BATCH)
    seen = Counter[str]()
    for step in range(1, held.total() // (CONTEXT * BATCH) + 1):
        for row in batches.documents(step):
            for span in row:
                seen[language[span.id]] += span.tokens
    natural, delivered = held[TAIL] / held.total(), seen[TAIL] / seen.total()
    return {
        "tokens": held.total(),
        "natural_share": round(natural, 5),
        "delivered_share": round(delivered, 5),
        "times_natural": round(delivered / natural, 4),
        "epochs": {name: round(seen[name] / held[name], 4) for name in sorted(held)},
    }


def train(shards: Path, out: Path, seed: int, steps: int) -> dict[str, float]:
    """The newest validation loss of each language, and the CPU-seconds that it took."""
    settings = SETTINGS | {"seed": seed, "steps": steps, "evaluate_every": steps}
    given = [part for item in settings.items() for part in ("--set", "{}={}".format(*item))]
    begun = time.time()
    command("train", "--shards", str(shards), "--out", str(out), *given)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    evaluation = [row for row in rows if "classes" in row][-1]
    losses = {name: each["loss"] for name, each in evaluation["classes"].items()}
    return {**losses, "seconds": round(time.time() - begun, 1)}


def main() -> None:
    """Make corpus and shards, count, compare, train."""
    parser = argparse.ArgumentParser(description="Dynamic weighting of a rare language.")
    parser.add_argument("--mb", type=float, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--engines", default="local,ray,spark")
    parser.add_argument("--keep", type=Path, help="a folder for shards and trainings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpusmill-mixture-") as name:
        folder = given.keep or Path(name)
        folder.mkdir(exist_ok=True)
        write_corpus(folder / "texts.jsonl", given.mb)
        first, *others = given.engines.split(",")
        shards = {mix: run(folder, mix, first) for mix in MIXES}
        for mix, place in shards.items():
            print(json.dumps({"figure": "exposure", "mix": mix, **exposure(place)}), flush=True)
        wanted = (shards["dynamic"] / "manifest.json").read_bytes()
        same = [
            (run(folder, "dynamic", engine) / "manifest.json").read_bytes() == wanted
            for engine in others
        ]
        equal = {"engines": [first, *others], "equal_manifests": all(same)}
        print(json.dumps({"figure": "engines", **equal}), flush=True)
        steps = read_manifest(str(shards["natural"])).splits["train"].tokens // (CONTEXT * BATCH)
        losses: dict[str, list[dict[str, float]]] = {mix: [] for mix in MIXES}
        for seed in range(1, given.seeds + 1):
            for mix, place in shards.items():
                found = train(place, folder / f"train-{mix}-{seed}", seed, steps)
                losses[mix].append(found)
                figure = {"figure": "training", "mix": mix, "seed": seed, "steps": steps, **found}
                print(json.dumps(figure), flush=True)
        if given.seeds:
            means = {
                mix: {lang: statistics.mean(f[lang] for f in each) for lang in (TAIL, "en")}
                for mix, each in losses.items()
            }
            change = {
                lang: round(means["dynamic"][lang] - means["natural"][lang], 4)
                for lang in (TAIL, "en")
            }
            print(json.dumps({"figure": "validation", **means, "dynamic_minus_natural": change}))


if __name__ == "__main__":
    main()
