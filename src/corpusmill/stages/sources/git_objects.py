"""The objects of a git repository, unpacked only after their headers have said how large they are.

A pack can claim any size, and a delta of a few bytes can copy its base a million times; chains
of them multiply. So every object of a chain is measured first, and so is the work of a whole
repository against the size of its files.
"""

import hashlib
import mmap
import os
import re
import stat
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from corpusmill.stages.sources.limits import MAX_MEMBERS, MAX_PAYLOAD, Refused

if TYPE_CHECKING:
    from dulwich.pack import PackIndex

_MAX_CHAIN = 4096
"""Deltas on top of each other. git makes 50, and 4095 at most."""
_MAX_WORK = 1_000_000_000
_WORK_RATIO = 1000
"""Bytes that resolving deltas may write: a fixed amount, and this much per byte of the objects'
files. Reading every file of a large repository takes 10 to 60 per byte."""
_CACHE_BYTES = 64 << 20
"""Resolved bases kept for the next file; git's own cache is of this order."""
_MAX_PACKS = 10_000
_MAX_HEADER = 64
"""Bytes of an object's header: type and size, or those of base and result in a delta."""

_TYPES = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_OFFSET_DELTA, _HASH_DELTA = 6, 7
_PACK_NAME = re.compile(r"pack-[0-9a-f]{40,64}\.idx\Z")
_FIELD = re.compile(rb"(tree|object) ([0-9a-f]{40}(?:[0-9a-f]{24})?)\n")


class NotThere(Exception):
    """An object, or a ref, that the repository does not have."""


class Objects:
    """A repository's objects, loose and packed. A context manager: packs are mapped files."""

    def __init__(self, folder: str) -> None:
        """`folder` is the repository's `objects`; links in it are not followed."""
        self._folder = folder
        self._packs: list[_Pack] | None = None
        self._cache: OrderedDict[tuple[str, int], tuple[bytes, bytes]] = OrderedDict()
        self._cached = 0
        self._work = 0
        self.packed_bytes = sum(_file_sizes(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pack in self._packs or ():
            pack.close()

    def read(self, name: str, kind: bytes, limit: int) -> bytes:
        """The content of an object of one kind, by its hash; the hash is checked.

        Raises:
            NotThere: it is not in the repository.
            Refused: it is larger than `limit`, damaged, or of another kind.
        """
        found, content = self._loose(name, limit) or self._packed(name, limit)
        if found != kind:
            raise Refused("damaged_object")
        hasher = hashlib.sha1 if len(name) == 40 else hashlib.sha256
        if hasher(b"%s %d\0" % (found, len(content)) + content).hexdigest() != name:
            raise Refused("damaged_object")
        return content

    def size(self, name: str) -> int:
        """Bytes of an object's content, from its header."""
        loose = self._loose_header(name)
        if loose is not None:
            return loose[1]
        pack, offset = self._find(name)
        return pack.result_size(offset)

    def tree(self, name: str) -> list[tuple[bytes, int, str]]:
        """Name, mode and hash of a folder's entries, as they stand."""
        from dulwich.errors import ObjectFormatException
        from dulwich.objects import parse_tree

        text = self.read(name, b"tree", MAX_PAYLOAD)
        entries: list[tuple[bytes, int, str]] = []
        try:
            for path, mode, child in parse_tree(text, len(name) // 2):
                entries.append((path, mode, child.decode()))
                if len(entries) > MAX_MEMBERS:
                    raise Refused("too_many_members", len(entries), MAX_MEMBERS)
        except (ObjectFormatException, ValueError):
            raise Refused("damaged_object") from None
        return entries

    def tree_of(self, commit: str) -> str:
        """The hash of a commit's root folder."""
        return self._field(commit, b"commit", b"tree")

    def tagged(self, name: str) -> str | None:
        """What an annotated tag points to; None when `name` is no tag."""
        try:
            return self._field(name, b"tag", b"object")
        except Refused:
            return None

    def _field(self, name: str, kind: bytes, field: bytes) -> str:
        match = _FIELD.match(self.read(name, kind, MAX_PAYLOAD))
        if match is None or match[1] != field or len(match[2]) != len(name):
            raise Refused("damaged_object")
        return match[2].decode()

    # Loose objects: one zlib stream of `TYPE SIZE`, a NUL and the content.

    def _loose_file(self, name: str, n: int) -> bytes:
        """The first bytes of a loose object's file; empty when there is none."""
        folder = os.path.join(self._folder, name[:2])
        return b"" if os.path.islink(folder) else read_regular(os.path.join(folder, name[2:]), n)

    def _loose_header(self, name: str) -> tuple[bytes, int] | None:
        packed = self._loose_file(name, 4 * _MAX_HEADER)
        if not packed:
            return None
        head = _inflate(packed, 0, _MAX_HEADER, cut=True)
        kind, _, size = head.partition(b"\0")[0].partition(b" ")
        if b"\0" not in head or not size.isdigit():
            raise Refused("damaged_object")
        return kind, int(size)

    def _loose(self, name: str, limit: int) -> tuple[bytes, bytes] | None:
        header = self._loose_header(name)
        if header is None:
            return None
        kind, size = header
        if size > limit:
            raise Refused("too_large", size, limit)
        # zlib adds less than 1 % to what it cannot pack.
        packed = self._loose_file(name, size + size // 100 + 4 * _MAX_HEADER)
        whole = _inflate(packed, 0, size + _MAX_HEADER)
        content = whole.partition(b"\0")[2]
        if len(content) != size:
            raise Refused("damaged_object")
        return kind, content

    # Packed objects: a chain of deltas down to a whole one.

    def _find(self, name: str) -> "tuple[_Pack, int]":
        if self._packs is None:
            self._packs = [
                pack
                for path in _pack_indexes(self._folder)
                if (pack := _Pack.open(path, len(name))) is not None
            ]
        for pack in self._packs:
            offset = pack.offset(bytes.fromhex(name))
            if offset is not None:
                return pack, offset
        raise NotThere

    def _packed(self, name: str, limit: int) -> tuple[bytes, bytes]:
        pack, offset = self._find(name)
        size = pack.result_size(offset)
        if size > limit:
            raise Refused("too_large", size, limit)
        chain: list[_Entry] = []
        while (found := self._cache.get((pack.path, offset))) is None:
            entry = pack.entry(offset)
            if max(entry.size, pack.result_size(offset)) > MAX_PAYLOAD:
                raise Refused("too_large", entry.size, MAX_PAYLOAD)
            chain.append(entry)
            if entry.base is None:
                break
            if len(chain) > _MAX_CHAIN:
                raise Refused("delta_chain", len(chain), _MAX_CHAIN)
            offset = entry.base
        if found is not None:
            self._cache.move_to_end((pack.path, offset))
        return self._build(pack, chain, found)

    def _build(
        self, pack: "_Pack", chain: "list[_Entry]", found: tuple[bytes, bytes] | None
    ) -> tuple[bytes, bytes]:
        from dulwich.errors import ApplyDeltaError
        from dulwich.pack import apply_delta

        for entry in reversed(chain):
            self._spend(entry.size + pack.result_size(entry.offset))
            data = pack.content(entry)
            if found is None:
                kind = _TYPES.get(entry.kind)
                if kind is None:
                    raise Refused("damaged_object")
                found = kind, data
            else:
                try:
                    found = found[0], b"".join(apply_delta(found[1], data))
                except (ApplyDeltaError, ValueError, IndexError, AssertionError):
                    raise Refused("damaged_object") from None
            self._keep((pack.path, entry.offset), found)
        if found is None:
            raise Refused("damaged_object")
        return found

    def _spend(self, n: int) -> None:
        self._work += n
        limit = max(_MAX_WORK, _WORK_RATIO * self.packed_bytes)
        if self._work > limit:
            raise Refused("decompression_ratio", self._work, limit)

    def _keep(self, key: tuple[str, int], found: tuple[bytes, bytes]) -> None:
        if key in self._cache or len(found[1]) > _CACHE_BYTES // 4:
            return
        self._cache[key] = found
        self._cached += len(found[1])
        while self._cached > _CACHE_BYTES:
            _, (_, content) = self._cache.popitem(last=False)
            self._cached -= len(content)


class _Entry:
    """An object's header in a pack."""

    __slots__ = ("base", "data", "kind", "offset", "size")

    def __init__(self, offset: int, kind: int, size: int, base: int | None, data: int) -> None:
        self.offset = offset
        self.kind = kind
        self.size = size  # of what is packed here: the content, or the delta
        self.base = base  # offset of a delta's base
        self.data = data  # where the zlib stream begins


class _Pack:
    """A pack and its index."""

    def __init__(self, path: str, contents: mmap.mmap, index: "PackIndex", raw: int) -> None:
        self.path = path
        self._contents = contents
        self._index = index
        self._raw = raw  # bytes of a hash
        self._sizes: dict[int, int] = {}

    @classmethod
    def open(cls, index_path: str, hex_length: int) -> "_Pack | None":
        """Map a pack; None when it is no pack, or its index is damaged."""
        from dulwich.object_format import SHA1, SHA256
        from dulwich.pack import load_pack_index

        path = index_path.removesuffix(".idx") + ".pack"
        try:
            with open_regular(path) as file:
                contents = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # not there, or empty
            return None
        try:
            index = load_pack_index(index_path, SHA1 if hex_length == 40 else SHA256)
        except Exception:  # of whatever kind: the library meets a damaged index here
            contents.close()
            return None
        return cls(path, contents, index, hex_length // 2)

    def close(self) -> None:
        """Unmap the files."""
        self._contents.close()
        self._index.close()

    def offset(self, name: bytes) -> int | None:
        """Where an object stands; None when it is in another pack."""
        from dulwich.objects import RawObjectID

        try:
            return self._index.object_offset(RawObjectID(name))
        except Exception:  # KeyError is "not here"; others come from a damaged index
            return None

    def entry(self, offset: int) -> _Entry:
        """Read the header at an offset.

        Raises:
            Refused: there is none, or it names a base that the pack does not have.
        """
        if not 12 <= offset < len(self._contents):
            raise Refused("damaged_object")
        head = self._contents[offset : offset + 2 * _MAX_HEADER]
        first = head[0]
        kind = first >> 4 & 7
        size, at = _little_endian(head, 0, first_bits=4)
        base: int | None = None
        if kind == _OFFSET_DELTA:
            distance, at = _base_distance(head, at)
            base = offset - distance
            if distance <= 0 or base < 12:
                raise Refused("damaged_object")
        elif kind == _HASH_DELTA:
            base = self.offset(head[at : at + self._raw])
            at += self._raw
            if base is None:
                raise Refused("damaged_object")
        return _Entry(offset, kind, size, base, offset + at)

    def result_size(self, offset: int) -> int:
        """Bytes of the object at an offset once its delta is applied, from headers."""
        size = self._sizes.get(offset)
        if size is None:
            entry = self.entry(offset)
            size = entry.size
            if entry.base is not None:
                head = _inflate(self._contents, entry.data, _MAX_HEADER, cut=True)
                _, at = _little_endian(head, 0)
                size, _ = _little_endian(head, at)
            self._sizes[offset] = size
        return size

    def content(self, entry: _Entry) -> bytes:
        """What is packed at an entry: a whole object, or a delta."""
        data = _inflate(self._contents, entry.data, entry.size + 1)
        if len(data) != entry.size:
            raise Refused("damaged_object")
        return data


def _inflate(buffer: bytes | mmap.mmap, at: int, limit: int, *, cut: bool = False) -> bytes:
    """Unpack a zlib stream, of at most `limit` bytes; with `cut` only its first bytes."""
    stream = zlib.decompressobj()
    parts = []
    step = 256 if cut else 65_536
    try:
        while limit > 0 and not stream.eof:
            packed = stream.unconsumed_tail or buffer[at : at + step]
            if not stream.unconsumed_tail:
                at += step
            if not packed:
                break
            part = stream.decompress(packed, limit)
            parts.append(part)
            limit -= len(part)
            if cut and parts:
                break
    except zlib.error:
        raise Refused("damaged_object") from None
    return b"".join(parts)


def _little_endian(data: bytes, at: int, first_bits: int = 7) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place after it."""
    value = shift = 0
    bits = first_bits
    while True:
        if at >= len(data) or shift > 63:
            raise Refused("damaged_object")
        byte = data[at]
        at += 1
        value |= (byte & ((1 << bits) - 1)) << shift
        shift += bits
        bits = 7
        if byte < 0x80:
            return value, at


def _base_distance(data: bytes, at: int) -> tuple[int, int]:
    """How far before a delta its base stands: groups of seven bits, the highest first, each
    longer form beginning where the shorter ones end."""
    value = -1
    for end in range(at, min(at + 10, len(data))):
        value = (value + 1) << 7 | (data[end] & 0x7F)
        if data[end] < 0x80:
            return value, end + 1
    raise Refused("damaged_object")


def open_regular(path: str) -> IO[bytes]:
    """Open a file that is neither a link nor a pipe or device.

    Raises:
        OSError: it is not there, or not of that kind.
    """
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(path)
    return os.fdopen(file, "rb")


def read_regular(path: str, n: int) -> bytes:
    """At most n bytes of a regular file; none when there is no such file."""
    try:
        with open_regular(path) as file:
            return file.read(n)
    except OSError:
        return b""


def _pack_indexes(folder: str) -> list[str]:
    """The indexes of the packs, in the order of their names."""
    packs = os.path.join(folder, "pack")
    if os.path.islink(packs):
        return []
    found = (
        entry.path
        for entry in _scan(packs)
        if _PACK_NAME.match(entry.name) and entry.is_file(follow_symlinks=False)
    )
    return sorted(found)[:_MAX_PACKS]


def _file_sizes(folder: str) -> Iterator[int]:
    """Sizes of the files that hold objects, two folders deep."""
    for entry in _scan(folder):
        if entry.is_dir(follow_symlinks=False):
            for inner in _scan(entry.path):
                if inner.is_file(follow_symlinks=False):
                    yield inner.stat(follow_symlinks=False).st_size


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
