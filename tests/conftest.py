"""What every test may ask for: the repository's root and the real inputs that lie beside it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

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


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """A model as small as those of tests is slower on more threads, far slower when all is busy."""
    from corpusmill.pretrain import device

    with device.one_thread():
        yield
