"""How large, slow and hungry is the report of a run of a million documents?

A small run (the quickstart, unless --run names another) is multiplied: every row of its Parquet
files is repeated under other ids, domains and parts, and its counts grow alike. A copy of a
document has the same text and measures, which makes as many ties as there can be. Prints one JSON
line for the report of the small run and one for that of the large one.

    python benchmarks/report.py [--run RUN] [--documents 1000000]
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.process_tree import cost_of

from corpusmill import storage
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.run import run

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "src/corpusmill/pipelines/recipes/quickstart.yaml"

PART_DOCUMENTS = 16_000
"""Documents of a part, about as many as 64 MB of web pages hold."""
PREFIX = 8
"""Digits of an id that say which copy it is of."""
COPIED = ("documents", "ledger", "stages/00-ingest", "stages/03-heuristics")
"""What the report reads of the quickstart: ledger, raw texts, and those that were compared."""

REPORT = "import sys; from corpusmill.report.html import write_report; write_report(sys.argv[1])"


def main() -> None:
    """Make the runs and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run; the quickstart is run without")
    parser.add_argument("--documents", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        if arguments.run is None:
            run(recipe_for([str(QUICKSTART)], [])[0], str(small))
        else:
            shutil.copytree(arguments.run, small)
        measure("report_small", small)
        large = Path(folder) / "large"
        multiply(small, large, arguments.documents)
        measure("report_large", large)


def measure(figure: str, folder: Path) -> None:
    """Write the report in a process of its own."""
    cost = cost_of([sys.executable, "-c", REPORT, str(folder)])
    record = storage.read_json(str(folder / "run.json"))
    line = {
        "figure": figure,
        "documents": record["stages"][0]["counts"]["in"],
        "rules": sum(len(stage["judged_scores"]) for stage in record["stages"]),
        "page_mb": round((folder / "report.html").stat().st_size / 1e6, 3),
        "cpu_seconds": round(cost.cpu_seconds, 1),
        "wall_seconds": round(cost.wall_seconds, 1),
        "peak_mb": round(cost.peak_mb),
    }
    print(json.dumps(line), flush=True)


def multiply(small: Path, large: Path, documents: int) -> None:
    """A run folder like `small` with at least so many documents."""
    record = storage.read_json(str(small / "run.json"))
    found = record["stages"][0]["counts"]["in"]
    copies = -(-documents // found)
    largest = max(part["rows"] for part in record["stages"][0]["parts"])
    at_once = max(1, PART_DOCUMENTS // largest)
    parts = list(record["parts"])
    files = [range(first, min(first + at_once, copies)) for first in range(0, copies, at_once)]
    for folder in COPIED:
        for path in sorted((small / folder).rglob("*.parquet")):
            place = path.relative_to(small).parent
            number = int(path.stem.removeprefix("part-"))
            table = storage.read_parquet(str(path))
            for group, chosen in enumerate(files):
                part = group * len(parts) + number
                to = large / place / f"part-{part:05d}.parquet"
                storage.write_parquet(str(to), repeated(table, chosen, part))
    record["parts"] = parts * len(files)
    for stage in record["stages"]:
        stage["counts"] = times(stage["counts"], copies)
        stage["sources"] = times(stage["sources"], copies)
        stage["parts"] = []
    storage.write_json(str(large / "run.json"), record)
    manifest = storage.read_json(str(small / "shards/manifest.json"))
    manifest["splits"] = times(manifest["splits"], copies)
    for shard in manifest["shards"]:
        shard["runs"] = [{**row, "tokens": row["tokens"] * copies} for row in shard["runs"]]
    storage.write_json(str(large / "shards/manifest.json"), manifest)


def times(counts: Any, copies: int) -> Any:
    """The numbers below, so many times as large."""
    if isinstance(counts, dict):
        return {name: times(value, copies) for name, value in counts.items()}
    return counts * copies


def repeated(table: pa.Table, copies: range, part: int) -> pa.Table:
    """The rows once for each copy, with other ids, domains and part."""
    whole = pa.concat_tables([table] * len(copies)).combine_chunks()
    number = pa.array([copy for copy in copies for _ in range(table.num_rows)], pa.int64())
    # spread over all ids, as hashes are
    prefixes = [f"{copy * 2654435761 % 16**PREFIX:0{PREFIX}x}" for copy in number.to_pylist()]
    prefix = pa.array(prefixes, pa.string())
    for name in {"id", "detail", "augmented_from"} & set(table.column_names):
        column = whole.column(name).combine_chunks()
        named = pc.match_substring_regex(column, "^[0-9a-f]{32}$")
        other = pc.binary_join_element_wise(prefix, pc.utf8_slice_codeunits(column, PREFIX), "")
        whole = _with(whole, name, pc.if_else(pc.fill_null(named, False), other, column))
    host = pc.binary_join_element_wise("://site", pc.cast(number, pa.string()), "-", "")
    uri = pc.split_pattern(whole.column("uri").combine_chunks(), "://", max_splits=1)
    first, rest = pc.list_element(uri, 0), pc.list_slice(uri, 1, 2)
    rest = pc.binary_join(rest, "")
    web = pc.greater(pc.list_value_length(uri), 1)
    joined = pc.if_else(web, pc.binary_join_element_wise(first, host, rest, ""), first)
    whole = _with(whole, "uri", joined)
    if "part" in table.column_names:
        whole = _with(whole, "part", pa.array([part] * whole.num_rows, pa.int64()))
    return whole


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = table.schema.field(name)
    return table.set_column(place, field, column.cast(field.type))


if __name__ == "__main__":
    main()
