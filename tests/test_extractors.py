"""Extractors: what they take out of a page, what it says about itself, and hostile pages."""

import contextlib
import gzip
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from benchmarks.extraction import compare, figures, labelled_pages
from hypothesis import given
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.errors import UsageError
from corpusmill.stages.sources import block_model, limits
from corpusmill.stages.sources.block_features import page_features
from corpusmill.stages.sources.block_model import choose_runs, network
from corpusmill.stages.sources.blocks import find_blocks
from corpusmill.stages.sources.extractors import DEFAULT_EXTRACTOR, EXTRACTORS, make_extractor
from corpusmill.stages.sources.html import parse_html, read_html
from corpusmill.stages.sources.limits import Dropped, Refused

PAGE = """<!doctype html><html><head><title>The title</title>
<meta name="author" content="A. Writer"><meta property="og:site_name" content="The Site">
<meta property="article:published_time" content="2021-03-04T05:06:07Z">
<link rel="canonical" href="/articles/1?x=y"></head><body>
<nav><a href="/">Home</a> <a href="/about">About us</a></nav><article><h1>The title</h1>
<p>{first}</p><p>{second}</p></article><footer><a href="/terms">Terms</a>
<a href="https://creativecommons.org/publicdomain/zero/1.0/">Some picture</a>
<a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">Licence</a></footer>"""
SENTENCES = {
    "first": "The first paragraph of an article says what happened, where it happened, and when. "
    * 3,
    "second": "The second one is about the people who saw it and about what they said later. " * 3,
}
ARTICLE = PAGE.format(**SENTENCES)
NONE = pytest.mark.parametrize("extractor", ["none", "blocks"])
ALL = pytest.mark.parametrize("extractor", EXTRACTORS)


def text_of(page: str | bytes, extractor: str = DEFAULT_EXTRACTOR) -> str:
    data = page.encode() if isinstance(page, str) else page
    return read_html(data, None, "", "", extractor=extractor)[0]


@ALL
def test_every_extractor_gives_the_article(extractor: str) -> None:
    text = text_of(ARTICLE, extractor)
    assert "The first paragraph of an article" in text
    assert "people who saw it" in text
    assert text.index("The first") < text.index("The second")
    assert "\n" in text[text.index("The first") : text.index("The second")]
    assert ("About us" in text) == (extractor == "none")


def test_trafilatura_can_favour_recall() -> None:
    texts = {
        favor: read_html(ARTICLE.encode(), None, "", "", extractor="trafilatura", favor=favor)[0]
        for favor in ("precision", "balance", "recall")
    }
    assert all("people who saw it" in text for text in texts.values())
    with pytest.raises(ValueError, match="favor: 'recall' needs trafilatura"):
        make_extractor("blocks", "recall")
    with pytest.raises(ValueError, match="'most' needs trafilatura and one of precision"):
        make_extractor("trafilatura", "most")
    with pytest.raises(UsageError, match="extractor 'block' is not one of blocks, none"):
        make_extractor("block")


def test_the_default_needs_neither_trafilatura_nor_its_start_up_time() -> None:
    code = (
        "import sys; from corpusmill.stages.sources import html; html.load_libraries();"
        "html.read_html(b'<p>Some text.</p>', None, '', '');"
        "sys.exit('trafilatura' in sys.modules or 'htmldate' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


MIXED = """<body><div>Before <b>bold</b>ness, a <a href=x>li<i>n</i>k</a>ed word
  and&nbsp;more<script>var x = "<p>no</p>"</script>.<h2>A heading</h2>
<ul><li>one<li>two <ul><li>three</ul></ul>first line<br>second line<br><br>next paragraph
<table><tr><th>a<th>b<tr><td>1<td>2</table><pre>
  kept    as
    it is</pre><p style="display: none">hidden</p><p hidden>unseen</p><noscript>on</noscript>
<template>t</template><style>s</style><textarea>form</textarea>end<hr>after</div></body>"""


@NONE
def test_text_is_as_a_browser_shows_it(extractor: str) -> None:
    assert text_of(MIXED, extractor) == (
        "Before boldness, a linked word and more.\n\nA heading\n\n- one\n- two\n\n- three\n\n"
        "first line\nsecond line\n\nnext paragraph\n\na | b\n1 | 2\n\n"
        "  kept    as\n    it is\n\nend\n\nafter"
    )


JAPANESE = "".join(
    f"これは{n}番目の文章で、段落の印はどこにもありません。" for n in "一二三四五六七"
)
RUSSIAN = "Сегодня в городе прошла встреча, на которой обсудили планы на будущий год. " * 3
MENU = "".join(f'<li><a href="/{n}">Menu item {n}</a></li>' for n in range(12))


@pytest.mark.parametrize("sentence", [JAPANESE, RUSSIAN, SENTENCES["first"]])
@pytest.mark.parametrize("between", ["<br><br>", "</p><p>", "</div><div>"])
def test_bodies_are_found_without_paragraphs_and_in_any_script(sentence: str, between: str) -> None:
    tag = between[-2] if between == "</p><p>" else "div"
    page = (
        f"<html><body><div class=top><ul>{MENU}</ul></div><div><h1>{sentence[:20]}</h1>"
        f"<{tag}>{between.join([sentence] * 4)}</{tag}></div><div class=foot><ul>{MENU}</ul></div>"
    )
    text = text_of(page)
    assert text.count(" ".join(sentence.split())) == 4
    assert "Menu item" not in text


def test_every_post_of_a_thread_and_every_item_of_a_reference_is_kept() -> None:
    posts = "".join(
        f"<div class=post><div class=author>user{n}</div><div class=body>{n}: {text}</div></div>"
        for n, text in enumerate([*SENTENCES.values()] * 4)
    )
    thread = text_of(f"<body><ul class=nav>{MENU}</ul><div id=posts>{posts}</div></body>")
    assert all(f"{n}: The " in thread for n in range(8))
    items = "".join(
        f"<dt><code>option{n}</code></dt><dd><p>Sets option number {n} of the program.</p></dd>"
        for n in range(20)
    )
    page = (
        f"<body><ul class=nav>{MENU}</ul><div role=main><h1>Options</h1>"
        f"<p>{SENTENCES['first']}</p><dl>{items}</dl></div></body>"
    )
    assert all(f"Sets option number {n} " in text_of(page) for n in range(20))


def test_characters_that_are_none_are_left_out() -> None:
    page = "<p>\x00a\x0bb\x1f\x7f c\ufffe d\uffff e</p>"
    assert text_of(page, "none") == "ab c d e"


@pytest.mark.parametrize("page", ["<body>Some words only.", "<h1>Title</h1><p>Short text.</p>"])
def test_a_page_of_two_lines_is_kept_whole(page: str) -> None:
    assert text_of(page) == text_of(page, "none") != ""


def test_where_no_block_is_likely_what_is_no_link_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sure = network()
    never = type(sure)(
        means=sure.means,
        scales=sure.scales,
        hidden=sure.hidden,
        hidden_bias=sure.hidden_bias,
        out=np.zeros_like(sure.out),
        out_bias=-9.0,
    )
    monkeypatch.setattr(block_model, "network", lambda: never)
    page = "<header>The site</header><p>A line.<p><a href=/>Home</a><form>Search here</form>"
    assert text_of(page) == "A line."


@pytest.mark.parametrize("page", [b"", b"\0" * 100, b"<!doctype html>", b"<?xml?>", b"<p>"])
@ALL
def test_pages_without_anything_give_no_text(page: bytes, extractor: str) -> None:
    assert read_html(page, None, "http://[broken", "", extractor=extractor)[0] == ""


def test_articles_are_extracted_as_people_marked_them(shared_data: Path) -> None:
    pages = labelled_pages(shared_data / "web" / "articles")
    found = [read_html(page.html, None, page.url, "")[0] for page in pages]
    scores = figures(compare(p.body, text) for p, text in zip(pages, found, strict=True))
    assert scores["f1"] >= 0.955
    assert scores["precision"] >= 0.945


# What a page says about itself.


def test_a_page_says_things_about_itself() -> None:
    _, metadata = read_html(ARTICLE.encode(), None, "https://www.site.example/a", "")
    assert metadata == {
        "author": "A. Writer",
        "canonical": "https://www.site.example/articles/1?x=y",
        "date": "2021-03-04",
        "host": "www.site.example",
        "licence": "creativecommons.org/licenses/by-sa/4.0",
        "site": "The Site",
        "title": "The title",
    }


def test_a_date_after_the_crawl_is_no_date() -> None:
    page = ARTICLE.encode()
    assert "date" not in read_html(page, None, "https://site.example/", "2020-01-01T00:00:00Z")[1]


@pytest.mark.parametrize(
    ("head", "uri", "date"),
    [
        ("", "https://a.example/2019/11/08/news", "2019-11-08"),
        ("", "https://a.example/2019/13/08/news", None),
        ('<meta name=date content="Mon, 18 Nov 2019 10:00:00 GMT">', "", "2019-11-18"),
        ('<meta itemprop=datePublished content="November 3rd, 2019">', "", "2019-11-03"),
        ('<meta name=pubdate content="20191118">', "", "2019-11-18"),
        ('<meta name=date content="2019-02-30">', "", None),
        ('<meta name=date content="18.11.2019">', "", "2019-11-18"),
        ('<script type="application/ld+json">[{"@graph": [{"datePublished": "2018-01-02T"}]}]'
         "</script>", "", "2018-01-02"),
        ('<script type="application/ld+json">{"datePublished": 5, "author": [{"name": 1}]}</script>'
         '<meta property="og:updated_time" content="2017-05-06">', "", "2017-05-06"),
        ('</head><time datetime=2015-01-01>x</time><time pubdate datetime=2016-01-01>y</time>',
         "", "2016-01-01"),
        ('</head><span class="post-date">Posted on 7 March 2014</span>', "", "2014-03-07"),
        ('</head><p>In March 2014, on 7 March 2014, it rained.</p>', "", None),
    ],
)  # fmt: skip
def test_dates_are_found_where_pages_put_them(head: str, uri: str, date: str | None) -> None:
    page = f"<html><head>{head}<body><p>Some text.</p>"
    assert read_html(page.encode(), None, uri, "")[1].get("date") == date


@pytest.mark.parametrize(
    ("link", "canonical"),
    [
        ('<link rel="nofollow Canonical" href=" ../b#c ">', "http://a.example/b#c"),
        ('<link rel=canonical href="//c.example/">', "http://c.example/"),
        ('<link rel=canonical href="javascript:alert(1)">', None),
        ('<link rel=canonical href="http://[">', None),
        ("<link rel=canonical>", None),
        ("<link rel=stylesheet href=s>", None),
    ],
)
def test_the_canonical_address_is_resolved(link: str, canonical: str | None) -> None:
    page = f"<head>{link}</head><p>Some text.</p>"
    metadata = read_html(page.encode(), None, "http://a.example/x/y", "")[1]
    assert metadata.get("canonical") == canonical


def test_licences_of_meta_tags_are_marked_ones() -> None:
    page = (
        '<meta name="dcterms.license" content="HTTPS://CreativeCommons.org/licenses/by/3.0/de">'
        '<a href="https://creativecommons.org/licenses/by-nc/2.0/">one of a picture</a>'
    )
    licence = read_html(page.encode(), None, "", "")[1]["licence"]
    assert licence == "creativecommons.org/licenses/by/3.0"


def test_a_check_sees_the_meta_tags_before_text_is_taken_out() -> None:
    seen: dict[str, str] = {}

    def check(meta: Mapping[str, str]) -> None:
        seen.update(meta)
        raise Dropped("opt_out", 1, 0)

    page = b"""<meta name=Robots content="bot:\nall"><META NAME="robots" CONTENT="noindex">
        <meta http-equiv="X-Robots-Tag" content=none><meta property="TDM-reservation" content=1>
        <meta charset=utf-8><meta name=empty><p>text"""
    with pytest.raises(Dropped, match="opt_out"):
        read_html(page, None, "", "", check=check)
    assert seen == {"robots": "bot: all\nnoindex", "x-robots-tag": "none", "tdm-reservation": "1"}


# The network and the choice of runs.


@given(st.lists(st.integers(-60, 60), max_size=9), st.integers(0, 20))
def test_runs_are_the_likeliest_of_all_subsets(tenths: list[int], switch: int) -> None:
    odds, cost = [t / 10 for t in tenths], switch / 10

    def worth(chosen: tuple[bool, ...]) -> float:
        changes = sum(a != b for a, b in itertools.pairwise((False, *chosen, False)))
        return sum(itertools.compress(odds, chosen)) - cost * changes

    numbers = choose_runs(odds, cost)
    found = tuple(k in numbers for k in range(len(odds)))
    best = max(map(worth, itertools.product((False, True), repeat=len(odds))))
    assert worth(found) == pytest.approx(best)
    assert numbers == sorted(set(numbers))


def test_the_network_adds_whole_numbers_that_float32_holds() -> None:
    weights = network()
    assert (weights.hidden == np.rint(weights.hidden)).all()
    assert (weights.hidden_bias == np.rint(weights.hidden_bias)).all()
    limit = block_model.MAX_INPUT / block_model.INPUT_STEP
    largest = np.abs(weights.hidden).sum(0) * limit + np.abs(weights.hidden_bias)
    assert largest.max() < 2**24
    page = parse_html(ARTICLE.encode(), None)
    assert page is not None
    features = page_features(find_blocks(page.tree))
    many = np.concatenate([features] * 50)
    assert (weights.log_odds(many) == np.tile(weights.log_odds(features), 50)).all()


def test_the_same_pages_train_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import train_blocks

    monkeypatch.setattr(train_blocks, "EPOCHS", 60)
    (tmp_path / "html").mkdir()
    truth = {}
    for number, name in enumerate(("one", "two", "three")):
        body = [f"{number} {sentence}" for sentence in SENTENCES.values()]
        page = PAGE.format(first=body[0], second=body[1] + "</p></article><aside><p>And also: this")
        (tmp_path / "html" / f"{name}.html.gz").write_bytes(gzip.compress(page.encode()))
        truth[name] = {"articleBody": "\n".join(body), "url": f"https://{name}.example/"}
    (tmp_path / "ground-truth.json").write_text(json.dumps(truth))
    examples = train_blocks.read(f"{tmp_path}:0.5")
    assert [e.inside.sum() for e in examples] == [2, 2, 2]
    for run in ("first", "second"):
        train_blocks.write(train_blocks.train(examples), tmp_path / run)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    odds = train_blocks.train(examples).log_odds(examples[0].features)
    assert ((odds > 0) == examples[0].inside).all()


def test_figures_are_those_of_the_benchmark() -> None:
    # shingles of the truth: abcd bcde; of what was found: abcd bcdx, and nothing
    pages = [compare("a b c d e", "a b c d x"), compare("a b", ""), compare("", "")]
    assert pages == [(1 / 3, 1 / 3, 1 / 3), (0, 0, 1), (0, 0, 0)]
    assert figures(pages) == {"precision": 0.5, "recall": 0.25, "f1": pytest.approx(1 / 3)}
    assert compare("a b c", "a, b. C c") == (0, 0.5, 0.5)


def test_the_benchmark_says_where_it_looked_for_pages(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[1] / "benchmarks" / "extraction.py"
    command = [sys.executable, str(script), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert f"{tmp_path}: no labelled pages" in run.stderr


# Hostile pages.

WORDS = b"Some words of a sentence, and then a few more. "
REFUSED: dict[str, tuple[bytes, str]] = {
    "nested": (b"<div>" * 20_000, "too_deep"),
    "nested formatting": (b"<html><body>" + b"<b>x" * 300, "too_deep"),
    "nested tables": (b"<table><tr><td>x" * 30_000, "too_deep"),
    "brackets": (b"<" * limits.MAX_HTML, "too_many_nodes"),
    "many": (b"<div>" * 100_001, "too_many_nodes"),
    "large": (b"x" * (limits.MAX_HTML + 1), "too_large"),
}


@ALL
@pytest.mark.parametrize("name", REFUSED)
def test_hostile_pages_are_refused_before_extraction(name: str, extractor: str) -> None:
    page, reason = REFUSED[name]
    with pytest.raises(Refused, match=reason) as refusal:
        read_html(page, None, "", "", extractor=extractor)
    assert refusal.value.value is not None
    assert refusal.value.threshold is not None
    assert refusal.value.value > refusal.value.threshold


HOSTILE: dict[str, bytes] = {
    "unclosed paragraphs": b"<p>word " * 5_000,
    "unclosed formatting": b"".join(b"<p><b id=%d>x</p>" % n for n in range(5_000)),
    "adoption": b"<b><i><u><a href=x><p>y</b></i></p></u></a>" * 1_000,
    "nested links": b"<a href=x>x" * 5_000,
    "foster parents": b"<table>" + b"<p>word</p>word" * 3_000,
    "formatting in tables": b"<table><tr>" + b"<b>x<td>y</td>" * 200,
    "one attribute": b'<div class="' + b"article " * 100_000 + b'">' + WORDS * 20 + b"</div>",
    "one style": b'<p style="' + b"display:" * 500_000 + b'">' + WORDS * 20,
    "many names": b"".join(b"<p class='a%db c%d' id=e%d>x</p>" % (n, n, n) for n in range(5_000)),
    "line breaks": b"<p>" + b"<br>x" * 5_000,
    "one text": WORDS * 50_000,
    "space": b"<p>" + b" \n" * 2_000_000,
    "comments": b"<p>x" + b"<!-- " * 50_000,
    "deep and again": (b"<div>" * 200 + b"</div>" * 200) * 20,
    "nested data": b'<script type="application/ld+json">' + b'{"a":' * 500_000 + b"</script><p>x",
    "a long moment": b'<time datetime="' + b"1 jan " * 500_000 + b'"></time><p>x',
    "a long title": b"<title>" + b"x " * 1_000_000 + b"</title><p>x",
}
SLOW = 10.0
"""CPU-seconds; far below what the isolated child allows."""


@ALL
@pytest.mark.parametrize("name", HOSTILE)
def test_what_limits_let_pass_takes_seconds(name: str, extractor: str) -> None:
    def read() -> None:
        with contextlib.suppress(Refused):
            read_html(HOSTILE[name], None, "https://a.example/", "", extractor=extractor)

    assert is_within(SLOW, read)


ATTRIBUTES = b" ".join(b"a%d" % n for n in range(limits.MAX_ATTRIBUTES + 1))


@pytest.mark.parametrize(
    "attributes",
    [
        ATTRIBUTES,
        ATTRIBUTES.replace(b" ", b"/"),
        ATTRIBUTES.replace(b" ", b'="<" '),
        ATTRIBUTES.replace(b" ", b"=''"),
        b'title="<p" ' + ATTRIBUTES.replace(b" ", b" = x\n"),
    ],
)
def test_a_tag_with_too_many_attributes_is_refused(attributes: bytes) -> None:
    with pytest.raises(Refused, match="too_many_attributes"):
        parse_html(b"<p>x</p><div " + attributes + b">x</div>", None)


def test_many_attributes_in_many_tags_are_read() -> None:
    page = b"<p class=x id='y' title=\"a b c\">word</p>" * limits.MAX_ATTRIBUTES
    assert parse_html(page + b"<p>" + ATTRIBUTES, None) is not None
