"""The report in a real browser: what strangers wrote stays text, and everybody can use the page."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.report_runs import RunFolder, identity

from corpusmill import storage
from corpusmill.report.html import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

HOSTILE = (
    "</pre></script><script>window.pwned = 1; document.title = 'pwned'</script>",
    "<img src=x onerror=\"window.pwned = 2\"><svg onload='window.pwned = 3'></svg>",
    "\"'><a href='javascript:window.pwned = 4' onclick='window.pwned = 5'>here</a>",
    "</style><style>body { display: none }</style></title></summary></details></table>",
    "<svg><script>window.pwned = 6</script></svg><iframe srcdoc='<script>1</script>'></iframe>",
    "{{ 7 * 7 }} {% raw %} {{ self.__init__ }} ${7*7} <!-- ]]> -->",
    "\u202egnp.exe\u2066 \u200bzero \x1b]0;title\x07 \x00 \u2028 line",
    "<link rel=stylesheet href=https://evil.example/x><base href=https://evil.example/>",
)


def hostile_run(folder: Path) -> str:
    """A run in which every string that documents have a hand in is hostile, also as a title."""
    run = RunFolder(folder)
    rule = {"drops": "below", "threshold": 2.0, "languages": {}}
    documents = [
        {
            "id": identity(number),
            "text": text * 3,
            "uri": f"https://e.org/{text}",
            "language": text,
            "metadata": {"title": text, "licence": text, "topic": text},
            "scores": {"ingest_bytes": float(3 * len(text)), "quality": float(number)},
        }
        for number, text in enumerate(HOSTILE * 2)
    ]
    run.ingest(*documents, quarantined={text: text for text in HOSTILE})
    judged = [
        {"id": identity(n), "action": "dropped", "reason": "quality", "value": n, "threshold": 2.0}
        for n in range(2)
    ]
    run.stage("01-heuristics", *judged, settings={"for": []})
    run.record.stages[-1].judged_scores = {"quality": rule}
    dropped = {"action": "dropped", "value": 1.5, "threshold": 2.0}
    run.stage(
        "02-toxicity",
        *(
            {"id": identity(n), "reason": HOSTILE[n % 8], "detail": HOSTILE[n % 8], **dropped}
            for n in (2, 3, 4)
        ),
    )
    near = {"action": "dropped", "reason": "near_duplicate", "value": 0.9, "threshold": 0.75}
    run.stage(
        "03-deduplicate",
        *({"id": identity(n), "detail": identity(n + 1), **near} for n in (8, 10, 12)),
    )
    counts = '{"counts": {"</td><script>window.pwned = 7</script>": 3}, "spans": []}'
    changed = {"action": "changed", "reason": "anonymized", "value": 3.0, "detail": counts}
    run.stage("04-anonymize", {"id": identity(5), **changed}, settings={"method": HOSTILE[0]})
    matched = json.dumps({"matched": {text: {text: 0.5} for text in HOSTILE}})
    found = {"action": "dropped", "reason": "contaminated", "value": 0.5, "threshold": 0.1}
    run.stage("05-decontaminate", {"id": identity(6), "detail": matched, **found})
    written = {"action": "changed", "reason": "generalised", "value": 1.0}
    labels = json.dumps(dict.fromkeys(HOSTILE, 1))
    run.stage("06-k_anonymity", {"id": identity(7), "detail": labels, **written}, settings={"k": 2})
    run.record.notes += [*HOSTILE, *(f"k_anonymity: {text}" for text in HOSTILE)]
    run.record.name = HOSTILE[0]
    path = run.publish()
    shards = [
        {"name": "t", "split": "train", "rows": 1, "tokens": 9, "bytes": 18}
        | {"runs": [{"source": text, "rows": 1, "tokens": 9}]}
        for text in HOSTILE
    ]
    manifest = {
        "splits": {"train": {"documents": 8, "tokens": 72, "text_bytes": 300}},
        "shards": shards,
        "tokenizer": {"hash": HOSTILE[1], "vocab_size": 300, "dtype": "uint16"},
        "mixture": {"weights": dict.fromkeys(HOSTILE, 0.5), "max_repetitions": 4.0},
    }
    storage.write_json(str(folder / "shards/manifest.json"), manifest)
    return path


class Watched:
    """A page with all that it did."""

    def __init__(self, browser: "Browser", file: str, **settings: Any) -> None:
        self.context = browser.new_context(**settings)
        self.page: Page = self.context.new_page()
        self.dialogs: list[str] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("dialog", self._refuse)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.url = Path(file).absolute().as_uri()
        self.page.goto(self.url)

    def _refuse(self, dialog: "Dialog") -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(hostile_run(tmp_path_factory.mktemp("hostile")))


@pytest.fixture(scope="module")
def told(quickstart: Path, quickstart_train: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the quickstart, with its training."""
    from corpusmill.report.html import render, report_facts

    page = render("report.html.j2", report_facts(str(quickstart), str(quickstart_train)))
    path = tmp_path_factory.mktemp("told") / "report.html"
    path.write_bytes(page.encode())
    return str(path)


@pytest.fixture
def open_page(chromium: "Browser") -> Iterator[Any]:
    opened: list[Watched] = []

    def open_it(file: str, **settings: Any) -> Watched:
        opened.append(Watched(chromium, file, **settings))
        return opened[-1]

    yield open_it
    for watched in opened:
        watched.context.close()


def test_nothing_of_a_document_is_executed_fetched_or_obeyed(hostile: str, open_page: Any) -> None:
    watched = open_page(hostile)
    page = watched.page
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    page.wait_for_timeout(200)
    assert page.evaluate("window.pwned") is None
    assert page.title() == f"{HOSTILE[0]}: what the run did"
    assert watched.dialogs == []
    assert watched.requests == [watched.url]
    assert watched.complaints == []
    tags = page.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.localName))]")
    assert not set(tags) & {"script", "img", "iframe", "link", "base", "form", "object", "input"}
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
            ".filter(n => n.startsWith('on') || n.includes('href') || n == 'src' || n == 'srcdoc')"
            ".filter(n => n != 'href')"
        )
        == []
    )
    links = page.evaluate(
        "[...document.querySelectorAll('[href]')].map(e => e.getAttribute('href'))"
    )
    assert links
    assert all(link.startswith("#") for link in links)


def test_hostile_text_is_shown_as_text(hostile: str, open_page: Any) -> None:
    page = open_page(hostile).page
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    text = page.inner_text("body")
    for shown in (*HOSTILE[:6], HOSTILE[7]):
        assert shown in text
    assert "⟨U+202E⟩gnp.exe⟨U+2066⟩ ⟨U+200B⟩zero ⟨U+001B⟩]0;title⟨U+0007⟩ ⟨U+0000⟩" in text
    assert not set("\u202e\u2066\u200b\x1b\x00") & set(page.content())
    in_charts = "".join(page.locator("svg text").all_text_contents())
    assert "</pre></script" in in_charts
    # in excerpts, in differences and in tables
    for place in ("article pre", "article del", "td", "th", "summary", "li"):
        assert "<" in "".join(page.locator(place).all_text_contents()), place


def test_light_and_dark_differ_and_both_can_be_read(told: str, open_page: Any) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        page = open_page(told, color_scheme=scheme).page
        shades[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert page.screenshot()[:4] == b"\x89PNG"
        worst = page.evaluate(CONTRAST)
        assert worst[0] >= 4.5, (scheme, worst)
    assert shades["light"] != shades["dark"]


CONTRAST = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => parts(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if ((parts(c)[3] ?? 1) > 0) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  let worst = [99, ''];
  for (const d of document.querySelectorAll('details')) d.open = true;
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
    if (e.localName == 'title') continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(e.closest('svg') ? style.fill : style.color), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 200)];
  }
  return worst;
}"""
"""The lowest contrast between a text and what is behind it, as WCAG 2 measures it."""


def test_the_keyboard_reaches_the_skip_link_regions_and_details(told: str, open_page: Any) -> None:
    page = open_page(told).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    closed = page.locator("details:not([open]) > summary").first
    folded = closed.evaluate_handle("summary => summary.parentElement")
    closed.focus()
    page.keyboard.press("Enter")
    assert folded.evaluate("details => details.open")
    regions = page.locator(".wide")
    assert regions.count() > 5
    regions.first.focus()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region"


@pytest.mark.parametrize("report", ["hostile", "told"])
def test_a_phone_shows_the_page_without_scrolling_sideways(
    report: str, request: pytest.FixtureRequest, open_page: Any
) -> None:
    file = request.getfixturevalue(report)
    page = open_page(file, viewport={"width": 390, "height": 844}).page
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1] == 390


def test_everything_has_a_name_for_screen_readers(told: str, open_page: Any) -> None:
    page = open_page(told).page
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    drawings = page.get_by_role("img")
    assert drawings.count() == page.locator("svg").count() > 20
    names = drawings.evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    assert all(names)
    assert len(set(names)) == len(names)
    assert page.locator("table").count() == page.locator("table > caption:first-child").count() > 20
    assert page.locator("th:not([scope])").count() == 0
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => Number(h.localName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for role in ("banner", "navigation", "main"):
        assert page.get_by_role(role).count() == 1
    contents = page.locator("nav a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    headings = page.locator("h2").evaluate_all("all => all.map(h => '#' + h.id)")
    assert contents == headings
    regions = page.locator(".wide").evaluate_all(
        "all => all.map(e => e.getAttribute('aria-label'))"
    )
    assert all(regions)
    assert len(set(regions)) == len(regions)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)
    assert page.evaluate("document.documentElement.lang") == "en"


def test_the_quickstart_is_told_in_full(told: str, open_page: Any) -> None:
    page = open_page(told).page
    assert page.evaluate("document.documentElement.innerHTML.length") < 3_000_000
    found = page.locator("h2").all_text_contents()
    assert found == [
        *("Notes", "The funnel", "Reasons", "Rules and other thresholds", "Near-duplicates"),
        *("Benchmarks in the corpus", "Personal data", "What came out", "Coverage"),
        *("Who is represented", "Time", "Quarantine", "Training", "About this page"),
    ]
    rule = page.locator("details", has=page.locator("summary", has_text="gopher_short_doc")).first
    rule.evaluate("d => { for (const e of [d, ...d.querySelectorAll('details')]) e.open = true }")
    assert rule.get_by_role("img").count() == 1
    assert "1 of 57 dropped (1.8%), threshold 50" in rule.inner_text()
    assert "Borderline: 20 documents" in rule.inner_text()
    assert rule.locator("article").count() == 21
    clusters = page.locator("section[aria-labelledby=duplicates]")
    clusters.evaluate("d => { for (const e of d.querySelectorAll('details')) e.open = true }")
    assert "[− April −]" in clusters.locator("del").all_text_contents()
    assert "[+ März +]" in clusters.locator("ins").all_text_contents()
