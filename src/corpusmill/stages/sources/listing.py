"""What a source consists of: its files, the repositories among them, the files of a sitemap."""

import contextlib
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from corpusmill import remote, storage
from corpusmill.errors import RunError, UsageError
from corpusmill.stages.sources import git_trees, licences, sitemap
from corpusmill.stages.sources.code_marks import is_ignored
from corpusmill.stages.sources.limits import Refused
from corpusmill.stages.sources.source import Source


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One file of a source, or one git repository, as it was when the run began."""

    source: str
    path: str
    """Where to open it."""
    relative: str
    """Relative to the source's root: part of every id."""
    bytes: int = 0
    """Of a repository: of its files at the commit."""
    mtime_ns: int = 0
    content: str = ""
    """What stands for the content where that is known without reading: the commit of a repository,
    the tag that an object store gives to an object."""
    commit: str = ""
    """Of a repository: which files of it are read."""
    licence_files: tuple[tuple[str, str], ...] = ()
    """Of code: relative and full path of the licence files in the folders above it."""
    uri: str = ""
    """The address that a sitemap gives to the file."""
    skipped: str = ""
    """Why it is passed over: `link_leads_outside` (the folder may be a stranger's, and the file not
    meant), `empty_repository`, `no_such_commit`, `not_in_folder`, `listed_twice` (sitemaps)."""
    problem: str = ""
    """Why nothing in it can be read."""

    def refuse_changed(self) -> None:
        """Raise RunError if it is not what the run recorded when it began."""
        if not storage.is_local(self.path):
            if self.content and storage.content_tag(self.path) != self.content:
                raise remote.changed(self.path)
            return
        if not self.mtime_ns:
            return
        now = (0, 0)
        with contextlib.suppress(OSError):
            status = os.stat(self.path)
            now = (status.st_size, status.st_mtime_ns)
        if now != (self.bytes, self.mtime_ns):
            raise RunError(f"{self.path} was changed or removed while the run read its sources")


def list_inputs(source: Source) -> list[InputFile]:
    """The files of a source, sorted by relative path; an empty list when there are none."""
    if sitemap.is_sitemap(source.path):
        files = list(_in_sitemap(source))
    elif storage.is_local(source.path):
        files = _in_folder(source)
    else:
        stored = remote.list_files(source.path)
        root = _root(source.path, [file.path for file in stored])
        files = [_remote_file(source, file, _relative(file.path, root)) for file in stored]
    if source.kind == "code":
        files = _with_licence_files(files)
    return sorted(files, key=lambda file: file.relative)


def _in_folder(source: Source) -> list[InputFile]:
    paths = storage.list_files(source.path)
    root = _root(source.path, paths)
    repositories: list[str] = []
    if source.kind == "code":
        repositories = _repositories(source.path, paths)
        paths = _not_below(paths, repositories)
    files = [_repository(source, path, _relative(path, root)) for path in repositories]
    for path in paths:
        relative = _relative(path, root)
        if not is_ignored(relative.rpartition("/")[0]):
            files.append(_file(source, path, relative))
    return files


def _root(path: str, files: Sequence[str]) -> str:
    """The folder that relative paths are relative to."""
    if not glob.has_magic(path):
        if storage.is_local(path):
            return path if os.path.isdir(path) else os.path.dirname(path) or "."
        return path.rpartition("/")[0] if path in files else path.rstrip("/")
    folder = path.rpartition("/")[0]
    while glob.has_magic(folder) and not (storage.is_local(folder) and os.path.exists(folder)):
        folder = folder.rpartition("/")[0]
    return folder or "."


def _relative(path: str, root: str) -> str:
    """The path below the root; a source that is itself a repository is called by its own name.

    A name that is not UTF-8 is called by its escaped form, in ids, addresses and records.
    """
    relative = os.path.relpath(path, root) if storage.is_local(path) else path[len(root) + 1 :]
    if relative == ".":
        relative = os.path.basename(os.path.abspath(path))
    return os.fsencode(relative.replace(os.sep, "/")).decode("utf-8", "backslashreplace")


def _file(source: Source, path: str, relative: str, uri: str = "") -> InputFile:
    size, mtime, skipped = 0, 0, ""
    if os.path.isdir(source.path) and storage.leads_outside(path, source.path):
        skipped = "link_leads_outside"
    with contextlib.suppress(OSError):  # what cannot be read is quarantined when it is read
        size, mtime = os.path.getsize(path), os.stat(path).st_mtime_ns
    return InputFile(
        source=source.name,
        path=path,
        relative=relative,
        bytes=size,
        mtime_ns=mtime,
        uri=uri,
        skipped=skipped,
    )


def _remote_file(source: Source, stored: remote.Stored, relative: str) -> InputFile:
    return InputFile(
        source=source.name,
        path=stored.path,
        relative=relative,
        bytes=stored.bytes,
        content=stored.tag,
    )


def _with_licence_files(files: Sequence[InputFile]) -> list[InputFile]:
    folders: dict[str, list[tuple[str, str]]] = {}
    for file in files:
        if licences.is_licence_file(file.relative) and not file.skipped and not file.commit:
            folder = file.relative.rpartition("/")[0]
            folders.setdefault(folder, []).append((file.relative, file.path))
    above: dict[str, tuple[tuple[str, str], ...]] = {}
    for folder in {file.relative.rpartition("/")[0] for file in files}:
        names = folder.split("/") if folder else []
        chain = ["/".join(names[:n]) for n in range(len(names) + 1)]
        above[folder] = tuple(sorted(f for name in chain for f in folders.get(name, ())))
    return [replace(f, licence_files=above[f.relative.rpartition("/")[0]]) for f in files]


# -- repositories


def _repositories(root: str, paths: Sequence[str]) -> list[str]:
    """The outermost git repositories of a source, told by the file HEAD that each has."""
    found: list[str] = []
    for path in paths:
        folder, name = os.path.split(path)
        if name == ".git" or (name == "HEAD" and os.path.basename(folder) == ".git"):
            folder = os.path.dirname(folder) if name == "HEAD" else folder
        elif name != "HEAD":
            continue
        inside = not os.path.isdir(root) or not storage.leads_outside(folder, root)
        if inside and git_trees.is_repository(folder):
            found.append(folder)
    return _not_below(found, found)


def _not_below(paths: Sequence[str], folders: Sequence[str]) -> list[str]:
    """The paths that lead through none of the folders; a folder does not lead through itself."""
    kept = []
    below = set(folders)
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in below and len(folder) > 1:
            folder = os.path.dirname(folder)
        if folder not in below:
            kept.append(path)
    return kept


def _repository(source: Source, path: str, relative: str) -> InputFile:
    try:
        commit = git_trees.resolve(path, source.commit)
    except git_trees.Unusable as error:
        if os.path.abspath(path) == os.path.abspath(source.path):
            raise  # it is the source itself, and what the user wrote is wrong
        found = InputFile(source=source.name, path=path, relative=relative)
        if error.reason in ("empty_repository", "no_such_commit"):
            return replace(found, skipped=error.reason)
        return replace(found, problem=error.reason)
    return InputFile(
        source=source.name,
        path=path,
        relative=relative,
        bytes=git_trees.tree_bytes(path, commit),
        content=commit,
        commit=commit,
    )


# -- sitemaps


def _in_sitemap(source: Source) -> Iterator[InputFile]:
    root = os.path.dirname(os.path.abspath(source.path))
    try:
        entries = sitemap.read_sitemap(source.path)
    except Refused as refusal:
        raise UsageError(f"{source.path}: the sitemap cannot be read: {refusal.reason}") from None
    for entry in entries:
        if entry.file is None:
            reason = entry.problem or "not_in_folder"
            yield InputFile(source=source.name, path="", relative=entry.loc, skipped=reason)
        else:
            yield _file(source, entry.file, _relative(entry.file, root), entry.loc)
