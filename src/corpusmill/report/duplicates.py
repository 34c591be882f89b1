"""The largest clusters of near-duplicates of a run, and how their members differ."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.pipelines.ledger import RunRecord
from corpusmill.report.lookup import area_before, part_tables, read_texts
from corpusmill.report.showing import mask_beginning, visible

STAGE = "deduplicate"
CLUSTERS = 12
"""Clusters of each stage that are shown: those of which most documents were removed."""
REMOVED = 2
"""Removed documents of a cluster that are compared with the kept one."""
HELD = 100_000
"""Kept documents of which duplicates are counted at most twice so many: when there are more, those
with the fewest so far are forgotten."""

CHARACTERS = 20_000
"""Of each text, what is compared."""
WORDS = 250
"""Words of each text that are compared, from the first difference on."""
CONTEXT_WORDS = 8
"""Equal words shown on either side of a difference."""
DIFF_CHARACTERS = 700
"""Of a comparison that are shown."""

_ID = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"\s*(?:\w+|[^\w\s])")

Piece = tuple[str, str]
"""`same`, `kept` (only there), `removed` (only there) or `gap`, and the words."""


def duplicate_clusters(run: str, record: RunRecord) -> list[dict[str, Any]]:
    """For each stage `deduplicate` {stage, removed, clusters}.

    Clusters are {id, uri, part, removed: number, members: [{id, uri, part, value, reason,
    pieces}]}; `pieces` tell how a member differs from the kept document, None where the texts are
    not there. Addresses are as they are stored, pieces are masked.
    """
    found = []
    for stage in record.stages:
        if stage.name.partition("-")[2] == STAGE:
            counts = _counts(run, record, stage.name)
            largest = counts.most_common(CLUSTERS)
            clusters = _clusters(run, record, stage.name, dict(largest)) if largest else []
            removed = sum(stage.counts.dropped.values())
            found.append({"stage": stage.name, "removed": removed, "clusters": clusters})
    return found


def _counts(run: str, record: RunRecord, stage: str) -> Counter[str]:
    """Documents removed for each kept one; ties in the order of the ids."""
    counts: Counter[str] = Counter()
    for _, rows in part_tables(run, record, f"ledger/{stage}", ["action", "detail"]):
        details = rows.filter(pc.equal(rows.column("action"), "dropped")).column("detail")
        for row in pc.value_counts(details).to_pylist():
            if row["values"] is not None and _ID.fullmatch(row["values"]):
                counts[row["values"]] += row["counts"]
        if len(counts) > 2 * HELD:
            counts = Counter(dict(counts.most_common(HELD)))
    return Counter(dict(sorted(counts.items())))


def _clusters(
    run: str, record: RunRecord, stage: str, largest: dict[str, int]
) -> list[dict[str, Any]]:
    area = area_before(run, record, stage)
    members = _members(run, record, stage, largest)
    kept = _kept(run, record, area, largest) or _kept(run, record, "documents", largest)
    wanted: dict[int, set[str]] = defaultdict(set)
    for row in [*kept.values(), *(row for rows in members.values() for row in rows)]:
        wanted[row["part"]].add(row["id"])
    texts = read_texts(run, wanted, CHARACTERS + 1, area)
    return [
        {
            "id": document,
            "uri": kept[document]["uri"] if document in kept else None,
            "part": kept[document]["part"] if document in kept else None,
            "removed": number,
            "members": [
                {
                    **row,
                    "pieces": differences(texts[document], texts[row["id"]])
                    if document in texts and row["id"] in texts
                    else None,
                }
                for row in members[document]
            ],
        }
        for document, number in largest.items()
    ]


def _members(
    run: str, record: RunRecord, stage: str, largest: dict[str, int]
) -> dict[str, list[dict[str, Any]]]:
    """A few removed documents of each cluster: those least like the kept one, then by id."""
    members: dict[str, list[dict[str, Any]]] = {document: [] for document in largest}
    columns = ["id", "uri", "reason", "value", "detail"]
    chosen = pa.array(list(largest), pa.string())
    for part, rows in part_tables(run, record, f"ledger/{stage}", columns):
        rows = rows.filter(pc.is_in(rows.column("detail"), value_set=chosen))
        for row in rows.to_pylist():
            known = members[row.pop("detail")]
            known.append({**row, "part": part})
            known.sort(key=lambda r: (r["value"] is None, r["value"] or 0.0, r["id"]))
            del known[REMOVED:]
    return members


def _kept(
    run: str, record: RunRecord, area: str, wanted: Iterable[str]
) -> dict[str, dict[str, Any]]:
    chosen = pa.array(list(wanted), pa.string())
    found: dict[str, dict[str, Any]] = {}
    for part, rows in part_tables(run, record, area, ["id", "uri"]):
        rows = rows.filter(pc.is_in(rows.column("id"), value_set=chosen))
        found |= {row["id"]: {**row, "part": part} for row in rows.to_pylist()}
        if len(found) == len(chosen):
            break
    return found


def differences(kept: str, removed: str) -> list[Piece]:
    """The first differences, word by word; none where what is compared is the same.

    Texts are masked before they are compared; case, punctuation and layout count.
    """
    # a blank in front, so that the first word is like the others
    ours, theirs = (
        _WORD.findall(" " + visible(mask_beginning(text.lstrip(), CHARACTERS), lines=True))
        for text in (kept, removed)
    )
    same = next(
        (n for n, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    if same == len(ours) == len(theirs):
        return []
    start = max(0, same - CONTEXT_WORDS)
    ours, theirs = ours[start:], theirs[start:]
    torn = min(len(ours), len(theirs)) > WORDS
    ours, theirs = ours[:WORDS], theirs[:WORDS]
    pieces: list[Piece] = [("gap", "")] if start else []
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT_WORDS):
        for what, a, b, c, d in group:
            if torn and (b == len(ours) or d == len(theirs)) and what != "equal" and pieces:
                continue  # what is past the window may be in it on the other side
            if what == "equal":
                pieces.append(("same", "".join(ours[a:b])))
                continue
            pieces += [("removed", "".join(theirs[c:d]))] if d > c else []
            pieces += [("kept", "".join(ours[a:b]))] if b > a else []
        pieces.append(("gap", ""))
    return _short(pieces)


def _short(pieces: list[Piece]) -> list[Piece]:
    left = DIFF_CHARACTERS
    shown: list[Piece] = []
    for what, words in pieces:
        if left <= 0:
            return [*shown, ("gap", "")]
        shown.append((what, words[:left]))
        left -= len(words)
    return shown
