"""The documentation of settings is what the models say."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from corpusmill.pipelines.reference import settings_table
from corpusmill.stages.boilerplate import Boilerplate
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.sources.source import Licences, Source
from corpusmill.stages.substrings import Substrings

PAGES: dict[str, tuple[type[BaseModel], ...]] = {
    "sources.md": (Source, Licences),
    "deduplicate.md": (Deduplicate, Boilerplate, Substrings),
}


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_every_setting_as_the_models_have_it(repo_root: Path, page: str) -> None:
    text = (repo_root / "docs" / page).read_text(encoding="utf-8")
    for model in PAGES[page]:
        assert settings_table(model) in text, f"docs/{page}: put in\n{settings_table(model)}"
