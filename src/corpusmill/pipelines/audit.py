"""Does the recipe's own anonymization let anybody through? Tried with people who do not exist.

Values of made-up people (corpusmill.privacy.identities) are planted into excerpts of the run's
documents, the recipe's `anonymize` stages run over the copies as they did over the documents, and
what is left of each value is measured. The text of the shards is decoded and goes through the same
stages: whatever they would still change is left over. Only numbers are written, to
RUN/audit.json; no text of a document appears anywhere.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import count, islice
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import derived_id
from corpusmill.errors import UsageError, one_of
from corpusmill.pipelines.anonymize_chain import AnonymizeChain, Passed
from corpusmill.pipelines.audit_counts import Counts
from corpusmill.pipelines.audit_shards import scan_shards
from corpusmill.pipelines.ingest import INGEST
from corpusmill.pipelines.ledger import RunRecord, load_run, part_path
from corpusmill.pipelines.planting import Copy, excerpt, plant
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.privacy.entities import ENTITIES
from corpusmill.privacy.identities import LANGUAGES, passages

AUDIT_FILE = "audit.json"

PLANTED_IN_A_COPY = 12
"""Passages in one copy; one where a document that holds any value is dropped whole."""
MOST_PARTS = 16
"""Parts that the sample is read from, spread evenly over those that are anonymized."""

COPIES_AT_ONCE = 512
"""Held in memory together."""


def audit(
    run: str,
    *,
    sample: int = 200,
    identities: int = 2000,
    min_recall: float = 0.997,
    leave: Collection[str] = (),
    seed: int = 1,
    scan_mb: float | None = None,
) -> dict[str, Any]:
    """Plant `identities` made-up people into copies of `sample` documents, and look what is left.

    Returns what RUN/audit.json holds. `findings` lists, a sentence each, what is not as it should
    be: a recall below `min_recall`, types of identifiers that the recipe lets stand and `leave`
    does not name, values left in the shards, documents that a second pass changes. `scan_mb` are
    decoded from the shards (64, or 0.5 where models look for names). Raises UsageError where the
    recipe anonymizes nothing or the numbers make no sense.
    """
    if sample < 1 or identities < 1 or not 0 <= min_recall <= 1:
        raise UsageError(
            f"sample {sample} and identities {identities} must be positive, "
            f"min_recall {min_recall} must lie between 0 and 1"
        )
    if scan_mb is not None and not scan_mb > 0:
        raise UsageError(f"scan_mb {scan_mb} must be positive")
    for entity in leave:
        if entity not in ENTITIES:
            raise UsageError(f"leave: {one_of(entity, ENTITIES)}")
    record = load_run(run)
    recipe = load_recipe(storage.join(run, "recipe.yaml"))
    chain = AnonymizeChain(recipe)
    try:
        documents, raw = _sample(run, record, chain, sample, seed)
        clean = chain.pass_over(documents)
        again = chain.pass_over(clean.documents).changed(clean.documents)
        facts = _measure(chain, _copies(clean.documents, chain, identities, seed))
        shards = scan_shards(run, chain, scan_mb, seed)
    finally:
        chain.close()
    finished = {stage.name for stage in record.stages}
    facts = {
        "run": record.name,
        "fingerprint": record.stages[-1].fingerprint if record.stages else None,
        "stages": [step.name for step, _ in chain.steps],
        "not_run": [step.name for step, _ in chain.steps if step.name not in finished],
        "seed": seed,
        "identities": identities,
        "min_recall": min_recall,
        "leave": sorted(set(leave)),
        **facts,
        "sample": {"raw": raw, **_replacements(documents, clean), "changed_again": again},
        "not_anonymized": [s for s in chain.sources if not chain.covers(s)],
        "shards": shards,
    }
    facts["findings"] = _findings(facts)
    with storage.folder_lock(run):
        storage.write_json(storage.join(run, AUDIT_FILE), facts)
    return facts


def _sample(
    run: str, record: RunRecord, chain: AnonymizeChain, sample: int, seed: int
) -> tuple[pa.RecordBatch, bool]:
    """Excerpts of documents that the stages look at, and whether they are as they came."""
    raw = storage.exists(storage.join(run, f"stages/{INGEST}"))
    area = f"stages/{INGEST}" if raw else "documents"
    if not raw and not storage.exists(storage.join(run, area)):
        raise UsageError(f"{run} holds no documents: nothing can be planted into a copy of them")
    covered = [n for n, part in enumerate(record.parts) if chain.covers(part["source"])]
    covered = [n for n in covered if storage.exists(part_path(run, area, n))]
    if not covered:
        raise UsageError(f"{run}: no document is of a source that its recipe anonymizes")
    step = -(-len(covered) // MOST_PARTS)
    parts = covered[::step]
    random = Random(f"{seed}/sample")
    texts = []
    for number in parts:
        table = storage.read_parquet(
            part_path(run, area, number), ["id", "text", "source", "language"]
        )
        wanted = min(-(-sample // len(parts)), table.num_rows)
        rows = table.take(sorted(random.sample(range(table.num_rows), wanted))).to_pylist()
        texts += [
            (row["id"], excerpt(row["text"], random), row["source"], row["language"])
            for row in rows
        ]
    return chain.rows(texts[:sample]), raw


def _copies(
    documents: pa.RecordBatch, chain: AnonymizeChain, identities: int, seed: int
) -> Iterator[tuple[str, Copy, str]]:
    """(id, copy, source): every identity's passages, planted into the documents in turn."""
    random = Random(f"{seed}/copies")
    texts = documents.column("text").to_pylist()
    sources = documents.column("source").to_pylist()
    if not texts:  # all were dropped: nothing real is left to plant into
        texts = [""]
        sources = [next(filter(chain.covers, chain.sources))]
    plants = (
        (language, passage)
        for number in range(identities)
        for language in (LANGUAGES[number % len(LANGUAGES)],)
        for passage in passages(seed, number, language)
    )
    for copy in count():
        some = list(islice(plants, 1 if chain.drops else PLANTED_IN_A_COPY))
        if not some:
            return
        row = copy % len(texts)
        made = plant(texts[row], some, random, chain.fields_of(sources[row]))
        yield derived_id(f"{row:032x}", "audit", copy), made, sources[row]


def _replacements(before: pa.RecordBatch, passed: Passed) -> dict[str, Any]:
    """How much of real text the stages replace."""
    size = pc.sum(pc.binary_length(before.column("text"))).as_py() or 0
    replaced = passed.entities.total()
    return {
        "documents": before.num_rows,
        "bytes": size,
        "changed": passed.changed(before),
        "quarantined": len(passed.quarantined),
        "replacements": replaced,
        "replacements_per_mb": round(replaced * 1e6 / max(size, 1), 2),
    }


def _measure(chain: AnonymizeChain, copies: Iterator[tuple[str, Copy, str]]) -> dict[str, Any]:
    """Run the stages over the copies and count what is left, batch by batch."""
    counts = Counts(chain)
    while some := list(islice(copies, COPIES_AT_ONCE)):
        rows = [
            (i, copy.text, source, copy.places[0].language if chain.knows_languages else None)
            for i, copy, source in some
        ]
        passed = chain.pass_over(chain.rows(rows, [copy.fields for _, copy, _ in some]))
        names = dict.fromkeys(["text", *(name for _, copy, _ in some for name in copy.fields)])
        after = {name: passed.field_values(name) for name in names}
        for document, copy, source in some:
            if document in passed.quarantined:
                counts.add_quarantined()
            elif document not in passed.texts:
                counts.add(copy, source, None)
            else:
                counts.add(copy, source, {name: after[name][document] for name in names})
    return counts.facts()


def _findings(facts: Mapping[str, Any]) -> list[str]:
    found = []
    values, leaked = facts["values"], facts["leaked"]
    if not values:
        found.append("nothing that was planted could be counted")
    elif (values - leaked) / values < facts["min_recall"]:
        found.append(
            f"recall {facts['recall']} is below {facts['min_recall']}: "
            f"{leaked} of {values} planted values are left"
        )
    left_alone = [e for e in ENTITIES if e in facts["not_covered"] and e not in facts["leave"]]
    if left_alone:
        found.append(
            f"the recipe lets types of identifiers stand that `leave` does not name: "
            f"{', '.join(left_alone)}"
        )
    if facts["not_run"]:
        found.append(f"the run has not come through {', '.join(facts['not_run'])}")
    if facts["quarantined"]:
        found.append(
            f"{facts['quarantined']} of {facts['copies']} copies were quarantined: what would be "
            "left in them is not known"
        )
    if changed := facts["sample"]["changed_again"]:
        found.append(f"a second pass changes {changed} documents of the sample")
    shards = facts["shards"]
    if shards and (left := shards["documents_with_identifiers"]):
        found.append(
            f"shards/: {left} of {shards['documents']} documents still hold what the "
            "recipe replaces"
        )
    if shards and shards["quarantined"]:
        found.append(f"shards/: {shards['quarantined']} documents could not be looked at")
    return found
