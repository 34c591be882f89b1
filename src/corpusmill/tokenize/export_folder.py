"""Folders that hold exports: each names its own files, and nothing else in it is ever replaced."""

from corpusmill import storage
from corpusmill.errors import UsageError

MARK = ".corpusmill-export.json"
"""Says what an export wrote; with a dot, so that those who read the folder pass it over."""


def claim(folder: str, to: str) -> set[str]:
    """Make the folder one for exports of this format; the files that an earlier one wrote there.

    Killed exports leave a mark as well: the same command finishes what they began. Raises
    UsageError for a folder that holds anything but an export of this format.
    """
    if storage.is_local(folder) and storage.is_no_folder(folder):
        raise UsageError(f"{folder}: cannot be an output folder")
    there = storage.list_files(folder) if storage.exists(folder) else []
    marked = storage.join(folder, MARK)
    if not storage.exists(marked):
        if there:
            raise UsageError(
                f"{folder}: holds files that are of no export: name a folder that is empty or new"
            )
        _mark(folder, to, set())
        return set()
    mark = storage.read_json(marked)
    if not isinstance(mark, dict) or not isinstance(mark.get("files"), list):
        raise UsageError(f"{folder}: holds a damaged {MARK}: name another folder")
    if mark.get("format") != to:
        raise UsageError(f"{folder}: holds an export in another format: name another folder")
    storage.remove_unfinished(folder)
    # a mark from elsewhere must not lead out of its folder
    return {name for name in mark["files"] if storage.join(folder, str(name)) in there}


def finish(folder: str, to: str, earlier: set[str], names: set[str]) -> None:
    """Remove what an earlier export wrote and this one did not, and say what this one wrote."""
    for name in earlier - names:
        storage.remove(storage.join(folder, name))
    _mark(folder, to, names)


def _mark(folder: str, to: str, names: set[str]) -> None:
    storage.write_json(storage.join(folder, MARK), {"format": to, "files": sorted(names)})
