"""Lists of words that people write as YAML, by language."""

from pathlib import Path
from typing import Any

import yaml

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.plain_yaml import HostileYaml, refuse_hostile


def read_term_file(
    path: str, shipped: Path, what: str, *, most_bytes: int, max_depth: int, of: str
) -> tuple[str, dict[Any, Any]]:
    """The name and the content, a mapping of languages, of the file at `path`, or the shipped one.

    `what` the file holds and what its languages are a mapping `of` is for messages. Raises
    UsageError that names the file and what is wrong with it.
    """
    name = path or str(shipped)
    try:
        if path and storage.file_size(path) > most_bytes:
            raise UsageError(f"{what} {name}: is larger than {most_bytes >> 20} MiB")
        text = storage.read_bytes(name).decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or "no such file"
        raise UsageError(f"{what} {name}: cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{what} {name}: is not text in UTF-8") from None
    try:
        if path:
            refuse_hostile(text, max_depth)
        plain = yaml.safe_load(text)
    except HostileYaml as problem:
        raise UsageError(f"{what} {name}: {problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UsageError(f"{what} {name}: is not YAML") from None
    if not isinstance(plain, dict) or not plain:
        raise UsageError(f"{what} {name}: is no mapping of languages to {of}")
    return name, plain
