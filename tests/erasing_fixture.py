"""A small run with an index, from which documents are erased."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from corpusmill import storage
from corpusmill.pipelines.ledger import RunRecord
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.run import run

TEXT = "The ferry to the island {} leaves at nine, and the harbour master {} waves to all of it."
ERASED = "https://people.example.org/anna"


def documents() -> list[dict[str, str]]:
    """Forty pages: some of one domain, one of them there twice, some too short."""
    rows = [
        {"url": f"https://site-{n}.example.net/page", "text": TEXT.format(n, n * 7) * (1 + n % 3)}
        for n in range(36)
    ]
    rows.append(
        {
            "url": ERASED,
            "text": "Anna keeps bees behind the old mill, and that is all she is known for. " * 12,
        }
    )
    rows.append({"url": "https://copy.example.com/", "text": rows[-1]["text"]})
    rows.append({"url": "https://people.example.org/bo", "text": "Bo"})
    rows.append({"url": "http://www.people.example.org:80/cy", "text": "Cy sails. " * 40})
    return rows


def prepare(folder: Path, rows: list[dict[str, str]] | None = None, changed: str = "") -> str:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps(row) for row in (documents() if rows is None else rows)]
    (folder / "pages.jsonl").write_text("\n".join(lines) + "\n")
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"""
name: erasing
part_mb: 0.004
sources: [{{name: pages, kind: web, path: pages.jsonl}}]
stages:
  - heuristics: {{rules: [gopher_quality], thresholds: {{gopher_short_doc: 10{changed}}}}}
  - deduplicate: {{preset: fineweb, index: {folder}-index}}
  - tokenize: {{tokenizer: train, vocab_size: 512, split: {{train: 0.8, validation: 0.2}}}}
"""
    )
    return str(recipe)


def finished(folder: Path, rows: list[dict[str, str]] | None = None, **options: Any) -> RunRecord:
    recipe, _ = recipe_for([prepare(folder, rows)], [])
    return run(recipe, str(folder / "out"), workers=1, **options)


def everything(out: Path) -> str:
    """What all files of a run folder hold, decoded."""
    found = []
    for path in sorted(out.rglob("*")):
        if path.suffix == ".parquet":
            found.append(str(pq.read_table(path).to_pylist()))
        elif path.suffix == ".arrow":
            found.append(str(storage.read_ipc(str(path)).select(["id", "source"]).to_pylist()))
        elif path.is_file() and path.name != "tokenizer.json" and not path.name.startswith("."):
            found.append(path.read_text())
    return "\n".join(found)


def id_of(out: Path, uri: str) -> str:
    for path in sorted((out / "stages" / "00-ingest").glob("*.parquet")):
        for row in pq.read_table(path, columns=["id", "uri"]).to_pylist():
            if row["uri"] == uri:
                return str(row["id"])
    raise AssertionError(uri)
