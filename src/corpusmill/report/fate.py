"""Why a document is in the corpus, or not: its way through every stage of a run."""

import difflib
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines.ledger import ORIGINAL_DROPPED, RunRecord, part_path
from corpusmill.report.facts import read_manifest
from corpusmill.report.lookup import (
    INGEST_AREA,
    applies,
    area_before,
    filter_rounds,
    has_texts,
    kinds,
    load_whole,
    part_tables,
    read_texts,
    uri_mask,
)
from corpusmill.report.showing import mask, visible

MATCHES = 10
"""Documents whose fate is told at once when several have the address that was asked for."""

_COUNTED = 1000
"""Matches that are counted; beyond that it is enough to know that there are more."""

_COMPARED_URIS = 20_000
"""Addresses among which the nearest to a misspelt one is sought."""

DIFF_CHARACTERS = 50_000
"""Of each text, what is compared."""
DIFF_WORDS = 1000
"""Words of each text that are compared, from the first difference on."""
DIFF_LINES = 40
"""Lines of a difference that are shown."""
LINE_CHARACTERS = 200
"""Of a shown line."""
CONTEXT_WORDS = 5
"""Equal words shown on either side of a difference."""

_ID = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"\w+|[^\w\s]")


def why_data(run: str, key: str) -> dict[str, Any]:
    """The fate of the document with this id, or of those with this address.

    An address is met exactly or, when no document has exactly it, as a part of longer ones.
    Returns {key, run, matches, more, documents: [{id, uri, source, kind, part, augmented_from,
    fate, stages: [{stage, outcome, reason, value, threshold, detail}], language, language_score,
    scores, derived, shard, instead_of}]}, with at most MATCHES documents. Raises UsageError when
    there is none.
    """
    record = load_whole(run)
    key = key.encode(errors="replace").decode()  # an argument of the shell may be no UTF-8
    ids = [key.lower()] if _ID.fullmatch(key.lower()) else None
    places = _by_id(run, record, ids) if ids else []
    more = False
    if not places:
        places, more = _by_uri(run, record, key)
    if not places:
        raise UsageError(f"no document {visible(key)!r} in {run}{_nearest(run, record, key)}")
    return {
        "key": key,
        "run": run,
        "matches": len(places),
        "more": more,
        "documents": [_fate(run, record, place) for place in places[:MATCHES]],
    }


# ---- where a document is ----

Place = dict[str, Any]
"""part, id, uri, source, and augmented_from where it is known."""


def _areas(record: RunRecord) -> list[str]:
    """Where documents have left a trace, the fullest first."""
    return [INGEST_AREA, "documents", *(f"ledger/{stage.name}" for stage in record.stages)]


def _places(run: str, record: RunRecord) -> Iterator[tuple[int, pa.Table]]:
    """Ids and addresses of everything that is recorded; a document may come several times."""
    for area in _areas(record):
        columns = ["id", "uri", "source"]
        if not area.startswith("ledger/"):
            columns.append("augmented_from")
        yield from part_tables(run, record, area, columns)


def _by_id(run: str, record: RunRecord, ids: list[str]) -> list[Place]:
    """The places of documents, as far as there are any."""
    wanted = pa.array(ids, pa.string())
    found: dict[str, Place] = {}
    for part, table in _places(run, record):
        rows = table.filter(pc.is_in(table.column("id"), value_set=wanted))
        for row in rows.to_pylist():
            found.setdefault(row["id"], {"part": part, "augmented_from": None, **row})
        if len(found) == len(ids):
            break
    return list(found.values())


def _by_uri(run: str, record: RunRecord, key: str) -> tuple[list[Place], bool]:
    """Documents with exactly this address, else those whose address holds it; and if more do."""
    exact: dict[str, Place] = {}
    within: dict[str, Place] = {}
    more = False
    for part, table in _places(run, record):
        rows = table.filter(pc.match_substring(table.column("uri"), key))
        for row in rows.to_pylist():
            into = exact if row["uri"] == key else within
            if row["id"] in into:
                continue
            if len(into) >= _COUNTED:
                more = True
                break
            into[row["id"]] = {"part": part, "augmented_from": None, **row}
    found = exact or within
    return sorted(found.values(), key=lambda place: place["id"]), more and len(found) >= _COUNTED


def _nearest(run: str, record: RunRecord, key: str) -> str:
    seen = 0
    best: list[str] = []
    for _, table in _places(run, record):
        uris = table.column("uri").to_pylist()[: _COMPARED_URIS - seen]
        best = difflib.get_close_matches(key, [*best, *uris], n=1)
        seen += len(uris)
        if seen >= _COMPARED_URIS:
            break
    return f" (did you mean {visible(uri_mask(record)(best[0]))!r}?)" if best else ""


# ---- what became of it ----


def _fate(run: str, record: RunRecord, place: Place) -> dict[str, Any]:
    kind = kinds(record).get(place["source"])
    kept = _row(run, "documents", place)
    place = {**place, "augmented_from": _original(run, record, place)}
    stages = _stages(run, record, place, kind)
    shard = None if _is_gone(stages) else _shard(run, place["id"])
    if shard is not None:
        stages += _rounds(run, place, kind, shard["split"])
    gone = _is_gone(stages)
    last = stages[-1] if stages else None
    return {
        **place,
        "uri": uri_mask(record)(place["uri"]),
        "kind": kind,
        "fate": last["outcome"] if last is not None and gone else "kept",
        "stages": stages,
        "language": kept["language"] if kept else None,
        "language_score": kept["language_score"] if kept else None,
        "scores": _measured(((last if gone else kept) or {}).get("scores")),
        "derived": _derived(run, record, place),
        "shard": shard,
        "instead_of": _kept_instead(run, record, place, last)
        if last is not None and gone
        else None,
    }


def _is_gone(stages: list[dict[str, Any]]) -> bool:
    return bool(stages) and stages[-1]["outcome"] in ("dropped", "quarantined")


def _measured(scores: dict[str, float | None] | None) -> dict[str, float]:
    return {name: value for name, value in (scores or {}).items() if value is not None}


def _row(run: str, area: str, place: Place) -> dict[str, Any] | None:
    """The document's row in its part of an area, without its text."""
    path = part_path(run, area, place["part"])
    if not storage.exists(path):
        return None
    columns = ["id", "scores"]
    if "ledger" in area.split("/"):
        columns += ["action", "reason", "value", "threshold", "detail"]
    else:
        columns += ["language", "language_score", "augmented_from"]
    table = storage.read_parquet(path, columns)
    rows = table.filter(pc.equal(table.column("id"), place["id"])).to_pylist()
    return dict(rows[0]) if rows else None


def _stages(run: str, record: RunRecord, place: Place, kind: str | None) -> list[dict[str, Any]]:
    """The stages that the document went through, as far as it came."""
    first = _first_stage(run, record, place)
    result = []
    for number, stage in enumerate(record.stages[first:], start=first):
        row = _row(run, f"ledger/{stage.name}", place)
        if row is not None:
            outcome = row["action"]
        elif number == first:
            outcome = "read" if number == 0 else "added"
        else:
            reaches = applies(stage, place["source"], kind)
            outcome = "passed" if reaches else "not for this source"
        fields = ("reason", "value", "threshold", "detail")
        step = {"stage": stage.name, "outcome": outcome}
        result.append(step | {field: row[field] if row else None for field in fields})
        if outcome in ("dropped", "quarantined"):
            result[-1]["scores"] = row["scores"] if row else None
            break
    return result


def _rounds(run: str, place: Place, kind: str | None, split: str) -> list[dict[str, Any]]:
    """The rounds of `filter-round` that the document went through; `shards/` holds it still."""
    result: list[dict[str, Any]] = []
    for finished in filter_rounds(run):
        row = _row(run, f"{finished.folder}/ledger", place)
        step: dict[str, Any] = dict.fromkeys(("reason", "value", "threshold", "detail"))
        if row is not None:
            step |= {field: row[field] for field in step} | {"scores": row["scores"]}
        elif split != "train" or (kind == "code" and not finished.code):
            step["detail"] = "not judged"
        result.append(
            {"stage": finished.stage, "outcome": row["action"] if row else "passed", **step}
        )
        if row is not None:
            break
    return result


def _first_stage(run: str, record: RunRecord, place: Place) -> int:
    """The number of the stage that the document comes from: 0, or the first that added any.

    A derived document that was dropped again is known by not being among those that were ingested;
    when their texts were removed, that can not be told, and it is taken for an ingested one.
    """
    derived = place["augmented_from"] is not None or (
        has_texts(run)
        and _row(run, INGEST_AREA, place) is None
        and _row(run, f"ledger/{record.stages[0].name}", place) is None
    )
    if derived:
        for number, stage in enumerate(record.stages):
            if stage.sources.get(place["source"], stage.counts).added:
                return number
    return 0


def _original(run: str, record: RunRecord, place: Place) -> str | None:
    """The id of the document that this one was derived from."""
    for rows in _kinship(run, record, place["part"]):
        found = rows.filter(pc.equal(rows.column("id"), place["id"]))
        if found.num_rows:
            return str(found.column("augmented_from")[0].as_py())
    return None


def _derived(run: str, record: RunRecord, place: Place) -> list[str]:
    """Ids of the documents that were derived from this one, those that were dropped among them."""
    found = [
        rows.filter(pc.equal(rows.column("augmented_from"), place["id"])).column("id").to_pylist()
        for rows in _kinship(run, record, place["part"])
    ]
    return list(dict.fromkeys(document for ids in found for document in ids))


def _kinship(run: str, record: RunRecord, part: int) -> Iterator[pa.Table]:
    """Derived documents with their originals (id, augmented_from), which lie in the same part.

    Where the stages were removed, `documents/` and the ledger know some of them.
    """
    adding = [stage for stage in record.stages[1:] if stage.counts.added]
    areas = ["documents", *(f"stages/{stage.name}" for stage in adding)]
    for path in (part_path(run, area, part) for area in areas):
        if storage.exists(path):
            rows = storage.read_parquet(path, ["id", "augmented_from"])
            yield rows.filter(pc.is_valid(rows.column("augmented_from")))
    for stage in record.stages if adding else ():
        path = part_path(run, f"ledger/{stage.name}", part)
        if storage.exists(path):
            rows = storage.read_parquet(path, ["id", "detail", "reason"])
            rows = rows.filter(pc.equal(rows.column("reason"), ORIGINAL_DROPPED))
            yield rows.select(["id", "detail"]).rename_columns(["id", "augmented_from"])


def _shard(run: str, document: str) -> dict[str, Any] | None:
    """Where the document's tokens stand."""
    folder = storage.join(run, "shards")
    manifest = read_manifest(folder)
    for shard in manifest["shards"] if manifest else []:
        path = storage.join(folder, shard["name"].rsplit("/", 1)[-1])
        if not storage.exists(path):
            continue
        table = storage.read_ipc(path)
        row = pc.index(table.column("id"), document).as_py()
        if row >= 0:
            tokens = len(table.column("tokens")[row])
            return {"split": shard["split"], "shard": shard["name"], "row": row, "tokens": tokens}
    return None


# ---- what was kept instead ----


def _kept_instead(
    run: str, record: RunRecord, place: Place, last: dict[str, Any]
) -> dict[str, Any] | None:
    """The document that a dropped duplicate's verdict names, and how the two texts differ."""
    if last["detail"] is None or not _ID.fullmatch(last["detail"]):
        return None
    if last["reason"] == ORIGINAL_DROPPED:  # it names the original, and nothing was kept
        return None
    found = _by_id(run, record, [last["detail"]])
    if not found:
        return {"id": last["detail"], "uri": None, "part": None, "diff": None}
    other = found[0]
    wanted: dict[int, list[str]] = {place["part"]: [place["id"]]}
    wanted.setdefault(other["part"], []).append(other["id"])
    texts = read_texts(run, wanted, DIFF_CHARACTERS, area_before(run, record, last["stage"]))
    diff = None
    if place["id"] in texts and other["id"] in texts:
        diff = text_diff(texts[other["id"]], texts[place["id"]])
    return {
        "id": other["id"],
        "uri": uri_mask(record)(other["uri"]),
        "part": other["part"],
        "diff": diff,
    }


def text_diff(kept: str, dropped: str) -> list[str]:
    """The first differences between two texts, word by word, as lines that begin with @, blank, -
    or +: where, equal words around, words of the kept and words of the dropped text.

    Texts are masked before they are compared. Case, punctuation and layout count here.
    """
    ours, theirs = (_WORD.findall(mask(text)) for text in (kept, dropped))
    same = 0
    while same < min(len(ours), len(theirs)) and ours[same] == theirs[same]:
        same += 1
    start = max(0, same - CONTEXT_WORDS)
    ours, theirs = ours[start : start + DIFF_WORDS], theirs[start : start + DIFF_WORDS]
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    lines: list[str] = []
    for group in matcher.get_grouped_opcodes(CONTEXT_WORDS):
        _, first, _, other_first, _ = group[0]
        lines.append(f"@@ word {start + first + 1} / {start + other_first + 1} @@")
        for what, a, b, c, d in group:
            if what == "equal":
                lines += _lines(" ", ours[a:b])
            else:
                lines += _lines("-", ours[a:b]) + _lines("+", theirs[c:d])
    return lines[:DIFF_LINES]


def _lines(mark: str, words: list[str]) -> list[str]:
    text = " ".join(words)
    return [mark + line for line in textwrap.wrap(text, LINE_CHARACTERS, break_on_hyphens=False)]
