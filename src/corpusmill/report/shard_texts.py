"""Beginnings of the texts in token shards, decoded with the vocabulary that lies beside them."""

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.report.showing import excerpt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAMPLES = 12
"""Documents whose beginnings are shown."""
SAMPLE_TOKENS = 4096
"""Tokens of a document that are decoded: at least 1,024 characters, more than are shown, for masks
need what follows."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def shard_samples(folder: str) -> list[dict[str, Any]]:
    """The first document of each source in each split: [{split, source, id, shard, text}].

    Raises RunError for shards that are damaged, UsageError for those that are not on a local disk.
    """
    if not storage.is_local(folder):
        raise UsageError(f"{folder}: texts are read from a local disk; copy the shards to one")
    path = storage.join(folder, "manifest.json")
    manifest = storage.read_json(path)
    wanted: dict[tuple[str, str], tuple[str, int]] = {}
    try:
        for shard in manifest["shards"]:
            if not _FILE_NAME.fullmatch(shard["name"]):
                raise ValueError("a manifest from elsewhere must not lead out of its folder")
            row = 0
            for run in shard["runs"]:
                wanted.setdefault((shard["split"], run["source"]), (shard["name"], row))
                row += int(run["rows"])
        tokenizer = read_tokenizer(folder, manifest["tokenizer"])
        end_of_text = manifest["tokenizer"]["end_of_text"]
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{path} is not a manifest of token shards") from None
    samples = []
    for (split, source), (name, row) in list(wanted.items())[:SAMPLES]:
        identity, tokens = _document(storage.join(folder, name), row)
        text = tokenizer.decode(
            [token for token in tokens if token != end_of_text], skip_special_tokens=False
        )
        found = {"split": split, "source": source, "id": identity, "shard": name}
        samples.append(found | {"text": excerpt(text)})
    return samples


def read_tokenizer(folder: str, recorded: dict[str, Any]) -> "Tokenizer":
    """The vocabulary beside the shards, if it is the one that the manifest has `recorded`."""
    from tokenizers import Tokenizer

    path = storage.join(folder, "tokenizer.json")
    if not storage.exists(path) or storage.checksum_file(path) != recorded["hash"]:
        raise RunError(f"{path}: is missing, or not the vocabulary that the manifest names")
    try:
        return Tokenizer.from_str(storage.read_bytes(path).decode())
    except Exception:  # the library's own errors are of no other class
        raise RunError(f"{path}: is not a usable tokenizer.json") from None


def _document(path: str, row: int) -> tuple[str, list[int]]:
    """The id of a row, and the first tokens of its text."""
    try:
        with pa.memory_map(path, "rb") as source:
            batch = pa.ipc.open_file(source).get_batch(0)
            # a file from elsewhere may hold offsets that lead out of its buffers
            batch.validate(full=True)
            tokens = batch.column("tokens")[row].values[:SAMPLE_TOKENS].to_pylist()
            return str(batch.column("id")[row].as_py()), tokens
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise RunError(f"{path}: cannot be read: {why}") from None
