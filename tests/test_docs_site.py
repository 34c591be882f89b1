"""The site builds without a warning, asks nobody for anything, and links lead somewhere."""

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s]+)\)")
FETCHED = re.compile(r"<(?:script|link|img|iframe|source|video|form)\b[^>]*", re.IGNORECASE)
ELSEWHERE = re.compile(r"""(?:src|href|action)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; warnings are errors."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(repo_root / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def test_the_site_builds_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.glob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for tag in FETCHED.findall(text):
            assert not ELSEWHERE.search(tag), f"{page.name}: {tag}"
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", style.read_text("utf-8")), style


def test_the_search_finds_settings(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "max_quarantined_ratio" in index


def test_the_search_answers_in_a_browser_and_asks_only_this_machine(
    site: Path, chromium: "Browser"
) -> None:
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}index.html")
        page.keyboard.press("s")
        page.keyboard.type("max_quarantined_ratio")
        page.locator("a[href*='recipe.html']", has_text="recipe").first.wait_for()
        page.close()
        server.shutdown()
    assert asked
    assert all(url.startswith((address, "data:", "blob:")) for url in asked)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def test_diagrams_need_no_script(site: Path) -> None:
    # Material would load its renderer of Mermaid from another server where a page has this class.
    for page in site.glob("*.html"):
        assert 'class="mermaid"' not in page.read_text(encoding="utf-8"), page.name


def test_comments_about_blocks_are_not_shown(site: Path) -> None:
    for page in site.glob("*.html"):
        shown = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert "not run:" not in shown, page.name
        assert "```" not in shown, page.name


def test_every_page_is_in_the_navigation_and_begins_with_what_it_is(repo_root: Path) -> None:
    config = yaml.safe_load((repo_root / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = list(_pages(config["nav"]))
    assert len(set(listed)) == len(listed)
    for page in (repo_root / "docs").glob("*.md"):
        assert page.name in listed
        title, blank, sentence = page.read_text(encoding="utf-8").split("\n")[:3]
        assert re.match(r"# \S", title), page.name
        assert not blank, page.name
        assert re.match(r"[\w`\[]", sentence), f"{page.name}: begins with {sentence!r}"


def _pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _pages(part)


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "samples/README.md", "benchmarks/README.md"]
)
def test_links_of_files_outside_the_site_lead_to_files(repo_root: Path, page: str) -> None:
    path = repo_root / page
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = path.parent / file
        assert target.exists(), f"{page}: {link}"
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {
                re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
            }
            assert anchor in anchors, f"{page}: {link}"


def test_pages_link_to_each_other_by_the_names_of_their_files(repo_root: Path) -> None:
    for page in (repo_root / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for link in LINK.findall(text):
            assert not link.startswith(("..", "/")), f"{page.name}: {link} leaves the site"


def test_benchmarks_that_pages_name_are_there(repo_root: Path) -> None:
    pages = [*(repo_root / "docs").glob("*.md"), repo_root / "benchmarks" / "README.md"]
    for page in pages:
        for name in re.findall(r"\bbenchmarks/(\w+\.py)", page.read_text(encoding="utf-8")):
            assert (repo_root / "benchmarks" / name).is_file(), f"{page.name}: {name}"
