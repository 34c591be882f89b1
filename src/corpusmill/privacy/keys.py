"""Where a secret key comes from: an environment variable or a file, never the recipe itself."""

import os
from pathlib import Path

from corpusmill.errors import UsageError

MINIMUM_KEY_BYTES = 16
"""A shorter key can be found by trying: NIST SP 800-107 asks for at least 112 bits of strength."""


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
        try:
            key = Path(place).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise UsageError(f"{where} cannot be read: {error.strerror}") from None
    if not key:
        raise UsageError(f"{where} is empty: it must hold a key")
    if len(key) < MINIMUM_KEY_BYTES:
        raise UsageError(f"{where} holds a key of less than {MINIMUM_KEY_BYTES} bytes")
    return key
