"""A training folder's identity: settings and shards, which must not change between its runs."""

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from pydantic import ValidationError

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pretrain.config import WATCHING, Settings, flatten
from corpusmill.pretrain.cost import parameters
from corpusmill.tokenize.manifest import TOKENIZER_FILE, Manifest

RECORD_FILE = "train.json"
FORMAT = 3
"""1 had another order of the tokens, 2 checkpoints of one file."""

FREE = WATCHING | {
    "distributed",
    "micro_batch",
    "recompute",
    "checkpoint_every",
    "keep_checkpoints",
    "keep_every",
    "evaluate_every",
}
"""Settings that may be others when a run goes on: losses stay the same, but for rounding."""


def record_run(
    out: str,
    settings: Settings,
    shards: str,
    manifest: Manifest,
    start: Callable[[], dict[str, Any] | None],
) -> dict[str, Any]:
    """Write train.json, or compare with the one that is there; returns what it holds.

    `start` says which weights the run begins with, as train.json is to record it; it is asked when
    the folder is new only, for what a run was begun with does not change. Raises UsageError listing
    the differences when the folder was made with other settings or other shards, or is something
    else than a training folder.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "shards": os.path.abspath(shards),
        "shards_xxh3": manifest.xxh3,
        "tokenizer": manifest.tokenizer.hash,
        "mixture": _mixture(manifest),
        "torch": version("torch"),
        "parameters": parameters(settings.model, manifest.tokenizer.vocab_size),
    }
    path = os.path.join(out, RECORD_FILE)
    if os.path.exists(path):
        before = read_record(out)
        _refuse_changes(out, before, content)
        content["start"] = before.get("start")
    elif any(not name.startswith(".") for name in os.listdir(out)):
        raise UsageError(
            f"{out}: is neither empty nor a training folder ({RECORD_FILE} is missing)"
        )
    else:
        content["start"] = start()
    storage.write_json(path, content)
    _copy_tokenizer(out, shards, manifest)
    return content


def _mixture(manifest: Manifest) -> dict[str, Any] | None:
    """What the training is asked to see, for those who look back on it when the shards are gone."""
    mixture = manifest.mixture
    return None if mixture is None else {"by": mixture.by, "weights": mixture.weights}


def _copy_tokenizer(out: str, shards: str, manifest: Manifest) -> None:
    """Put the vocabulary beside the weights: without it they are of no use to anyone."""
    copy = os.path.join(out, TOKENIZER_FILE)
    if os.path.exists(copy) and storage.checksum_file(copy) == manifest.tokenizer.hash:
        return
    path = os.path.join(shards, manifest.tokenizer.file)
    if not os.path.exists(path) or storage.checksum_file(path) != manifest.tokenizer.hash:
        raise RunError(f"{path}: is missing, or not the vocabulary that the manifest names")
    storage.write_atomic(copy, storage.read_bytes(path))


def read_record(out: str) -> dict[str, Any]:
    """Read train.json. Raises UsageError if the folder holds none."""
    path = os.path.join(out, RECORD_FILE)
    if not os.path.exists(path):
        raise UsageError(f"{out}: is no training folder ({RECORD_FILE} is missing)")
    record = storage.read_json(path)
    if not _is_record(record):
        raise UsageError(f"{path}: is not a record of training that this version reads")
    checked: dict[str, Any] = record
    return checked


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return False
    if not all(
        isinstance(record.get(name), str) for name in ("shards", "shards_xxh3", "tokenizer")
    ):
        return False
    settings, start = record.get("settings"), record.get("start")
    if not isinstance(settings, dict) or not isinstance(settings.get("model"), dict):
        return False
    try:
        # a setting that this version does not know is told as a difference when the run goes on
        Settings.model_validate({n: v for n, v in settings.items() if n in Settings.model_fields})
    except ValidationError:
        return False
    needed = {"steps", "batch", "context", "seed", "packing"}
    begun = start is None or (isinstance(start, dict) and {"step", "xxh3"} <= start.keys())
    return (
        needed <= settings.keys() and begun and (start is not None) == bool(settings.get("start"))
    )


def _refuse_changes(out: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    old, new = flatten(before["settings"]), flatten(now["settings"])
    changes = [
        f"  {name}: {old.get(name)!r} before, {new.get(name)!r} now"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and name not in FREE
    ]
    if before["shards_xxh3"] != now["shards_xxh3"]:
        changes.append(f"  shards: {before['shards']} before, other content in {now['shards']} now")
    if changes:
        differences = "\n".join(changes)
        raise UsageError(
            f"{out}: was begun with other settings or shards:\n{differences}\n"
            "Give the same ones to go on, or another --out to begin anew"
        )
