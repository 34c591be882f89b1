"""Plug-ins that do wrong: what they offer, how they are made, and what they give back."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from tests.plugin_packages import Install, install
from tests.test_cli import corpusmill

from corpusmill import plugins
from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import BrokenContract, RunError, UsageError
from corpusmill.filters.rules import GROUPS
from corpusmill.pipelines.engines import workers
from corpusmill.pipelines.judge import Judged, OpenStage, judge
from corpusmill.pipelines.part import _key
from corpusmill.pipelines.recipe import build_stage, load_recipe
from corpusmill.pipelines.run import run
from corpusmill.privacy.recognizers import Scanner, plugin_recognizers
from corpusmill.report.doctor import doctor_data
from corpusmill.stage import NarrowStage
from corpusmill.stages.registry import STAGES, stage_class
from corpusmill.stages.sources.extractors import EXTRACTORS, make_extractor
from corpusmill.stages.sources.html import parse_html
from corpusmill.stages.translation.engines import plugin_engine
from corpusmill.stages.translation.settings import EngineName

__all__ = ("install",)  # a fixture

STAGE = """
import os, signal
from typing import ClassVar
import numpy as np
import pyarrow as pa
from corpusmill.document import with_column, with_scores
from corpusmill.stage import Action, GlobalStage, NarrowStage, Outcome, Verdicts

class Shout(NarrowStage):
    name: ClassVar[str] = "shout"
    wrong: str = ""

    def open(self):
        if self.wrong == "open":
            return None
        if self.wrong == "opening":
            return {}["missing"]
        return self._apply

    def _apply(self, batch):
        texts = batch.column("text").to_pylist()
        ids = batch.column("id").to_pylist()
        for text in texts:
            if text == "raise":
                raise KeyError(text)
            if text == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
        upper = pa.array([text.upper() for text in texts], pa.large_string())
        documents, verdicts = with_column(batch, "text", upper), Verdicts()
        if self.wrong == "fewer":
            documents = documents.slice(1)
        if self.wrong == "order":
            documents = documents.take(pa.array(range(len(ids)))[::-1])
        if self.wrong == "columns":
            documents = documents.select(["id", "text", "source", "kind"])
        if self.wrong == "source":
            documents = with_column(documents, "source", pa.array(["other"] * len(ids)))
        if self.wrong == "null":
            documents = with_column(documents, "text", pa.nulls(len(ids), pa.large_string()))
        if self.wrong == "stranger":
            verdicts.add("f" * 32, Action.DROPPED, "why")
        if self.wrong == "twice":
            verdicts.add(ids[0], Action.DROPPED, "why")
            verdicts.add(ids[0], Action.DROPPED, "why")
        if self.wrong == "reason":
            verdicts.add(ids[0], Action.DROPPED, None)
        if self.wrong == "score":
            documents = with_scores(documents, {"volume": np.ones(len(ids))})
        if self.wrong == "nothing":
            return None
        return Outcome(documents=documents, verdicts=verdicts.batch())

class Isolated(Shout):
    name: ClassVar[str] = "shout_apart"
    isolated: ClassVar[bool] = True

class Global(GlobalStage):
    name: ClassVar[str] = "everywhere"
    wrong: str = ""

    def prepare(self, verbs, parts):
        return {}["missing"] if self.wrong else None

class Language(NarrowStage):
    name: ClassVar[str] = "language"

class Unfinished(NarrowStage):
    name: ClassVar[str] = "unfinished"

class Unversioned(Shout):
    name: ClassVar[str] = "unversioned"
    version = "1.0"

class Validated(Shout):
    name: ClassVar[str] = "validated"

    def model_post_init(self, context):
        {}["missing"]
"""

ENTRIES = {
    "stages": {
        "shout": "Shout",
        "shout_apart": "Isolated",
        "everywhere": "Global",
        "unfinished": "Unfinished",
        "unversioned": "Unversioned",
        "validated": "Validated",
        "renamed": "Shout",
        "number": "os",
        "absent": "Absent",
    }
}


def documents(*texts: str) -> pa.RecordBatch:
    rows = [
        {"id": f"{i:032x}", "text": t, "source": "s", "kind": "web", "uri": f"u{i}"}
        for i, t in enumerate(texts)
    ]
    return documents_from_rows(rows, document_schema())


def judged(stage: NarrowStage, *texts: str) -> Judged:
    opened, into = OpenStage(stage), Judged()
    try:
        judge(opened, documents(*texts), into, {}, lambda document, reason: None)
    finally:
        opened.close()
    return into


def built(name: str, **settings: Any) -> NarrowStage:
    stage = build_stage({name: settings})
    assert isinstance(stage, NarrowStage)
    return stage


def write_recipe(folder: Path, stages: str, *texts: str) -> Path:
    rows = (json.dumps({"text": text}) for text in texts or ("one text", "another one"))
    (folder / "texts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"name: n\nsources: [{{name: s, kind: web, path: texts.jsonl}}]\nstages: {stages}\n"
    )
    return recipe


# ---- names ----


def test_the_names_of_the_mills_own_things_are_those_that_there_are() -> None:
    assert set(plugins.BUILT_IN["stages"]) == set(STAGES)
    assert set(plugins.BUILT_IN["rules"]) == set(GROUPS)
    assert set(plugins.BUILT_IN["extractors"]) == set(EXTRACTORS)
    assert set(plugins.BUILT_IN["translators"]) == set(get_args(EngineName))


def test_a_name_of_the_mills_own_cannot_be_taken_over(install: Install) -> None:
    install(STAGE, {"stages": {"language": "Language", "ingest": "Shout"}})
    with pytest.raises(UsageError, match="corpusmill's own: uninstall acme-mill") as told:
        stage_class("language")
    assert "stage 'language' of acme-mill 1.0" in str(told.value)
    assert stage_class("heuristics").__module__ == "corpusmill.stages.heuristics"
    with pytest.raises(UsageError, match="corpusmill's own"):
        stage_class("ingest")


def test_two_packages_with_one_name_are_both_named(install: Install) -> None:
    install(STAGE, {"stages": {"shout": "Shout"}})
    install(STAGE, {"stages": {"shout": "Shout"}}, package="other-mill", version="2.0")
    with pytest.raises(UsageError, match=r"acme-mill 1.0: other-mill 2.0 offers one of that name"):
        stage_class("shout")
    assert "shout" not in plugins.names("stages")
    states = {f["found"]: f["state"] for f in doctor_data()["findings"]}
    assert states["acme-mill 1.0"] == states["other-mill 2.0"] == "broken"


@pytest.mark.parametrize("name", ["../up", "my-tokenize", "Shout", "1st", "x" * 41])
def test_a_name_that_is_no_plain_word_is_refused(install: Install, name: str) -> None:
    install(STAGE, {"stages": {name: "Shout"}})
    with pytest.raises(UsageError, match="is not up to 40 small letters"):
        stage_class(name)


def test_what_is_not_installed_is_told_with_what_is(install: Install, tmp_path: Path) -> None:
    install(STAGE, ENTRIES)
    with pytest.raises(UsageError) as told:
        load_recipe(str(write_recipe(tmp_path, "[{shoot: {}}]")))
    message = str(told.value)
    assert message.startswith(f"{tmp_path}/recipe.yaml:3: stages[0].shoot: stage 'shoot' is not")
    assert "language, mix, number (of acme-mill 1.0), quality" in message
    assert message.endswith("(did you mean 'shout'?)")


def test_settings_of_a_plugin_are_checked_like_any(install: Install, tmp_path: Path) -> None:
    install(STAGE, ENTRIES)
    with pytest.raises(UsageError, match=r"shout.wring: unknown setting.*did you mean 'wrong'"):
        load_recipe(str(write_recipe(tmp_path, "[{shout: {wring: x}}]")))


# ---- what is loaded ----


def test_nothing_is_imported_before_a_recipe_names_it(install: Install, tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    install(f"open({str(mark)!r}, 'w').close()\n{STAGE}", ENTRIES)
    load_recipe(str(write_recipe(tmp_path, "[language, {heuristics: {rules: [entropy]}}]")))
    assert "shout" in plugins.names("stages")
    assert "stage shout" in [finding["name"] for finding in doctor_data()["findings"]]
    assert not mark.exists()
    load_recipe(str(write_recipe(tmp_path, "[shout]")))
    assert mark.exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("this is no Python", "SyntaxError"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_a_mistake_of_usage(
    install: Install, tmp_path: Path, code: str, said: str
) -> None:
    install(code, ENTRIES)
    answer = corpusmill("plan", write_recipe(tmp_path, "[shout]"))
    assert answer.code == 2
    assert "stage 'shout' of acme-mill 1.0: acme_mill:Shout cannot be imported: " in answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("number", "is no class derived from NarrowStage or GlobalStage"),
        ("absent", "module 'acme_mill' has no attribute 'Absent'"),
        ("unfinished", "does not define open"),
        ("renamed", "has the name 'shout': give both the same"),
        ("unversioned", "version: '1.0' is no int"),
    ],
)
def test_a_class_that_is_no_stage_is_refused(install: Install, name: str, said: str) -> None:
    install(STAGE, ENTRIES)
    with pytest.raises(UsageError, match=f"stage '{name}' of acme-mill 1.0") as told:
        stage_class(name)
    assert said in str(told.value)


def test_an_exception_of_a_plugin_names_its_package(install: Install, tmp_path: Path) -> None:
    install(STAGE, ENTRIES)
    answer = corpusmill("plan", write_recipe(tmp_path, "[validated]"))
    assert answer.code == 1
    assert answer.err.startswith("corpusmill: stage 'validated' of acme-mill 1.0 failed: KeyError")
    assert "Traceback" not in answer.err


# ---- what a stage gives back ----


@pytest.mark.parametrize("name", ["shout", "shout_apart"])
def test_a_document_on_which_a_plugin_raises_is_quarantined(install: Install, name: str) -> None:
    install(STAGE, ENTRIES)
    texts = ["a", "raise", "b"] + ["crash"] * (name == "shout_apart")
    into = judged(built(name), *texts)
    assert [t for batch in into.kept for t in batch.column("text").to_pylist()] == ["A", "B"]
    reasons = [row["reason"] for row in into.ledger]
    assert reasons == ["exception", "killed_by_sigsegv"][: len(texts) - 2]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("fewer", "gave back 2 of 3 documents"),
        ("order", "in another order"),
        ("columns", "other columns: augmented_from, language"),
        ("source", "with another source"),
        ("null", "without a text"),
        ("stranger", "verdicts must name documents of the batch"),
        ("twice", "each at most once"),
        ("reason", "a verdict needs a reason"),
        ("score", "set scores that score_fields does not name: ['volume']"),
        ("nothing", "gave a NoneType instead of an Outcome"),
    ],
)
def test_a_stage_that_breaks_the_contract_fails_the_run_by_name(
    install: Install, wrong: str, said: str
) -> None:
    install(STAGE, ENTRIES)
    with pytest.raises(BrokenContract) as told:
        judged(built("shout", wrong=wrong), "a", "b", "c")
    assert str(told.value).startswith("stage shout (acme_mill.Shout) is wrong")
    assert said in str(told.value)


def test_so_does_one_in_a_child_process(install: Install) -> None:
    install(STAGE, ENTRIES)
    with pytest.raises(BrokenContract, match=r"stage shout_apart .* gave a NoneType instead of an"):
        judged(built("shout_apart", wrong="nothing"), "a", "b", "c")


@pytest.mark.parametrize("name", ["shout", "shout_apart"])
def test_a_stage_that_cannot_be_opened_blames_no_document(install: Install, name: str) -> None:
    install(STAGE, ENTRIES)
    with pytest.raises(RunError, match="open gave a NoneType instead of a function"):
        judged(built(name, wrong="open"), "a", "b")
    with pytest.raises(RunError, match=f"stage {name} could not be opened: KeyError at acme_mill"):
        judged(built(name, wrong="opening"), "a", "b")


def test_a_global_stage_that_prepares_nothing_or_fails_is_named(
    install: Install, tmp_path: Path
) -> None:
    install(STAGE, ENTRIES)
    command = ("run", write_recipe(tmp_path, "[everywhere]"), "--out", tmp_path / "run")
    nothing = corpusmill(*command, "--workers", "1")
    assert nothing.code == 1
    assert "stage everywhere: prepare gave no NarrowStage" in nothing.err
    failed = corpusmill(*command, "--workers", "1", "--update", "--set", "everywhere.wrong=yes")
    assert failed.code == 2  # `yes` is no text in YAML
    failed = corpusmill(*command, "--workers", "1", "--update", "--set", "everywhere.wrong=it")
    assert failed.code == 1
    assert "stage 'everywhere' of acme-mill 1.0 failed: KeyError at acme_mill.py" in failed.err


def test_a_run_with_a_stage_that_loses_documents_ends_with_1(
    install: Install, tmp_path: Path
) -> None:
    install(STAGE, ENTRIES)
    recipe = write_recipe(tmp_path, "[{shout: {wrong: fewer}}]")
    with pytest.raises(RunError, match=r"stage shout .* gave back 1 of 2 documents"):
        run(load_recipe(str(recipe)), str(tmp_path / "run"), workers=1)
    mended = load_recipe(str(recipe), ["shout.wrong=never"])
    record = run(mended, str(tmp_path / "run"), update=True)
    assert record.stages[-1].counts.kept == 2
    assert record.versions["acme-mill"] == "1.0"


def test_stages_of_two_packages_are_not_taken_for_each_other(install: Install) -> None:
    install(STAGE, {"stages": {"shout": "Shout"}})
    install(STAGE.replace('"shout"', '"call"'), {"stages": {"call": "Shout"}}, package="other-mill")
    assert _key(built("shout")) != _key(built("call"))


# ---- rules, recognizers, extractors, translators ----

RULES = """
import numpy as np
from corpusmill.filters.rules import Rule
from corpusmill.stages.rule_groups import TextRule

def rule(name, measure=lambda texts: np.zeros(len(texts)), **more):
    return (TextRule(name=name, drops="above", threshold=0.5, measure=measure, **more),)

FINE = rule("mine")
OWN = rule("gopher_short_doc")
SHAPE = rule("shape", lambda texts: np.zeros(1 + len(texts)))
LINES = rule("lines", of_lines=True)
NUMBER = 7
PLAIN = (Rule(name="plain", drops="below", threshold=3, measure=lambda f: f.words),)
"""


def test_rule_groups_are_checked(install: Install) -> None:
    names = ("FINE", "OWN", "SHAPE", "LINES", "NUMBER", "PLAIN")
    install(RULES, {"rules": {name.lower(): name for name in names} | {"again": "FINE"}})
    assert built("heuristics", rules=["fine", "entropy"]).score_fields() == ("mine", "word_entropy")
    for name, said in (
        ("own", "has the name of one of corpusmill's own"),
        ("lines", "for the group c4 only"),
        ("number", "is no tuple of Rule"),
    ):
        with pytest.raises(UsageError, match=f"rule group '{name}' of acme-mill 1.0.*{said}"):
            built("heuristics", rules=[name])
    with pytest.raises(ValueError, match="two of the groups have a rule 'mine'"):
        built("heuristics", rules=["fine", "again"])


def test_a_rule_that_measures_other_than_each_document_fails_the_run(install: Install) -> None:
    install(RULES, {"rules": {"shape": "SHAPE", "plain": "PLAIN"}})
    stage = built("heuristics", rules=["shape"])
    batch = documents_from_rows(
        documents("a", "b").to_pylist(), document_schema(stage.score_fields())
    )
    with pytest.raises(BrokenContract, match=r"rule shape gave an array of shape \(3,\) for 2"):
        stage.open()(batch)
    plain = built("heuristics", rules=["plain"])
    batch = documents_from_rows(
        documents("one two", "one two three").to_pylist(), document_schema(plain.score_fields())
    )
    assert plain.open()(batch).verdicts.column("id").to_pylist() == [f"{0:032x}"]


RECOGNIZERS = """
from corpusmill.privacy.candidates import NUMBER, literals
from corpusmill.privacy.finding import Finding
from corpusmill.privacy.recognizer import Recognizer

def recognizer(found, **more):
    options = {"entities": ("STAFF",), "kinds": (NUMBER,), **more}
    return Recognizer(name="staff", find=lambda text, start, end: [found(start, end)], **options)

FINE = recognizer(lambda start, end: Finding(start, end, "STAFF"))
OUTSIDE = (recognizer(lambda start, end: Finding(start - 99, end, "STAFF")),)
OTHER = recognizer(lambda start, end: Finding(start, end, "EMAIL_ADDRESS"))
ENTITY = recognizer(lambda start, end: None, entities=("<script>",))
NOTHING = recognizer(lambda start, end: None, kinds=())
KIND = recognizer(lambda start, end: None, kinds=(9,))
NUMBER_ = 7
"""


def test_recognizers_are_checked(install: Install) -> None:
    names = ("FINE", "OUTSIDE", "OTHER", "ENTITY", "NOTHING", "KIND", "NUMBER_")
    install(RECOGNIZERS, {"recognizers": {name.lower(): name for name in names}})
    for name in ("entity", "nothing", "kind", "number_"):
        with pytest.raises(UsageError, match=f"recognizer '{name}' of acme-mill 1.0"):
            plugin_recognizers([name])
    text = "Ask for 4711 1234 at the desk"
    found = Scanner((), others=plugin_recognizers(["fine"])).find(text)
    assert [finding.entity for finding in found] == ["STAFF"]
    for name, said in (("outside", "outside of the text"), ("other", "none of its entities")):
        with pytest.raises(BrokenContract, match=said):
            Scanner((), others=plugin_recognizers([name])).find(text)


def test_methods_hold_for_what_a_plugin_finds_and_unknown_names_are_told(install: Install) -> None:
    install(RECOGNIZERS, {"recognizers": {"fine": "FINE"}})
    built("anonymize", recognizers=["fine"], methods={"STAFF": "drop"}).check()
    with pytest.raises(UsageError, match=r"'fined' is not one of .*fine \(of acme-mill 1.0\)"):
        built("anonymize", recognizers=["fined"]).check()


def test_extractors_are_checked(install: Install) -> None:
    code = "def fine(page): return 'text'\ndef none(page): return None\nclass Kind: pass\n"
    install(code, {"extractors": {"fine": "fine", "silent": "none", "kind": "Kind"}})
    page = parse_html(b"<p>Anything</p>", None)
    assert page is not None
    assert make_extractor("fine")(page) == "text"
    with pytest.raises(
        BrokenContract, match=r"extractor 'silent' of acme-mill 1.0 gave a NoneType"
    ):
        make_extractor("silent")(page)
    with pytest.raises(UsageError, match=r"extractor 'kind' of acme-mill 1.0.*is no function"):
        make_extractor("kind")


TRANSLATORS = """
class Engine:
    max_chars = 100
    wrong = ""

    def __init__(self, models): pass
    def directions(self): return [("en", "de"), ("de", "en")]
    def check(self): pass
    def open(self, direction): return None if self.wrong == "open" else self
    def translate(self, sentences, seeds):
        return sentences[1:] if self.wrong == "fewer" else sentences

class Fewer(Engine):
    wrong = "fewer"

class Opens(Engine):
    wrong = "open"

class Nowhere(Engine):
    def directions(self): return ["en-de"]

def nothing(models): return None
"""


def test_translators_are_checked(install: Install) -> None:
    names = {"fewer": "Fewer", "opens": "Opens", "nowhere": "Nowhere", "nothing": "nothing"}
    install(TRANSLATORS, {"translators": {"fine": "Engine", **names}})

    def engine(name: str) -> Any:
        plugin = plugins.find("translators", name)
        assert plugin is not None
        return plugin_engine(plugin, {})

    assert engine("fine").open(("en", "de")).translate(["a"], [1]) == ["a"]
    with pytest.raises(
        BrokenContract, match=r"'fewer' of acme-mill 1.0 gave not one text for each"
    ):
        engine("fewer").open(("en", "de")).translate(["a"], [1])
    with pytest.raises(UsageError, match="opens no Translator"):
        engine("opens").open(("en", "de"))
    with pytest.raises(UsageError, match="'en-de' is no pair of languages"):
        engine("nowhere").directions()
    with pytest.raises(UsageError, match="makes no Engine"):
        engine("nothing")
    with pytest.raises(ValueError, match="only the engine transformers has it"):
        built("augment", backtranslate={"engine": "fine", "beams": 2})


# ---- clusters ----


class _Elsewhere:
    """An engine of which one worker has other packages."""

    name = "ray"
    workers = 1

    def __init__(self, **environment: str) -> None:
        self.environment = environment

    def map(self, task: Any, items: Any, done: Any = None, *, name: str = "") -> list[Any]:
        environment = {**workers.environment(), **self.environment}
        lacking = {key: value for key, value in environment.items() if value}
        return [workers._Found(host="far", sees_folder=True, environment=lacking)]


def test_a_cluster_without_the_plugin_or_with_another_version_is_refused(
    install: Install, tmp_path: Path
) -> None:
    install(STAGE, ENTRIES)
    workers.environment.cache_clear()
    try:
        used = built("shout").used_plugins()
        workers.check_workers(_Elsewhere(), str(tmp_path), used)  # type: ignore[arg-type]
        for there, said in (
            ("", "lack acme-mill 1.0, which the recipe"),
            ("2.0", "acme-mill 2.0 "),
        ):
            engine: Any = _Elsewhere(**{"acme-mill": there})
            with pytest.raises(RunError, match=said):
                workers.check_workers(engine, str(tmp_path), used)
    finally:
        workers.environment.cache_clear()


def test_the_metadata_of_this_environment_can_be_read() -> None:
    code = "from corpusmill import plugins; print(len(plugins.offered()), *sorted(plugins.KINDS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split()[1:] == sorted(plugins.KINDS)
    assert version("corpusmill")
