"""What `boilerplate` and `substrings` cost, and whether they find what was planted.

    python benchmarks/repeated_text.py [--mb 20] [--runs 3]

Prints one JSON object for each stage. CPU-seconds are those of `run.json`, reading and writing of
parts included; medians, because the first run on a machine compiles the kernels.

Real paragraphs become documents of 1 to 20 kB. A notice of one line is planted into a third of
them, and a passage of 90 to 180 words from another document into a fifth.
"""

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import yaml

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import paragraphs_of_prose

from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run

NOTICE = "By continuing to use this site you agree that we store cookies on your device."
NOTICE_SHARE, PASSAGE_SHARE = 1 / 3, 1 / 5
DOCUMENT_BYTES = 1_000, 20_000
PASSAGE_WORDS = 90, 180


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Documents with repeats in them."""

    texts: list[str]
    notices: int
    passages: list[str]


def plant(paragraphs: Iterator[str], megabytes: float, seed: int = 1) -> Planted:
    """About so many megabytes (10^6 bytes) of documents, less if there are fewer paragraphs."""
    chance = random.Random(seed)
    texts: list[str] = []
    passages: list[str] = []
    size = notices = 0
    while size < megabytes * 1e6:
        wanted = chance.randint(*DOCUMENT_BYTES)
        body: list[str] = []
        while sum(map(len, body)) < wanted and (paragraph := next(paragraphs, None)) is not None:
            body.append(paragraph)
        if not body:
            break
        if texts and chance.random() < PASSAGE_SHARE:
            words = re.findall(r"\S+", chance.choice(texts).replace(NOTICE, ""))
            length = chance.randint(*PASSAGE_WORDS)
            at = chance.randrange(max(1, len(words) - length))
            passages.append(" ".join(words[at : at + length]))
            body.insert(chance.randrange(len(body) + 1), passages[-1])
        if chance.random() < NOTICE_SHARE:
            body.insert(chance.randrange(len(body) + 1), NOTICE)
            notices += 1
        texts.append("\n\n".join(body))
        size += len(texts[-1].encode())
    return Planted(texts=texts, notices=notices, passages=passages)


def figures(planted: Planted, folder: Path, runs: int) -> Iterator[dict[str, float | str]]:
    """For each stage: megabytes of text for a CPU-second, and what is left of what was planted.

    `left` is how many notices are there (one should be), or passages that are there twice.
    """
    source = folder / "texts.jsonl"
    lines = (json.dumps({"id": str(n), "text": text}) for n, text in enumerate(planted.texts))
    source.write_text("\n".join(lines) + "\n", "utf-8")
    megabytes = sum(len(text.encode()) for text in planted.texts) / 1e6
    for stage in ("boilerplate", "substrings"):
        recipe = folder / f"{stage}.yaml"
        sources = [{"name": "texts", "kind": "web", "path": str(source)}]
        settings: dict[str, Any] = {"name": stage, "seed": 1}
        settings |= {"sources": sources, "stages": [{stage: {}}]}
        recipe.write_text(yaml.safe_dump(settings))
        seconds = []
        for number in range(runs):
            out = folder / f"{stage}-{number}"
            record = run(load_recipe(str(recipe)), str(out), workers=1)
            seconds.append(record.stages[-1].cpu_seconds)
        left = _texts(out)
        found: dict[str, float] = (
            {"planted": planted.notices, "left": sum(text.count(NOTICE) for text in left)}
            if stage == "boilerplate"
            else {"planted": len(planted.passages), "left": _left_twice(planted.passages, left)}
        )
        yield {
            "figure": "repeated_text",
            "stage": stage,
            "input_mb": round(megabytes, 3),
            "cpu_seconds": round(statistics.median(seconds), 3),
            "mb_per_cpu_second": float(f"{megabytes / statistics.median(seconds):.3g}"),
            **found,
            "removed_mb": round(megabytes - sum(len(text.encode()) for text in left) / 1e6, 3),
        }


def _texts(out: Path) -> list[str]:
    parts = sorted(map(str, (out / "documents").glob("part-*.parquet")))
    texts: list[str] = ds.dataset(parts).to_table(["text"]).column("text").to_pylist()
    return texts


def _left_twice(passages: list[str], texts: list[str]) -> int:
    together = " ".join(" ".join(text.split()) for text in texts)
    return sum(together.count(passage) > 1 for passage in passages)


def main() -> None:
    """Plant, run, print one JSON object for each stage."""
    arguments = argparse.ArgumentParser(description="MB of text per CPU-second, and what is found.")
    arguments.add_argument("--mb", type=float, default=20, help="size of the corpus")
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpusmill-repeats-") as name:
        for figure in figures(plant(paragraphs_of_prose(), given.mb), Path(name), given.runs):
            print(json.dumps(figure))


if __name__ == "__main__":
    main()
