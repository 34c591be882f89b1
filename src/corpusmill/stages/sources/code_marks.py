"""Which files in a folder of code nobody of the project wrote."""

IGNORED_FOLDERS = {".git", ".hg", ".svn", "__pycache__"}
"""Folders whose files are about the code, not the code."""


def is_ignored(path: str) -> bool:
    """Whether a path leads through one of IGNORED_FOLDERS."""
    return not IGNORED_FOLDERS.isdisjoint(path.split("/"))
