"""What every test may ask for: the repository's root and the real inputs that lie beside it."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Set before a test module imports a library that reads them: no test fetches or reports anything.
os.environ.update(
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS="",
    RAY_USAGE_STATS_ENABLED="0",
)

# A shell gives its background jobs SIGINT ignored, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes is the machine's affair, and none of a test's.
settings.register_profile("corpusmill", deadline=None)
settings.load_profile("corpusmill")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data(repo_root: Path) -> Path:
    """Real web archives, books and word lists, which are not part of the project."""
    folder = repo_root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real inputs: there is no folder ../shared/data beside the repository")
    return folder


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """A finished run of the quickstart recipe; to be read, or copied before it is changed."""
    return _made_once(
        tmp_path_factory,
        "quickstart",
        lambda out: [
            "run",
            f"{repo_root}/src/corpusmill/pipelines/recipes/quickstart.yaml",
            f"--out={out}",
        ],
        repo_root,
    )


@pytest.fixture(scope="session")
def quickstart_train(
    tmp_path_factory: pytest.TempPathFactory, repo_root: Path, quickstart: Path
) -> Path:
    """A training folder: twenty steps on the shards of `quickstart`."""
    return _made_once(
        tmp_path_factory,
        "quickstart-train",
        lambda out: ["train", f"--shards={quickstart}/shards", f"--out={out}", "--set", "steps=20"],
        repo_root,
    )


def _made_once(
    factory: pytest.TempPathFactory,
    name: str,
    arguments: Callable[[Path], list[str]],
    repo_root: Path,
) -> Path:
    """The folder that a command of corpusmill writes, made once for all processes of a test run."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / f"{name}.made").exists():
            command = [sys.executable, "-m", "corpusmill", *arguments(out)]
            done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            (base / f"{name}.made").touch()
    return out


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    """The system's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("a browser: there is no Chromium on this machine (Debian: `chromium`)")
    with sync_playwright() as driver:
        # Chromium's own sandbox needs rights that containers do not give.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """A model as small as those of tests is slower on more threads, far slower when all is busy."""
    from corpusmill.pretrain import device

    with device.one_thread():
        yield
