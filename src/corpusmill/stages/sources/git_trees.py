"""Git repositories: the tracked files of one commit, read from its objects alone.

No hook, filter or program runs, no configuration is read and nothing is checked out. dulwich
knows the formats (indexes of packs, deltas, trees); what an object may cost is judged here, from
the sizes in its headers, before it is unpacked.
"""

import os
import re
from collections.abc import Callable, Iterator
from itertools import islice

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.stages.sources.archives import member_file
from corpusmill.stages.sources.code_marks import is_ignored
from corpusmill.stages.sources.git_objects import NotThere, Objects, read_regular
from corpusmill.stages.sources.licences import by_folder, is_licence_file, nearest
from corpusmill.stages.sources.limits import (
    MAX_MEMBERS,
    MAX_PAYLOAD,
    MAX_RATIO,
    SMALL_ENOUGH,
    Refused,
)
from corpusmill.stages.sources.member_names import MemberNames
from corpusmill.stages.sources.records import Found, Skipped, refused
from corpusmill.stages.sources.source import Source

_MAX_TREE_DEPTH = 256
"""Folders within folders."""
_MAX_PATH = 4096
"""Bytes of a path; Linux takes no longer ones."""
_MAX_LINK = 4096
"""Bytes of a ref, of a `.git` file and of a line in one: they hold a path or a hash."""
_MAX_PACKED_REFS = 64_000_000
"""Bytes of `packed-refs`; a million refs."""
_MAX_REF_STEPS = 5
"""Symbolic refs to symbolic refs, and tags of tags; git's own bound for the former."""

_MAX_LICENCES = 1000
"""Licence files of a commit that are read."""

_FOLDER, _LINK, _SUBMODULE = 0o040000, 0o120000, 0o160000
_TYPE_OF_MODE = 0o170000

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_REF = re.compile(
    r"(?!.*(?:\.\.|//|@\{|/\.|\.lock(?:/|\Z)))[^\x00-\x20\x7f~^:?*\[\\./][^\x00-\x20\x7f~^:?*\[\\]*\Z"
)


class Unusable(UsageError):
    """A repository that cannot be read, or lacks what is asked for."""

    def __init__(self, message: str, reason: str = "unreadable_repository") -> None:
        super().__init__(message)
        self.reason = reason
        """One word for it, for where it is one of many: `empty_repository`, `no_such_commit`,
        `borrowed_objects` or `unreadable_repository`."""


def is_repository(path: str) -> bool:
    """Whether a local folder is a git checkout, a worktree or a bare repository."""
    if not storage.is_local(path):
        return False
    inner = os.path.join(path, ".git")
    if os.path.islink(inner):
        return False
    if os.path.isfile(inner):
        return read_regular(inner, _MAX_LINK).startswith(b"gitdir:")
    return _is_git_folder(inner) or _is_git_folder(path)


def resolve(path: str, commit: str) -> str:
    """The full hash of a commit, given as hash, branch, tag or `HEAD`.

    Raises:
        Unusable: `path` is no local repository, is damaged, empty or borrows objects from
            elsewhere, or has no such commit.
    """
    folder = _git_folder(path)
    with Objects(folder.objects) as objects:
        try:
            found = commit if _HASH.match(commit) else _read_ref(folder, commit)
            return _peel(objects, found)
        except NotThere:
            pass
        except Refused as refusal:
            raise Unusable(f"{path}: the commit {commit!r} is damaged: {refusal.reason}") from None
    if commit == "HEAD":
        empty = not _has_objects(folder.objects)
        raise Unusable(
            f"{path}: the repository has no commit yet, or lacks the one of HEAD",
            "empty_repository" if empty else "unreadable_repository",
        )
    if os.path.isdir(os.path.join(folder.common, "reftable")):
        raise Unusable(f"{path}: its refs are a reftable: name the commit by its full hash")
    raise Unusable(
        f"{path}: {commit!r} is no full commit hash (quote one of digits only), branch or tag "
        "of the repository",
        "no_such_commit",
    )


def _has_objects(folder: str) -> bool:
    names = [name for name in os.listdir(folder) if name not in ("info", "pack")]
    packs = os.path.join(folder, "pack")
    return bool(names) or (os.path.isdir(packs) and bool(os.listdir(packs)))


def read_tree(
    path: str, commit_hash: str, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, bytes | Skipped | Refused]]:
    """The tracked files of a commit, in the order of their paths' bytes.

    Args:
        path: a local repository, for which `is_repository` holds.
        commit_hash: what `resolve` gave.
        wanted: whether a path is to be unpacked; the others are passed over.

    A path that is not UTF-8 is called by its form with backslash escapes. Links, submodules and
    what is not wanted come as Skipped; what is damaged, missing or too large as Refused.
    """
    folder = _git_folder(path)
    with Objects(folder.objects) as objects:
        limit = max(SMALL_ENOUGH, MAX_RATIO * objects.packed_bytes)
        unpacked = 0
        for member, blob in _entries(objects, commit_hash):
            if not isinstance(blob, str):
                yield member, blob
                continue
            if not wanted(member):
                yield member, Skipped(reason="ignored_folder", locator=member)
                continue
            try:
                payload = objects.read(blob, b"blob", MAX_PAYLOAD)
            except NotThere:
                yield member, Refused("missing_object")
                continue
            except Refused as refusal:
                yield member, refusal
                continue
            unpacked += len(payload)
            if unpacked > limit:  # files that share their bytes
                yield member, Refused("decompression_ratio", unpacked, limit)
                return
            yield member, payload


def read_repository(source: Source, path: str, commit_hash: str, relative: str) -> Iterator[Found]:
    """The tracked files of a commit as documents; their locators are their paths."""
    names = MemberNames()
    folders = _licences(path, commit_hash) if source.kind == "code" else {}
    for member, content in read_tree(path, commit_hash, lambda member: not is_ignored(member)):
        # a damaged tree may have a name twice; what has none is the repository itself
        locator = names.place_of(member) if member else ""
        if isinstance(content, Refused):
            yield refused(relative, content.reason, locator)
        elif isinstance(content, Skipped):
            yield Skipped(reason=content.reason, locator=locator)
        else:
            licence = nearest(folders, member)
            yield member_file(source, relative, content, member, locator, licence)


def _licences(path: str, commit_hash: str) -> dict[str, str]:
    """The licences of the folders of a commit."""
    files = (
        (member, content)
        for member, content in read_tree(path, commit_hash, is_licence_file)
        if isinstance(content, bytes)
    )
    return by_folder(islice(files, _MAX_LICENCES))


def tree_bytes(path: str, commit_hash: str) -> int:
    """Bytes of a commit's files, as their objects' headers give them; for planning only."""
    folder = _git_folder(path)
    total = 0
    with Objects(folder.objects) as objects:
        for _, blob in _entries(objects, commit_hash):
            if isinstance(blob, str):
                try:
                    total += objects.size(blob)
                except (NotThere, Refused):
                    continue
    return total


def _entries(objects: Objects, commit_hash: str) -> Iterator[tuple[str, str | Skipped | Refused]]:
    """Path and blob of each file, or why there is none.

    The walk counts every entry it meets, so that a tree that holds itself many times over (folders
    of one hash, nested) ends at MAX_MEMBERS.
    """
    stack: list[tuple[bytes, int, str]] = []  # in reverse order; a path ends with `/` for folders

    def push(prefix: bytes, tree: str) -> None:
        found = []
        for name, mode, child in objects.tree(tree):
            kind = mode & _TYPE_OF_MODE
            path = prefix + name[: _MAX_PATH + 1]  # one that is cut is refused
            found.append((path + (b"/" if kind == _FOLDER else b""), kind, child))
        stack.extend(sorted(found, reverse=True))

    try:
        push(b"", objects.tree_of(commit_hash))
    except (NotThere, Refused) as problem:
        yield "", problem if isinstance(problem, Refused) else Refused("missing_object")
        return
    count = 0
    while stack:
        raw, kind, child = stack.pop()
        member = raw.decode("utf-8", "backslashreplace")
        count += 1
        if count > MAX_MEMBERS:
            yield member, Refused("too_many_members", count, MAX_MEMBERS)
            return
        if _is_unsafe(raw):
            yield member, Refused("unsafe_path")
        elif kind == _SUBMODULE:
            yield member, Skipped(reason="submodule", locator=member)
        elif kind == _LINK:
            yield member, Skipped(reason="link", locator=member)
        elif kind != _FOLDER:
            yield member, child
        elif raw.count(b"/") > _MAX_TREE_DEPTH:
            yield member, Refused("too_deep", raw.count(b"/"), _MAX_TREE_DEPTH)
        else:
            try:
                push(raw, child)
            except NotThere:
                yield member, Refused("missing_object")
            except Refused as refusal:
                yield member, refusal


def _is_unsafe(path: bytes) -> bool:
    """Whether the last name of a path is none that git would check out."""
    name = path.removesuffix(b"/").rpartition(b"/")[2]
    return (
        name.lower() in (b"", b".", b"..", b".git")
        or path.startswith(b"/")
        or b"//" in path
        or len(path) > _MAX_PATH
    )


class _GitFolder:
    """Where a repository keeps its things."""

    def __init__(self, own: str, common: str) -> None:
        self.own = own  # HEAD of this worktree
        self.common = common  # refs and objects, which worktrees share
        self.objects = os.path.join(common, "objects")


def _is_git_folder(path: str) -> bool:
    return (
        os.path.isfile(os.path.join(path, "HEAD"))
        and os.path.isdir(os.path.join(path, "objects"))
        and os.path.isdir(os.path.join(path, "refs"))
    )


def _git_folder(path: str) -> _GitFolder:
    """Find a repository's folder, and refuse one that would lead to somebody else's objects."""
    if not storage.is_local(path):
        raise Unusable(f"{path}: git repositories are read from local folders only: clone it")
    if not is_repository(path):
        raise Unusable(f"{path}: not a git repository")
    inner = os.path.join(path, ".git")
    if os.path.isfile(inner):
        folder = _linked_folder(path, inner)
    else:
        own = inner if os.path.isdir(inner) and _is_git_folder(inner) else path
        folder = _GitFolder(own, own)
    real = os.path.realpath(folder.common)
    if os.path.realpath(folder.objects) != os.path.join(real, "objects"):
        raise Unusable(f"{path}: its objects are a link to another folder")
    borrowed = read_regular(os.path.join(folder.objects, "info", "alternates"), _MAX_LINK)
    if any(line.strip() and not line.startswith(b"#") for line in borrowed.splitlines()):
        raise Unusable(
            f"{path}: it borrows objects from another repository (objects/info/alternates): "
            "make it whole with `git repack -a -d` and delete that file",
            "borrowed_objects",
        )
    return folder


def _linked_folder(path: str, inner: str) -> _GitFolder:
    """The folder that a `.git` file names: of a worktree, which points back to the file, or of a
    submodule, which lies in the `.git/modules` of a repository around it. A file that names any
    other folder would bring in a repository that nobody gave."""
    line = read_regular(inner, _MAX_LINK).removeprefix(b"gitdir:").strip()
    own = os.path.realpath(os.path.join(path, os.fsdecode(line)))
    if b"\0" in line or not os.path.isfile(os.path.join(own, "HEAD")):
        raise Unusable(f"{path}: its .git file names a folder that is no repository")
    back = read_regular(os.path.join(own, "gitdir"), _MAX_LINK).strip()
    if back and os.path.realpath(os.path.join(own, os.fsdecode(back))) == os.path.realpath(inner):
        common = os.path.dirname(os.path.dirname(own))
        if os.path.basename(os.path.dirname(own)) == "worktrees" and _is_git_folder(common):
            return _GitFolder(own, common)
    around = os.path.dirname(os.path.realpath(path))
    while around != os.path.dirname(around):
        if own.startswith(os.path.join(around, ".git", "modules", "")) and _is_git_folder(own):
            return _GitFolder(own, own)
        around = os.path.dirname(around)
    raise Unusable(f"{path}: its .git file names a repository that does not know this folder")


def _read_ref(folder: _GitFolder, name: str) -> str:
    """The hash that a ref leads to, looked for where git looks, in its order."""
    packed: dict[str, str] | None = None
    for _ in range(_MAX_REF_STEPS):
        if not _REF.match(name):
            raise NotThere
        places = [name] if name.startswith("refs/") or name == "HEAD" else []
        places += [f"refs/{kind}{name}" for kind in ("", "tags/", "heads/", "remotes/")]
        found = ""
        for place in places:
            root = folder.own if place == "HEAD" else folder.common
            at = os.path.join(root, place)
            if os.path.realpath(at) == os.path.join(os.path.realpath(root), place):
                found = read_regular(at, _MAX_LINK).decode("ascii", "replace").strip()
            if not found:
                packed = _packed_refs(folder) if packed is None else packed
                found = packed.get(place, "")
            if found:
                break
        if _HASH.match(found):
            return found
        if not found.startswith("ref:"):
            raise NotThere
        name = found.removeprefix("ref:").strip()
    raise NotThere


def _packed_refs(folder: _GitFolder) -> dict[str, str]:
    lines = read_regular(os.path.join(folder.common, "packed-refs"), _MAX_PACKED_REFS).splitlines()
    pairs = (line.decode("utf-8", "replace").partition(" ") for line in lines)
    return {name: hash_ for hash_, _, name in pairs if _HASH.match(hash_)}


def _peel(objects: Objects, found: str) -> str:
    """The commit that a hash, perhaps of a tag, means; its tree must be there."""
    for _ in range(_MAX_REF_STEPS):
        target = objects.tagged(found)
        if target is None:
            objects.tree_of(found)
            return found
        found = target
    raise NotThere
