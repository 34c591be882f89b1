"""Taking documents out of token shards."""

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.tokenize.manifest import (
    ShardInfo,
    build_manifest,
    read_manifest,
    training_tokens,
    write_manifest,
)
from corpusmill.tokenize.shards import write_shard
from corpusmill.tokenize.vocabulary import load_tokenizer


def forget_in_shards(folder: str, ids: pa.Array) -> int:
    """Write the shards that hold documents with these ids (string) again; returns how many.

    A shard that held nothing else is removed, and a source or class that has no training tokens
    left leaves the mixture. The tokenizer stays as it was trained. Can be repeated after a kill: a
    shard that is not the manifest's was written by the call that was killed.
    """
    manifest = read_manifest(folder)
    vocabulary = load_tokenizer(storage.join(folder, manifest.tokenizer.file))
    shards: list[ShardInfo] = []
    for shard in manifest.shards:
        path = storage.join(folder, shard.name)
        if not storage.exists(path):
            continue
        rows = storage.read_ipc(path)
        gone = pc.is_in(rows.column("id"), value_set=ids)
        held = pc.any(gone, min_count=0).as_py()
        if not held and storage.checksum_file(path) == shard.xxh3:
            shards.append(shard)
            continue
        left = rows.filter(pc.invert(gone))
        if left.num_rows:
            shards.append(write_shard(folder, shard.name, shard.split, left, vocabulary))
        else:
            storage.remove(path)
    if tuple(shards) == manifest.shards:
        return 0
    changed = len(set(manifest.shards) - set(shards))
    mixture = manifest.mixture
    if mixture is not None:
        # with nothing left of it training is to refuse, and not to take what it left out
        mixture = mixture.limited_to(training_tokens(shards, mixture.by).keys()) or mixture
    write_manifest(
        folder, build_manifest(manifest.seed, vocabulary, shards, mixture, manifest.files)
    )
    return changed


def damaged_shard(folder: str) -> str | None:
    """The first shard that is missing, or not as the manifest has it; None where all are."""
    for shard in read_manifest(folder).shards:
        path = storage.join(folder, shard.name)
        if not storage.exists(path) or storage.checksum_file(path) != shard.xxh3:
            return shard.name
    return None
