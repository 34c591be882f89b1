"""Raw web crawls, books and source code to language-model training data, and training on it."""

import hashlib
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpusmill.report.opened import OpenedRun

__version__ = "0.1.0"


def _cache_kernels_by_source() -> None:
    """Keep compiled kernels apart for each version of their sources.

    Numba's cache knows the file of a kernel, but not the kernels of other files that it calls:
    after a change there it would go on with the old code, silently. Numba reads the variable when
    it is imported; one that is set already is left alone.
    """
    sources = sorted((Path(__file__).parent / "filters").glob("*.py"))
    digest = hashlib.blake2b(b"".join(s.read_bytes() for s in sources), digest_size=8).hexdigest()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(base, "corpusmill", f"kernels-{digest}")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", folder)


_cache_kernels_by_source()


def open_run(path: str | os.PathLike[str]) -> "OpenedRun":
    """What the run in a folder holds, for notebooks: documents, ledger, scores and shards.

    The one name that is given here and not by its module, which is imported when it is called: it
    is what a notebook begins with. Raises UsageError for what is no run folder.
    """
    module: Any = import_module("corpusmill.report.opened")
    opened: OpenedRun = module.OpenedRun(os.fspath(path))
    return opened
