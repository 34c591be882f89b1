"""rensa: the digest matrix of full sets (not `rho`, which samples), and its deduplicator."""

from benchmarks.peers.common import BANDS, ROWS, THRESHOLD, measure
from benchmarks.peers.shingles import shingles
from rensa import RMinHash, RMinHashDeduplicator  # type: ignore[import-not-found]

SIZE = BANDS * ROWS
AT_ONCE = 1000
"""Documents whose shingles are held as Python objects."""


def signature(documents: list[str]) -> list[object]:
    """`digest_matrix_from_token_byte_sets`, the fastest of its entries for raw text."""
    return [
        RMinHash.digest_matrix_from_token_byte_sets(
            [list(shingles(text)) for text in documents[start : start + AT_ONCE]], SIZE, 42
        )
        for start in range(0, len(documents), AT_ONCE)
    ]


def mask(documents: list[str]) -> list[bool]:
    """`RMinHashDeduplicator` with LSH checks candidates against the estimated similarity."""
    index = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=SIZE, use_lsh=True)
    kept: list[bool] = []
    for start in range(0, len(documents), AT_ONCE):
        some = documents[start : start + AT_ONCE]
        kept += index.add_pairs(
            (str(start + i), list(shingles(text))) for i, text in enumerate(some)
        )
    return kept


measure(signature, mask)
