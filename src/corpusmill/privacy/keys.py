"""Where a secret key comes from: an environment variable or a file, never the recipe itself."""

import os
from pathlib import Path

from corpusmill.errors import UsageError

MINIMUM_KEY_BYTES = 16
"""A shorter key can be found by trying: NIST SP 800-107 asks for at least 112 bits of strength."""


MAXIMUM_KEY_BYTES = 65_536
"""A larger file is some other file, or has no end."""


def load_key(reference: str) -> bytes:
    """The key that `env:NAME` or `file:PATH` refers to.

    A line break at the end of a file is not part of the key. Raises UsageError that names the
    variable or the file, and never shows what stands in it.
    """
    kind, _, place = reference.partition(":")
    if kind not in ("env", "file") or not place:
        # The reference is not shown: somebody may have written the key itself there.
        raise UsageError("a key is given as 'env:NAME' or 'file:PATH', not by its value")
    if kind == "env":
        where = f"the environment variable {place}"
        if place not in os.environ:
            raise UsageError(f"{where}, which holds the key, is not set")
        key = os.environb[os.fsencode(place)]
    else:
        where = f"the key file {place}"
        key = _read(where, place).rstrip(b"\r\n")
    if not key:
        raise UsageError(f"{where} is empty: it must hold a key")
    if len(key) < MINIMUM_KEY_BYTES:
        raise UsageError(f"{where} holds a key of less than {MINIMUM_KEY_BYTES} bytes")
    return key


def _read(where: str, place: str) -> bytes:
    """A file's content. Pipes and devices are refused: every process reads the key for itself."""
    try:
        if Path(place).exists() and not (Path(place).is_file() or Path(place).is_dir()):
            raise UsageError(f"{where} is no regular file")
        with Path(place).open("rb") as file:
            key = file.read(MAXIMUM_KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}") from None
    except ValueError:  # a path with a null character
        raise UsageError(f"{where!r} is no path") from None
    if len(key) > MAXIMUM_KEY_BYTES:
        raise UsageError(f"{where} is larger than {MAXIMUM_KEY_BYTES} bytes: no key")
    return key
