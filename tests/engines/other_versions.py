"""As if the driver's machine were the only one that was upgraded."""

import pytest

from corpusmill.pipelines.engines import workers


def as_if_upgraded(monkeypatch: pytest.MonkeyPatch) -> str:
    """Give this process, and none of its workers, another pyarrow; what is told of that."""
    here = {**workers.environment(), "pyarrow": "1.0"}
    monkeypatch.setattr(workers, "environment", lambda: here)
    return r"workers on \S+ are not like this machine: pyarrow \d[\d.]+ and not 1\.0: a cluster"
