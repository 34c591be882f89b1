"""Two runs side by side: recipe, inputs, stages, documents and tokens.

Documents are matched by id, which says where a document stood in its source; so runs over the same
sources can be compared, whatever their recipes do. The joins are DuckDB's, which spills to disk.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.ledger import RunRecord, StageRecord
from corpusmill.plain_yaml import refuse_hostile
from corpusmill.report.facts import read_manifest
from corpusmill.report.lookup import load_whole, uri_mask
from corpusmill.report.tables import database, parquet_files

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import RenderableType

SAMPLES = 5
"""Documents that are named for each difference."""

MAX_DEPTH = 32
"""Of a recipe's groups within groups."""

ONLY_HERE = "(only here)"
"""In place of settings, for a source or stage that the other run does not have."""

NOT_INGESTED = "(not in the input)"
"""In place of a stage, for documents that the other run never met."""


def diff_data(first: str, second: str) -> dict[str, Any]:
    """What differs between two runs, `a` and `b`.

    Returns {a, b, recipe: [{setting, a, b}], inputs: {a, b, changed}, versions: [{name, a, b}],
    stages: [{stage, a: counts or None, b}], documents: {a, b, both, changed, relabelled, only_a,
    only_b, fates: [{only, stage, reason, documents, samples: [{id, uri}]}], changed_samples},
    tokens: [{split, a, b}], same_shards}. `inputs` counts files; of the documents in both, the text
    of `changed` ones differs and only language or metadata of `relabelled` ones; `fates` says of
    the documents that only one of them kept what became of them in the other. Settings that a run
    does not have are None.
    """
    runs = first, second
    records = load_whole(first), load_whole(second)
    for run, record in zip(runs, records, strict=True):
        if record.published is None:
            raise UsageError(f"{run}: has published no documents yet; finish it with the same run")
    return {
        "a": first,
        "b": second,
        "recipe": _settings(runs),
        "inputs": _inputs(records),
        "versions": _pairs(records[0].versions, records[1].versions, "name"),
        "stages": _stages(records),
        "documents": _documents(runs, records),
        **_tokens(runs),
    }


def _settings(runs: tuple[str, str]) -> list[dict[str, Any]]:
    """Settings of the resolved recipes that differ, as dotted names."""
    flat: list[dict[str, Any]] = []
    for run in runs:
        path = storage.join(run, "recipe.yaml")
        try:
            text = storage.read_bytes(path).decode()
            refuse_hostile(text, MAX_DEPTH)
            flat.append(dict(_leaves(yaml.safe_load(text))))
        except FileNotFoundError:
            raise RunError(f"{path} is missing") from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise RunError(f"{path} cannot be read: {type(error).__name__}") from None
    groups = [{_group(name) for name in settings} for settings in flat]
    # a source or stage that only one has is one line, not one for each of its settings
    for settings, other in zip(flat, reversed(groups), strict=True):
        for name in [name for name in settings if _group(name) and _group(name) not in other]:
            del settings[name]
            settings[_group(name)] = ONLY_HERE
    return _pairs(flat[0], flat[1], "setting")


def _group(name: str) -> str:
    """`stages.NAME` or `sources.NAME` of a setting's dotted name; "" for what is of neither."""
    first, *rest = name.split(".")
    return f"{first}.{rest[0]}" if first in ("sources", "stages") and rest else ""


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and plain values; items of lists are called by their name or stage."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        seen: dict[str, int] = {}
        for item in value:
            label, inner = _labelled(item)
            seen[label] = seen.get(label, 0) + 1
            number = f"#{seen[label]}" if seen[label] > 1 else ""
            yield from _leaves(inner, f"{name}.{label}{number}")
    else:
        yield name, value


def _labelled(item: Any) -> tuple[str, Any]:
    """A source by its name, a stage by its only key, anything else by what it is."""
    if isinstance(item, Mapping):
        if "name" in item:
            return str(item["name"]), item
        if len(item) == 1:
            ((label, inner),) = item.items()
            return str(label), inner if inner else "yes"
    return str(item), item


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Names whose values differ."""
    names = sorted({*a, *b})
    return [
        {key: name, "a": a.get(name), "b": b.get(name)}
        for name in names
        if a.get(name) != b.get(name)
    ]


def _inputs(records: tuple[RunRecord, RunRecord]) -> dict[str, int]:
    """Files that only one run read, and those that both read with other contents."""
    a, b = (
        {(file["source"], file["path"]): (file["bytes"], file["xxh3"]) for file in record.inputs}
        for record in records
    )
    return {
        "a": len(a),
        "b": len(b),
        "only_a": len(a.keys() - b.keys()),
        "only_b": len(b.keys() - a.keys()),
        "changed": sum(a[file] != b[file] for file in a.keys() & b.keys()),
    }


def _stages(records: tuple[RunRecord, RunRecord]) -> list[dict[str, Any]]:
    """The stages of both in order, matched by name and, for those of one name, by their turn."""
    a, b = (dict(_turns(record)) for record in records)
    order = list(a)
    place = 0
    for name in b:
        if name in a:
            place = order.index(name) + 1
        else:
            order.insert(place, name)
            place += 1
    return [
        {
            "stage": name,
            "a": a[name].counts.to_json() if name in a else None,
            "b": b[name].counts.to_json() if name in b else None,
        }
        for name in order
    ]


def _turns(record: RunRecord) -> Iterator[tuple[str, StageRecord]]:
    seen: dict[str, int] = {}
    for stage in record.stages:
        name = stage.name.partition("-")[2]
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}#{seen[name]}"), stage


def _documents(runs: tuple[str, str], records: tuple[RunRecord, RunRecord]) -> dict[str, Any]:
    """How the documents that came out differ."""
    with database() as tables:
        for name, run in zip("ab", runs, strict=True):
            columns = ["id", "uri", "text", "language", "metadata"]
            files = parquet_files(tables, run, "documents", columns)
            tables.execute(
                f"CREATE TEMP TABLE {name} AS SELECT id, uri, hash(text) AS words, "
                f"hash(language, CAST(metadata AS VARCHAR)) AS labels FROM {files}"
            )
        count = tables.execute(
            "SELECT count(a.id), count(b.id), count(*) FILTER (a.id = b.id), "
            "count(*) FILTER (a.words <> b.words), "
            "count(*) FILTER (a.words = b.words AND a.labels <> b.labels) "
            "FROM a FULL JOIN b ON a.id = b.id"
        ).fetchone()
        in_a, in_b, both, changed, relabelled = count or (0, 0, 0, 0, 0)
        masked = [uri_mask(record) for record in records]
        samples = tables.execute(
            "SELECT a.id, a.uri FROM a JOIN b ON a.id = b.id WHERE a.words <> b.words "
            f"ORDER BY a.id LIMIT {SAMPLES}"
        ).fetchall()
        return {
            "a": in_a,
            "b": in_b,
            "both": both,
            "changed": changed,
            "relabelled": relabelled,
            "only_a": in_a - both,
            "only_b": in_b - both,
            "fates": [
                *_fates(tables, "a", "b", runs[1], masked[0]),
                *_fates(tables, "b", "a", runs[0], masked[1]),
            ],
            "changed_samples": [{"id": id_, "uri": masked[0](uri)} for id_, uri in samples],
        }


def _fates(
    tables: "DuckDBPyConnection", mine: str, other: str, other_run: str, masked: Any
) -> list[dict[str, Any]]:
    """What became in the other run of the documents that only `mine` has."""
    ledger = parquet_files(
        tables,
        other_run,
        "ledger",
        ["id", "stage", "reason", "action"],
        "WHERE action <> 'changed'",
    )
    rows = tables.execute(
        f"""
        WITH lost AS (SELECT id, uri FROM {mine} WHERE id NOT IN (SELECT id FROM {other})),
        fate AS (
            SELECT lost.id, lost.uri, coalesce(stage, '{NOT_INGESTED}') AS stage,
                   coalesce(reason, '') AS reason
            FROM lost LEFT JOIN {ledger} AS gone ON lost.id = gone.id
        )
        SELECT stage, reason, count(*) AS documents,
               min_by(id, id, {SAMPLES}), min_by(uri, id, {SAMPLES})
        FROM fate GROUP BY stage, reason ORDER BY documents DESC, stage, reason
        """
    ).fetchall()
    return [
        {
            "only": mine,
            "stage": stage,
            "reason": reason,
            "documents": documents,
            "samples": [
                {"id": id_, "uri": masked(uri)} for id_, uri in zip(ids, uris, strict=True)
            ],
        }
        for stage, reason, documents, ids, uris in rows
    ]


def _tokens(runs: tuple[str, str]) -> dict[str, Any]:
    """Tokens by split, and whether the shards are the same files."""
    manifests = [read_manifest(storage.join(run, "shards")) for run in runs]
    splits = [m["splits"] if m else {} for m in manifests]
    tokens = [
        {
            "split": name,
            **{
                label: held[name]["tokens"] if name in held else None
                for label, held in zip("ab", splits, strict=True)
            },
        }
        for name in sorted({*splits[0], *splits[1]})
    ]
    sums = [_shard_sums(run) for run in runs]
    return {"tokens": tokens, "same_shards": None not in sums and sums[0] == sums[1]}


def _shard_sums(run: str) -> list[tuple[str, str]] | None:
    path = storage.join(run, "shards", "manifest.json")
    if not storage.exists(path):
        return None
    return sorted((shard["name"], shard["xxh3"]) for shard in storage.read_json(path)["shards"])


def diff_view(data: dict[str, Any]) -> "RenderableType":
    """The differences for a terminal; what is the same is not shown."""
    from rich.console import Group
    from rich.text import Text

    from corpusmill.report.terminal import amount, make_table, plain

    parts: list[RenderableType] = []
    for title, rows, key in (
        ("Settings", data["recipe"], "setting"),
        ("Versions", data["versions"], "name"),
    ):
        if rows:
            table = make_table(title, dict.fromkeys((key, "a", "b"), False))
            for row in rows:
                table.add_row(*(plain(row[name]) for name in (key, "a", "b")))
            parts.append(table)
    stages = make_table(
        "Stages",
        {"stage": False, **dict.fromkeys(("kept in a", "in b", "dropped in a", "in b "), True)},
    )
    for row in data["stages"]:
        pair = [row["a"], row["b"]]
        kept = [None if counts is None else counts["kept"] + counts["added"] for counts in pair]
        dropped = [None if counts is None else sum(counts["dropped"].values()) for counts in pair]
        style = "" if row["a"] == row["b"] else "yellow"
        stages.add_row(plain(row["stage"], style), *map(amount, [*kept, *dropped]))
    parts.append(stages)
    documents, inputs = data["documents"], data["inputs"]
    parts.append(
        Text(
            f"input: {inputs['a']:,} and {inputs['b']:,} files; {inputs['only_a']:,} only in a, "
            f"{inputs['only_b']:,} only in b, {inputs['changed']:,} changed\n"
            f"documents: {documents['a']:,} and {documents['b']:,}; {documents['both']:,} in both, "
            f"of which {documents['changed']:,} have another text and "
            f"{documents['relabelled']:,} only other labels; {documents['only_a']:,} only in a, "
            f"{documents['only_b']:,} only in b"
        )
    )
    if documents["fates"]:
        fates = make_table(
            "What became of them in the other run",
            {
                "only in": False,
                "documents": True,
                "stage": False,
                "reason": False,
                "such as": False,
            },
        )
        for fate in documents["fates"]:
            fates.add_row(
                fate["only"],
                amount(fate["documents"]),
                plain(fate["stage"]),
                plain(fate["reason"]),
                plain(fate["samples"][0]["uri"]),
            )
        parts.append(fates)
    if data["tokens"]:
        tokens = make_table("Tokens", {"split": False, "a": True, "b": True})
        for row in data["tokens"]:
            tokens.add_row(plain(row["split"]), amount(row["a"]), amount(row["b"]))
        parts += [tokens, Text("shards: " + ("the same" if data["same_shards"] else "they differ"))]
    return Group(*parts)
