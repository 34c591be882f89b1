"""The explorer's answers: who may ask, what is found, what thresholds would keep, what is shown."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, Protocol

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pad
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.report_runs import RunFolder, identity
from tests.test_sweep import run_with

from corpusmill import open_run
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.ledger import load_run
from corpusmill.report.explorer import catalogue as catalogue_module
from corpusmill.report.explorer.catalogue import Catalogue, Filters, TooSlow
from corpusmill.report.explorer.changed_recipe import changed_recipe
from corpusmill.report.explorer.guard import HEADERS
from corpusmill.report.explorer.journey import GONE, NEW, SAME, differences
from corpusmill.report.explorer.opening import open_catalogue
from corpusmill.report.explorer.pieces import Piece, masked_pieces
from corpusmill.report.explorer.server import application, explore
from corpusmill.report.explorer.thresholds import OUTPUT, StageScores
from corpusmill.report.showing import MASK, mask
from corpusmill.report.sweep import sweep_data

TOKEN = "a-token-of-the-tests"
HOST = "http://127.0.0.1"
HERE = "/thresholds/02-heuristics"
HOSTILE = "<script>alert(1)</script>\u202e' OR 1=1; --"


def client_of(run: Path | str) -> TestClient:
    return TestClient(application(str(run), TOKEN), base_url=HOST, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(quickstart: Path) -> Iterator[TestClient]:
    """Someone who has the token of the quickstart's run."""
    with client_of(quickstart) as client:
        assert client.get(f"/?token={TOKEN}").status_code == 200
        yield client


@pytest.fixture
def stranger(client: TestClient) -> TestClient:
    """The same explorer without a cookie."""
    return TestClient(client.app, base_url=HOST, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def opened(quickstart: Path) -> Iterator[Catalogue]:
    with open_catalogue(str(quickstart)) as catalogue:
        yield catalogue


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """A run of many lengths and languages, with thresholds that depend on the language."""
    run, _ = run_with(tmp_path_factory.mktemp("swept"))
    with open_catalogue(run) as catalogue:
        yield catalogue


class Answer(Protocol):
    """What any client of HTTP gives."""

    @property
    def text(self) -> str: ...


def shown(answer: Answer) -> str:
    """The page as its reader sees it, about."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", answer.text)))


def total(answer: Answer) -> int:
    found = re.search(r"([\d,]+) of [\d,]+ documents", re.sub("<[^>]*>", "", answer.text))
    assert found is not None, answer.text
    return int(found[1].replace(",", ""))


# ---- who may ask ----


@pytest.mark.parametrize(
    "path", ["/", "/documents/0", HERE, f"{HERE}/counts", f"{HERE}/recipe", "/static/explorer.js"]
)
def test_nothing_is_answered_without_the_token(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code == 403
    for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", "\N{SNOWMAN}", "x" * 5000):
        assert stranger.get(path, params={"token": wrong}).status_code == 403
    name = next(iter(stranger.get(f"/?token={TOKEN}", follow_redirects=False).cookies))
    stranger.cookies.clear()
    assert stranger.get(path, headers={"cookie": f"{name}=wrong"}).status_code == 403


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(stranger: TestClient) -> None:
    answer = stranger.get(f"/?token={TOKEN}&text=a+b%25", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?text=a+b%25"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert stranger.get("/").status_code == 200


def test_the_redirect_stays_on_this_machine(stranger: TestClient) -> None:
    for path in ("//evil.test/", "/\\evil.test", "/%2F%2Fevil.test", "/a%0D%0AX: y"):
        answer = stranger.get(f"{HOST}{path}?token={TOKEN}", follow_redirects=False)
        assert re.match(r"/(?![/\\])[^\r\n]*$", answer.headers["location"])


def test_only_names_of_this_machine_are_answered(client: TestClient) -> None:
    assert client.get("/", headers={"host": "localhost:8000"}).status_code == 200
    for host in ("evil.test", "127.0.0.1.evil.test", "[::1]", "0.0.0.0"):
        assert client.get("/", headers={"host": host}).status_code == 400


def test_what_another_page_asks_for_is_refused(client: TestClient) -> None:
    for site, status in {
        "none": 200,
        "same-origin": 200,
        "same-site": 403,
        "cross-site": 403,
    }.items():
        assert client.get("/", headers={"sec-fetch-site": site}).status_code == status


def test_every_answer_tells_the_browser_what_to_refuse(
    client: TestClient, stranger: TestClient
) -> None:
    answers = [client.get(path) for path in ("/", HERE, "/static/explorer.css", "/nope")]
    answers += [stranger.get("/"), client.get("/", headers={"host": "evil.test"})]
    answers += [client.post("/"), client.get(f"{HERE}/counts?at.gopher_short_doc=x")]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "script-src 'self'" in HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert client.post("/").status_code == 405


# ---- searching ----


def truth(run: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The documents that came out, and the rows of the ledger."""
    opened_run = open_run(str(run))
    columns = ["id", "uri", "source", "language", "augmented_from", "text"]
    ledger = opened_run.ledger.arrow(["id", "uri", "source", "stage", "action", "reason"])
    return opened_run.documents.arrow(columns).to_pylist(), ledger.to_pylist()


def test_searches_find_what_the_files_hold(client: TestClient, quickstart: Path) -> None:
    kept, ledger = truth(quickstart)
    raw = open_run(str(quickstart)).ingested.arrow(["id", "text"]).to_pylist()
    dropped = [row for row in ledger if row["action"] == "dropped"]
    expected = {
        "fate=kept": {row["id"] for row in kept},
        "fate=dropped": {row["id"] for row in dropped},
        "fate=changed": {row["id"] for row in ledger if row["action"] == "changed"},
        "fate=derived": {row["id"] for row in kept if row["augmented_from"]},
        "fate=quarantined": set(),
        "reason=near_duplicate": {r["id"] for r in dropped if r["reason"] == "near_duplicate"},
        "stage=02-heuristics": {r["id"] for r in ledger if r["stage"] == "02-heuristics"},
        "stage=02-heuristics&fate=dropped": {
            row["id"] for row in dropped if row["stage"] == "02-heuristics"
        },
        "source=repos": {row["id"] for row in [*kept, *dropped] if row["source"] == "repos"},
        "source=repos&fate=kept": {row["id"] for row in kept if row["source"] == "repos"},
        "language=de&fate=kept": {row["id"] for row in kept if row["language"] == "de"},
        "uri=KITCHEN": {row["id"] for row in [*kept, *dropped] if "kitchen" in row["uri"]},
        "text=HARBOUR": {r["id"] for r in [*raw, *kept] if "harbour" in r["text"].lower()},
        "text=the+%25": {row["id"] for row in [*raw, *kept] if "the %" in row["text"].lower()},
        f"id={kept[0]['id'].upper()}": {kept[0]["id"]},
        "": {row["id"] for row in [*kept, *dropped]},
    }
    assert len(expected["text=HARBOUR"]) > 3
    for query, ids in expected.items():
        answer = client.get(f"/?{query}")
        assert total(answer) == len(ids), query
        listed = set(re.findall(r'href="/documents/([0-9a-f]{32})"', answer.text))
        assert listed <= ids, query
        assert len(listed) == min(50, len(ids)), query


def test_pages_of_results_hold_each_document_once(client: TestClient) -> None:
    first, second = (client.get(f"/?page={number}") for number in (1, 2))
    listed = [
        re.findall(r'<a class="theirs" href="/documents/([0-9a-f]{32})"', answer.text)
        for answer in (first, second)
    ]
    assert len(listed[0]) == 50
    assert len({*listed[0], *listed[1]}) == total(first)
    assert 'rel="next" href="/?page=2"' in first.text
    assert 'rel="prev" href="/?page=1"' in second.text
    for nonsense in ("0", "-1", "x", "9" * 50, "1e9", "%F0%9F"):
        assert client.get(f"/?page={nonsense}").status_code == 200


@pytest.mark.parametrize(
    "hostile",
    [
        "' OR '1'='1",
        "'; DROP TABLE documents; --",
        '" UNION SELECT * FROM ledger --',
        "\\'); SELECT read_text('/etc/passwd",
        "%",
        "_",
        ".*",
        "\0",
        "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"),
        HOSTILE,
        "x" * 500,
    ],
)
def test_what_is_typed_is_only_ever_searched_for(client: TestClient, hostile: str) -> None:
    for field in ("text", "uri", "id", "reason", "stage", "source", "language"):
        answer = client.get("/", params={field: hostile})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        if hostile not in ("%", "_", "\0"):
            assert total(answer) == 0
    assert total(client.get("/")) == 84


def test_wildcards_are_ordinary_characters(client: TestClient, quickstart: Path) -> None:
    kept, ledger = truth(quickstart)
    uris = {row["id"]: row["uri"] for row in [*ledger, *kept]}
    for character in "%_":
        expected = sum(character in uri for uri in uris.values())
        assert total(client.get("/", params={"uri": character})) == expected


def test_searches_that_make_no_sense_are_told_so(client: TestClient) -> None:
    for query in ("fate=lost", "text=" + "x" * 501, "fate=" + "x" * 501):
        answer = client.get(f"/?{query}")
        assert answer.status_code == 400
        assert "Not shown" in answer.text


def test_the_database_reaches_no_other_file_and_writes_none(
    opened: Catalogue, tmp_path: Path
) -> None:
    import duckdb

    for query in (
        "SELECT * FROM read_text('/etc/hostname')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            opened.rows(query)
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_takes_too_long_is_stopped(
    opened: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "SECONDS", 0.2)
    pairs = "range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11"
    with pytest.raises(TooSlow, match="stopped after"):
        opened.rows(f"SELECT count(*) FROM {pairs}")
    assert opened.rows("SELECT 1 AS one") == [{"one": 1}]


def test_running_searches_end_with_the_server(opened: Catalogue) -> None:
    ended: list[str] = []

    def search() -> None:
        try:
            opened.rows("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a < b")
        except TooSlow as error:
            ended.append(str(error))

    thread = threading.Thread(target=search, daemon=True)
    thread.start()
    for _ in range(100):
        opened.stop()  # it may not have begun yet
        thread.join(0.05)
        if ended:
            break
    assert len(ended) == 1


# ---- thresholds ----


def test_each_slider_counts_what_sweep_counts(swept: Catalogue) -> None:
    (name,) = (stage.name for stage in swept.record.stages if stage.judged_scores)
    stage = swept.record.stage(name)
    assert stage is not None
    scores = StageScores.of_stage(swept, stage)
    tried = 0
    for rule in scores.rules:
        for swept_at in sweep_data(swept.run, rule)["stages"][0]["thresholds"]:
            answer = scores.answer({rule: swept_at["threshold"]})
            assert answer.then.documents == swept_at["chain"]["kept"]
            assert answer.then.bytes == swept_at["chain"]["kept_bytes"]
            assert answer.alone == {rule: swept_at["alone"]["dropped"]}
            tried += answer.then.documents != answer.now.documents
    assert tried > 10


@pytest.mark.parametrize(
    "moved",
    [
        {"gopher_short_doc": 20, "gopher_above_avg_threshold": 20, "c4_too_few_sentences": 0},
        {"gopher_short_doc": 150, "c4_too_few_sentences": 0, "fineweb_char_dup_ratio": 0.5},
        {"gopher_dup_line_frac": 0.9, "gopher_dup_line_char_frac": 0.9, "gopher_top_2_gram": 0.9,
         "gopher_top_3_gram": 0.9, "gopher_top_4_gram": 0.9, "fineweb_line_punct_ratio": 0.8},
        {},
    ],
)  # fmt: skip
def test_sliders_moved_together_count_what_a_run_would_keep(
    swept: Catalogue, tmp_path: Path, moved: dict[str, float]
) -> None:
    stage = swept.record.stages[1]
    scores = StageScores.of_stage(swept, stage)
    _, record = run_with(tmp_path, **moved)
    answer = scores.answer(moved)
    assert answer.then.documents == record.stages[1].counts.kept
    assert answer.now.documents == stage.counts.kept
    assert (answer.then == answer.now) == (not moved)


def test_tokens_are_those_of_the_shards_and_estimates_for_the_others(
    opened: Catalogue, quickstart: Path
) -> None:
    stage = opened.record.stage("02-heuristics")
    assert stage is not None
    kept = StageScores.of_stage(opened, stage).now
    files = sorted(map(str, (quickstart / "shards").glob("*.arrow")))
    shards = pad.dataset(files, format="ipc").to_table(["id", "source", "tokens"])
    lengths = pc.list_value_length(shards["tokens"]).to_pylist()
    rows = zip(shards["id"].to_pylist(), shards["source"].to_pylist(), lengths, strict=True)
    derived = {row["id"] for row in truth(quickstart)[0] if row["augmented_from"]}
    crawl = [n for document, source, n in rows if source == "crawl" and document not in derived]
    assert kept.tokens == sum(crawl)
    assert kept.in_shards == len(crawl)
    assert kept.documents == stage.sources["crawl"].kept
    assert kept.estimated_tokens is not None
    assert 0 < kept.estimated_tokens < kept.tokens


def test_other_scores_filter_what_came_out(opened: Catalogue, quickstart: Path) -> None:
    scores = StageScores.of_output(opened)
    assert scores.stage.name == OUTPUT
    documents = open_run(str(quickstart)).documents.arrow(["language_score", "scores"])
    perplexity = [row["ngram_perplexity"] for row in documents["scores"].to_pylist()]
    certain = documents["language_score"].to_pylist()
    expected = sum(
        (p is None or p <= 5000) and (c is None or c >= 0.95)
        for p, c in zip(perplexity, certain, strict=True)
    )
    answer = scores.answer({"ngram_perplexity at most": 5000, "language_score at least": 0.95})
    assert 0 < expected < answer.now.documents == len(certain)
    assert answer.then.documents == expected
    assert "gopher_short_doc at least" not in scores.rules


def test_a_slider_answers_with_numbers_and_with_the_documents_it_changes(
    client: TestClient,
) -> None:
    answer = client.get(f"{HERE}/counts?at.gopher_short_doc=10&at.gopher_too_many_bullets=").json()
    assert answer["now"]["documents"] == 51
    assert answer["rescued"] == answer["lost"] == []
    moved = {"gopher_too_many_bullets": 0.95, "gopher_above_avg_threshold": 14}
    moved |= {"fineweb_list_ratio": 1, "fineweb_short_line_ratio": 1}
    query = {f"at.{rule}": str(threshold) for rule, threshold in moved.items()}
    answer = client.get(f"{HERE}/counts", params=query).json()
    assert answer["then"]["documents"] == 51 + len(answer["rescued"]) > 51
    assert {row["reason"] for row in answer["rescued"]} <= set(moved)
    page = shown(client.get(HERE, params=query))
    assert f"4 moved: {answer['then']['documents']} documents instead of 51" in page


@pytest.mark.parametrize("value", ["x", "nan", "inf", "-inf", "1e39", "1" * 600, "0x10", "1;2"])
def test_thresholds_that_are_no_numbers_are_refused(client: TestClient, value: str) -> None:
    for page in ("", "/counts", "/recipe"):
        answer = client.get(HERE + page, params={"at.gopher_short_doc": value})
        assert answer.status_code == 400
        assert "gopher_short_doc" in answer.text


def test_rules_and_stages_that_are_not_there_are_told(client: TestClient) -> None:
    answer = client.get(HERE, params={f"at.{HOSTILE}": "1"})
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text
    for stage in ("04-deduplicate", "nope", "..", "%2e%2e", HOSTILE):
        assert client.get(f"/thresholds/{stage}/counts").status_code in (403, 404)
    assert client.get(f"{HERE}/drawing", params={"rule": HOSTILE}).status_code == 404
    answer = client.get(f"{HERE}/drawing", params={"rule": "gopher_short_doc"})
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "script-src" not in answer.headers["content-security-policy"]


# ---- the recipe ----


def test_the_saved_recipe_keeps_as_many_documents_as_the_slider_promised(
    client: TestClient, tmp_path: Path, repo_root: Path
) -> None:
    moved = {
        "at.gopher_too_many_bullets": "0.95",
        "at.gopher_above_avg_threshold": "20",
        "at.fineweb_list_ratio": "1",
        "at.fineweb_short_line_ratio": "1",
        "at.gopher_top_2_gram": "0.02",
    }
    promised = client.get(f"{HERE}/counts", params=moved).json()
    assert promised["lost"]
    assert promised["rescued"]
    answer = client.get(f"{HERE}/recipe", params=moved)
    assert "attachment" in answer.headers["content-disposition"]
    changed = "gopher_above_avg_threshold: 20 in every language (was 10, others by language)"
    assert f"# 02-heuristics: {changed}\n" in answer.text
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(answer.text)
    command = [sys.executable, "-m", "corpusmill", "run", str(recipe), f"--out={out}"]
    command += ["--until=02-heuristics"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    stage = load_run(str(out)).stage("02-heuristics")
    assert stage is not None
    assert stage.sources["crawl"].kept == promised["then"]["documents"]


def test_thresholds_of_single_languages_give_way_to_moved_ones(
    quickstart: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(quickstart, tmp_path / "run")
    recipe = run / "recipe.yaml"
    given = "{de: {gopher_short_doc: 5, gopher_long_doc: 9}, fr: {gopher_short_doc: 6}}"
    none = "language_thresholds: {}"
    text = recipe.read_text().replace(none, f"language_thresholds: {given}", 1)
    recipe.write_text(text)
    with open_catalogue(str(run)) as catalogue:
        stage = catalogue.record.stages[2]
        then = StageScores.of_stage(catalogue, stage).now
        made = changed_recipe(catalogue, stage, {"gopher_short_doc": 20.0}, then)
        assert "language_thresholds:\n      de:\n        gopher_long_doc: 9\n" in made
        assert "gopher_short_doc: 20\n" in made
        for damaged in ("stages: []", "a: &x 1\nb: *x", "\x00", "stages: [1, 2, 3]", "[" * 90):
            recipe.write_text(damaged)
            with pytest.raises(UsageError, match="not the recipe of this run"):
                changed_recipe(catalogue, stage, {}, then)
        recipe.unlink()
        with pytest.raises(UsageError, match="is missing"):
            changed_recipe(catalogue, stage, {}, then)
        with pytest.raises(UsageError, match="no setting"):
            changed_recipe(catalogue, catalogue.record.stages[1], {}, then)


# ---- a document's fate ----


def test_a_dropped_document_shows_its_reason_and_what_was_kept_instead(
    client: TestClient, opened: Catalogue
) -> None:
    (row,) = opened.page(opened.find(Filters(reason="gopher_too_many_bullets")), 0)
    text = shown(client.get(f"/documents/{row['id']}"))
    assert "02-heuristics dropped gopher_too_many_bullets measured 0.9091 threshold 0.9" in text
    duplicate = opened.page(opened.find(Filters(reason="near_duplicate")), 0)[0]
    answer = client.get(f"/documents/{duplicate['id']}")
    (kept,) = re.findall(r'Kept instead</dt><dd><a href="/documents/(\w+)"', answer.text)
    other = client.get(f"/documents/{kept}")
    assert "Removed because this one is kept" in shown(other)
    assert f'href="/documents/{duplicate["id"]}"' in other.text


def test_a_kept_document_is_shown_from_page_to_tokens(
    client: TestClient, opened: Catalogue
) -> None:
    (derived, *_) = opened.page(opened.find(Filters(fate="derived")), 0)
    answer = client.get(f"/documents/{derived['id']}")
    assert "the original after 08-augment" in answer.text
    assert f'href="/documents/{derived["augmented_from"]}"' in answer.text
    original = client.get(f"/documents/{derived['augmented_from']}")
    assert f'href="/documents/{derived["id"]}"' in original.text
    assert "From “as it left 00-ingest” to “as it left 03-heuristics”" in original.text
    assert "<del>" in original.text
    pieces = re.findall(r'<span title="[\d ]+">([^<]+)</span>', original.text)
    assert len(pieces) > 100


def test_ids_that_the_run_does_not_have_are_not_there(client: TestClient) -> None:
    for path in (
        "/documents/" + "0" * 32,
        "/documents/x",
        "/documents/..%2f..%2frun.json",
        "/documents/%",
        f"/documents/{HOSTILE}",
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/run.json",
        "/documents//",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "<script>alert" not in answer.text


def hostile_run(folder: Path) -> str:
    """Texts, addresses, languages and reasons of strangers; personal values in two places."""
    run = "document.title='ran'"
    script = f'</pre><script>{run}</script><img src=x onerror="{run}">'
    texts = [script + HOSTILE, f"Write to ada.lovelace@example.org or call 030 1234567. {script}"]
    builder = RunFolder(folder)
    builder.ingest(
        *(
            {
                "id": identity(number),
                "text": text,
                "uri": f"https://x.test/{number}?{script}&who=ada@example.org",
                "language": HOSTILE,
            }
            for number, text in enumerate(texts)
        )
    )
    builder.stage(
        "01-heuristics",
        {
            "id": identity(0),
            "action": "dropped",
            "reason": script,
            "value": 1.0,
            "threshold": 0.5,
            "detail": script,
        },
    )
    return builder.publish()


def test_what_strangers_wrote_is_text_and_masked(tmp_path: Path) -> None:
    with client_of(hostile_run(tmp_path)) as client:
        client.get(f"/?token={TOKEN}")
        for path in ("/", *(f"/documents/{identity(number)}" for number in (0, 1))):
            page = client.get(path)
            assert page.status_code == 200
            assert "<img" not in page.text
            assert page.text.count("<script") == 1  # the page's own
            # the value of a choice is what is sent, and not shown
            assert "\u202e" not in re.sub(r' value="[^"]*"', "", page.text)
            assert "ada" not in page.text
            assert "1234567" not in page.text
        assert MASK in client.get(f"/documents/{identity(1)}").text
        assert total(client.get("/", params={"language": HOSTILE})) == 2
        assert total(client.get("/", params={"text": "ada.lovelace@example.org"})) == 1


def test_a_run_without_stages_is_explored_without_texts(quickstart: Path, tmp_path: Path) -> None:
    run = shutil.copytree(quickstart, tmp_path / "run")
    shutil.rmtree(run / "stages")
    with client_of(run) as client:
        answer = client.get(f"/?token={TOKEN}&reason=gopher_short_doc")
        assert total(answer) == 1
        assert "The stages of this run were removed" in answer.text
        (identity_,) = re.findall(r'<a class="theirs" href="/documents/(\w+)"', answer.text)
        gone = client.get(f"/documents/{identity_}")
        assert "No text of this document remains" in gone.text
        assert client.get(f"{HERE}/counts").json()["now"]["documents"] == 51


def test_a_run_in_which_everything_was_dropped_is_explored(tmp_path: Path) -> None:
    builder = RunFolder(tmp_path)
    builder.ingest({"id": identity(1), "text": "short", "uri": "https://x.test/1"})
    builder.stage("01-language", {"id": identity(1), "action": "dropped", "reason": "too_short"})
    with client_of(builder.publish()) as client:
        assert total(client.get(f"/?token={TOKEN}")) == 1
        assert total(client.get("/?fate=kept")) == 0
        assert client.get(f"/thresholds/{OUTPUT}").status_code == 200
        assert "estimated" not in shown(client.get(f"/documents/{identity(1)}"))


# ---- starting and ending ----


def test_what_cannot_be_explored_is_told_before_anything_is_served(
    tmp_path: Path, quickstart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished = RunFolder(tmp_path / "unfinished")
    unfinished.ingest({"id": identity(1), "text": "text", "uri": "u"})
    unfinished.record.save(str(unfinished.path))
    for run, why in {
        str(tmp_path): "not a run folder",
        str(unfinished.path): "has not finished",
        "s3://bucket/run": "on a local disk",
    }.items():
        with pytest.raises(UsageError, match=why):
            application(run, TOKEN)
    for token in ("", "short", "with spaces in it, many", "x" * 300):
        with pytest.raises(UsageError, match="a token is"):
            application(str(quickstart), token)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match=r"pip install 'corpusmill\[explore\]'"):
        application(str(quickstart), TOKEN)


def test_a_document_that_a_stage_failed_on_is_kept_by_none_of_its_rules(
    quickstart: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(quickstart, tmp_path / "run"))
    path = run / "ledger" / "02-heuristics" / "part-00000.parquet"
    rows = pq.read_table(path).to_pylist()
    short = next(row for row in rows if row["reason"] == "gopher_short_doc")
    # where it was raised, as the runner writes it: no JSON
    short |= {"action": "quarantined", "reason": "exception", "detail": "ValueError at x.py:1"}
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    with open_catalogue(str(run)) as catalogue:
        scores = StageScores.of_stage(catalogue, catalogue.record.stages[2])
    assert scores.answer({"gopher_short_doc": 0.0}).then == scores.now


@pytest.mark.parametrize(
    "name",
    [
        "documents/part-00000.parquet",
        "ledger/02-heuristics/part-00000.parquet",
        "stages/04-deduplicate/part-00000.parquet",
        "shards/train-00000.arrow",
    ],
)
def test_damaged_files_are_told(quickstart: Path, tmp_path: Path, name: str) -> None:
    damaged = shutil.copytree(quickstart, tmp_path / "run") / name
    whole = damaged.read_bytes()
    # the documents are links to a stage's
    damaged.unlink()
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        with pytest.raises(RunError, match=r"damaged|cannot be read"):
            application(str(tmp_path / "run"), TOKEN)


def test_a_port_that_is_taken_is_an_error_of_the_user(quickstart: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}"):
            explore(str(quickstart), port=port, ready=lambda _: None)
    with pytest.raises(UsageError, match="65535"):
        explore(str(quickstart), port=70000, ready=lambda _: None)


def test_the_command_serves_until_it_is_interrupted(quickstart: Path) -> None:
    command = [sys.executable, "-m", "corpusmill", "explore", str(quickstart)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        timer = threading.Timer(120, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert re.match(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}$", address)
            with httpx.Client(follow_redirects=True) as browser:
                assert total(browser.get(address)) == 84
                assert httpx.get(address.partition("?")[0]).status_code == 403
                process.send_signal(signal.SIGINT)
                assert process.wait() == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        finally:
            timer.cancel()
            process.kill()


# ---- texts side by side, and tokens ----

LINES = st.text(alphabet="ab \n.,é", max_size=80)


@given(before=LINES, after=LINES)
def test_both_sides_of_a_difference_give_the_texts_again(before: str, after: str) -> None:
    left, right = differences(before, after)
    assert "".join(text for _, text in left) == before
    assert "".join(text for _, text in right) == after
    assert {kind for kind, _ in left} <= {SAME, GONE}
    assert {kind for kind, _ in right} <= {SAME, NEW}
    same = ["".join(text for kind, text in side if kind == SAME) for side in (left, right)]
    assert same[0] == same[1]


def test_a_changed_word_alone_is_marked() -> None:
    left, right = differences("one\ntwo red three\n", "one\ntwo blue three\n")
    assert left == [(SAME, "one\ntwo "), (GONE, "red"), (SAME, " three\n")]
    assert right == [(SAME, "one\ntwo "), (NEW, "blue"), (SAME, " three\n")]


def test_long_texts_that_differ_everywhere_are_replaced_as_a_whole() -> None:
    before, after = ("".join(f"{word} {n}\n" for n in range(3000)) for word in ("red", "blue"))
    left, right = differences(before, after)
    assert len(left) == len(right) == 2
    assert left[1] == right[1] == (SAME, " 2999\n")


@given(
    words=st.lists(
        st.sampled_from(
            ["a@b.c", "12", " 34", "5-6", "word", " ", "\n", MASK, "█", "@", "k3y" * 9]
        ),
        max_size=12,
    )
)
def test_pieces_show_no_more_than_the_masked_text(words: list[str]) -> None:
    pieces = [Piece(text=word, tokens=(number,)) for number, word in enumerate(words)]
    text = "".join(piece.text for piece in masked_pieces(pieces, torn=False))
    rest = iter(mask("".join(words)).replace(MASK, ""))
    assert all(character in rest for character in text.replace(MASK, ""))
