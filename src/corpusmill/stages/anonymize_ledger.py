"""What `anonymize` tells the ledger of a document: what was found where, never the value."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from corpusmill.stage import Action, Verdicts

if TYPE_CHECKING:
    from corpusmill.privacy.anonymizer import Treated

MOST_SPANS = 50
"""Findings of one document that the ledger lists; the others are counted."""


def judge(document: str, treated: "Sequence[tuple[str, Treated]]", verdicts: Verdicts) -> None:
    """The document's row in the ledger: dropped, changed, or only counted."""
    dropping = sum(one.method == "drop" for _, one in treated)
    replaced = sum(one.method != "keep" for _, one in treated)
    detail = json.dumps(_detail(treated), sort_keys=True)
    if dropping:
        verdicts.add(document, Action.DROPPED, "personal_data", dropping, 0, detail)
    elif replaced:
        verdicts.add(document, Action.CHANGED, "anonymized", replaced, detail=detail)
    else:
        verdicts.add(document, Action.CHANGED, "counted", len(treated), detail=detail)


def _detail(treated: "Sequence[tuple[str, Treated]]") -> Mapping[str, Any]:
    """Counts of entities, and [field, entity, start, end, recognizer, score, hash] of the first
    findings; the hash is left out without a key."""
    spans = [
        [field, one.entity, one.start, one.end, one.recognizer, round(one.score, 2)]
        + ([one.hash] if one.hash is not None else [])
        for field, one in treated[:MOST_SPANS]
    ]
    detail: dict[str, Any] = {
        "counts": Counter(one.entity for _, one in treated if one.method != "keep"),
        "spans": spans,
    }
    if kept := Counter(one.entity for _, one in treated if one.method == "keep"):
        detail["kept"] = kept
    if len(treated) > MOST_SPANS:
        detail["more"] = len(treated) - MOST_SPANS
    return detail
