"""Addresses: one canonical form, and what block lists block."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corpusmill.errors import UsageError
from corpusmill.stages.sources.limits import Dropped
from corpusmill.stages.sources.urls import UrlRules, canonical_url

ADDRESS_TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("htps:/\\.@?#[]%&=;+ wW2eéß。0\t\x00-_*"), st.characters()),
    max_size=40,
)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://example.org", "https://example.org/"),
        ("HTTPS://WWW.Example.ORG/", "https://example.org/"),
        ("http://www.www.example.org/", "https://example.org/"),
        ("http://www.com/", "https://www.com/"),
        ("http://example.org.:80/a", "https://example.org/a"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("http://example.org:8080/a", "https://example.org:8080/a"),
        ("http://example.org:/a", "https://example.org/a"),
        ("http://user:secret@example.org/a#top", "https://example.org/a"),
        ("http://example.org@evil.example/", "https://evil.example/"),
        ("http://evil.example\\@example.org/", "https://evil.example/@example.org/"),
        ("http://Bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("http://example。org/", "https://example.org/"),
        ("http://ex%61mple.org/", "https://example.org/"),
        ("http://[2001:DB8:0::1]:80/", "https://[2001:db8::1]/"),
        ("http://example.org/a/./b/../c", "https://example.org/a/c"),
        ("http://example.org/../../a", "https://example.org/a"),
        ("http://example.org/a/%2E%2e/b/..", "https://example.org/"),
        ("http://example.org/%7euser/%c3%a9", "https://example.org/~user/%C3%A9"),
        ("http://example.org/é ü", "https://example.org/%C3%A9%20%C3%BC"),
        ("http://example.org/100%", "https://example.org/100%25"),
        ("http://example.org/a%2Fb", "https://example.org/a%2Fb"),
        ("http://example.org/a;jsessionid=0A1B?x=1", "https://example.org/a?x=1"),
        ("http://example.org/?b=2&utm_source=x&a=1&fbclid=y", "https://example.org/?b=2&a=1"),
        ("http://example.org/?utm%5Fmedium=x&GCLID=1", "https://example.org/"),
        ("http://example.org/?utm=1", "https://example.org/?utm=1"),
        ("http:///example.org/", "https://example.org/"),  # as browsers read it
        ("http://example.org?", "https://example.org/"),
        (" http://exam\nple.org/\t ", "https://example.org/"),
    ],
)
def test_addresses_of_one_page_have_one_form(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/a",
        "ftp://example.org/",
        "mailto:a@example.org",
        "javascript://example.org/%0aalert(1)",
        "http://",
        "http://[::1",
        "http://[nonsense]/",
        "http://exa mple.org/",
        "http://example..org/",
        "http://example.org:99999/",
        "http://example.org:1000080/",
        "http://example.org:port/",
        "http://%ff.example/",
        "http://a%2fb.example/",
        "http://example.org/\x00",
        "http://example.org/\ud800",
        "http://" + "a" * 300 + ".example/",
        "http://example.org/" + "a" * 20_000,
        "shelf/book.txt#chapter",
    ],
)
def test_what_is_no_address_has_no_form(url: str) -> None:
    assert canonical_url(url) == ""


@pytest.mark.parametrize(
    ("declared", "canonical"),
    [
        ("https://example.org/story", "https://example.org/story"),
        ("http://www.example.org/story#x", "https://example.org/story"),
        ("/story", "https://example.org/story"),
        ("https://other.example/story", "https://example.org/a?page=2"),
        ("https://sub.example.org/story", "https://example.org/a?page=2"),
        ("https://example.org:8080/story", "https://example.org/a?page=2"),
        ("https://example.org@other.example/", "https://example.org/a?page=2"),
        ("//[", "https://example.org/a?page=2"),
        ("javascript:void(0)", "https://example.org/a?page=2"),
        ("", "https://example.org/a?page=2"),
    ],
)
def test_a_page_may_name_its_address_on_its_own_host_only(declared: str, canonical: str) -> None:
    assert canonical_url("http://www.example.org/a?page=2", declared) == canonical


@given(ADDRESS_TEXT, ADDRESS_TEXT)
@example("//example.org/.;jsessionid=1./", "")
@example("//example.org/a/..//b/.", "?&&%")
def test_a_canonical_address_is_its_own_canonical_address(rest: str, declared: str) -> None:
    for url in (rest, "http:" + rest, "http://example.org/" + rest, "http://e.org/?" + rest):
        canonical = canonical_url(url, declared)
        assert canonical_url(canonical) == canonical
        assert canonical.isascii()


def reason(rules: UrlRules, url: str) -> str | None:
    try:
        rules.judge(url)
    except Dropped as dropped:
        return dropped.reason
    return None


def listed(folder: Path, text: str, name: str = "list.txt") -> list[str]:
    (folder / name).write_text(text, "utf-8")
    return [str(folder / name)]


@pytest.mark.parametrize(
    "line",
    [
        "example.org",
        "EXAMPLE.org.",
        "*.example.org",
        ".example.org",
        "||example.org^",
        "0.0.0.0 example.org",
        "127.0.0.1\texample.org other.example  # ads",
    ],
)
def test_a_domain_is_blocked_with_its_subdomains(line: str, tmp_path: Path) -> None:
    text = f"\ufeff# a list\n! in two styles\n\n127.0.0.1 localhost\n::1 ip6-localhost\n{line}\n"
    rules = UrlRules.load(block_domains=listed(tmp_path, text))
    for url in (
        "http://example.org",
        "https://www.example.org:8080/a",
        "http://a.b.EXAMPLE.org./",
        "http://good.example@example.org/",
        "http://ex%61mple.org/",
        "http://example.org\\@good.example/",
    ):
        assert reason(rules, url) == "blocked_domain", url
    for url in (
        "http://myexample.org/",
        "http://example.org.good.example/",
        "http://org/",
        "http://example.org@good.example/",
        "http://localhost/",
        "example.org/file#1",
        "http://good.example/example.org",
    ):
        assert reason(rules, url) is None, url


def test_a_domain_may_be_written_in_letters_or_punycode(tmp_path: Path) -> None:
    rules = UrlRules.load(
        block_domains=listed(tmp_path, "bücher.example\nxn--mnchen-3ya.example\n")
    )
    for host in ("bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "a.münchen.example"):
        assert reason(rules, f"http://{host}/") == "blocked_domain"


def test_www_in_a_list_of_hosts_means_the_site_and_not_what_is_below_it(tmp_path: Path) -> None:
    rules = UrlRules.load(block_domains=listed(tmp_path, "0.0.0.0 www.host.example\n"))
    assert reason(rules, "http://host.example/") == "blocked_domain"
    assert reason(rules, "http://www.host.example/") == "blocked_domain"
    assert reason(rules, "http://someone.host.example/") is None


def test_addresses_are_blocked_in_their_canonical_form(tmp_path: Path) -> None:
    text = (
        "http://www.example.org/bad?b=1#x\nexample.org/ads/*  # all of them\nhttps://a.example*\n"
    )
    rules = UrlRules.load(block_urls=listed(tmp_path, text))
    for url in (
        "https://example.org/bad?b=1&utm_source=mail",
        "http://example.org/x/../ads/1",
        "http://www.example.org/ads/",
        "http://a.example/any",
    ):
        assert reason(rules, url) == "blocked_url", url
    for url in (
        "https://example.org/bad",
        "https://example.org/bad?b=12",
        "https://example.org/ad",
        "http://a.example.org/",
        "http://www.a.example.com/",
    ):
        assert reason(rules, url) is None, url


@given(
    st.lists(st.text("ab/", max_size=5), max_size=8),
    st.lists(st.text("ab/", max_size=6), min_size=1, max_size=8),
)
def test_prefixes_block_what_begins_with_any_of_them(prefixes: list[str], paths: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(f"https://e.org/{prefix}*\n" for prefix in prefixes)
        rules = UrlRules.load(block_urls=listed(Path(folder), text))
    for path in paths:
        expected = "blocked_url" if path.startswith(tuple(prefixes)) else None
        assert reason(rules, f"https://e.org/{path}") == expected


def test_banned_words_are_whole_words_of_host_and_path(tmp_path: Path) -> None:
    rules = UrlRules.load(banned_words=listed(tmp_path, "Casino\nstraße\nbuy-now\n🖕\nça # and\n"))
    for url in (
        "http://casino.example/",
        "http://example.org/Best_CASINO-2024.html",
        "http://example.org/c%61sino",
        "http://example.org/STRASSE",
        "http://xn--strae-oqa.example/",
        "http://example.org/please/buy%20now",
        "http://example.org/c%CC%A7a",  # a c and a combining cedilla
        "http://example.org/?q=c%61sino",
        "http://example.org/search?q=buy+now",
    ):
        assert reason(rules, url) == "banned_word", url
    for url in (
        "http://casinos.example/",
        "http://example.org/buy/later/now",
        "http://example.org/#casino",
    ):
        assert reason(rules, url) is None, url


def test_lists_may_be_packed_and_several(tmp_path: Path) -> None:
    packed = tmp_path / "domains.gz"
    packed.write_bytes(gzip.compress(b"one.example\n"))
    rules = UrlRules.load(block_domains=[str(packed), *listed(tmp_path, "two.example\n")])
    assert rules.domains == {"one.example", "two.example"}


CUT_OFF = gzip.compress(b"a.example\n" * 99, mtime=0)[:-9]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"good.example\n\xff\xfe.example\n", "block_domains", ":2: this line is not UTF-8"),
        (b"\n# x\nhttp://a.example/\n", "block_domains", ":3: 'http://a.example/' is no domain"),
        (b"two words\n", "block_domains", ":1: 'two words' is no domain"),
        (b"a b c\n", "block_domains", "is no domain"),
        (b"ftp://a.example/\n", "block_urls", ":1: 'ftp://a.example/' is no http or https"),
        (b"http://a.example/*/x\n", "block_urls", ":1: 'http://a.example/*/x': `*` stands at the"),
        (b"\n/ads/\n", "block_urls", ":2: '/ads/' is no http or https address"),
        (b"a b c d e f\n", "banned_words", ":1: more than 5 words on a line"),
        (CUT_OFF, "block_domains", "cannot be read: it is damaged"),
    ],
)
def test_mistakes_in_lists_are_named_with_file_and_line(
    content: bytes, kind: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "list"
    file.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        UrlRules.load(**{kind: [str(file)]})
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(file))


def test_a_list_that_is_not_there_is_an_error_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        UrlRules.load(banned_words=[str(tmp_path / "none")])


@given(ADDRESS_TEXT)
def test_no_address_makes_judging_fail(rest: str) -> None:
    rules = UrlRules(
        domains=frozenset({"a.example"}),
        urls=frozenset({"https://b.example/"}),
        words=frozenset({"casino"}),
        phrases=frozenset({"buy now"}),
    )
    for url in (rest, "http:" + rest, "http://c.example/" + rest):
        assert reason(rules, url) in (
            *(None, "blocked_domain", "blocked_url", "banned_word"),
            "unreadable_url",
        )


BROKEN = [
    "http://{}/" + "a" * 17_000,
    "http://{}:99999/",
    "http://{}:port/",
    "http://{}/\x01",
    "\x01http://user@{}/",
    "http:/{}/",
    "http:{}",
    "//{}/",
    "\\\\{}\\",
]


@pytest.mark.parametrize("url", BROKEN)
def test_an_address_that_is_broken_is_judged_by_the_host_that_can_be_seen(url: str) -> None:
    rules = UrlRules(domains=frozenset({"a.example"}))
    assert reason(rules, url.format("sub.a.example")) == "blocked_domain"
    assert reason(rules, url.format("b.example")) is None


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://a b/", "http://%ff.example/"])
def test_what_no_rule_can_be_held_against_is_dropped_where_there_are_rules(url: str) -> None:
    assert reason(UrlRules(words=frozenset({"casino"})), url) == "unreadable_url"
    assert reason(UrlRules(), url) is None


def test_hostile_addresses_take_linear_time() -> None:
    rules = UrlRules(domains=frozenset({"a.example"}), words=frozenset({"casino"}))
    for url in ("http://" + "a." * 8000, "http://e.org/" + "../" * 5000, "http://" + "@" * 16_000):
        reason(rules, url)
        canonical_url(url, url)
