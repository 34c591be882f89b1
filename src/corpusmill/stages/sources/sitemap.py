"""Sitemaps of local files: which files of a mirror they name.

Formats and limits are those of sitemaps.org (0.9): XML `urlset` and `sitemapindex`, and plain text
with an address on each line, in UTF-8, plain or gzip. Nothing is fetched: addresses stand for files
below the sitemap's folder, where mirroring tools put them.
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from corpusmill.stages.sources.limits import Refused
from corpusmill.stages.sources.sniff import plain_name
from corpusmill.stages.sources.streams import Damaged, Unpacked, unpacked_head
from corpusmill.storage import is_below, is_local, leads_outside, open_read

MAX_BYTES = 50 * (1 << 20)
"""Bytes of one sitemap, unpacked; the standard's limit."""
MAX_ADDRESSES = 50_000
"""Addresses in one sitemap, or sitemaps in one index; the standard's limit."""
MAX_INDEXES = 2
"""Indexes above one another. The standard allows one."""
MAX_ENTRIES = 1_000_000
"""Addresses in an index and all that it names."""

_ROOT = re.compile(rb"<(?:[A-Za-z][\w.-]{0,30}:)?(?:urlset|sitemapindex)[\s>/]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a sitemap names."""

    loc: str
    """The address as it stands there."""
    lastmod: str
    """When it was changed last, as it stands there; empty when it does not say."""
    file: str | None
    """The local file; None when there is none to read."""
    problem: str | None = None
    """Why there is none: `not_in_folder`, `listed_twice`, or what is wrong with a sitemap that an
    index names."""


def is_sitemap(path: str) -> bool:
    """Whether a local file is a sitemap: by its first bytes, a plain text one by its name too."""
    if not is_local(path):
        return False
    try:
        with open_read(path) as stream:
            head = unpacked_head(stream.read(65_536))
    except OSError:
        return False
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        return _ROOT.search(head) is not None
    name = plain_name(path)
    named = name.startswith("sitemap") and name.endswith(".txt")
    return named and start[:8].lower().startswith((b"http://", b"https://", b"file://"))


def read_sitemap(path: str) -> list[Entry]:
    """The entries of a local sitemap, or of all sitemaps that an index names, in their order.

    An address is looked up below the folder of the sitemap at `path`, as `host/path`, and as `path`
    alone for the host that the sitemap names first (a sitemap is about one host). A file that is
    named again has no entry of its own: documents are called by their file.

    Raises:
        Refused: it is damaged or no sitemap, or exceeds a limit.
        OSError: it cannot be read.
    """
    folder = os.path.dirname(os.path.abspath(path))
    reader = _Reader(folder=folder, seen={os.path.realpath(path)})
    return list(reader.entries(path, indexes=0))


@dataclass(kw_only=True)
class _Reader:
    folder: str
    seen: set[str]
    """Real paths of what was named already, sitemaps too: indexes may go round in circles."""
    host: str | None = None
    count: int = 0

    def entries(self, path: str, *, indexes: int) -> Iterator[Entry]:
        is_index, named = _parse(path)
        if is_index and indexes == MAX_INDEXES:
            raise Refused("sitemap_too_deep", indexes + 1, MAX_INDEXES)
        for loc, lastmod in named:
            self.count += 1
            if self.count > MAX_ENTRIES:
                raise Refused("too_many_addresses", self.count, MAX_ENTRIES)
            file = self._find(loc)
            if file is None:
                yield Entry(loc=loc, lastmod=lastmod, file=None, problem="not_in_folder")
            elif (real := os.path.realpath(file)) in self.seen:
                yield Entry(loc=loc, lastmod=lastmod, file=None, problem="listed_twice")
            else:
                self.seen.add(real)
                if is_index:
                    yield from self._below(loc, lastmod, file, indexes + 1)
                else:
                    yield Entry(loc=loc, lastmod=lastmod, file=file)

    def _below(self, loc: str, lastmod: str, file: str, indexes: int) -> Iterator[Entry]:
        try:
            yield from self.entries(file, indexes=indexes)
        except (Refused, OSError) as error:
            if isinstance(error, Refused) and self.count > MAX_ENTRIES:
                raise
            problem = error.reason if isinstance(error, Refused) else "unreadable_file"
            yield Entry(loc=loc, lastmod=lastmod, file=None, problem=problem)

    def _find(self, loc: str) -> str | None:
        """The file below the folder that an address stands for."""
        for name in self._names(loc):
            file = os.path.normpath(os.path.join(self.folder, name))
            if (
                is_below(file, self.folder)
                and os.path.isfile(file)
                and not leads_outside(file, self.folder)
            ):
                return file
        return None

    def _names(self, loc: str) -> Iterator[str]:
        if "\0" in loc or len(loc) > 4096:
            return
        if not _SCHEME.match(loc):  # a path, below the folder
            yield from (loc, unquote(loc))
            return
        try:
            parts = urlsplit(loc)
            host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
        except ValueError:
            return
        if parts.scheme == "file":
            if host in ("", "localhost"):
                yield from (unquote(parts.path), parts.path)
        elif parts.scheme in ("http", "https") and host:
            self.host = self.host or host
            for path in _mirrored(parts.path, parts.query):
                yield f"{host}/{path}"
                if host == self.host:
                    yield path


def _mirrored(path: str, query: str) -> Iterator[str]:
    """Names under which mirroring tools store a page, likeliest first.

    wget stores a folder as `index.html` in it and writes the query behind `?` (`@` in names for
    Windows) with its slashes encoded; with --adjust-extension it appends `.html`.
    """
    plain = "/".join(map(_segment, path.split("/")))
    for name in dict.fromkeys((plain, path)):
        name = name.lstrip("/")
        if not name or name.endswith("/"):
            name += "index.html"
        if not query:
            yield from (name, f"{name}.html", f"{name}/index.html")
            continue
        encoded = query.replace("/", "%2F")
        for tail in dict.fromkeys((encoded, unquote(query).replace("/", "%2F"))):
            for mark in "?@":
                yield from (f"{name}{mark}{tail}", f"{name}{mark}{tail}.html")


def _segment(segment: str) -> str:
    """A path segment as a file's name; it stays encoded where it would be more than a name."""
    name = unquote(segment)
    return segment if "/" in name or "\0" in name or name in (".", "..") else name


def _parse(path: str) -> tuple[bool, list[tuple[str, str]]]:
    """Whether a sitemap is an index, and its addresses with the dates of their last change."""
    with open_read(path) as stream:
        head = stream.read(65_536)
        stream.seek(0)
        try:
            data = Unpacked(stream, head).read_up_to(MAX_BYTES + 1)
        except Damaged:
            raise Refused("damaged_file") from None
    if len(data) > MAX_BYTES:
        raise Refused("too_large", len(data), MAX_BYTES)
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_index, named = _parse_xml(data) if data.startswith(b"<") else (False, _parse_text(data))
    if len(named) > MAX_ADDRESSES:
        raise Refused("too_many_addresses", len(named), MAX_ADDRESSES)
    return is_index, named


def _parse_text(data: bytes) -> list[tuple[str, str]]:
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise Refused("invalid_utf8") from None
    return [(line.strip(), "") for line in lines if line.strip()]


def _parse_xml(data: bytes) -> tuple[bool, list[tuple[str, str]]]:
    from lxml import etree

    named: list[tuple[str, str]] = []
    root: str | None = None
    space = ""
    try:
        for event, element in etree.iterparse(
            io.BytesIO(data),
            events=("start", "end"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        ):
            if root is None:
                space, _, root = element.tag.rpartition("}")
                if root not in ("urlset", "sitemapindex"):
                    raise Refused("not_a_sitemap")
            parent = element.getparent()
            if event == "start" or parent is None or parent.getparent() is not None:
                continue
            # loc of the same namespace: image and video entries have their own
            prefix = f"{space}}}" if space else ""
            loc = (element.findtext(f"{prefix}loc") or "").strip()
            if loc:
                named.append((loc, (element.findtext(f"{prefix}lastmod") or "").strip()))
            if len(named) > MAX_ADDRESSES:
                raise Refused("too_many_addresses", len(named), MAX_ADDRESSES)
            parent.remove(element)
    except (etree.XMLSyntaxError, ValueError):
        raise Refused("damaged_file") from None
    return root == "sitemapindex", named
