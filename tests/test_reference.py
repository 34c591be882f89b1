"""The documentation of settings is what the models say."""

import re
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from corpusmill.errors import UsageError
from corpusmill.pipelines.reference import (
    PAGES,
    Section,
    main,
    page_with_reference,
    reference,
    sections,
    table,
)
from corpusmill.stages.registry import STAGES


def test_the_page_of_the_recipe_has_every_setting_as_the_models_have_it(repo_root: Path) -> None:
    page = (repo_root / "docs" / "recipe.md").read_text(encoding="utf-8")
    stale = "docs/recipe.md is stale: python -m corpusmill.pipelines.reference"
    assert page == page_with_reference(page, "docs/recipe.md"), stale


def test_every_stage_has_a_section_and_a_page_that_leads_to_it(repo_root: Path) -> None:
    titles = {section.title for section in sections()}
    for name in STAGES:
        assert name in titles
        page = repo_root / "docs" / PAGES.get(name, f"{name}.md").partition("#")[0]
        assert f"](recipe.md#{name})" in page.read_text(encoding="utf-8"), page.name


def test_every_setting_has_a_meaning() -> None:
    for section in sections():
        for name, field in section.model.model_fields.items():
            assert field.description, f"{section.title}.{name}"


def test_links_to_settings_of_settings_lead_to_a_table() -> None:
    text = reference()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {heading.replace(".", "") for heading in headings}
    assert len(anchors) == len(headings)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_a_table_says_type_limits_default_and_meaning() -> None:
    class Inner(BaseModel):
        """Of the other."""

    class Settings(BaseModel):
        model_config = ConfigDict(use_attribute_docstrings=True)

        share: float = Field(default=0.5, ge=0, lt=1)
        """A share, written as <SHARE> or `a|b`."""
        seed: int = Field(ge=0, lt=1 << 63)
        """Needed."""
        method: Literal["mask", "drop"] | None = None
        """What to do."""
        weights: dict[str, int] = {}
        """By name."""
        many: tuple[str, ...] = tuple("abcdefghij")
        """Letters."""
        inner: Inner = Inner()
        """More."""

    rows = table(Section("some", 2, Settings)).splitlines()
    assert rows[2:] == [
        "| `share` | number, at least 0 and less than 1 | `0.5` "
        "| A share, written as &lt;SHARE> or <code>a&#124;b</code>. |",
        "| `seed` | whole number, at least 0 | (needed) | Needed. |",
        "| `method` | `mask` or `drop` | none | What to do. |",
        "| `weights` | map from text to whole number | none | By name. |",
        '| `many` | list of text | `["a", "b", ...]`, all 10 | Letters. |',
        "| `inner` | [settings](#someinner) | its defaults | More. |",
    ]


def test_the_command_writes_the_tables_between_the_marks_and_nothing_else(
    repo_root: Path, tmp_path: Path
) -> None:
    page = (repo_root / "docs" / "recipe.md").read_text(encoding="utf-8")
    copy = tmp_path / "page.md"
    copy.write_text(page.replace("| `seed` |", "| `sead` |"), encoding="utf-8")
    main([str(copy)])
    assert copy.read_text(encoding="utf-8") == page
    copy.write_text("# A page without marks\n")
    with pytest.raises(UsageError, match=r"page\.md: needs the lines"):
        main([str(copy)])
