"""datatrove: shingles and signature of its first MinHash stage, without the files it writes."""

import tempfile

from benchmarks.peers.common import measure
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature  # type: ignore[import-not-found]


def signature(documents: list[str]) -> list[object]:
    """As `MinhashDedupSignature.run` does for each document (default: FineWeb's bands)."""
    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(folder)
        found: list[object] = []
        for text in documents:
            shingles = step.get_shingles(text)
            if shingles.size:
                found.append(step.get_signature(shingles))
        return found


measure(signature, None)
