"""datasketch 2: MinHash in bulk with a fast hash, and its LSH index in memory, verified."""

import xxhash
from benchmarks.peers.common import BANDS, ROWS, THRESHOLD, measure
from benchmarks.peers.shingles import shingles
from datasketch import MinHash, MinHashLSH

SIZE = BANDS * ROWS


def signature(documents: list[str]) -> list[MinHash]:
    """As `MinHash.bulk`, which shares the permutations; xxh32 is faster than the default SHA-1."""
    return list(
        MinHash.generator(map(shingles, documents), num_perm=SIZE, hashfunc=xxhash.xxh32_intdigest)
    )


def mask(documents: list[str]) -> list[bool]:
    """Keep what no kept document resembles; the estimate of the whole signature decides."""
    index = MinHashLSH(num_perm=SIZE, params=(BANDS, ROWS))
    kept: dict[int, MinHash] = {}
    for number, one in enumerate(signature(documents)):
        if not any(one.jaccard(kept[other]) >= THRESHOLD for other in index.query(one)):
            index.insert(number, one, check_duplication=False)
            kept[number] = one
    return [number in kept for number in range(len(documents))]


measure(signature, mask)
