"""The report and the terminal views: what a run did, told safely."""

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.report_runs import RunFolder, identity

from corpusmill import storage
from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.ledger import load_run
from corpusmill.pipelines.recipe import check_recipe
from corpusmill.report.facts import funnel_data
from corpusmill.report.fate import text_diff, why_data
from corpusmill.report.html import number, report_facts, size, write_report
from corpusmill.report.inspection import inspect_data
from corpusmill.report.lookup import read_texts
from corpusmill.report.showing import MASK
from corpusmill.report.terminal import funnel_view, inspect_view, why_view
from corpusmill.storage import ROW_GROUP_ROWS

HOSTILE = (
    "</pre></script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "' style='background:url(https://evil.example/x)' onclick='x",
    "{{ 7 * 7 }} {% raw %} [bold red]x[/] [link=https://evil.example]y[/link]",
    "\u202egnp.exe\u2066 \u200bzero \x9b31m csi \x1b]0;title\x07 \x1b[2J \x00 \r\n line",
)


def everything_hostile(folder: Path) -> str:
    """A run in which every string that documents can have a hand in is hostile."""
    run = RunFolder(folder)
    documents = [
        {"id": identity(i), "text": text, "uri": f"https://e.org/{text}", "language": text}
        for i, text in enumerate(HOSTILE)
    ]
    run.ingest(*documents, quarantined={text: text for text in HOSTILE})
    drop = {"action": "dropped", "value": 1.5, "threshold": 2.0}
    run.stage(
        "01-heuristics",
        *(
            {"id": identity(i), "reason": HOSTILE[i], "detail": HOSTILE[i], **drop}
            for i in (0, 2, 4)
        ),
    )
    run.record.notes += HOSTILE
    path = run.publish()
    write_manifest(folder / "shards", {HOSTILE[1]: {"train": 5}})
    return path


def write_manifest(folder: Path, tokens: dict[str, dict[str, int]], rows: int = 1) -> None:
    """manifest.json with the fields that people are shown; one shard for each source and split."""
    splits: dict[str, Counter[str]] = {}
    shards: list[dict[str, Any]] = []
    for source, counts in tokens.items():
        for split, n in counts.items():
            splits.setdefault(split, Counter()).update(documents=rows, tokens=n, text_bytes=4 * n)
            shards.append(
                {
                    "name": f"{split}-{len(shards):05d}.arrow",
                    "split": split,
                    "rows": rows,
                    "tokens": n,
                    "bytes": 2 * n,
                    "runs": [{"source": source, "rows": rows, "tokens": n}],
                }
            )
    tokenizer = {"file": "tokenizer.json", "hash": "f" * 32, "vocab_size": 300, "dtype": "uint16"}
    mixture = {"weights": dict.fromkeys(tokens, 0.5), "max_repetitions": 4.0}
    manifest = {"splits": splits, "shards": shards, "tokenizer": tokenizer, "mixture": mixture}
    storage.write_json(str(folder / "manifest.json"), manifest)


@pytest.fixture
def plain_run(tmp_path: Path) -> RunFolder:
    """Two dropped documents, one changed, one quarantined, one derived, one that simply passed."""
    run = RunFolder(tmp_path / "run")
    texts = {
        0: ("Buy now: call 030 1234567 or jane.doe@example.com", "https://e.org/spam"),
        1: ("A first line.\nA second line.\nCall 555-0100.", "https://e.org/good"),
        2: ("A first line.\nAnother second line.\nCall 555-0199.", "https://e.org/good-copy"),
        3: ("Ein Text mit Namen.", "https://e.org/u/jane@x.de"),
    }
    run.ingest(
        *(
            {"id": identity(i), "text": text, "uri": uri, "language": "de" if i == 3 else "en"}
            for i, (text, uri) in texts.items()
        ),
        quarantined={"https://e.org/broken": "too_large"},
    )
    short = {"action": "dropped", "reason": "gopher_short_doc", "value": 7.0, "threshold": 50.0}
    near = {"action": "dropped", "reason": "near_duplicate", "value": 0.9, "threshold": 0.75}
    derived = {
        "id": identity(50),
        "text": "Une ligne.",
        "uri": "https://e.org/good",
        "language": "fr",
        "augmented_from": identity(1),
    }
    run.stage("01-heuristics", {"id": identity(0), **short}, settings={"for": ["web"]})
    run.stage("02-heuristics", settings={"for": ["code"]})
    run.stage("03-deduplicate", {"id": identity(2), "detail": identity(1), **near})
    run.stage("04-augment", added=(derived,))
    run.stage("05-anonymize", {"id": identity(3), "action": "changed", "reason": "anonymized"})
    run.publish()
    return run


class Page(HTMLParser):
    """The tags, attributes and text of a page, as a browser would see them."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.cells: list[list[str]] = []
        """Of all rows of all tables."""
        self._in_cell = False
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.cells[-1][-1] += data


def shown(view: Any) -> str:
    """What a terminal would be sent, colours aside."""
    from rich.console import Console

    console = Console(file=StringIO(), width=300, force_terminal=True, color_system=None)
    console.print(view)
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue()


# ---- the page ----


def test_hostile_strings_add_no_tag_and_no_attribute_to_the_page(tmp_path: Path) -> None:
    page = Page(write_report(everything_hostile(tmp_path)))
    assert not page.tags.keys() & {"script", "img", "link", "iframe", "form", "base", "raw"}
    names = Counter(name for name, _ in page.attributes)
    assert not [name for name in names if name.startswith("on") or name == "src"]
    assert all((v or "").startswith("#") for name, v in page.attributes if "href" in name)
    styles = [value or "" for name, value in page.attributes if name == "style"]
    assert all(re.fullmatch(r"width:\d+(\.\d+)?%", value) for value in styles)
    # the strings are there all the same, as text
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }} {% raw %}" in page.text
    assert "⟨U+202E⟩gnp.exe⟨U+2066⟩ ⟨U+200B⟩zero ⟨U+009B⟩31m csi ⟨U+001B⟩]0;title" in page.text
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", page.source
    )


def test_the_page_forbids_everything_but_its_own_styles(plain_run: RunFolder) -> None:
    page = Page(write_report(str(plain_run.path)))
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in page.attributes
    source = page.source.replace("https://e.org", "").replace("http://www.w3.org", "")
    assert "://" not in source
    assert "url(" not in page.source
    assert "prefers-color-scheme: dark" in page.source


def test_tables_have_captions_and_scopes(plain_run: RunFolder) -> None:
    page = Page(write_report(str(plain_run.path)))
    assert page.tags["caption"] == page.tags["table"] > 3
    scopes = Counter(value for name, value in page.attributes if name == "scope")
    assert scopes["row"] + scopes["col"] == page.tags["th"]


def test_the_page_tells_the_funnel_and_the_reasons(plain_run: RunFolder) -> None:
    cells = Page(write_report(str(plain_run.path))).cells
    # stage, in, dropped, quarantined, changed, added, out
    assert ["00-ingest", "5", "0", "1", "0", "0", "4", "80.0%"] in [row[:8] for row in cells]
    assert ["03-deduplicate", "3", "1", "0", "0", "0", "2"] in [row[:7] for row in cells]
    assert ["03-deduplicate", "dropped", "near_duplicate", "1", "0.9", "0.75"] in cells
    assert ["00-ingest", "quarantined", "too_large", "1", "\N{EN DASH}", "\N{EN DASH}"] in cells
    assert ["fr", "crawl", "1", "0 B"] in cells
    assert ["de", "crawl", "1", "19 B"] in cells


def test_samples_are_masked(plain_run: RunFolder) -> None:
    page = Page(write_report(str(plain_run.path)))
    assert f"Buy now: call {MASK} or {MASK}" in page.text
    assert "Names are not recognised" in page.text
    for personal in ("1234567", "jane", "0199"):
        assert personal not in page.source


def test_addresses_that_the_recipe_anonymizes_are_masked_like_text(plain_run: RunFolder) -> None:
    plain_run.record.stages[-1].settings["fields"] = ["text", "uri"]
    plain_run.record.stages[1].settings["fields"] = ["text"]
    ledger = plain_run.path / "ledger/01-heuristics/part-00000.parquet"
    table = pq.read_table(ledger)
    uri = pa.array(["https://e.org/customer/49301234567"])
    storage.write_parquet(str(ledger), table.set_column(2, "uri", uri))
    run = str(plain_run.path)
    write_report(run)
    assert "49301234567" in (plain_run.path / "report.html").read_text()
    plain_run.record.save(run)
    write_report(run)
    assert "49301234567" not in (plain_run.path / "report.html").read_text()


def test_without_stages_only_measures_are_shown(plain_run: RunFolder) -> None:
    run = str(plain_run.path)
    before = report_facts(run)["funnel"]
    shutil.rmtree(plain_run.path / "stages")
    page = Page(write_report(run))
    assert "only measures are shown" in page.text
    assert "Buy now" not in page.text
    assert "measured 7, threshold 50" in page.text
    # the bytes are found again from what is left and what the ledger says was removed
    assert report_facts(run)["funnel"] == before


def test_the_funnel_of_bytes_counts_texts_as_they_came(plain_run: RunFolder) -> None:
    funnel = report_facts(str(plain_run.path))["funnel"]
    sizes = [49, 43, 49, 19]
    left = [sum(sizes), sum(sizes[1:]), sum(sizes[1:]), 43 + 19, 43 + 19, 43 + 19]
    assert [row["bytes"] for row in funnel] == left
    # of 1000 bytes of files in 2 CPU seconds; the stage for code had no bytes to work on
    assert funnel[0]["speed"] == pytest.approx(0.0005)
    assert funnel[2]["speed"] == 0


def test_the_samples_of_a_reason_are_those_with_the_smallest_ids(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    ids = [identity(i) for i in range(40)]
    run.ingest(*({"id": i, "text": f"text {i[0]}", "uri": f"https://e.org/{i}"} for i in ids))
    run.stage("01-quality", *({"id": i, "action": "dropped", "reason": "low"} for i in ids[:30]))
    (sample,) = report_facts(run.publish())["samples"]
    assert sample["documents"] == 30
    assert [row["id"] for row in sample["rows"]] == sorted(ids[:30])[:20]
    assert sample["rows"][0]["text"] == f"text {sorted(ids[:30])[0][0]}"


def test_tokens_stand_by_source_and_split(plain_run: RunFolder) -> None:
    tokens = {"crawl": {"train": 1000, "validation": 20}, "books": {"train": 5}}
    write_manifest(plain_run.path / "shards", tokens)
    page = Page(write_report(str(plain_run.path)))
    assert ["crawl", "1,000", "20", "1,020"] in page.cells
    assert ["books", "5", "0", "5"] in page.cells
    assert ["All tokens", "1,005", "20", "1,025"] in page.cells
    assert "no token more than 4 times" in page.text


def test_fertility_stands_by_language_and_kind_and_is_escaped(plain_run: RunFolder) -> None:
    shards = plain_run.path / "shards"
    write_manifest(shards, {"crawl": {"train": 9}})
    row = {"kind": "<b>web", "documents": 7, "words": 4, "tokens": 1234, "bytes": 5}
    row |= {"tokens_per_word": 1.375, "bytes_per_token": 4.25}
    rows = [{**row, "language": None}, {**row, "language": "<i>en"}]
    (shards / "fertility.json").write_text(json.dumps(rows))
    page = (plain_run.path / write_report(str(plain_run.path))).read_text()
    table = page[page.index("What text costs") :].split("</table>")[0]
    for cell in ("not identified", "&lt;i&gt;en", "&lt;b&gt;web", "1,234", "1.38", "4.25"):
        assert cell in table
    (shards / "fertility.json").write_text("[7]")
    with pytest.raises(RunError, match=r"fertility\.json does not say what tokens cost"):
        write_report(str(plain_run.path))


def test_a_manifest_of_something_else_is_refused(plain_run: RunFolder) -> None:
    storage.write_json(str(plain_run.path / "shards/manifest.json"), {"shards": [3]})
    with pytest.raises(RunError, match="is not a manifest of token shards"):
        write_report(str(plain_run.path))


def test_a_run_that_got_no_further_than_ingest_has_a_report(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.ingest({"id": identity(1), "text": "text", "uri": "https://e.org/"})
    run.record.save(str(tmp_path))
    page = Page(write_report(str(tmp_path)))
    assert "There are no documents." in page.text
    run.record.stages.clear()
    run.record.save(str(tmp_path))
    assert "No stage has finished yet." in Page(write_report(str(tmp_path))).text


def test_the_report_is_the_same_each_time(plain_run: RunFolder) -> None:
    path = Path(write_report(str(plain_run.path)))
    first = path.read_bytes()
    write_report(str(plain_run.path))
    assert path.read_bytes() == first


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        write_report(str(tmp_path))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\N{EN DASH}"), (1234567, "1,234,567"), (0.12345, "0.123"), (12345.6, "12,346")],
)
def test_numbers_are_written_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


def test_sizes_are_written_in_units_of_a_thousand() -> None:
    assert [size(n) for n in (0, 999, 1500, 2_000_000)] == ["0 B", "999 B", "1.5 kB", "2 MB"]


# ---- the loss curve ----


def write_metrics(folder: Path, *rows: dict[str, Any], tail: str = "") -> str:
    folder.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines + tail, encoding="utf-8")
    return str(folder)


def test_the_report_shows_the_curve_and_what_each_source_costs(
    tmp_path: Path, plain_run: RunFolder
) -> None:
    train = write_metrics(
        tmp_path / "train",
        {"step": 1, "loss": 9.0},
        {"step": 2, "loss": 5.0},
        {
            "step": 2,
            "validation_loss": 6.0,
            "validation_bits_per_byte": 2.5,
            "sources": {"<b>books": {"loss": 6.0, "bits_per_byte": 2.25}},
        },
        {"step": 3, "loss": 1.0},
    )
    page = Page(write_report(str(plain_run.path), train))
    assert "Loss by step. " in page.source
    assert "3 steps: the loss went from 9 to 5 nats per token" in page.text
    assert "validation loss 6, 2.5 bits per byte" in page.text
    assert "<b>books" in page.text
    assert "2.25" in page.text


def test_a_folder_without_metrics_is_refused(tmp_path: Path, plain_run: RunFolder) -> None:
    with pytest.raises(UsageError, match="not a training folder"):
        write_report(str(plain_run.path), str(tmp_path))


# ---- why ----


def outcomes(data: dict[str, Any]) -> dict[str, str]:
    (document,) = data["documents"]
    return {step["stage"]: step["outcome"] for step in document["stages"]}


def test_why_follows_a_document_to_where_it_was_dropped(plain_run: RunFolder) -> None:
    data = why_data(str(plain_run.path), identity(0))
    assert outcomes(data) == {"00-ingest": "read", "01-heuristics": "dropped"}
    last = data["documents"][0]["stages"][-1]
    assert (last["reason"], last["value"], last["threshold"]) == ("gopher_short_doc", 7.0, 50.0)


def test_why_tells_of_stages_that_a_document_passed(plain_run: RunFolder) -> None:
    data = why_data(str(plain_run.path), "https://e.org/u/jane@x.de")
    assert outcomes(data) == {
        "00-ingest": "read",
        "01-heuristics": "passed",
        "02-heuristics": "not for this source",
        "03-deduplicate": "passed",
        "04-augment": "passed",
        "05-anonymize": "changed",
    }
    document = data["documents"][0]
    assert (document["fate"], document["language"]) == ("kept", "de")
    assert document["uri"] == f"https://e.org/u/{MASK}"


def test_why_finds_what_ingest_quarantined(plain_run: RunFolder) -> None:
    data = why_data(str(plain_run.path), "https://e.org/broken")
    assert outcomes(data) == {"00-ingest": "quarantined"}
    assert data["documents"][0]["stages"][0]["reason"] == "too_large"


def test_why_shows_how_a_near_duplicate_differs_from_what_was_kept(plain_run: RunFolder) -> None:
    data = why_data(str(plain_run.path), "good-copy")
    kept = data["documents"][0]["instead_of"]
    assert (kept["id"], kept["uri"]) == (identity(1), "https://e.org/good")
    at = kept["diff"].index("-A")
    assert kept["diff"][at + 1] == "+Another"
    assert kept["diff"][at + 2].startswith(" second line .")
    assert "0199" not in json.dumps(data)
    assert "+Another" in shown(why_view(data))


def test_why_compares_no_texts_when_the_stages_were_removed(plain_run: RunFolder) -> None:
    shutil.rmtree(plain_run.path / "stages")
    data = why_data(str(plain_run.path), identity(2))
    assert data["documents"][0]["instead_of"]["diff"] is None
    assert outcomes(data)["03-deduplicate"] == "dropped"
    assert "The texts are not compared" in shown(why_view(data))


def test_why_knows_originals_and_what_was_derived_from_them(plain_run: RunFolder) -> None:
    data = why_data(str(plain_run.path), identity(50))
    assert outcomes(data) == {"04-augment": "added", "05-anonymize": "passed"}
    assert data["documents"][0]["augmented_from"] == identity(1)
    original = why_data(str(plain_run.path), identity(1))
    assert original["documents"][0]["derived"] == [identity(50)]


def test_why_takes_an_exact_address_before_a_part_of_one(plain_run: RunFolder) -> None:
    exact = why_data(str(plain_run.path), "https://e.org/good")
    assert {d["id"] for d in exact["documents"]} == {identity(1), identity(50)}
    within = why_data(str(plain_run.path), "org/good")
    assert within["matches"] == 3


def test_why_shows_the_first_of_many_matches(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    ids = [identity(i) for i in range(25)]
    run.ingest(*({"id": i, "text": "text", "uri": f"https://e.org/{i}"} for i in ids))
    data = why_data(run.publish(), "e.org")
    assert data["matches"] == 25
    assert [d["id"] for d in data["documents"]] == sorted(ids)[:10]
    assert "25 documents match; these are the first 10" in shown(why_view(data))


def test_why_names_the_nearest_address(plain_run: RunFolder) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'https://e\.org/spam'\?"):
        why_data(str(plain_run.path), "https://e.org/spma")
    with pytest.raises(UsageError, match=f"no document '{'0' * 32}' in"):
        why_data(str(plain_run.path), "0" * 32)


def test_why_finds_the_tokens_of_a_document(plain_run: RunFolder) -> None:
    shards = plain_run.path / "shards"
    write_manifest(shards, {"crawl": {"train": 5}}, rows=2)
    rows = {"tokens": [[1, 2], [3, 4, 5]], "id": [identity(3), identity(1)]}
    storage.write_ipc(str(shards / "train-00000.arrow"), pa.table(rows))
    shard = why_data(str(plain_run.path), identity(1))["documents"][0]["shard"]
    assert shard == {"split": "train", "shard": "train-00000.arrow", "row": 1, "tokens": 3}
    assert "split train: 3 tokens" in shown(why_view(why_data(str(plain_run.path), identity(1))))


def test_texts_are_found_in_any_row_group(tmp_path: Path) -> None:
    ids = [identity(i) for i in range(ROW_GROUP_ROWS + 10)]
    rows = [
        {"id": i, "text": f"text of {i}", "source": "s", "kind": "web", "uri": "u"} for i in ids
    ]
    batch = documents_from_rows(rows, document_schema())
    path = tmp_path / "stages/00-ingest/part-00003.parquet"
    storage.write_parquet(str(path), pa.Table.from_batches([batch]))
    wanted = [ids[0], ids[-1]]
    assert read_texts(str(tmp_path), {3: wanted, 4: wanted}, 6) == dict.fromkeys(wanted, "text o")


def test_the_difference_of_texts_without_lines_is_found() -> None:
    words = [f"word{'x' * (i % 40)}" for i in range(1000)]
    diff = text_diff(" ".join(words), " ".join([*words[:700], "other", *words[701:]]))
    assert "+other" in diff
    assert len(diff) == 5
    assert max(map(len, diff)) <= 201


def test_the_difference_of_long_texts_is_short() -> None:
    same = "\n".join(f"line {'a' * (i % 50)}" for i in range(5000))
    one = same + "\n" + "\n".join(f"one {'b' * (i % 50)}" for i in range(300))
    two = same + "\n" + "\n".join(f"two {'b' * (i % 50)}" for i in range(300))
    diff = text_diff(one, two)
    assert 3 < len(diff) <= 40
    assert " line aaa" in diff[1]
    assert diff[2].startswith("-one")


# ---- inspect ----


def test_inspect_describes_a_run(plain_run: RunFolder) -> None:
    data = inspect_data(str(plain_run.path))
    assert data["what"] == "run"
    assert data["funnel"] == funnel_data(load_run(str(plain_run.path)))
    assert {row["language"]: row["documents"] for row in data["documents"]} == {
        "en": 1,
        "de": 1,
        "fr": 1,
    }
    view = shown(inspect_view(data))
    assert "1: near_duplicate 1" in view
    assert "documents/ holds 05-anonymize" in view


def test_inspect_describes_shards(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"crawl": {"train": 1000, "validation": 20}})
    data = inspect_data(str(tmp_path))
    assert data["what"] == "shards"
    assert data["splits"]["train"]["tokens"] == 1000
    assert "2 shards; tokenizer ffff" in shown(inspect_view(data))


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_inspect_shows_a_file_masked_and_cut(tmp_path: Path, form: str) -> None:
    path = str(tmp_path / f"file.{form}")
    table = pa.table(
        {
            "id": [identity(i) for i in range(9)],
            "text": ["call 030 1234567 " + "word " * 1000] * 9,
            "uri": ["https://jane@e.org/2024"] * 9,
            "metadata": pa.array(
                [[("author", "jane@x.de")]] * 9, pa.map_(pa.string(), pa.string())
            ),
            "tokens": [list(range(100))] * 9,
        }
    )
    (storage.write_parquet if form == "parquet" else storage.write_ipc)(path, table)
    data = inspect_data(path)
    assert (data["what"], data["format"], data["rows"]) == ("file", form, 9)
    assert data["schema"][0] == {"name": "id", "type": "string"}
    first = data["first_rows"][0]
    assert first["id"] == identity(0)
    assert first["text"].startswith(f"call {MASK} word")
    assert len(first["text"]) < 200
    assert first["uri"] == f"https://{MASK}/2024"
    assert first["tokens"] == [*range(8), "… 100 in all"]
    view = shown(inspect_view(data))
    assert identity(0) in view
    assert "jane" not in view
    json.dumps(data)


@pytest.mark.parametrize("content", [b"PAR1 and then nothing", b"ARROW1\0\0" + b"\xff" * 400])
def test_inspect_refuses_damaged_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(RunError, match="cannot be read"):
        inspect_data(str(tmp_path / "file"))


def test_inspect_says_what_it_can_look_at(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(UsageError, match="neither a Parquet nor an Arrow file"):
        inspect_data(str(tmp_path / "notes.txt"))
    with pytest.raises(UsageError, match="neither a run folder"):
        inspect_data(str(tmp_path))
    with pytest.raises(UsageError, match="no such file"):
        inspect_data(str(tmp_path / "nothing"))


# ---- the terminal ----


def test_hostile_strings_are_sent_to_no_terminal(tmp_path: Path) -> None:
    run = everything_hostile(tmp_path)
    views = [
        funnel_view(funnel_data(load_run(run))),
        *(why_view(why_data(run, identity(i))) for i in range(len(HOSTILE))),
        why_view(why_data(run, HOSTILE[4])),
        inspect_view(inspect_data(run)),
        inspect_view(inspect_data(str(tmp_path / "documents/part-00000.parquet"))),
    ]
    output = "".join(map(shown, views))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", output)
    assert "⟨U+202E⟩gnp.exe" in output
    # markup is text, not style and not a link
    assert "[bold red]x[/] [link=https://evil.example]y[/link]" in output


def test_the_funnel_names_the_most_frequent_reasons() -> None:
    dropped = {"a": 1, "b": 5, "c": 3, "d": 2, "e": 1}
    row = {"stage": "01-heuristics", "in": 20, "kept": 8, "added": 0, "changed": 0, "out": 8}
    rows = [row | {"dropped": dropped, "quarantined": 0, "cpu_seconds": 1.0}]
    assert "12: b 5, c 3, d 2, 2 for 2 other reasons" in shown(funnel_view(rows))


def test_a_bad_argument_of_the_shell_is_only_an_unknown_document(plain_run: RunFolder) -> None:
    with pytest.raises(UsageError, match="no document"):
        why_data(str(plain_run.path), "\udcff\x1b[2J")


# ---- a real run ----


def test_a_real_run_is_told_as_it_happened(tmp_path: Path) -> None:
    source = tmp_path / "pages.jsonl"
    texts = (" ".join(f"word{n * k % 97}" for k in range(200)) for n in (1, 2, 3))
    rows = [{"text": text, "url": f"https://e.org/{i}"} for i, text in enumerate(texts)]
    lines = [*(json.dumps(row) for row in rows), '{"text": 7}']
    source.write_text("\n".join(lines), encoding="utf-8")
    recipe = check_recipe(
        {
            "name": "real",
            "sources": [{"name": "pages", "kind": "web", "path": str(source)}],
            "stages": [{"tokenize": {"tokenizer": "train", "vocab_size": 512}}],
        }
    )
    run = str(tmp_path / "run")
    record = recipe.run(run, workers=1)
    page = Page(write_report(run))
    ingest = record.stages[0].counts
    assert (ingest.kept, ingest.quarantined + sum(ingest.skipped.values())) == (3, 1)
    reasons = set(ingest.skipped) | {row["reason"] for row in report_facts(run)["samples"]}
    assert len(reasons) == 1
    assert reasons.pop() in page.text
    (document,) = why_data(run, "https://e.org/1")["documents"]
    assert [step["outcome"] for step in document["stages"]] == ["read", "passed"]
    data = inspect_data(run)
    tokens = sum(split["tokens"] for split in data["shards"]["splits"].values())
    assert 0 < document["shard"]["tokens"] < tokens
    assert data["shards"]["tokens"]["pages"].keys() == data["shards"]["splits"].keys()
    assert f"{tokens:,}" in page.text
