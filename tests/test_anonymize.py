"""The stage `anonymize`: documents in, documents without direct identifiers out."""

import json

import pyarrow as pa
import pytest

from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.isolation import IsolatedStage
from corpusmill.stage import check_verdicts
from corpusmill.stages.anonymize import Anonymize

SCHEMA = document_schema(Anonymize().score_fields())
ADDRESS = "UtaKortig@jourrapide.com"
PHONE = "+44 7700 921 916"


def batch(*texts: str, author: str | None = None) -> pa.RecordBatch:
    rows = [
        {
            "id": f"{number:032x}",
            "text": text,
            "source": "crawl",
            "kind": "web",
            "uri": f"https://pages.net/{number}?from={ADDRESS}",
            "metadata": {"author": author, "title": "Nothing"},
        }
        for number, text in enumerate(texts)
    ]
    return documents_from_rows(rows, SCHEMA)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILL_KEY", "sixteen bytes or more")
    monkeypatch.setenv("OTHER_MILL_KEY", "another key altogether")


def test_changed_documents_are_counted_and_no_value_stands_in_a_verdict() -> None:
    documents = batch(f"Ask {ADDRESS} or {PHONE}, or {ADDRESS}.", "Nobody to ask.")
    outcome = Anonymize().open()(documents)
    assert outcome.documents.column("text").to_pylist() == [
        "Ask <EMAIL_ADDRESS> or <PHONE_NUMBER>, or <EMAIL_ADDRESS>.",
        "Nobody to ask.",
    ]
    assert list(check_verdicts(documents, outcome)) == ["0" * 32]
    verdict = outcome.verdicts.to_pylist()[0]
    assert (verdict["action"], verdict["reason"], verdict["value"]) == ("changed", "anonymized", 3)
    assert json.loads(verdict["detail"]) == {"EMAIL_ADDRESS": 2, "PHONE_NUMBER": 1}
    assert ADDRESS not in str(verdict)
    assert outcome.documents.column("scores").field("personal_data").to_pylist() == [3, 0]


def test_only_the_fields_that_the_recipe_lists_are_touched() -> None:
    documents = batch(ADDRESS, author=f"Uta <{ADDRESS}>")
    fields = ("metadata.author", "metadata.editor", "uri")
    row = Anonymize(fields=fields).open()(documents).documents.to_pylist()[0]
    assert row["text"] == ADDRESS
    assert row["uri"] == "https://pages.net/0?from=<EMAIL_ADDRESS>"
    assert row["metadata"] == [("author", "Uta <<EMAIL_ADDRESS>>"), ("title", "Nothing")]


def test_only_the_entities_that_the_recipe_lists_are_replaced() -> None:
    stage = Anonymize(entities=("PHONE_NUMBER",))
    text = stage.open()(batch(f"{ADDRESS} {PHONE}")).documents.column("text")[0].as_py()
    assert text == f"{ADDRESS} <PHONE_NUMBER>"


def test_pseudonyms_depend_on_value_and_key_alone() -> None:
    def pseudonyms(key: str, *texts: str) -> list[str]:
        stage = Anonymize(method="pseudonym", key=key)
        texts_out: list[str] = stage.open()(batch(*texts)).documents.column("text").to_pylist()
        return texts_out

    together = pseudonyms("env:MILL_KEY", f"a {ADDRESS}", "between", f"b {ADDRESS.lower()}")
    alone = pseudonyms("env:MILL_KEY", f"c {ADDRESS}")
    other = pseudonyms("env:OTHER_MILL_KEY", f"c {ADDRESS}")
    assert together[0][2:] == together[2][2:] == alone[0][2:] != other[0][2:]
    assert together[0].endswith("@example.org")


def test_the_stage_gives_the_same_in_a_child_process() -> None:
    documents = batch(f"Ask {ADDRESS} or {PHONE}.", "Nobody to ask.")
    stage = Anonymize(method="pseudonym", key="env:MILL_KEY")
    isolated = IsolatedStage(stage)
    try:
        outcome = isolated.apply(documents)
    finally:
        isolated.stop()
    here = stage.open()(documents)
    assert outcome.documents.equals(here.documents)
    assert outcome.verdicts.equals(here.verdicts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "pseudonym"}, "'pseudonym' needs a key"),
        ({"method": "mask", "key": "env:MILL_KEY"}, "'mask' uses no key"),
        ({"method": "pseudonym", "key": "env:NO_MILL_KEY"}, "NO_MILL_KEY, .* is not set"),
        ({"method": "pseudonym", "key": "my own secret key"}, "not by its value"),
        ({"fields": ("title",)}, "'title' is not one of text, uri, metadata.KEY"),
        ({"fields": ("metadata.",)}, "'metadata.' is not one of"),
        ({"entities": ("PERSON",)}, "'PERSON' needs a named-entity model"),
    ],
)
def test_wrong_settings_are_found_before_any_document_is_read(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Anonymize.model_validate(settings).check()
    assert "my own secret key" not in str(caught.value)
