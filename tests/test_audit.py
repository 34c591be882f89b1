"""An audit tells what a recipe's anonymization lets through, and nothing of anybody's text."""

import dataclasses
import io
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.errors import UsageError
from corpusmill.pipelines.anonymize_chain import AnonymizeChain, Passed
from corpusmill.pipelines.audit import AUDIT_FILE, audit
from corpusmill.pipelines.audit_counts import Counts, overlaps
from corpusmill.pipelines.ledger import load_run
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.planting import EXCERPT_CHARACTERS, Copy, Place, excerpt, plant
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run
from corpusmill.pipelines.verify import clean
from corpusmill.privacy.entities import ENTITIES
from corpusmill.privacy.identities import Planted, passages
from corpusmill.report.audit_view import audit_view

TEXT = (
    "The ferry to island {0} leaves at nine. Its master waves, and zanzibarite {0} is on board.\n"
    "In winter it stays in the harbour. Nobody minds.\n\n"
    "The shop on the quay sells bread and rope; it has {0} shelves.\n"
)
CHECKED = "[EMAIL_ADDRESS, IBAN_CODE, CREDIT_CARD, CRYPTO]"
LET_STAND = [entity for entity in ENTITIES if entity not in CHECKED]

TOKENIZE = "  - tokenize: {tokenizer: train, vocab_size: 512}\n"


def finished(folder: Path, stages: str, texts: list[str], until: str | None = None) -> Path:
    """A run over small documents of two sources, one of them of books."""
    folder.mkdir(exist_ok=True)
    (folder / "pages.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    (folder / "shelf.txt").write_text("A book about tides. " * 60)
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "name: audited\n"
        "sources:\n"
        "  - {name: pages, kind: web, path: pages.jsonl}\n"
        "  - {name: shelf, kind: book, path: shelf.txt}\n"
        f"stages:\n{stages}"
    )
    loaded, _ = recipe_for([str(recipe)], [])
    run(loaded, str(folder / "out"), workers=1, until=until)
    return folder / "out"


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(
        tmp_path_factory.mktemp("masked"),
        f"  - anonymize: {{for: [web], entities: {CHECKED}}}\n" + TOKENIZE,
        [TEXT.format(n) * (1 + n % 3) for n in range(30)],
    )


def changed(out: Path, to: Path, **anonymize: Any) -> Path:
    """A copy of the run whose recipe has other settings of `anonymize`, or none of it."""
    shutil.copytree(out, to)
    recipe = yaml.safe_load((to / "recipe.yaml").read_text())
    recipe["stages"] = [s for s in recipe["stages"] if anonymize or "anonymize" not in s]
    for stage in recipe["stages"]:
        stage.get("anonymize", {}).update(anonymize)
    (to / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return to


def small(out: Path, **options: Any) -> dict[str, Any]:
    return audit(str(out), **{"sample": 6, "identities": 10, "leave": LET_STAND, **options})


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in (AUDIT_FILE, ".lock")
    }


def test_an_audit_reports_rates_and_changes_nothing_but_its_own_file(masked: Path) -> None:
    before = contents(masked)
    facts = small(masked, min_recall=0.95)
    assert contents(masked) == before
    assert json.loads((masked / AUDIT_FILE).read_text()) == facts
    assert facts["findings"] == []
    assert facts["recall"] >= 0.95
    assert facts["interval_95"][0] < facts["recall"] <= facts["interval_95"][1]
    assert set(facts["entity"]) == {"EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "CRYPTO"}
    assert sum(rate["values"] for rate in facts["entity"].values()) == facts["values"]
    assert sum(rate["values"] for rate in facts["position"].values()) == facts["values"]
    assert len(facts["language"]) == 10
    assert facts["precision"] == 1.0
    assert facts["stages"] == ["01-anonymize"]
    assert facts["fingerprint"] == load_run(str(masked)).stages[-1].fingerprint
    assert facts["not_anonymized"] == ["shelf"]
    shards = facts["shards"]
    assert (shards["documents"], shards["of"], shards["identifiers"]) == (30, 31, 0)


def test_what_the_recipe_does_not_look_for_is_listed_apart(masked: Path) -> None:
    facts = small(masked, min_recall=0.95)
    assert facts["not_covered"]["MAC_ADDRESS"]["recall"] == 0.0
    assert facts["not_covered"].keys().isdisjoint(facts["entity"])


def test_a_type_that_the_recipe_lets_stand_fails_unless_it_is_left_on_purpose(
    masked: Path, tmp_path: Path
) -> None:
    facts = small(masked, min_recall=0.0, leave=[e for e in LET_STAND if e != "PHONE_NUMBER"])
    assert facts["findings"] == [
        "the recipe lets types of identifiers stand that `leave` does not name: PHONE_NUMBER"
    ]
    kept = changed(masked, tmp_path / "out", methods={"EMAIL_ADDRESS": "keep"})
    facts = small(kept, min_recall=0.0)
    assert facts["findings"][0].endswith("does not name: EMAIL_ADDRESS")
    with pytest.raises(UsageError, match="'EMAIL' is not one of"):
        small(masked, leave=["EMAIL"])


def test_fields_beside_the_text_are_planted_into(masked: Path, tmp_path: Path) -> None:
    listed = ["text", "uri", "metadata.title"]
    facts = small(changed(masked, tmp_path / "out", fields=listed), min_recall=0.95)
    assert facts["findings"] == []
    assert facts["position"]["uri"]["values"] > 0
    assert facts["position"]["metadata.title"]["values"] > 0
    assert facts["position"]["uri"]["leaked"] == 0


def test_a_value_that_is_left_in_a_field_is_a_leak(masked: Path, tmp_path: Path) -> None:
    out = changed(masked, tmp_path / "out", fields=["text", "uri"])
    counts = Counts(AnonymizeChain(load_recipe(str(out / "recipe.yaml"))))
    value = Planted(8, 23, "EMAIL_ADDRESS", "bare-1", (8, 23))
    copy = Copy("", (Place(value, "uri", "de", "uri"),), {"uri": "https://anna@walden.org/"})
    counts.add(copy, "pages", {"text": "", "uri": copy.fields["uri"]})
    counts.add(copy, "pages", {"text": "", "uri": "https://<EMAIL_ADDRESS>/"})
    facts = counts.facts()
    assert facts["position"] == {"uri": facts["entity"]["EMAIL_ADDRESS"]}
    assert (facts["values"], facts["leaked"], facts["precision"]) == (2, 1, 1.0)


def test_copies_that_a_stage_fails_on_prove_nothing(
    masked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = AnonymizeChain.pass_over
    calls = iter(range(100))

    def failing(self: AnonymizeChain, documents: pa.RecordBatch) -> Passed:
        if next(calls) != 2:  # the sample, the sample again, and then the copies
            return whole(self, documents)
        none = whole(self, documents.slice(0, 0))
        return dataclasses.replace(none, quarantined=frozenset(documents["id"].to_pylist()))

    monkeypatch.setattr(AnonymizeChain, "pass_over", failing)
    facts = small(masked, identities=2)
    assert facts["quarantined"] == facts["copies"] > 0
    assert facts["recall"] is None
    assert facts["findings"][0] == "nothing that was planted could be counted"
    assert facts["findings"][1].startswith(f"{facts['copies']} of {facts['copies']} copies were")


def test_a_run_that_has_not_been_anonymized_yet_fails(tmp_path: Path) -> None:
    stage = f"  - anonymize: {{for: [web], entities: {CHECKED}}}\n"
    out = finished(tmp_path, stage, [TEXT.format(n) for n in range(5)], until="ingest")
    facts = small(out, identities=1, min_recall=0.0)
    assert facts["findings"] == ["the run has not come through 01-anonymize"]


def test_a_rate_is_never_rounded_up_to_its_goal(masked: Path) -> None:
    counts = Counts(AnonymizeChain(load_recipe(str(masked / "recipe.yaml"))))
    counts._tallies["entity"]["CRYPTO"] = [1_000_000, 1]
    assert counts.facts()["recall"] == 0.99999


def test_a_replacement_that_takes_more_than_it_should_is_false() -> None:
    place = Place(Planted(10, 20, "CRYPTO", "bare-1", (10, 20)), "line", "en")
    assert overlaps([(10, 21)], [place]) == (1, 0)
    assert overlaps([(2, 19)], [place]) == (1, 0)
    assert overlaps([(0, 40)], [place]) == (1, 1)
    assert overlaps([(30, 40)], [place]) == (0, 1)


def test_the_same_seed_gives_the_same_audit_and_no_text_of_a_document(masked: Path) -> None:
    one = small(masked, identities=3)
    assert small(masked, identities=3) == one
    assert "zanzibarite" not in (masked / AUDIT_FILE).read_text()


def test_an_anonymizer_that_does_not_see_the_text_fails(masked: Path, tmp_path: Path) -> None:
    facts = small(changed(masked, tmp_path / "out", fields=["uri"]), identities=3)
    in_text = [rate for name, rate in facts["position"].items() if name != "uri"]
    assert [rate["leaked"] for rate in in_text] == [rate["values"] for rate in in_text]
    assert facts["leaks"]
    assert len(facts["findings"]) == 1
    assert facts["findings"][0].endswith("planted values are left")


def test_identifiers_that_are_left_in_the_shards_are_counted(tmp_path: Path) -> None:
    texts = [f"Write to anna{n}@brightwater.de today. " * 3 for n in range(12)]
    out = finished(tmp_path, TOKENIZE, texts)
    recipe = (out / "recipe.yaml").read_text()
    stage = f"stages:\n- anonymize:\n    entities: {CHECKED}\n"
    (out / "recipe.yaml").write_text(recipe.replace("stages:\n", stage))
    facts = small(out, identities=1, min_recall=0.0)
    assert facts["shards"]["documents_with_identifiers"] == 12
    assert facts["shards"]["entities"] == {"EMAIL_ADDRESS": 36}
    assert facts["shards"]["identifiers"] == 36
    assert facts["findings"] == [
        "the run has not come through 01-anonymize",
        "shards/: 12 of 13 documents still hold what the recipe replaces",
    ]
    assert facts["sample"]["replacements"] > 0


def test_pseudonyms_are_no_leaks_and_need_their_key(
    masked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = changed(masked, tmp_path / "out", method="pseudonym", key="env:AUDIT_KEY")
    with pytest.raises(UsageError, match="AUDIT_KEY"):
        small(out)
    monkeypatch.setenv("AUDIT_KEY", "sixteen bytes or more")
    assert small(out, min_recall=0.95)["findings"] == []


def test_a_cleaned_run_is_audited_over_what_it_published(masked: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(masked, out)
    clean(str(out))
    facts = small(out, identities=2, min_recall=0.0)
    assert facts["sample"]["raw"] is False
    assert facts["values"] > 0


def test_a_recipe_that_anonymizes_nothing_is_refused(masked: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no stage `anonymize`"):
        small(changed(masked, tmp_path / "out"))


@pytest.mark.parametrize("wrong", [{"sample": 0}, {"identities": 0}, {"min_recall": 1.5}])
def test_numbers_that_make_no_sense_are_refused(masked: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"must be positive|must lie between"):
        small(masked, **wrong)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        audit(str(tmp_path))


def test_the_view_shows_rates_leaks_and_the_verdict(masked: Path) -> None:
    from rich.console import Console

    facts = small(masked, identities=2, min_recall=1.0)
    leak = {
        "entity": "URL",
        "language": "de",
        "position": "table",
        "template": "bare-1",
        "leaks": 3,
    }
    shown = {**facts, "leaks": [leak], "findings": ["recall 0.5 is below 1.0"]}
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(audit_view(shown))
    text = console.export_text()
    assert "failed: recall 0.5 is below 1.0" in text
    assert "bare-1" in text
    assert "sources that no stage anonymizes: shelf" in text
    console.print(audit_view({**facts, "findings": []}))
    assert "passed: recall is at least 1.0" in console.export_text()


@settings(max_examples=100)
@given(st.text(alphabet="ab .\n!", max_size=80), st.integers(0, 500), st.integers(0, 1000))
def test_planted_values_stand_where_the_copy_says(text: str, number: int, seed: int) -> None:
    some = [("de", passage) for passage in passages(1, number, "de")]
    copy = plant(text, some, Random(seed))
    planted = [p for _, passage in some for p in passage.planted]
    assert len(copy.places) == len(planted)
    values = sorted(passage.text[p.start : p.end] for _, passage in some for p in passage.planted)
    assert values == sorted(copy.text[p.value.start : p.value.end] for p in copy.places)
    for _, passage in some:
        assert passage.text in copy.text


def test_an_excerpt_is_of_whole_lines_or_sentences() -> None:
    lines = "".join(f"line {n} of a long text\n" for n in range(1000))
    cut = excerpt(lines, Random(4))
    assert 0 < len(cut) <= EXCERPT_CHARACTERS
    assert cut.startswith("line ")
    assert cut.endswith("text\n")
    assert excerpt("short", Random(1)) == "short"
    assert len(excerpt("x" * 10_000, Random(1))) == EXCERPT_CHARACTERS
