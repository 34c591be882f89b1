"""Is anything left in a run's shards that its recipe's `anonymize` stages would take out?"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import id_fraction
from corpusmill.pipelines.anonymize_chain import AnonymizeChain
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.manifest import MANIFEST_FILE, read_manifest
from corpusmill.tokenize.vocabulary import load_tokenizer

SCANNED_MB = 64.0
SCANNED_SLOWLY_MB = 0.5
"""Megabytes of text that are decoded, and with models, which read some 10 kB in a CPU-second.
Documents are chosen by a hash of their ids."""
MOST_DOCUMENTS = 200_000
"""However short they are: the languages of those that are chosen are held in memory."""

DOCUMENTS_AT_ONCE = 256
_PURPOSE = "audit"


def scan_shards(
    run: str, chain: AnonymizeChain, scan_mb: float | None, seed: int
) -> dict[str, Any] | None:
    """What the stages would still replace in the decoded text; None where there are no shards."""
    folder = storage.join(run, "shards")
    if not storage.exists(storage.join(folder, MANIFEST_FILE)):
        return None
    manifest = read_manifest(folder)
    encoder = Encoder(load_tokenizer(storage.join(folder, manifest.tokenizer.file)))
    size = sum(shard.text_bytes for shard in manifest.shards)
    number = sum(shard.rows for shard in manifest.shards)
    wanted = scan_mb or (SCANNED_SLOWLY_MB if chain.slow else SCANNED_MB)
    share = min(1.0, wanted * 1e6 / max(size, 1), MOST_DOCUMENTS / max(number, 1))
    languages = _languages(run, share, seed) if chain.knows_languages else {}
    documents = left = scanned = quarantined = 0
    entities: Counter[str] = Counter()
    for shard in manifest.shards:
        table = storage.read_ipc(storage.join(folder, shard.name))
        chosen = id_fraction(table.column("id"), seed, _PURPOSE) < share
        chosen &= [chain.covers(source) for source in table.column("source").to_pylist()]
        rows = chosen.nonzero()[0]
        for first in range(0, len(rows), DOCUMENTS_AT_ONCE):
            some = table.take(rows[first : first + DOCUMENTS_AT_ONCE])
            texts = [encoder.decode(row.values.to_numpy()) for row in some.column("tokens")]
            ids, names = some.column("id").to_pylist(), some.column("source").to_pylist()
            spoken = [languages.get(document) for document in ids]
            batch = chain.rows(list(zip(ids, texts, names, spoken, strict=True)))
            passed = chain.pass_over(batch)
            documents += batch.num_rows
            quarantined += len(passed.quarantined)
            left += passed.changed(batch) - len(passed.quarantined)
            scanned += pc.sum(pc.binary_length(batch.column("text"))).as_py()
            entities += passed.entities
    return {
        "documents": documents,
        "of": number,
        "bytes": scanned,
        "quarantined": quarantined,
        "documents_with_identifiers": left,
        "identifiers": entities.total(),
        "entities": dict(sorted(entities.items())),
    }


def _languages(run: str, share: float, seed: int) -> Mapping[str, str]:
    """Id -> language of the documents that are chosen, where published ones still are."""
    folder = storage.join(run, "documents")
    found: dict[str, str] = {}
    for path in storage.list_files(folder) if storage.exists(folder) else ():
        if path.endswith(".parquet"):
            rows = storage.read_parquet(path, ["id", "language"])
            rows = rows.filter(id_fraction(rows["id"], seed, _PURPOSE) < share)
            found |= dict(zip(rows["id"].to_pylist(), rows["language"].to_pylist(), strict=True))
    return found
