"""What the tests of engines share: an undisturbed local run of the small recipe."""

from pathlib import Path

import pytest
from tests.engines.same_bytes import small_recipe

from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the small recipe on the local engine."""
    folder = tmp_path_factory.mktemp("local")
    run(load_recipe(small_recipe(folder)), str(folder / "run"), workers=2)
    return folder / "run"
