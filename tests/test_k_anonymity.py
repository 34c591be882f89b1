"""Nobody is alone with what is shown of them, checked without the code that made it so."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.biographies import biographies, shown
from benchmarks.portraits import FORMS, portraits, rare
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.verbs_fixture import PlainVerbs, apply_to_parts, ids, write_parts

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.plan import describe
from corpusmill.pipelines.run import run
from corpusmill.privacy.hierarchies import ANY, HIERARCHIES, read_hierarchy
from corpusmill.privacy.mondrian import Histogram, mondrian
from corpusmill.privacy.quasi_identifiers import facts
from corpusmill.stages.k_anonymity import KAnonymity, rarer_behind

ALL = tuple(HIERARCHIES)


def cut(rows: list[dict[str, Any]], parts: int) -> list[list[dict[str, Any]]]:
    """The rows with ids, in so many parts."""
    named = [{"id": name, **row} for name, row in zip(ids(len(rows)), rows, strict=True)]
    size = -(-len(rows) // parts)
    return [named[first : first + size] for first in range(0, len(rows), size)]


def anonymised(
    folder: Path, rows: list[dict[str, Any]], stage: KAnonymity, *, parts: int = 3
) -> tuple[list[dict[str, Any]], list[str]]:
    """The documents after the stage, and what it told."""
    verbs = PlainVerbs(folder / f"work-{parts}")
    stored = write_parts(folder / f"parts-{parts}", cut(rows, parts), scores=stage.score_fields())
    documents, _ = apply_to_parts(stage.prepare(verbs, stored), stored)
    return documents.to_pylist(), verbs.notes


@pytest.mark.parametrize("k", [2, 5, 10])
def test_every_combination_that_is_shown_is_shown_by_k(tmp_path: Path, k: int) -> None:
    people = list(biographies(1500))
    rows = [{"text": person["text"]} for person in people]
    documents, notes = anonymised(tmp_path, rows, KAnonymity(k=k))
    combinations: Counter[tuple[tuple[str, str], ...]] = Counter()
    exact = 0
    for document, person in zip(documents, people, strict=True):
        visible = shown(document["text"])
        assert visible is not None, document["text"]
        combinations[tuple(sorted(visible.items()))] += 1
        for name, label in visible.items():
            exact += label == person[name]
            if name == "age" and label != person["age"]:
                low, _, high = label.removeprefix("<AGE ").rstrip(">").partition("-")
                assert int(low) <= int(person["age"]) <= int(high)
    assert min(n for visible, n in combinations.items() if visible) >= k
    assert len(combinations) > 20  # not everything was suppressed
    assert exact > len(people)
    assert any(f"k = {k}" in note and "information loss" in note for note in notes)


def test_parts_and_batches_change_nothing(tmp_path: Path) -> None:
    rows = [{"text": person["text"]} for person in biographies(300)]
    first, told = anonymised(tmp_path, rows, KAnonymity(), parts=1)
    second, told_again = anonymised(tmp_path, rows, KAnonymity(), parts=7)
    assert [row["text"] for row in first] == [row["text"] for row in second]
    assert told == told_again


def test_a_second_pass_finds_nothing_to_change(tmp_path: Path) -> None:
    rows = [{"text": person["text"]} for person in biographies(300)]
    first, _ = anonymised(tmp_path / "a", rows, KAnonymity())
    again = [{"text": row["text"]} for row in first]
    second, _ = anonymised(tmp_path / "b", again, KAnonymity())
    assert [row["text"] for row in second] == [row["text"] for row in again]


def test_metadata_is_generalised_and_suppressed_with_the_text(tmp_path: Path) -> None:
    rows = [
        {"text": "A note.", "metadata": {"age": str(30 + n % 4), "city": "Berlin", "title": "x"}}
        for n in range(8)
    ]
    rows.append({"text": "A note.", "metadata": {"age": "97", "city": "Lima", "title": "y"}})
    rows.append({"text": "A note.", "metadata": {"title": "z"}})
    documents, _ = anonymised(tmp_path, rows, KAnonymity(k=4))
    found = [dict(document["metadata"]) for document in documents]
    assert found[-1] == {"title": "z"}
    assert "97" not in str(found)
    assert "Lima" not in str(found)
    shown_ages = Counter((row.get("age"), row.get("city")) for row in found[:8])
    assert min(shown_ages.values()) >= 4
    assert all(city == "Berlin" for _, city in shown_ages)


def test_a_combination_must_leave_the_sensitive_value_open(tmp_path: Path) -> None:
    def row(age: int, illness: str) -> dict[str, Any]:
        return {"text": "A note.", "metadata": {"age": str(age), "illness": illness}}

    rows = [row(31, "flu") for _ in range(6)]
    rows += [row(32, "flu") for _ in range(3)] + [row(33, "gout") for _ in range(3)]
    rows += [row(71, "gout") for _ in range(3)] + [row(72, "flu") for _ in range(3)]
    stage = KAnonymity(k=3, sensitive="metadata.illness", l_diversity=2)
    documents, _ = anonymised(tmp_path, rows, stage)
    values: defaultdict[str | None, set[str]] = defaultdict(set)
    for document in documents:
        metadata = dict(document["metadata"])
        values[metadata.get("age")].add(metadata["illness"])
    assert all(len(illnesses) >= 2 for age, illnesses in values.items() if age)
    assert len(values) > 1


def test_what_nobody_says_of_a_person_is_left_alone(tmp_path: Path) -> None:
    rows = [
        {"text": "The city of Berlin is large. He was in Paris, she in Rome."},
        {"text": "In 1980 the company had 34 employees, a year old at most."},
    ]
    documents, notes = anonymised(tmp_path, rows, KAnonymity(), parts=1)
    assert [document["text"] for document in documents] == [row["text"] for row in rows]
    assert notes == ["k_anonymity: no quasi-identifiers were recognised"]


def test_too_few_documents_are_suppressed_and_that_is_told(tmp_path: Path) -> None:
    rows = [{"text": "She is 34 years old and lives in Berlin."}]
    documents, notes = anonymised(tmp_path, rows, KAnonymity(), parts=1)
    assert documents[0]["text"] == "<SEX> is <AGE> years old and lives in <CITY>."
    assert any("fewer than k = 5" in note for note in notes)


def test_a_hierarchy_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "sectors.csv"
    path.write_text("nordcon ltd,shipping\nsolmar ltd,shipping\n")
    rows = [
        {"text": f"She is employed by {name}. Age: 40."} for name in ("Nordcon Ltd", "Solmar Ltd")
    ]
    stage = KAnonymity(k=2, hierarchies={"employer": str(path)})
    documents, _ = anonymised(tmp_path, rows, stage, parts=1)
    assert documents[0]["text"] == "She is employed by <EMPLOYER shipping>. Age: 40."
    for wrong, message in (("a\n", "1 columns"), ("a,b\nc\n", ":2:"), ("", "no value")):
        path.write_text(wrong)
        with pytest.raises(UsageError, match=message):
            read_hierarchy(str(path))


def test_settings_that_do_not_fit_together_are_refused() -> None:
    for wrong in (
        {"k": 1},
        {"quasi_identifiers": ["shoe_size"]},
        {"sensitive": "metadata.illness"},
        {"l_diversity": 2},
        {"sensitive": "illness", "l_diversity": 2},
        {"sensitive": "metadata.", "l_diversity": 2},
        {"sensitive": "metadata.gender", "l_diversity": 2},
        {"sensitive": "metadata.illness", "l_diversity": 3, "k": 2},
        {"hierarchies": {"age": "bands.csv"}, "quasi_identifiers": ["city"]},
    ):
        with pytest.raises(ValidationError):
            KAnonymity.model_validate(wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aged 57, he is a retired bus driver from Leeds (LS1 4DY)",
         [("age", "57"), ("sex", "male"), ("occupation", "bus driver"), ("city", "Leeds"),
          ("postcode", "LS14DY")]),
        ("thirty-four years old, a Brazilian citizen near Austin, TX 78701",
         [("age", "34"), ("nationality", "brazilian"), ("city", "Austin"), ("postcode", "78701")]),
        ("Born: 03/04/1975. Occupation: Teacher. Employer: University of York. Sex: F.",
         [("birth_date", "1975-04-03"), ("occupation", "teacher"),
          ("employer", "university of york"), ("sex", "female")]),
        ("geboren am 3. Mai 1990, 34 Jahre alt", [("birth_date", "1990-05-03"), ("age", "34")]),
        ("né le 5 août 1970, âgé de 54 ans", [("birth_date", "1970-08-05"), ("age", "54")]),
    ],
)  # fmt: skip
def test_phrases_that_tell_something_of_a_person(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert [(fact.attribute, fact.value) for fact in facts(text, ALL)] == expected


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Bo is a 52-year-old\nnurse from\nTurin, working\nat Mars.", "52 nurse Turin Mars"),
        ("| name | age | city | job |\n|---|---|---|---|\n| Bo | 64 | Porto | teacher |",
         "64 Porto teacher"),
        ("<tr><td>64</td><td>Porto</td>\n<td>teacher</td></tr>", "64 Porto teacher"),
        ('{"age": 53, "city": "Leeds", "job": "nurse"}', "53 Leeds nurse"),
        ("Anna, 51, nurse, Leeds.", "51 nurse Leeds"),
        ("French nurse Anna (23), who is based in Lyon, joined Mars.", "French nurse 23 Lyon Mars"),
        ("Bo, 44yo teacher, Leeds-based, French.", "44 teacher Leeds French"),
        ("Age: 40\nEmployer: St. Mary's Hospital\nPLZ: AB0001", "40 St Mary's Hospital AB0001"),
        ("Bo (b. 5 March 1974) is Polish. She earns a living as nurse.", "March 1974 Polish nurse"),
        ("Anna est âgée de 58 ans et habite à Lyon.", "58 Lyon"),
        ("Meet Bo: forty-one, Sri Lankan, electrician, Los Angeles.",
         "forty Sri electrician Los"),
        ("A woman of 39, Polish, living in Chipping Norton; occupation thatcher.",
         "39 Polish Chipping Norton thatcher"),
        ("Year of birth: 1949. Place of residence: Leeds. Years: 34", "1949 Leeds 34"),
        ("Bo is a Turk in his thirties, born 13/02/96, and lives in Rio de Janeiro.",
         "Turk thirties 13 Rio Janeiro"),
        ("Bo comes from Poland. As an academic librarian, he is 34.",
         "Poland academic librarian 34"),
        ("She has worked in Short, Reeves and Pratt's Leeds office; at 49 she left.",
         "Short Reeves Pratt Leeds 49"),
        ("Bo, 29, is an Irish welder and the French-born owner, ZIP 12345-6789.",
         "29 Irish welder French 12345 6789"),
        ("Employer: Short, Reeves and Pratt. He holds a job.", "Short Reeves Pratt"),
        ("Bo serves as a keeper of owls at Mars, and lives in 8010 Graz.", "keeper Mars 8010 Graz"),
        ("Anna ist 31 Jahre alt, wohnt in Graz und arbeitet als Lehrerin bei nordtek.",
         "31 Graz Lehrerin nordtek"),
    ],
)  # fmt: skip
def test_ordinary_sentences_and_tables_leave_nothing_behind(text: str, hidden: str) -> None:
    for fact in reversed(facts(text, ALL)):
        text = text[: fact.start] + "_" + text[fact.end :]
    assert [word for word in hidden.split() if word in text] == []


def test_only_passages_about_a_person_count_in_long_texts() -> None:
    history = "In 1990 the French army left Leeds for Berlin, and the major cities of Poland. " * 60
    person = "Anna Weber, a woman of 39, lives in Turin and works as a nurse at Mars."
    assert facts(history, ALL) == []
    text = f"{history}\n\n{person} {history} Mars."
    found = facts(text, ALL)
    reach = range(len(history) - 310, len(history) + len(person) + 320)
    near = [fact for fact in found if fact.start in reach]
    assert {fact.value for fact in near} > {"39", "female", "turin".title(), "nurse", "mars"}
    assert [(fact.attribute, fact.value) for fact in found if fact not in near] == [
        ("employer", "mars")
    ]


def test_names_of_people_are_no_towns_and_no_trades() -> None:
    text = "Elizabeth Taylor, who is 34 years old, met Clinton. Martin Taylor laughed."
    assert [(fact.attribute, fact.value) for fact in facts(text, ALL)] == [("age", "34")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("jobTitle", "nurse"),
        ("dateOfBirth", "1980-05-03"),
        ("Zip-Code", "12345"),
        ("person.home_city", "Leeds"),
        ("person", '{"age": 34, "city": "Leeds"}'),
        ("birth_year", "1980"),
    ],
)
def test_records_are_read_however_their_keys_are_written(
    tmp_path: Path, key: str, value: str
) -> None:
    rows = [{"text": "A note.", "metadata": {key: value, "age": "34"}}]
    documents, _ = anonymised(tmp_path, rows, KAnonymity(), parts=1)
    shown_value = dict(documents[0]["metadata"] or ()).get(key, "")
    assert not any(word in shown_value for word in ("34", "Leeds", "nurse", "1980", "12345"))


def test_a_decade_of_life_is_a_band_of_ages() -> None:
    assert [fact.value for fact in facts("She is in her thirties.", ALL)][-1] == "30-39"
    assert HIERARCHIES["age"]("30-39") == ("30-39", "30-39", "30-39", "20-39", ANY)


def test_a_date_is_never_shown_with_what_stands_around_it(tmp_path: Path) -> None:
    stamps = [f"1990-05-03T0{n}:00:00Z" for n in range(5)]
    rows = [{"text": "A note.", "metadata": {"dob": value}} for value in stamps]
    rows.append({"text": "A note.", "metadata": {"dob": "1990-05-03 (twin of Anna)"}})
    documents, _ = anonymised(tmp_path, rows, KAnonymity(k=5))
    values = [dict(document["metadata"] or ()).get("dob") for document in documents]
    assert values == ["1990-05-03"] * 5 + [None]


def test_text_titles_and_metadata_tell_of_one_person(tmp_path: Path) -> None:
    cities = ["Leeds", "Munich", "Lyon", "Porto", "Graz", "Turin"]
    rows = [
        {
            "text": f"She lives in {city}.",
            "metadata": {"age": "34", "title": f"A nurse from {city}"},
        }
        for city in cities
    ]
    documents, _ = anonymised(tmp_path, rows, KAnonymity(k=6))
    assert not [city for city in cities if city in str(documents)]
    assert {dict(document["metadata"])["age"] for document in documents} == {"34"}


@pytest.mark.parametrize("value", ["²", "9" * 5000, "1234\x1f99", "\0", "٣٤", "<AGE>"])
def test_no_value_of_metadata_stops_the_stage(tmp_path: Path, value: str) -> None:
    names = ("age", "sex", "dob", "postcode", "city", "nationality", "job", "employer")
    rows = [{"text": "A note.", "metadata": dict.fromkeys(names, value)}]
    documents, _ = anonymised(tmp_path, rows, KAnonymity(), parts=1)
    assert dict(documents[0]["metadata"] or ()) == {}


def test_too_little_diversity_is_told(tmp_path: Path) -> None:
    rows = [
        {"text": "A note.", "metadata": {"age": "34", "illness": value}}
        for value in ("flu", "Flu ", "", "FLU", "flu")
    ]
    stage = KAnonymity(k=2, sensitive="metadata.illness", l_diversity=2)
    documents, notes = anonymised(tmp_path, rows, stage, parts=1)
    assert not any("age" in dict(document["metadata"]) for document in documents)
    assert any("only 1 different values" in note for note in notes)


@pytest.mark.parametrize(
    "bait",
    [
        "works as a ",
        "born ",
        "a German ",
        "in New ",
        "aged ",
        "1",
        "nurse ",
        "\n ",
        "City: ",
        "Anna, 34, ",
        "| 64 ",
        "<td>",
    ],
)
def test_hostile_text_costs_linear_time(bait: str) -> None:
    facts(bait * (200_000 // len(bait)), ALL)  # a quadratic pattern would take hours


def test_hierarchies_end_in_nothing_and_only_lose() -> None:
    for levels in HIERARCHIES.values():
        for value in ("34", "1980-03-12", "SW1A1AA", "Berlin", "german", "nurse", "?", "x" * 1000):
            steps = levels(value)
            assert steps[-1] == ANY
            seen = steps.index(ANY)
            assert all(step == ANY for step in steps[seen:])


@given(st.data())
@settings(max_examples=60)
def test_groups_are_large_enough_and_look_alike(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    k = data.draw(st.integers(2, 8))
    counts = np.array(data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)), np.int64)
    codes = []
    for _ in range(data.draw(st.integers(1, 3))):
        exact = np.array(data.draw(st.lists(st.integers(0, 15), min_size=n, max_size=n)), np.int64)
        codes.append(np.stack([exact, exact // 2, exact // 4, np.zeros(n, np.int64)]))
    result = mondrian(Histogram(codes=codes, counts=counts), k)
    assert result.sizes.sum() == counts.sum()
    assert all(result.sizes[1:] >= k)
    assert (result.levels[result.groups == 0] == 3).all()
    for group in range(1, len(result.sizes)):
        rows = np.flatnonzero(result.groups == group)
        assert counts[rows].sum() == result.sizes[group]
        for attribute, values in enumerate(codes):
            level = result.levels[rows, attribute]
            assert len(set(level.tolist())) == 1
            assert len(set(values[level[0]][rows].tolist())) == 1


def test_equal_bytes_of_the_stored_groups(tmp_path: Path) -> None:
    rows = [{"text": person["text"]} for person in biographies(200)]
    paths = []
    for parts in (1, 4):
        verbs = PlainVerbs(tmp_path / f"w{parts}", partitions=parts + 1)
        stored = write_parts(tmp_path / f"p{parts}", cut(rows, parts))
        paths.append(KAnonymity().prepare(verbs, stored).groups)
    assert storage.read_bytes(paths[0]) == storage.read_bytes(paths[1])


def test_stages_behind_are_warned_of_in_the_plan_and_in_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        "\n".join(json.dumps({"text": f"She is 34 years old. Note {n}."}) for n in range(9))
    )
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nsources: [{name: a, kind: web, path: a.jsonl}]\n"
        "stages: [{k_anonymity: {k: 2}}, {deduplicate: {}}]\n"
    )
    loaded = recipe_for([str(recipe)], [])[0]
    told = [fact for stage in describe(loaded)["stages"] for fact in stage["facts"]]
    assert any("k_anonymity: deduplicate behind it" in fact for fact in told)
    notes = run(loaded, str(tmp_path / "out")).notes
    assert sum("k_anonymity: deduplicate behind it" in note for note in notes) == 1
    last = [KAnonymity(k=2)]
    assert rarer_behind(last) == []


def test_too_many_combinations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpusmill.stages.k_anonymity.LARGEST_HISTOGRAM", 20)
    rows = [{"text": f"She is {age} years old."} for age in range(20, 60)]
    with pytest.raises(RunError, match="more than 20 distinct combinations"):
        anonymised(tmp_path, rows, KAnonymity(), parts=1)


def test_an_empty_corpus_is_no_mistake(tmp_path: Path) -> None:
    documents, notes = anonymised(tmp_path, [{"text": ""}], KAnonymity(), parts=1)
    assert documents[0]["text"] == ""
    assert notes == ["k_anonymity: no quasi-identifiers were recognised"]


@pytest.mark.parametrize("k", [2, 5])
def test_portraits_by_a_stranger_show_less_than_before(tmp_path: Path, k: int) -> None:
    people = list(portraits(300, FORMS))
    documents, _ = anonymised(tmp_path, [dict(p.document) for p in people], KAnonymity(k=k))
    exactly, among_others = rare(documents, people, k)
    untouched, _ = rare([dict(p.document) for p in people], people, k)
    assert len(untouched) > 250  # the check sees what is left alone
    assert len(exactly) < 60
    assert len(among_others) <= len(exactly)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("<person><age>89</age><city>Kirkwall</city></person>", "89 Kirkwall"),
        (
            "Ann Lee (1958\u20132024) of Viersen died. A merchant navy officer by trade.",
            "1958 navy",
        ),
        ("id;sex;dob;profession\n1;M;1.2.1960;Teacher, adult education", "1960 adult"),
        ("I'm a nurse, children's in East Holliemouth, 46.", "children's Holliemouth 46"),
        ("So I (46F) had a row at work. I'm a nurse, we're in New Guy.", "46 New"),
        ("Age ........ 47\nPresent occupation ........ Court usher", "47 usher"),
        ("The Gerardport-based lighthouse keeper, 58, is German.", "Gerardport lighthouse 58"),
    ],
)
def test_what_strangers_write_of_somebody_is_found(text: str, hidden: str) -> None:
    found = " ".join(text[fact.start : fact.end] for fact in facts(text, ALL))
    assert [word for word in hidden.split() if word not in found] == []
