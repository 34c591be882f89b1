"""Vocabularies that others made: a tokenizer.json, a tiktoken file, a `transformers` folder.

Each is read as plain data (JSON, base64), whatever it is called, and becomes the content of a
tokenizer.json.
"""

import base64
import binascii
import itertools
import json
from typing import Any

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.tokenize.pretokens import PATTERNS, PatternName, byte_letters, pretokenizer

LARGEST_FILE = 128 << 20
"""Bytes of a vocabulary's file; that of Gemma, with 262,144 tokens, has 33 MB."""
MOST_TOKENS = 1 << 20
"""Ids may leave gaps, and so go up to twice as far: what is held per id is small enough then."""
LONGEST_TOKEN = 256
"""Bytes; the longest of cl100k has 128."""

TOKENIZER_FILES = ("tokenizer.json", "special_tokens_map.json", "tokenizer_config.json")
"""What is read of a `transformers` folder; the last two need not be there."""

_KNOWN: dict[str, tuple[PatternName, int]] = {
    "gpt2": ("gpt2", 50256),
    "r50k_base": ("gpt2", 50256),
    "cl100k_base": ("cl100k", 100257),
    "o200k_base": ("o200k", 199999),
}
"""Published tiktoken files by name: their pattern and the id of <|endoftext|>, which no such file
says."""


def given_files(path: str) -> list[str]:
    """The files that a given vocabulary is read from."""
    if not _is_folder(path):
        return [path]
    files = [storage.join(path, name) for name in TOKENIZER_FILES]
    return [file for file in files if storage.exists(file)] or files[:1]


def read_given(path: str, end_of_text: str, pattern: PatternName | None) -> dict[str, Any]:
    """The content of a tokenizer.json. Raises UsageError for anything that is no vocabulary.

    `pattern` belongs to tiktoken files, which do not say how text is cut; `end_of_text` is what
    the token that ends a document is called in them.
    """
    if _is_folder(path):
        return _transformers(path)
    data = _read(path)
    if path.endswith((".json", "/")) or data.lstrip()[:1] in (b"{", b"["):
        return json_object(path, data)
    if _looks_like_tiktoken(data):
        return _tiktoken(path, data, end_of_text, pattern)
    return json_object(path, data)


def json_object(name: str, data: bytes) -> dict[str, Any]:
    """A JSON file that holds an object."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(f"{name}: is not JSON") from None
    if not isinstance(content, dict):
        raise UsageError(f"{name}: is not a tokenizer.json of the `tokenizers` library")
    return content


def _is_folder(path: str) -> bool:
    return storage.exists(storage.join(path, TOKENIZER_FILES[0]))


def _read(path: str) -> bytes:
    try:
        size = storage.file_size(path)
        if size > LARGEST_FILE:
            raise UsageError(f"{path}: {size} bytes are no vocabulary: at most {LARGEST_FILE}")
        return storage.read_bytes(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None


def _transformers(folder: str) -> dict[str, Any]:
    """The folder's tokenizer.json, with the special tokens that its other files name as such."""
    content = json_object(storage.join(folder, TOKENIZER_FILES[0]), _read(given_files(folder)[0]))
    named: dict[str, str] = {}
    for file in given_files(folder)[1:]:
        settings = json_object(file, _read(file))
        for role, token in settings.items():
            if isinstance(token, dict):
                token = token.get("content")
            if role.endswith("_token") and isinstance(token, str):
                named.setdefault(role, token)
    added = content.get("added_tokens")
    model = content.get("model")
    if not isinstance(added, list) or not isinstance(model, dict):
        return content  # the library will say what is wrong
    if any(not isinstance(t, dict) or not isinstance(t.get("content"), str) for t in added):
        raise UsageError(f"{folder}: added_tokens: each must be an object with its `content`")
    known = {token["content"]: token for token in added}
    vocab = model.get("vocab")
    for token in sorted(set(named.values())):
        if token in known:
            known[token]["special"] = True
        elif isinstance(vocab, dict) and token in vocab:
            added.append(_special(token, vocab[token]))
    end = named.get("eos_token")
    ids = {token["content"]: token.get("id") for token in added}
    number = ids.get(end)
    if isinstance(number, int) and not content.get("post_processor"):
        content["post_processor"] = ends_with(str(end), number)
    return content


def ends_with(token: str, number: int) -> dict[str, Any]:
    """The part of a tokenizer.json that says which token ends a sequence."""
    first: dict[str, Any] = {"Sequence": {"id": "A", "type_id": 0}}
    end = {"SpecialToken": {"id": token, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [first, end],
        "pair": [first, end, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }


def _looks_like_tiktoken(data: bytes) -> bool:
    fields = data[:4096].split(b"\n", 1)[0].split()
    return len(fields) == 2 and fields[1].isdigit()


def _tiktoken(
    path: str, data: bytes, end_of_text: str, pattern: PatternName | None
) -> dict[str, Any]:
    """Ranks of byte strings as a vocabulary with merges.

    The merge that makes a token joins the two parts that all merges of lower rank leave of it.
    """
    ranks = _ranks(path, data)
    known = _KNOWN.get(path.rsplit("/", 1)[-1].removesuffix(".tiktoken"))
    pattern = pattern or (known[0] if known else None)
    if pattern is None:
        raise UsageError(
            f"{path}: a tiktoken file does not say how text is cut: "
            f"set `pattern` to one of {', '.join(PATTERNS)}"
        )
    end = known[1] if known and known[1] not in ranks.values() else max(ranks.values()) + 1
    letters = byte_letters()

    def spelled(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = []
    whole = True
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            parts = _parts(token, ranks, rank)
            if len(parts) == 2:
                merges.append([spelled(part) for part in parts])
            whole &= len(parts) == 2
    return {
        "version": "1.0",
        "added_tokens": [_special(end_of_text, end)],
        "normalizer": None,
        "pre_tokenizer": pretokenizer(PATTERNS[pattern]),
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            # In here too: the library numbers added tokens that are not by itself.
            "vocab": {spelled(token): rank for token, rank in ranks.items()} | {end_of_text: end},
            "merges": merges,
            # tiktoken takes a word that is a token whole, whether merges lead to it or not.
            "ignore_merges": not whole,
        },
    }


def _ranks(path: str, data: bytes) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    lines = data.split(b"\n")
    if len(lines) > MOST_TOKENS:
        raise UsageError(f"{path}: has {len(lines)} lines: at most {MOST_TOKENS} tokens")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            encoded, rank = line.split()
            token = base64.b64decode(encoded, validate=True)
            value = int(rank)
        except (ValueError, binascii.Error):
            raise UsageError(f"{path}:{number}: is not `base64 rank`, as tiktoken has it") from None
        if not 0 < len(token) <= LONGEST_TOKEN or not 0 <= value < 2 * MOST_TOKENS:
            raise UsageError(f"{path}:{number}: no such token or rank can be")
        if token in ranks:
            raise UsageError(f"{path}:{number}: the token was there before")
        ranks[token] = value
    if len(set(ranks.values())) < len(ranks):
        raise UsageError(f"{path}: two tokens have one rank")
    missing = sum(bytes([byte]) not in ranks for byte in range(256))
    if missing:
        raise UsageError(f"{path}: {missing} of the 256 bytes are no tokens: texts would be lost")
    return ranks


def _parts(token: bytes, ranks: dict[bytes, int], limit: int) -> list[bytes]:
    """What merging by rank, below a limit, leaves of a token."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 1:
        pairs = [ranks.get(a + b, limit) for a, b in itertools.pairwise(parts)]
        best = min(pairs)
        if best >= limit:
            break
        i = pairs.index(best)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts


def _special(content: str, number: Any) -> dict[str, Any]:
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
