"""Which documents a training step saw: computed again from the record, not looked up in a log."""

import os
from dataclasses import asdict
from typing import Any

from corpusmill.errors import UsageError
from corpusmill.pretrain.folder import read_record
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.manifest import MANIFEST_FILE, read_manifest


def trace(train_dir: str, step: int, shards: str | None = None) -> list[dict[str, Any]]:
    """Documents of the batch of a step (1, 2, ...), one row per stretch of a document.

    Each row is {sequence, id, source, shard, first_token, tokens}: `tokens` tokens of the document
    from its `first_token` on stood in that sequence of the batch, in this order. `shards` says
    where the shards are now, if they were moved. Raises UsageError when they are gone or others.
    """
    record = read_record(train_dir)
    settings = record["settings"]
    if not 1 <= step <= settings["steps"]:
        raise UsageError(f"step {step} is not one of 1 to {settings['steps']} of {train_dir}")
    folder = shards or record["shards"]
    if not os.path.exists(os.path.join(folder, MANIFEST_FILE)):
        raise UsageError(
            f"{folder}: the shards of this training are not there; "
            "say where they are now with --shards DIR"
        )
    if read_manifest(folder).xxh3 != record["shards_xxh3"]:
        raise UsageError(
            f"{folder}: holds other shards than those that {train_dir} was trained on; "
            "say where those are with --shards DIR"
        )
    batches = TokenBatches(
        folder,
        context=settings["context"],
        batch=settings["batch"],
        seed=settings["seed"],
        packing=settings["packing"],
    )
    return [
        {"sequence": number, **asdict(span)}
        for number, spans in enumerate(batches.documents(step))
        for span in spans
    ]
