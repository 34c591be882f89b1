"""What every engine must give, the bytes of the local one: a recipe that tries all, a check."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from benchmarks.biographies import biographies

from corpusmill import storage

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = 120
PART_MB = 0.03
"""So that each source has several parts, and the web a dozen."""


def small_recipe(folder: Path, **settings: Any) -> str:
    """Write a recipe that has every kind of stage into the folder, with an index of its own there.

    `settings` go into the recipe, as `engine={...}`; none of them may change the output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = [json.dumps({"text": f"{person['text']}\n"}) for person in biographies(PEOPLE)]
    (folder / "people.jsonl").write_text("\n".join(texts), "utf-8")
    samples = ROOT / "samples"
    shutil.copytree(samples / "web", folder / "web", dirs_exist_ok=True)
    raw = {
        "name": "engines",
        "part_mb": PART_MB,
        "sources": [
            {"name": "crawl", "kind": "web", "path": str(folder / "web")},
            {"name": "shelf", "kind": "book", "path": str(samples / "books")},
            {"name": "repos", "kind": "code", "path": str(samples / "code")},
            {"name": "people", "kind": "web", "path": str(folder / "people.jsonl")},
        ],
        "stages": [
            {"heuristics": {"preset": "gopher", "for": ["crawl"]}},
            {"heuristics": {"preset": "code", "for": ["code"]}},
            {
                "augment": {
                    "noise": {"typing": 0.05},
                    "copies": 2,
                    "budget": {"tokens": 3000},
                    "rarity": "source",
                    "for": ["web", "book"],
                }
            },
            {"deduplicate": {"index": str(folder / "index"), "for": ["crawl", "book", "code"]}},
            {
                "quality": {
                    "scorers": ["ngram"],
                    "reference": str(samples / "reference.txt"),
                    "smallest_group": 10,
                    "for": ["crawl"],
                }
            },
            {
                "anonymize": {
                    "method": "mask",
                    "fields": ["text", "metadata.author"],
                    "entities": ["URL", "EMAIL_ADDRESS", "IP_ADDRESS", "CREDIT_CARD"],
                }
            },
            {"k_anonymity": {"k": 3, "quasi_identifiers": ["age", "sex"], "for": ["people"]}},
            {"mix": {"weights": {"crawl": 0.5, "shelf": 0.2, "repos": 0.2, "people": 0.1}}},
            {"tokenize": {"vocab_size": 1024, "split": {"train": 0.9, "validation": 0.1}}},
        ],
        **settings,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return str(path)


def same_output(run: Path, other: Path) -> None:
    """Assert that two finished runs have equal bytes in documents/ and shards/, equal ledgers and
    equal counts; that of the first is not empty."""
    files = checksums(run)
    assert any(name.startswith("shards/train-") for name in files), f"{run} has no shards"
    found = checksums(other)
    assert found.keys() == files.keys()
    assert [name for name in files if found[name] != files[name]] == []
    rows, others = ledger(run), ledger(other)
    assert rows, f"the ledger of {run} is empty: the recipe shows nothing"
    assert rows == others, f"{(rows - others) + (others - rows)}"
    assert counts(run) == counts(other)


def checksums(run: Path, areas: Sequence[str] = ("documents", "shards")) -> dict[str, str]:
    """File below the run folder -> checksum of its bytes."""
    return {
        str(path.relative_to(run)): storage.checksum_file(str(path))
        for area in areas
        for path in sorted((run / area).rglob("*"))
        if path.is_file()
    }


def ledger(run: Path) -> Counter[str]:
    """The rows of all stages, each with how often it stands there."""
    return Counter(
        repr(row)
        for path in sorted((run / "ledger").rglob("*.parquet"))
        for row in pq.read_table(path, partitioning=None).to_pylist()
    )


def counts(run: Path) -> dict[str, Any]:
    """Stage -> what became of its documents."""
    record = json.loads((run / "run.json").read_text())
    return {stage["name"]: stage["counts"] for stage in record["stages"]}
