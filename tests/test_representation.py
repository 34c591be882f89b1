"""Who is represented: a stage that silences a group is warned of, an even one is not; coverage."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.report_runs import RunFolder, identity

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.filters.identity_terms import IdentityTerms, read_identity_terms
from corpusmill.pipelines import representation
from corpusmill.pipelines.ledger import load_run
from corpusmill.pipelines.representation import measure_representation
from corpusmill.report.coverage import coverage, registered_domain
from corpusmill.report.html import write_report
from corpusmill.report.representation import representation_facts, representation_view

SENTENCES = {
    "Muslims": "We went to see the old mosque and the people of the town.",
    "Christians": "The christian holiday is on the last day of the month.",
    "nobody": "The road to the town is long and it goes along the river.",
}
"""About one group each, about as often as another."""


def group_of(number: int) -> str:
    """The group that document `number` of a run mentions."""
    return sorted(SENTENCES)[number % 3]


def finished_run(
    folder: Path, dropped: set[int], documents: int = 300, settings: dict[str, Any] | None = None
) -> str:
    """A run with one stage that drops these documents and adds a derived one."""
    run = RunFolder(folder)
    run.ingest(
        *(
            {
                "id": identity(n),
                "text": SENTENCES[group_of(n)],
                "uri": f"https://www{n}.example.co.uk/{n}",
                "language": None,
                "metadata": {"licence": "CC0" if n % 2 else "CC-BY"},
            }
            for n in range(documents)
        )
    )
    run.stage(
        "01-planted",
        *(
            {"id": identity(n), "action": "dropped" if n in dropped else "changed", "reason": "it"}
            for n in sorted({*dropped, 0})
        ),
        added=(
            {
                "id": identity(5000),
                "text": SENTENCES["Muslims"],
                "uri": "",
                "augmented_from": identity(1),
            },
        ),
        settings=settings,
    )
    return run.publish()


def rows_of(run: str, stage: str) -> dict[str, dict[str, Any]]:
    """Group -> what was counted of it in a stage."""
    counted = measure_representation(run)
    assert counted is not None
    return {row["group"]: row for row in counted["groups"] if row["stage"] == stage}


def test_a_stage_that_drops_a_group_is_warned_of(tmp_path: Path) -> None:
    muslims = [n for n in range(300) if group_of(n) == "Muslims"]
    run = finished_run(tmp_path, set(muslims[:80]))
    rows = rows_of(run, "01-planted")
    assert rows["Muslims"]["in"] == 100  # the derived document does not count
    assert rows["Muslims"]["kept"] == 20
    assert rows["Muslims"]["ratio"] == pytest.approx(0.2 / (220 / 300))
    assert rows["Muslims"]["warning"]
    assert not rows["Christians"]["warning"]
    assert rows_of(run, "all stages")["Muslims"]["warning"]
    page = Path(write_report(run)).read_text()
    assert "Warnings: kept less than four fifths" in page
    assert "religion: Muslims" in page
    facts = representation_facts(run)
    assert {(row["stage"], row["group"]) for row in facts["warnings"]} == {
        ("01-planted", "Muslims"),
        ("all stages", "Muslims"),
    }
    assert representation_view(facts) is not None


@pytest.mark.parametrize("seed", range(5))
def test_an_even_stage_is_not_warned_of(tmp_path: Path, seed: int) -> None:
    dropped = set(random.Random(seed).sample(range(300), 150))
    run = finished_run(tmp_path, dropped)
    counted = measure_representation(run)
    assert counted is not None
    assert not any(row["warning"] for row in counted["groups"])
    assert "There is no warning." in Path(write_report(run)).read_text()
    assert representation_view(representation_facts(run)) is None


def test_a_few_documents_are_no_warning(tmp_path: Path) -> None:
    muslims = {n for n in range(27) if group_of(n) == "Muslims"}
    run = finished_run(tmp_path, muslims, documents=27)
    row = rows_of(run, "01-planted")["Muslims"]
    assert (row["in"], row["kept"], row["ratio"]) == (9, 0, 0)
    assert not row["warning"]


def test_a_stage_for_other_sources_counts_nothing(tmp_path: Path) -> None:
    run = finished_run(tmp_path, set(), settings={"for": ["book"]})
    assert rows_of(run, "01-planted") == {}
    assert rows_of(run, "all stages")["Muslims"]["ratio"] == 1


def test_what_was_counted_is_counted_again_only_when_something_changed(tmp_path: Path) -> None:
    run = finished_run(tmp_path, {0})
    first = measure_representation(run)
    path = storage.join(run, representation.REPRESENTATION_FILE)
    storage.write_json(path, {**(first or {}), "sample": "as it stands"})
    assert (measure_representation(run) or {})["sample"] == "as it stands"
    own = tmp_path / "own.yaml"
    own.write_text("en: {things: {roads: [road]}}")
    other = measure_representation(run, str(own))
    assert other is not None
    assert {row["group"] for row in other["groups"]} == {"roads"}
    assert measure_representation(run) == first


def test_without_texts_it_says_that_it_cannot_be_counted(tmp_path: Path) -> None:
    run = finished_run(tmp_path, {0})
    assert "corpusmill report counts it" in representation_facts(run)["problem"]
    counted = measure_representation(run)
    storage.remove(storage.join(run, "stages"))
    assert measure_representation(run) == counted  # it was counted while that was possible
    storage.remove(storage.join(run, representation.REPRESENTATION_FILE))
    assert measure_representation(run) is None
    assert "cannot be counted any more" in Path(write_report(run)).read_text()


def test_a_large_corpus_is_sampled_and_the_share_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "ROW_GROUP_ROWS", 10)
    run = finished_run(tmp_path, {0})
    monkeypatch.setattr(representation, "MOST_BYTES", 5000)
    counted = measure_representation(run)
    assert counted is not None
    assert 0.1 < counted["sample"]["share"] < 0.9
    assert 0 < counted["sample"]["documents"] < 300
    assert "(a sample:" in Path(write_report(run)).read_text()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    run = finished_run(tmp_path, {0})
    counted = measure_representation(run) or {}
    path = storage.join(run, representation.REPRESENTATION_FILE)
    storage.write_json(path, {**counted, "groups": [{"stage": 1}]})
    with pytest.raises(RunError, match="is damaged"):
        representation_facts(run)
    storage.write_json(path, ["no mapping"])
    with pytest.raises(RunError, match="is damaged"):
        representation_facts(run)


def test_terms_are_whole_words_in_the_language_of_the_text() -> None:
    terms = IdentityTerms(read_identity_terms())
    texts = [
        "The WOMEN, and those of that town.",
        "He is the man that we met, and be it so.",
        "Das ist der Weg, und man geht ihn nicht.",  # `man` is no man in German
        "Die Frau ist in der Stadt und das Kind auch.",
        "Les femmes et les enfants sont dans la ville.",
        "Las mujeres de la ciudad y los niños que están en el parque.",
        "Womenfolk of the townish human, be that as it may.",
        "",
        "女人",
    ]
    found = terms.mentioned(pa.array(texts, pa.large_string()))
    named = [{terms.groups[i][1] for i in row.nonzero()[0]} for row in found]
    assert named[:6] == [
        {"women"},
        {"men"},
        set(),
        {"women", "children"},
        {"women", "children"},
        {"women", "children"},
    ]
    assert named[6:] == [set(), set(), set()]


def test_the_shipped_lists_have_all_categories_in_each_language() -> None:
    for groups in read_identity_terms().values():
        assert {category for category, _ in groups} == {
            *("gender", "orientation", "age", "religion", "nationality", "profession")
        }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[a]", "no mapping"),
        ("xx: {a: {b: [c]}}", "language 'xx'"),
        ("en: {a: [c]}", "no category with a group"),
        ("en: {a: {b: c}}", "en: a: b: is no list"),
        ("en: {a: {b: ['-']}}", "each term has 1 to 10 words"),
        ("en: &x {a: {b: [c]}}", "anchors and aliases"),
    ],
)
def test_a_bad_file_of_terms_is_named_with_what_is_wrong(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "terms.yaml"
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        read_identity_terms(str(path))
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_names_of_groups_are_escaped_in_the_report(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({"en": {"<b>": {"<script>": ["mosque"]}}}))
    run = finished_run(tmp_path / "run", {0})
    measure_representation(run, str(own))
    page = Path(write_report(run)).read_text()
    assert "&lt;b&gt;: &lt;script&gt;" in page
    assert "<script>" not in page


def test_coverage_compares_what_came_out_with_what_went_in(tmp_path: Path) -> None:
    run = finished_run(tmp_path, {n for n in range(300) if n % 4 == 0})
    found = {table["key"]: table for table in coverage(run, load_run(run))}
    assert set(found) == {"domain", "kind", "licence"}  # no document has a language or a topic
    licences = {row["value"]: row for row in found["licence"]["rows"]}
    assert found["licence"]["since"] == "00-ingest"
    assert (licences["CC-BY"]["in"]["documents"], licences["CC-BY"]["out"]["documents"]) == (
        150,
        75,
    )
    assert (licences["CC0"]["in"]["documents"], licences["CC0"]["out"]["documents"]) == (150, 150)
    assert licences["CC0"]["in"]["bytes"] == licences["CC0"]["out"]["bytes"] > 0
    assert licences[None]["out"] == {"documents": 1, "bytes": 0}  # the derived one
    domains = {row["value"]: row["out"]["documents"] for row in found["domain"]["rows"]}
    assert domains == {"example.co.uk": 225, None: 1}
    storage.remove(storage.join(run, "stages"))
    without = {table["key"]: table for table in coverage(run, load_run(run))}
    assert without["licence"]["since"] is None
    assert without["licence"]["rows"][0] == {
        "value": "CC0",
        "in": None,
        "out": licences["CC0"]["out"],
    }
    assert "what went in can not be counted any more" in Path(write_report(run)).read_text()


def test_what_was_dropped_for_its_language_went_in(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.ingest(*({"id": identity(n), "text": "a", "uri": ""} for n in range(10)))
    for n, document in enumerate(run.documents.values()):
        document["language"] = "en" if n else "fr"
    run.stage(
        "01-language",
        {
            "id": identity(0),
            "action": "dropped",
            "reason": "language_not_kept",
            "detail": "fr",
        },
    )
    run._write("stages/01-language")
    folder = run.publish()
    (table,) = [t for t in coverage(folder, load_run(folder)) if t["key"] == "language"]
    assert [(row["value"], row["in"], row["out"]) for row in table["rows"]] == [
        ("en", {"documents": 9, "bytes": 9}, {"documents": 9, "bytes": 9}),
        ("fr", {"documents": 1, "bytes": 1}, {"documents": 0, "bytes": 0}),
    ]


def test_coverage_shows_thirty_values_and_the_sum_of_the_others(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.ingest(
        *(
            {
                "id": identity(n),
                "text": "a",
                "uri": f"http://user@Site{n % 40:02}.ORG:80/<b>",
                "language": f"<{n % 2}>",
            }
            for n in range(110)
        )
    )
    folder = run.publish()
    tables = {table["key"]: table for table in coverage(folder, load_run(folder))}
    assert [row["value"] for row in tables["domain"]["rows"]][:2] == ["site00.org", "site01.org"]
    assert len(tables["domain"]["rows"]) == 30
    assert tables["domain"]["others"] == {
        "values": 10,
        "in": {"documents": 20, "bytes": 20},
        "out": {"documents": 20, "bytes": 20},
    }
    page = Path(write_report(folder)).read_text()
    assert "10 others" in page
    assert "&lt;0&gt;" in page
    assert "<0>" not in page


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.Example.co.uk", "example.co.uk"),
        ("a.b.example.com", "example.com"),
        ("example.de", "example.de"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("192.168.0.1", "192.168.0.1"),
        ("example.org.", "example.org"),
    ],
)
def test_domains_are_those_that_somebody_registered(host: str, domain: str) -> None:
    assert registered_domain(host) == domain
