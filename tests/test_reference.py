"""The documentation of settings is what the models say."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from corpusmill.pipelines.reference import settings_table
from corpusmill.stages.sources.source import Licences, Source


@pytest.mark.parametrize("model", [Source, Licences])
def test_the_page_on_sources_has_every_setting_as_the_model_has_it(
    repo_root: Path, model: type[BaseModel]
) -> None:
    page = (repo_root / "docs" / "sources.md").read_text(encoding="utf-8")
    assert settings_table(model) in page, f"docs/sources.md: put in\n{settings_table(model)}"
