"""The explorer in a real browser: sliders by keyboard, links, the saved recipe, hostile texts."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from tests.report_runs import identity
from tests.test_explorer import hostile_run

from corpusmill.report.explorer import server
from corpusmill.report.sweep import sweep_data

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "a-token-of-the-browser"
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
RULE = "gopher_top_2_gram"
HERE = "/thresholds/02-heuristics"


@contextlib.contextmanager
def served(run: Path | str) -> Iterator[str]:
    """The explorer on a port of its own; gives the address in front of every path."""
    app = server.application(str(run), TOKEN)
    listening = server._listening(0)
    serving = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        serving.should_exit = True
        thread.join(30)
        listening.close()


@pytest.fixture(scope="module")
def address(quickstart: Path) -> Iterator[str]:
    with served(quickstart) as address:
        yield address


@contextlib.contextmanager
def opened(chromium: "Browser", address: str, size: str = "desk") -> "Iterator[Page]":
    """A page that was opened with the token, and whose script has not failed when it closes."""
    width, height = SIZES[size]
    failures: list[str] = []
    context = chromium.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda said: failures.append(said.text) if said.type == "error" else None)
    page.goto(f"{address}/?token={TOKEN}")
    assert TOKEN not in page.url
    yield page
    context.close()
    assert failures == []


def fits(page: "Page", folder: Path, name: str) -> None:
    """The page is not wider than the window, and a picture of it is not empty."""
    page.wait_for_load_state()  # with its style
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    picture = folder / f"{name}.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 5000


@pytest.mark.parametrize("size", SIZES)
def test_a_slider_moved_by_keyboard_shows_what_sweep_counts(
    chromium: "Browser", address: str, quickstart: Path, tmp_path: Path, size: str
) -> None:
    with opened(chromium, address, size) as page:
        page.get_by_role("link", name="Thresholds of 02-heuristics").click()
        fits(page, tmp_path, "thresholds")
        slider = page.get_by_role("slider", name=f"{RULE}: threshold")
        assert slider.get_attribute("aria-valuetext") == "0.2"
        slider.focus()
        page.keyboard.press("Home")
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        value = slider.get_attribute("aria-valuetext")
        assert value is not None
        assert float(value) < 0.2
        (swept,) = sweep_data(str(quickstart), RULE, [float(value)])["stages"]
        kept = swept["thresholds"][0]["chain"]["kept"]
        assert kept < 51
        status = page.get_by_role("status")
        status.filter(has_text=f"1 moved: {kept} documents instead of 51.").wait_for()
        page.wait_for_url(lambda url: url.endswith(f"?at.{RULE}={value}"))
        assert page.locator('[data-of="then.documents"]').inner_text() == str(kept)
        page.reload()
        assert status.inner_text() == f"1 moved: {kept} documents instead of 51."
        lost = page.locator("#lost a")
        assert lost.count() == min(10, 51 - kept)
        fits(page, tmp_path, "moved")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as recipe.yaml").click()
        recipe = Path(download.value.path()).read_text()
        assert download.value.suggested_filename == "recipe.yaml"
        assert f"02-heuristics: {RULE}: {value} in every language (was 0.2)" in recipe
        page.get_by_role("link", name="Reset").click()
        status.filter(has_text="Nothing is moved.").wait_for()


@pytest.mark.parametrize("size", SIZES)
def test_a_dropped_document_is_found_and_followed_to_the_one_that_was_kept(
    chromium: "Browser", address: str, tmp_path: Path, size: str
) -> None:
    with opened(chromium, address, size) as page:
        fits(page, tmp_path, "documents")
        page.get_by_label("Fate").select_option("dropped")
        page.get_by_label("Rule or reason").select_option("near_duplicate")
        page.get_by_label("Text").fill("BELL")
        page.keyboard.press("Enter")
        page.wait_for_url("**reason=near_duplicate**")
        rows = page.locator(".documents li")
        rows.first.wait_for()
        assert "near_duplicate" in rows.first.inner_text()
        assert "of 84 documents" in page.get_by_role("status").inner_text()
        rows.first.get_by_role("link").click()
        assert "04-deduplicate dropped near_duplicate" in page.locator(".stages").inner_text()
        page.locator("ins").first.wait_for()
        fits(page, tmp_path, "dropped")
        dropped = page.url.rsplit("/", 1)[-1]
        page.locator("dt", has_text="Kept instead").locator("+ dd a").click()
        page.get_by_role("heading", name="Removed because this one is kept").wait_for()
        assert page.locator(f'a[href="/documents/{dropped}"]').count() == 1
        fits(page, tmp_path, "kept")


def test_everything_is_reached_by_keyboard_and_named(chromium: "Browser", address: str) -> None:
    with opened(chromium, address) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "To the content"
        for path in ("/", HERE):
            page.goto(address + path)
            unnamed = page.evaluate(
                "[...document.querySelectorAll('input:not([hidden]), select, button')].filter("
                "e => !(e.labels?.length || e.ariaLabel || e.textContent.trim())).length"
            )
            assert unnamed == 0
        page.get_by_role("slider").first.focus()
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        page.keyboard.press("ArrowRight")
        assert page.evaluate(outline) == "solid"


def test_sliders_are_answered_without_a_script(chromium: "Browser", address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{HERE}?token={TOKEN}")
    assert page.get_by_role("slider").count() == 0
    page.locator(f'[name="at.{RULE}"]').fill("0.02")
    page.get_by_role("button", name="Count").click()
    page.get_by_role("status").filter(has_text="1 moved").wait_for()
    context.close()


def test_texts_of_strangers_run_no_script(chromium: "Browser", tmp_path: Path) -> None:
    with served(hostile_run(tmp_path / "run")) as address:
        context = chromium.new_context()
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/?token={TOKEN}")
        for path in ("/", f"/documents/{identity(0)}", f"/documents/{identity(1)}"):
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
            assert page.title() != "ran"
            assert page.locator("img").count() == 0
            assert "<script>" in page.locator("main").inner_text()
        assert all(url.startswith((address, "data:")) for url in asked)
        context.close()


def test_without_the_token_a_browser_sees_nothing(chromium: "Browser", address: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 403
    assert "quickstart" not in page.content()
    context.close()
