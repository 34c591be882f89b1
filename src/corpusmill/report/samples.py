"""Documents to look at: which are shown for each rule and reason, and how much of each.

A page of a million documents must stay small whatever the number of rules, so that all samples
together have a budget of bytes: it decides how many are shown of each group and how much of each.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from corpusmill.pipelines.ledger import RunRecord
from corpusmill.report.facts import REASONS, SAMPLES, StageFacts
from corpusmill.report.lookup import read_texts, uri_mask
from corpusmill.report.rules import Ruled
from corpusmill.report.showing import WINDOW_CHARACTERS, excerpt, mask_uri, visible

BUDGET = 1_300_000
"""Bytes of all samples in the page."""
AROUND = 420
"""Bytes of a sample besides its text: its id, address, measure and tags."""
LONGEST, SHORTEST = 400, 100
"""Bytes of a text that are shown."""
URI_BYTES, DETAIL_BYTES = 160, 200
CUT = " …"
LARGEST_ESCAPE = 6
"""Bytes of a character in a page, at most: `&quot;`."""

Sample = dict[str, Any]


def sampled(
    run: str, record: RunRecord, stages: Sequence[StageFacts], ruled: Sequence[Ruled]
) -> dict[str, Any]:
    """{groups, nearest, each, bytes, cut}: what the page shows of documents.

    `groups` are {stage, action, reason, documents, rows} by stage and reason, `nearest` the rows of
    documents just on the kept side by (stage, rule). Rows are {id, part, uri, source, value,
    threshold, detail, area, text}, `text` is None where it is not there. Of each group at most
    `each` documents are shown and of each text `bytes`; `cut` says whether that is less than usual.
    """
    groups = [(stage, reason) for stage in stages for reason in stage.reasons[:REASONS]]
    groups = [(stage, reason) for stage, reason in groups if reason.action != "changed"]
    number = len(groups) + sum(rule.nearest is not None for rule in ruled)
    each = min(SAMPLES, max(1, BUDGET // max(1, number) // (AROUND + SHORTEST)))
    rows = [reason.samples[:each] for _, reason in groups]
    near = {
        (rule.stage, rule.name): rule.nearest.rows[:each]
        for rule in ruled
        if rule.nearest is not None
    }
    shown = [row for chosen in (*rows, *near.values()) for row in chosen]
    length = min(LONGEST, max(SHORTEST, BUDGET // max(1, len(shown)) - AROUND))
    dropped = {
        row["id"]
        for (_, reason), chosen in zip(groups, rows, strict=True)
        if reason.action == "dropped"
        for row in chosen
    }
    wanted: dict[int, set[str]] = defaultdict(set)
    for row in shown:
        if "area" in row or row["id"] in dropped:
            wanted[row["part"]].add(row["id"])
    texts = read_texts(run, wanted, WINDOW_CHARACTERS + 1)
    excerpts = {document: cut(excerpt(text), length) for document, text in texts.items()}
    masked = uri_mask(record)
    return {
        "groups": [
            {
                "stage": stage.name,
                "action": reason.action,
                "reason": reason.name,
                "documents": reason.documents,
                "rows": [_shown(row, masked, excerpts) for row in chosen],
            }
            for (stage, reason), chosen in zip(groups, rows, strict=True)
        ],
        "nearest": {
            name: [_shown(row, masked, excerpts) for row in chosen] for name, chosen in near.items()
        },
        "each": each,
        "bytes": length,
        "cut": each < SAMPLES or length < LONGEST,
    }


def _shown(row: Sample, masked: Callable[[str], str], texts: Mapping[str, str]) -> Sample:
    detail = row["detail"]
    return {
        "area": None,
        **row,
        "uri": cut(masked(row["uri"]), URI_BYTES),
        "detail": None if detail is None else cut(detail, DETAIL_BYTES),
        "text": texts.get(row["id"]),
    }


def cut(text: str, length: int) -> str:
    """The beginning of a text, made visible: at most so many bytes when it stands in a page."""
    shown = visible(text[: length + 1], lines=True)
    if len(text) <= length and _bytes(shown) <= length:
        return shown
    shown = shown[:length]
    while (over := _bytes(shown) + _bytes(CUT) - length) > 0:
        shown = shown[: -max(1, over // LARGEST_ESCAPE)]
    return shown + CUT


def _bytes(text: str) -> int:
    return len(escape(text).encode())


def shown_values(record: RunRecord, tables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables of `coverage` as people see them: values that strangers wrote are masked and cut."""
    masked = uri_mask(record)
    # a licence is often an address itself, which `mask` would take for a key
    theirs = {"domain": masked, "licence": mask_uri, "topic": mask_uri}
    found = []
    for table in tables:
        form = theirs.get(table["key"], str)
        rows = [
            row | {"value": None if row["value"] is None else cut(form(row["value"]), 120)}
            for row in table["rows"]
        ]
        found.append({**table, "rows": rows})
    return found
