"""What was done about personal data in a run, as counts of types and groups; never a value."""

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.pipelines.ledger import RunRecord
from corpusmill.report.judged import floats
from corpusmill.report.lookup import part_tables

ANONYMIZE, K_ANONYMITY = "anonymize", "k_anonymity"
GROUP_SIZE = "k_anonymity_group"
SHOWN = 60
"""Types that are shown, those found most often."""

_OBJECT = r'"%s": (?P<counts>\{[^{}]*\})'
"""The counts in a detail; the findings beside them need not be parsed."""


def personal_data(run: str, record: RunRecord) -> list[dict[str, Any]]:
    """For each stage `anonymize` {stage, method, documents, types}.

    Types are [{type, replaced, kept, documents}], most findings first: how often a type was
    replaced and how often it was found and kept as it was, and in how many documents.
    """
    found = []
    for stage in record.stages:
        if stage.name.partition("-")[2] != ANONYMIZE:
            continue
        replaced, kept, documents = Counter[str](), Counter[str](), Counter[str]()
        rows_seen = 0
        columns = ["action", "detail"]
        for _, rows in part_tables(run, record, f"ledger/{stage.name}", columns):
            detail = rows.filter(pc.not_equal(rows.column("action"), "quarantined"))["detail"]
            rows_seen += len(detail)
            for name, sums in (("counts", replaced), ("kept", kept)):
                for counts, times in _distinct(detail, _OBJECT % name):
                    for kind, number in counts.items():
                        sums[kind] += number * times
                        documents[kind] += times
        types = sorted(documents, key=lambda kind: (-replaced[kind] - kept[kind], kind))
        found.append(
            {
                "stage": stage.name,
                "method": str(stage.settings.get("method", "")),
                "documents": rows_seen,
                "types": [
                    {
                        "type": kind,
                        "replaced": replaced[kind],
                        "kept": kept[kind],
                        "documents": documents[kind],
                    }
                    for kind in types[:SHOWN]
                ],
            }
        )
    return found


def k_anonymity(run: str, record: RunRecord) -> list[dict[str, Any]]:
    """For each stage `k_anonymity` {stage, k, notes, documents, smallest, written}.

    `documents` of those in documents/ have quasi-identifiers, and the smallest group of them had so
    many members when the stage ended. `written` is [(what was written, how often)], a type and the
    level at which it is told; `notes` are the run's.
    """
    stages = [stage for stage in record.stages if stage.name.partition("-")[2] == K_ANONYMITY]
    if not stages:
        return []
    documents, smallest = 0, math.inf
    for _, rows in part_tables(run, record, "documents", [f"scores.{GROUP_SIZE}"]):
        if "scores" not in rows.column_names:
            break
        sizes = floats(pc.struct_field(rows.column("scores"), GROUP_SIZE))
        sizes = sizes[~np.isnan(sizes)]
        documents += len(sizes)
        smallest = min(smallest, float(sizes.min(initial=math.inf)))
    found = []
    for stage in stages:
        written: Counter[str] = Counter()
        for _, rows in part_tables(run, record, f"ledger/{stage.name}", ["detail"]):
            for counts, times in _distinct(rows["detail"], r"^(?P<counts>\{[^{}]*\})$"):
                for label, number in counts.items():
                    written[label] += number * times
        found.append(
            {
                "stage": stage.name,
                "k": stage.settings.get("k"),
                "notes": [note for note in record.notes if f"{K_ANONYMITY}:" in note],
                "documents": documents,
                "smallest": int(smallest) if documents else None,
                "written": written.most_common(SHOWN),
            }
        )
    return found


def _distinct(details: pa.ChunkedArray, pattern: str) -> list[tuple[dict[str, int], int]]:
    """The different counts that details hold, and how many details hold them."""
    texts = pc.struct_field(pc.extract_regex(details, pattern), "counts")
    found = []
    for row in pc.value_counts(texts).to_pylist():
        try:
            counts = json.loads(row["values"] or "{}")
        except ValueError:
            continue
        numbers = {str(name): n for name, n in counts.items() if type(n) is int}
        found.append((numbers, row["counts"]))
    return found
