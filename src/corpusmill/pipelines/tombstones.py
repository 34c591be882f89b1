"""What was erased from a run must not come back: keyed hashes of ids, addresses and domains.

The file holds hashes only (BLAKE2b with a key), so that it does not say what it keeps out. By
default the key is drawn at random and lies in the file: who holds the run folder and an address can
test whether that address was erased. With a key from `env:` or `file:` nobody can without the key.
"""

import functools
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.privacy.keys import load_key
from corpusmill.stages.sources.urls import canonical_url, host_of

TOMBSTONES_FILE = "tombstones.json"
FORMAT = 1

ID, URI, DOMAIN = "id", "uri", "domain"
_KEY = "key"


@dataclass(frozen=True, kw_only=True)
class Tombstones:
    """What must not be in a run; picklable, without the secret where that lies elsewhere."""

    key: str
    """`env:NAME` or `file:PATH`, or `hex:` and the random key itself."""
    hashes: frozenset[str]
    """`WHAT:HASH`, WHAT being id, uri or domain."""

    def names(self, what: str) -> bool:
        """Whether any hash is of this sort."""
        return any(entry.startswith(what + ":") for entry in self.hashes)

    def entry(self, what: str, value: str) -> str:
        """The entry of an id, an address or a domain."""
        if what == URI:
            value = one_form(value)
        text = f"{what}\0{value}".encode(errors="surrogatepass")
        return f"{what}:{hashlib.blake2b(text, digest_size=16, key=_secret(self.key)).hexdigest()}"

    def erased(self, batch: pa.RecordBatch | pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows (columns `id` and `uri`) must not be there; shape [rows]."""
        found = np.zeros(batch.num_rows, np.bool_)
        if self.names(ID):
            for row, value in enumerate(batch.column("id").to_pylist()):
                found[row] = self.entry(ID, value) in self.hashes
        if self.names(URI) or self.names(DOMAIN):
            for row, value in enumerate(batch.column("uri").to_pylist()):
                found[row] = found[row] or any(
                    self.entry(URI, name) in self.hashes for name in names_of(value)
                )
                found[row] = found[row] or any(
                    self.entry(DOMAIN, domain) in self.hashes for domain in domains_of(value)
                )
        return found

    def erased_ids(self, ids: Iterable[str]) -> int:
        """How many of these documents must not be there."""
        return sum(self.entry(ID, document) in self.hashes for document in ids)

    def with_entries(self, entries: Iterable[str]) -> "Tombstones":
        """These and more."""
        return Tombstones(key=self.key, hashes=self.hashes | frozenset(entries))

    def save(self, run: str) -> None:
        """Write them into a run folder."""
        plain = {
            "format": FORMAT,
            "key": self.key,
            "key_hash": self.entry(_KEY, ""),
            "hashes": sorted(self.hashes),
        }
        storage.write_json(storage.join(run, TOMBSTONES_FILE), plain)


@functools.lru_cache(maxsize=4)  # every id and address of a run is hashed with it
def _secret(key: str) -> bytes:
    kind, _, value = key.partition(":")
    secret = bytes.fromhex(value) if kind == "hex" else load_key(key)
    return hashlib.blake2b(secret, digest_size=32).digest()  # keys of any length


_BARE = re.compile(
    r"(?:s?ftps?:)?//|(?=(?:[^/?#\s:@]+\.)+[^/?#\s:@.]+\.?(?::\d+)?/)", re.IGNORECASE
)


def _web(uri: str) -> str:
    """The address as one of the web, where it is one but for its scheme; else as it is."""
    bare = _BARE.match(uri)
    return f"https://{uri[bare.end() :]}" if bare else uri


def one_form(uri: str) -> str:
    """One form for all spellings of an address: with any scheme or none, with `www.` and without.

    A part of a file (`book.epub#3`) is not the file.
    """
    return canonical_url(uri) or ("#" not in uri and canonical_url(_web(uri))) or uri


def names_of(uri: str) -> tuple[str, ...]:
    """What names a document by its address: that, and the file of which it is a part."""
    whole, _, part = uri.rpartition("#")
    return (one_form(uri), one_form(whole)) if whole and part else (one_form(uri),)


def domains_of(uri: str) -> Iterator[str]:
    """The host of an address and every domain above it: a.b.org, b.org, org."""
    host = host_of(_web(uri))
    while host:
        yield host
        host = host.partition(".")[2]


def load_tombstones(run: str) -> Tombstones | None:
    """The tombstones of a run folder; None where nothing was erased.

    Raises UsageError when their key is not there, or another: it would know nothing again.
    """
    path = storage.join(run, TOMBSTONES_FILE)
    if not storage.exists(path):
        return None
    plain = storage.read_json(path)
    _secret.cache_clear()
    try:
        if plain["format"] != FORMAT:
            raise KeyError
        tombstones = Tombstones(key=plain["key"], hashes=frozenset(plain["hashes"]))
        same_key = tombstones.entry(_KEY, "") == plain["key_hash"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{path} is damaged: what was erased could come back") from None
    if not same_key:
        where = "in it" if tombstones.key.startswith("hex:") else f"in {tombstones.key}"
        raise UsageError(f"{path}: made with another key than that {where}")
    return tombstones


def new_tombstones(key: str | None) -> Tombstones:
    """None yet, under a key from `env:` or `file:`, or a random one."""
    return Tombstones(key=key or f"hex:{secrets.token_hex(32)}", hashes=frozenset())
