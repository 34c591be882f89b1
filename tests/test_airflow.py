"""A real Airflow runs the DAGs of airflow_dags/: two days with an index, a killed task, the gate.

Airflow has an environment of its own (`make .venv-airflow/installed`), in which the commands here
run; what they did is read from Airflow's database.
"""

import importlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.s3_server import s3_server

from corpusmill.pipelines.plan import make_steps
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.stage import SinkStage

RECIPE = """
name: daily
sources:
  - {name: pages, kind: web, path: nowhere.jsonl}
stages:
  - deduplicate: {}
  - heuristics: {preset: c4}
  - anonymize: {method: mask}
"""
GATED = """
name: gated
sources:
  - {name: pages, kind: web, path: nowhere.jsonl}
stages:
  - anonymize: {method: mask, entities: [EMAIL_ADDRESS]}
"""
pytestmark = pytest.mark.timeout(900)
"""Each task is a process or two, on a busy machine one after the other."""

INPUT = "in $(touch owned) {{ 7*7 }}; %%"
"""A folder whose name a shell, a template or a pattern would make something else of."""

DAGS = """
from datetime import UTC, datetime, timedelta
from corpusmill_airflow import corpusmill_dag

common = dict(
    folder={folder!r},
    program={program!r},
    sources={{"pages": {source!r}}},
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    retry_delay=timedelta(0),
    settle=timedelta(0),
    run_options=["--workers", "1"],
    audit_options=["--identities", "10", "--min-recall", "0.9"],
)
daily = corpusmill_dag(
    "daily",
    recipe="daily.yaml",
    plan={folder!r} + "/daily.plan.json",
    out="runs/%Y-%m-%d",
    index="seen",
    report_url="https://runs.example/%Y-%m-%d/report.html",
    **common,
)
gated = corpusmill_dag(
    "gated",
    recipe="gated.yaml",
    plan={folder!r} + "/gated.plan.json",
    out="gated/%Y-%m-%d",
    retries=0,
    **common,
)
"""

PROGRAM = """#!{python}
# The mill, but the first attempt at duplicates is killed while it is at work, and the documents of
# a run are damaged before they are verified.
import json, os, signal, subprocess, sys, time
from pathlib import Path

MILL, FOLDER, arguments = {mill!r}, Path({folder!r}), sys.argv[1:]
with open(FOLDER / "calls.jsonl", "a") as calls:
    calls.write(json.dumps({{"arguments": arguments, "variables": sorted(os.environ)}}) + "\\n")
damaged = FOLDER / "gated/2026-01-02/documents/part-00000.parquet"
if arguments[0] == "verify" and damaged.exists():
    damaged.unlink()  # a name of the same file as in stages/
    damaged.write_bytes(b"something else")
killed = FOLDER / "killed"
if "01-deduplicate" in arguments and not killed.exists():
    run = Path(arguments[arguments.index("--out") + 1])
    killed.write_text(str((run / "stages/00-ingest/part-00000.parquet").stat().st_mtime_ns))
    child = subprocess.Popen([MILL, *arguments])
    while child.poll() is None and not (run / "stages/01-deduplicate").exists():
        time.sleep(0.01)
    child.kill()
    child.wait()
    os.kill(os.getpid(), signal.SIGKILL)
os.execv(MILL, [MILL, *arguments])
"""


@dataclass(frozen=True, kw_only=True)
class Airflow:
    """An Airflow with a database and a DAG folder of its own."""

    bin: Path
    folder: Path
    environment: Mapping[str, str]

    def call(self, *command: str | Path) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
        )
        (self.folder / "airflow.log").open("a").write(done.stdout)
        return done

    def ask(self, question: str, *values: str) -> list[tuple[Any, ...]]:
        """Rows of Airflow's database."""
        database = sqlite3.connect(self.folder / "home" / "airflow.db")
        try:
            return database.execute(question, values).fetchall()
        finally:
            database.close()

    def states(self, dag: str, day: str) -> dict[str, str]:
        """What became of the tasks of the run of a logical date."""
        rows = self.ask(
            "select task_id, t.state from task_instance t join dag_run r using (run_id, dag_id)"
            " where dag_id = ? and r.logical_date like ?",
            dag,
            f"{day}%",
        )
        return dict(rows)


@pytest.fixture(scope="module")
def airflow(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """Airflow with two DAGs: `daily` for a crawl a day, `gated` for one that must not come out."""
    stamp = repo_root / ".venv-airflow" / "installed"
    if not stamp.exists():
        pytest.skip("Airflow has an environment of its own: make .venv-airflow/installed")
    folder = tmp_path_factory.mktemp("corpus")
    dags = folder / "dags"
    dags.mkdir()
    for name in ("corpusmill_airflow.py", "corpusmill_tasks.py", ".airflowignore"):
        (dags / name).write_bytes((repo_root / "airflow_dags" / name).read_bytes())
    mill = str(Path(sys.executable).parent / "corpusmill")
    write_days(folder / INPUT.replace("%%", "%"))
    for name, recipe in (("daily", RECIPE), ("gated", GATED)):
        (folder / f"{name}.yaml").write_text(recipe)
        plan = subprocess.check_output(
            [mill, "plan", f"{name}.yaml", "--json", "--set", "sources.pages.path=all.jsonl"],
            cwd=folder,
        )
        (folder / f"{name}.plan.json").write_bytes(plan)
    program = folder / "mill"
    program.write_text(PROGRAM.format(python=sys.executable, mill=mill, folder=str(folder)))
    program.chmod(0o755)
    source = INPUT + "/%Y-%m-%d/*.jsonl"
    (dags / "two.py").write_text(
        DAGS.format(folder=str(folder), program=str(program), source=source)
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PYTHON"))}
    environment = {
        **clean,
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DO_NOT_TRACK": "1",
        "AIRFLOW_CONN_STORE": "http://user:password@localhost",
        "CORPUSMILL_KEY": "a key that stays in the environment",
    }
    made = Airflow(bin=stamp.parent / "bin", folder=folder, environment=environment)
    migrated = made.call("airflow", "db", "migrate")
    assert migrated.returncode == 0, migrated.stdout[-2000:]
    return made


def write_days(folder: Path) -> None:
    """Two days of pages: the second brings one of the first again."""
    sentences = [
        f"The keeper of house number {n} wrote down how high the water stood at the old pier."
        for n in range(1, 41)
    ]
    pages = [" ".join(sentences[n : n + 8]) for n in range(0, 40, 8)]
    days = {"2026-01-01": pages[:3], "2026-01-02": [*pages[3:], pages[0]]}
    for day, texts in days.items():
        (folder / day).mkdir(parents=True)
        rows = [json.dumps({"id": str(n), "text": text}) for n, text in enumerate(texts)]
        (folder / day / "pages.jsonl").write_text("\n".join(rows) + "\n")
    (folder.parent / "all.jsonl").write_text('{"text": "for the plan"}\n')


@pytest.fixture(scope="module")
def two_days(airflow: Airflow) -> Airflow:
    """The first two intervals have run: a run's logical date is the end of its interval."""
    for day in ("2026-01-02", "2026-01-03"):
        done = airflow.call("airflow", "dags", "test", "daily", day)
        assert done.returncode == 0, done.stdout[-4000:]
    return airflow


def texts(run: Path) -> list[str]:
    files = sorted((run / "documents").glob("*.parquet"))
    return [text for file in files for text in pq.read_table(file)["text"].to_pylist()]


def test_two_intervals_run_through_the_index(two_days: Airflow) -> None:
    tasks = {
        *("wait", "check", "00-ingest", "01-deduplicate", "02-heuristics_to_03-anonymize"),
        *("verify", "audit", "report", "publish"),
    }
    for day in ("2026-01-02", "2026-01-03"):
        assert two_days.states("daily", day) == dict.fromkeys(tasks, "success")
    first = texts(two_days.folder / "runs/2026-01-01")
    second = texts(two_days.folder / "runs/2026-01-02")
    assert len(first) == 3
    assert len(second) == 2
    assert not set(first) & set(second)


def test_a_killed_task_is_tried_again_and_goes_on(two_days: Airflow, tmp_path: Path) -> None:
    tries = dict(
        two_days.ask(
            "select task_id, max(try_number) from task_instance t"
            " join dag_run r using (run_id, dag_id)"
            " where dag_id = 'daily' and r.logical_date like '2026-01-02%' group by task_id"
        )
    )
    assert tries.pop("01-deduplicate") == 2
    assert set(tries.values()) == {1}
    run = two_days.folder / "runs/2026-01-01"
    ingested = (run / "stages/00-ingest/part-00000.parquet").stat().st_mtime_ns
    assert str(ingested) == (two_days.folder / "killed").read_text()
    undisturbed = tmp_path / "run"
    source = two_days.folder / INPUT.replace("%%", "%") / "2026-01-01/*.jsonl"
    subprocess.run(
        [
            *(Path(sys.executable).parent / "corpusmill", "run", "daily.yaml"),
            *(
                "--out",
                undisturbed,
                "--workers",
                "1",
                "--set",
                f"sources.pages.path={json.dumps(str(source))}",
            ),
        ],
        cwd=two_days.folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    part = "documents/part-00000.parquet"
    assert (run / part).read_bytes() == (undisturbed / part).read_bytes()


def test_publishing_says_where_the_corpus_and_its_report_are(two_days: Airflow) -> None:
    events = [json.loads(row[0]) for row in two_days.ask("select extra from asset_event")]
    assert events == [
        {
            "run": str(two_days.folder / f"runs/{day}"),
            "interval_start": f"{day}T00:00:00+00:00",
            "stage": "03-anonymize",
            "documents": documents,
            "report": f"https://runs.example/{day}/report.html",
        }
        for day, documents in (("2026-01-01", 3), ("2026-01-02", 2))
    ]
    links = two_days.ask("select distinct value from xcom where key = '_link_ReportLink'")
    assert sorted(json.loads(link) for (link,) in links) == [e["report"] for e in events]


def test_no_shell_no_template_and_no_secret_of_airflow_reaches_a_command(two_days: Airflow) -> None:
    calls = [json.loads(line) for line in (two_days.folder / "calls.jsonl").open()]
    source = f"{two_days.folder}/{INPUT.replace('%%', '%')}/2026-01-02/*.jsonl"
    setting = f"sources.pages.path={json.dumps(source)}"
    assert any(setting in call["arguments"] for call in calls)
    assert not (two_days.folder / "owned").exists()
    for call in calls:
        assert "CORPUSMILL_KEY" in call["variables"]
        assert not any(name.strip("_").startswith("AIRFLOW") for name in call["variables"])
    rendered = two_days.ask("select rendered_fields from rendered_task_instance_fields")
    assert all(json.loads(fields or "{}") == {} for (fields,) in rendered)


@pytest.mark.parametrize(
    ("test_date", "verify", "audit", "report"),
    [
        ("2026-01-02", "success", "failed", "success"),
        ("2026-01-03", "failed", "upstream_failed", "failed"),
    ],
    ids=["people are still found", "documents are damaged, and cannot be reported on"],
)
def test_a_failed_gate_stops_publication(
    airflow: Airflow, test_date: str, verify: str, audit: str, report: str
) -> None:
    done = airflow.call("airflow", "dags", "test", "gated", test_date)
    assert airflow.states("gated", test_date) == {
        **dict.fromkeys(["wait", "check", "00-ingest", "01-anonymize"], "success"),
        "verify": verify,
        "audit": audit,
        "publish": "upstream_failed",
        "report": report,
    }, done.stdout[-4000:]
    assert (
        airflow.ask(
            "select 1 from asset_event e join asset a on a.id = e.asset_id"
            " where a.name = 'gated_corpus'"
        )
        == []
    )


@pytest.fixture(scope="module")
def facts(airflow: Airflow, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What airflow_facts.py tells of the project's own DAGs and of single tasks."""
    packages = Path(importlib.import_module("s3fs").__file__ or "").parents[1]
    with s3_server():
        store = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
        done = subprocess.run(
            [
                *(airflow.bin / "python", repo_root / "tests/airflow_facts.py"),
                *(repo_root / "airflow_dags", tmp_path_factory.mktemp("facts"), packages),
            ],
            env={**airflow.environment, **store},
            text=True,
            capture_output=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def test_every_dag_parses_without_anything_heavy(facts: Any) -> None:
    assert facts["errors"] == {}
    assert set(facts["dags"]) == {"quickstart", "daily_crawl"}
    assert facts["heavy"] == []


def test_every_dag_has_a_task_for_each_group_and_a_gate_before_publication(
    facts: Any, repo_root: Path
) -> None:
    for name, dag in facts["dags"].items():
        tasks = dag["tasks"]
        plan = json.loads((repo_root / f"airflow_dags/{name}.plan.json").read_text())
        stages = [task for task in tasks.values() if task["kind"] == "RunStages"]
        assert len(stages) == sum(stage["writes"] for stage in plan["stages"]) > 1
        assert all(task["retries"] == 3 and task["links"] == ["Report"] for task in stages)
        publish = tasks["publish"]
        assert {"verify", "audit"} <= set(publish["all_upstream"])
        assert publish["trigger_rule"] == "all_success"
        assert [t for t in tasks if tasks[t]["outlets"]] == ["publish"]
        assert tasks["wait"]["mode"] == "reschedule"
        assert not any(task["templates"] for task in tasks.values())
        assert dag["max_active_runs"] == 1
    in_turn = {
        name: {task["depends_on_past"] for task in dag["tasks"].values()}
        for name, dag in facts["dags"].items()
    }
    assert in_turn == {"quickstart": {False}, "daily_crawl": {True}}


@pytest.mark.parametrize(
    ("recipe", "plan"),
    [
        ("src/corpusmill/pipelines/recipes/quickstart.yaml", "quickstart.plan.json"),
        ("airflow_dags/daily_crawl.yaml", "daily_crawl.plan.json"),
    ],
)
def test_the_plans_of_the_examples_are_those_of_their_recipes(
    repo_root: Path, recipe: str, plan: str
) -> None:
    loaded = load_recipe(str(repo_root / recipe))
    stored = json.loads((repo_root / "airflow_dags" / plan).read_text())
    assert stored["name"] == loaded.name
    assert [(stage["name"], stage["writes"]) for stage in stored["stages"]] == [
        (step.name, step.barrier or isinstance(step.stage, SinkStage))
        for step in make_steps(loaded)
    ]


def test_the_interval_is_in_the_zone_of_the_dag(facts: Any) -> None:
    assert facts["interval"] == "2026-03-02 00:30:00+01:00"
    assert facts["interval given"] == "2026-02-01 00:00:00+01:00"
    assert facts["interval unknown"].startswith("AirflowFailException: this run has no data")
    assert facts["interval nonsense"].startswith("AirflowFailException: interval_start: ")


def test_a_mistake_is_not_tried_again_and_a_failure_is(facts: Any) -> None:
    assert facts["exit 0"] == "None"
    assert facts["exit 1"] == "AirflowException: corpusmill run ended with exit code 1"
    assert facts["exit 2"] == "AirflowFailException: corpusmill run: what went wrong"
    assert facts["stale plan"].startswith("AirflowFailException: r.yaml has the stages 00-ingest,")


def test_the_sensor_waits_until_files_are_there_and_at_rest(facts: Any) -> None:
    assert facts["no file"] == facts["no file in folder"] == "False"
    assert facts["files"] == "True"
    assert facts["files that are new"] == "False"
    assert facts["files without marker"] == "False"
    assert facts["files with marker"] == "True"


def test_the_sensor_sees_objects_in_a_store(facts: Any) -> None:
    """Airflow's own environment has no driver for it: that of the mill's is lent."""
    assert facts["no object"] == "False"
    assert facts["objects"] == "True"
    assert facts["objects that are new"] == "False"


def test_an_interval_without_new_documents_is_not_published(facts: Any) -> None:
    assert facts["nothing to publish"].startswith("AirflowSkipException: no document")
