"""Every command of the command line: what it prints, what it leaves, and its exit code."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import torch
import yaml
import zstandard

from corpusmill import __version__, cli, storage
from corpusmill.cli import base

STEPS = 4
TINY_MODEL = ("batch=2", "context=16", "model.width=32", "model.layers=1", "device=cpu")
PROSE = "The ferry left at noon, and nobody on the pier had seen the second bell. " * 5


class Answer(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def corpusmill(*arguments: str | Path) -> Answer:
    """Run `corpusmill ARGUMENTS...` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["corpusmill", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
    code = leaving.value.code or 0
    assert isinstance(code, int)
    return Answer(code, out.getvalue(), err.getvalue())


def told(*arguments: str | Path) -> Any:
    """What `--json` prints: one line of JSON, and nothing else on standard output."""
    answer = corpusmill(*arguments, "--json")
    assert answer.code == 0, answer.err
    assert answer.out.count("\n") == 1
    return json.loads(answer.out)


class Finished(NamedTuple):
    """A finished run, the command that made it, and what it printed. Not to be changed."""

    folder: Path
    command: tuple[str | Path, ...]
    told: dict[str, Any]

    @property
    def documents(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.folder / "documents").to_pylist()
        return rows


@pytest.fixture(scope="module")
def samples(repo_root: Path) -> Path:
    return repo_root / "samples"


@pytest.fixture(scope="module")
def finished(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The samples through the default recipe, with parts and a vocabulary of their size."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    command = (
        *("run", samples / "web", samples / "books", samples / "code", "--workers", "1"),
        *("--set", "part_mb=0.02", "--set", "tokenize.vocab_size=1024"),
        *("--set", "tokenize.split={train: 0.9, validation: 0.1}"),
    )
    return Finished(folder, command, told(*command, "--out", folder))


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """The finished run again, to be damaged."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def trained(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps on the finished run's shards. Not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "train"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a model this small is slower on more
    assert train(finished, out).code == 0
    torch.set_num_threads(threads)
    return out


def train(finished: Finished, out: Path, *settings: str) -> Answer:
    changes = [f"--set={setting}" for setting in (f"steps={STEPS}", *TINY_MODEL, *settings)]
    return corpusmill("train", "--shards", finished.folder / "shards", "--out", out, *changes)


def sources_of(run: Path) -> dict[str, str]:
    """Name and kind of every source."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    return {source["name"]: source["kind"] for source in recipe["sources"]}


# ---- run ----


def test_files_and_folders_run_through_the_default_recipe(finished: Finished) -> None:
    assert sources_of(finished.folder) == {"books": "book", "code": "code", "web": "web"}
    assert [stage["name"] for stage in finished.told["stages"]] == [
        "00-ingest",
        "01-language",
        "02-heuristics",
        "03-heuristics",
        "04-heuristics",
        "05-deduplicate",
        "06-anonymize",
        "07-tokenize",
    ]
    assert finished.told["quarantined"] == 0
    assert finished.told["documents"] == len(finished.documents) > 40
    assert {row["kind"] for row in finished.documents} == {"web", "book", "code"}
    places = finished.told["places"]
    assert set(places) == {"documents", "shards", "ledger", "report", "run", "recipe"}
    assert all(Path(place).exists() for place in places.values())


def test_a_finished_run_is_told_again_without_being_run(finished: Finished) -> None:
    answer = corpusmill(*finished.command, "--out", finished.folder)
    assert answer.code == 0
    assert "web: read as web" in answer.err
    assert "05-deduplicate" in answer.out
    assert f"{len(finished.documents)} documents left; 0 quarantined" in answer.out
    assert told(*finished.command, "--out", finished.folder) == finished.told


def test_inputs_of_one_name_are_numbered_and_their_order_has_no_influence(tmp_path: Path) -> None:
    inputs = [tmp_path / parent / "texts" for parent in "abc"]
    for number, folder in enumerate(inputs):
        folder.mkdir(parents=True)
        (folder / "same.txt").write_text(f"{number}. {PROSE}")
    ids = []
    for name, order in (("one", inputs), ("other", inputs[::-1])):
        run = tmp_path / name
        answer = corpusmill("run", *order, "--out", run, "--until", "ingest", "--workers", "1")
        assert answer.code == 0, answer.err
        assert set(sources_of(run)) == {"texts", "texts-2", "texts-3"}
        assert "heuristics for web: no such source, left out" in answer.err
        rows = pq.read_table(run / "documents").to_pylist()
        ids.append({row["text"]: row["id"] for row in rows})
    assert len(set(ids[0].values())) == 3
    assert ids[0] == ids[1]


def test_an_interrupted_run_ends_with_130_and_the_same_command_goes_on(
    finished: Finished, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [*map(str, finished.command), "--until", "ingest", "--out", str(run)]
    process = subprocess.Popen(
        [sys.executable, "-m", "corpusmill", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (run / "run.json").exists():
        assert process.poll() is None, "the run ended before it could be interrupted"
        assert time.monotonic() < deadline, "the run never came to the point"
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.endswith("corpusmill: interrupted: the same command goes on from here\n")
    assert "Traceback" not in out + err
    assert not (run / "documents").exists()

    assert corpusmill(*command).code == 0
    ingested = finished.folder / "stages" / "00-ingest"
    names = sorted(path.name for path in ingested.glob("part-*"))
    assert names == sorted(os.listdir(run / "documents"))
    for name in names:
        assert (run / "documents" / name).read_bytes() == (ingested / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--address", "127.0.0.1:6379"], "--address is for --engine ray, not local"),
        (["--master", "spark://127.0.0.1:7077"], "--master is for --engine spark, not local"),
        (["--engine", "rey"], "'rey' is not one of 'local', 'ray', 'spark'"),
        (["--until", "dedupe"], "(did you mean 'deduplicate'?)"),
        (["--limit", "3", "--sample", "0.1"], "--limit and --sample exclude each other"),
        (["--only", "ingest", "--until", "ingest"], "--until and --only exclude each other"),
        (["--set", "part_md=1"], "(did you mean 'part_mb'?)"),
        (["--workers", "0"], "'--workers'"),
        (["--worker", "1"], "No such option: --worker"),
        (["recipe.yaml"], "recipe.yaml is a recipe: give one recipe, or inputs without one"),
    ],
)
def test_a_wrong_option_of_run_is_exit_code_2(
    samples: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    answer = corpusmill("run", samples / "books", "--out", tmp_path / "run", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "run" / "documents").exists()


def test_a_run_that_cannot_go_on_is_exit_code_1(samples: Path, tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    with storage.folder_lock(str(busy)):
        answer = corpusmill("run", samples / "books", "--out", busy)
    assert answer.code == 1
    assert f"process {os.getpid()}" in answer.err


# ---- plan and init ----


def test_plan_shows_every_step_and_where_it_applies(repo_root: Path) -> None:
    recipe = repo_root / "src/corpusmill/pipelines/recipes/quickstart.yaml"
    plan = told("plan", recipe)
    names = [stage["name"] for stage in plan["stages"]]
    assert [names[0], names[-1]] == ["00-ingest", "10-tokenize"]
    assert {source["name"]: source["files"] for source in plan["sources"]} == {
        "crawl": 1,
        "shelf": 2,
        "repos": 19,
    }
    assert plan["stages"][2]["for"] == ["web"]
    answer = corpusmill("plan", recipe, "--set", "heuristics.preset=gopher")
    assert answer.code == 0
    assert all(name in answer.out for name in (*names, "crawl", "shelf", "repos"))


def test_plan_tells_every_mistake_with_its_line(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: n\nsources:\n  - {name: s, kind: web, path: .}\n"
        "stages:\n  - dedupe: {}\n  - heuristics: {preset: finweb}\n"
    )
    answer = corpusmill("plan", recipe)
    assert answer.code == 2
    assert f"{recipe}:5: stages[0]" in answer.err
    assert "(did you mean 'deduplicate'?)" in answer.err
    assert f"{recipe}:6: stages[1].heuristics.preset: 'finweb' is not one of" in answer.err


def test_init_writes_a_recipe_that_runs_and_overwrites_none(samples: Path, tmp_path: Path) -> None:
    recipe, run = tmp_path / "recipe.yaml", tmp_path / "run"
    answer = corpusmill("init", samples / "books", "--out", recipe)
    assert answer.code == 0
    assert f"corpusmill run {recipe}" in answer.out
    written = recipe.read_text()
    assert written.count("#") > 5
    assert "for: [web]" not in written, "there is no web"
    assert "for: [code]" not in written, "there is no code"
    stages = [stage["name"] for stage in told("plan", recipe)["stages"]]
    assert [stage.partition("-")[2] for stage in stages] == [
        *("ingest", "language", "heuristics", "deduplicate", "anonymize", "tokenize")
    ]
    ran = told("run", recipe, "--out", run, "--until", "ingest", "--workers", "1")
    assert ran["documents"] == pq.read_table(run / "documents").num_rows == 2

    again = corpusmill("init", samples / "code", "--out", recipe)
    assert again.code == 2
    assert "exists already" in again.err
    assert recipe.read_text() == written


# ---- looking at a run ----


def test_report_writes_the_page_and_prints_the_funnel(copied: Path, trained: Path) -> None:
    page = copied / "report.html"
    page.unlink()
    answer = corpusmill("report", copied)
    assert answer.code == 0
    assert "07-tokenize" in answer.out
    assert str(page) in answer.out
    assert "Loss by step" not in page.read_text()
    data = told("report", copied, "--train", trained)
    assert data["report"] == str(page)
    assert "Loss by step" in page.read_text()
    funnel = data["funnel"]
    for before, after in pairwise(funnel):
        assert before["out"] == after["in"]


def test_why_finds_a_document_by_id_and_by_uri(finished: Finished) -> None:
    row = next(row for row in finished.documents if row["uri"].startswith("http"))
    data = told("why", finished.folder, row["id"])
    assert [document["id"] for document in data["documents"]] == [row["id"]]
    assert data["documents"][0]["shard"]["tokens"] > 0
    assert told("why", finished.folder, row["uri"])["documents"] == data["documents"]
    answer = corpusmill("why", finished.folder, row["id"])
    assert answer.code == 0
    assert row["id"] in answer.out
    assert "06-anonymize" in answer.out


def test_why_tells_where_a_document_was_dropped(finished: Finished) -> None:
    ledger = pq.read_table(finished.folder / "ledger" / "05-deduplicate").to_pylist()
    dropped = next(row for row in ledger if row["action"] == "dropped")
    (document,) = told("why", finished.folder, dropped["id"])["documents"]
    last = document["stages"][-1]
    assert (last["stage"], last["reason"]) == ("05-deduplicate", dropped["reason"])
    assert document["shard"] is None
    assert dropped["reason"] in corpusmill("why", finished.folder, dropped["id"]).out


def test_why_suggests_the_nearest_uri_for_one_that_is_not_there(finished: Finished) -> None:
    uri = next(row["uri"] for row in finished.documents if row["uri"].startswith("http"))
    answer = corpusmill("why", finished.folder, f"{uri[:-1]}~")
    assert answer.code == 2
    assert answer.out == ""
    assert f"did you mean '{uri}'" in answer.err


def test_inspect_tells_a_run_shards_and_files_apart(finished: Finished) -> None:
    folder = finished.folder
    run = told("inspect", folder)
    assert (run["what"], run["published"]) == ("run", "06-anonymize")
    assert sum(group["documents"] for group in run["documents"]) == len(finished.documents)
    shards = told("inspect", folder / "shards")
    assert shards["what"] == "shards"
    assert set(shards["splits"]) == {"train", "validation"}
    parquet = told("inspect", folder / "documents" / "part-00000.parquet")
    arrow = told("inspect", folder / "shards" / "train-00000.arrow")
    assert (parquet["format"], arrow["format"]) == ("parquet", "arrow")
    assert "tokens" in [column["name"] for column in arrow["schema"]]
    for path, words in (
        (folder, ("one-shot", "07-tokenize", "validation")),
        (folder / "shards", ("train", "validation", "books")),
        (folder / "documents" / "part-00000.parquet", ("parquet", "language_score")),
    ):
        answer = corpusmill("inspect", path)
        assert answer.code == 0
        assert all(word in answer.out for word in words), answer.out
    refused = corpusmill("inspect", folder / "recipe.yaml")
    assert refused.code == 2
    assert "neither a Parquet nor an Arrow file" in refused.err


# ---- verify, export, clean ----


@pytest.mark.parametrize("area", ["", "shards"])
def test_verify_finds_nothing_wrong_with_a_finished_run(finished: Finished, area: str) -> None:
    answer = corpusmill("verify", finished.folder / area)
    assert answer.code == 0
    assert answer.out.endswith(" files checked, 0 findings\n")
    data = told("verify", finished.folder / area)
    assert data["findings"] == []
    assert data["checked"] >= len(list((finished.folder / "shards").iterdir()))


@pytest.mark.parametrize(
    "name",
    [
        "documents/part-00002.parquet",
        "stages/00-ingest/part-00001.parquet",
        "shards/train-00000.arrow",
        "shards/tokenizer.json",
    ],
)
def test_verify_names_the_file_with_a_flipped_bit(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    answer = corpusmill("verify", copied)
    assert answer.code == 1
    assert f"{copied / name}: its checksum is not" in answer.out
    assert answer.out.endswith(", 1 findings\n")
    failed = corpusmill("verify", copied, "--json")
    assert failed.code == 1
    assert str(copied / name) in json.loads(failed.out)["findings"][0]


def test_verify_refuses_what_is_no_run(tmp_path: Path) -> None:
    answer = corpusmill("verify", tmp_path)
    assert answer.code == 2
    assert "is neither a run folder nor a folder of shards" in answer.err


def exported(run: Path, to: str, out: Path) -> list[Path]:
    answer = corpusmill("export", run, "--to", to, "--out", out)
    assert answer.code == 0, answer.err
    count = pq.read_table(run / "documents").num_rows
    assert answer.out.startswith(f"{count} documents in ")
    files = (path for path in out.rglob("*") if path.is_file())
    return sorted(path for path in files if not path.name.startswith("."))


def test_json_lines_hold_every_document(finished: Finished, tmp_path: Path) -> None:
    rows = []
    for file in exported(finished.folder, "jsonl.zst", tmp_path / "out"):
        with zstandard.open(file, "rt", encoding="utf-8") as lines:
            rows += [json.loads(line) for line in lines]
    assert len(rows) == len(finished.documents)
    for row, document in zip(rows, finished.documents, strict=True):
        for column in ("id", "text", "uri", "source", "kind"):
            assert row[column] == document[column]
        assert row["metadata"] == dict(document["metadata"])
        assert row.get("language") == document["language"]
        assert None not in row["scores"].values()


@pytest.mark.parametrize(("to", "pattern"), [("parquet", "*.parquet"), ("hf", "data/train-*")])
def test_parquet_files_hold_every_document(
    finished: Finished, tmp_path: Path, to: str, pattern: str
) -> None:
    out = tmp_path / "out"
    files = exported(finished.folder, to, out)
    tables = sorted(out.glob(pattern))
    rows = [row for file in tables for row in pq.read_table(file).to_pylist()]
    for row, document in zip(rows, finished.documents, strict=True):
        assert json.loads(row.pop("metadata")) == dict(document.pop("metadata"))
        assert row == document
    if to == "hf":
        card = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
        (split,) = card["configs"][0]["data_files"]
        assert sorted(out.glob(split["path"])) == tables
        assert set(files) == {*tables, out / "README.md"}
    else:
        assert files == tables


def test_clean_leaves_a_run_without_raw_text(copied: Path, finished: Finished) -> None:
    ledger = pq.read_table(copied / "ledger" / "05-deduplicate").to_pylist()
    answer = corpusmill("clean", copied)
    assert answer.code == 0
    assert answer.out.endswith(" MB freed\n")
    assert not (copied / "stages").exists()
    assert corpusmill("verify", copied).code == 0
    assert pq.read_table(copied / "documents").num_rows == len(finished.documents)
    assert corpusmill("why", copied, ledger[0]["id"]).code == 0


# ---- train and trace ----


def test_a_finished_training_is_told_and_others_are_refused(
    finished: Finished, trained: Path
) -> None:
    again = train(finished, trained)
    assert again.code == 0
    assert f"all {STEPS} steps were taken already" in again.out
    other = train(finished, trained, "learning_rate=1")
    assert other.code == 2
    assert "learning_rate: 0.003 before, 1" in other.err
    wrong = train(finished, trained, "learning_rat=1")
    assert wrong.code == 2
    assert "(did you mean 'learning_rate'?)" in wrong.err


def test_trace_names_documents_of_the_run(finished: Finished, trained: Path) -> None:
    rows = told("trace", trained, "--step", str(STEPS))
    assert {row["sequence"] for row in rows} == {0, 1}
    assert {row["id"] for row in rows} <= {row["id"] for row in finished.documents}
    assert {row["source"] for row in rows} <= {"books", "code", "web"}
    answer = corpusmill("trace", trained, "--step", str(STEPS))
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert all(f"id={row['id']}" in line for row, line in zip(rows, lines, strict=True))
    beyond = corpusmill("trace", trained, "--step", str(STEPS + 1))
    assert beyond.code == 2
    assert f"step {STEPS + 1} is not one of 1 to {STEPS}" in beyond.err


def test_a_trained_model_can_be_compared_read_and_taken_elsewhere(
    trained: Path, tmp_path: Path
) -> None:
    rows = told("runs", trained, "--picture", tmp_path / "losses.svg")
    assert str(STEPS) in json.dumps(rows)
    assert (tmp_path / "losses.svg").read_text().startswith("<svg")
    texts = told("generate", trained, "--prompt", "The ", "--tokens", "5", "--samples", "2")
    assert len(texts) == 2
    assert corpusmill("generate", trained, "--tokens", "3").code == 0
    out = tmp_path / "model"
    answer = corpusmill("export", trained, "--to", "transformers", "--out", out)
    assert (answer.code, answer.out) == (0, f"weights of step {STEPS}: {out}\n")
    assert (out / "model.safetensors").exists()
    wrong = corpusmill("export", tmp_path, "--to", "transformers")
    assert wrong.code == 2
    assert "is no training folder" in wrong.err


# ---- the command itself ----


def commands() -> Iterator[tuple[str, str]]:
    """Every command with the sentence that tells what it does."""
    for command in base.app.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__ is not None
        yield command.name or command.callback.__name__, command.callback.__doc__


def test_every_command_of_the_design_is_there() -> None:
    answer = corpusmill("--help")
    assert answer.code == 0
    names = {name for name, _ in commands()}
    assert names == {
        *("run", "plan", "init", "report", "why", "inspect", "verify", "export", "clean"),
        *("sweep", "audit", "forget", "index", "train", "runs", "generate", "trace"),
        *("filter-round", "train-classifier", "diff", "doctor", "explore"),
    }
    assert all(f"\n  {name} " in answer.out for name in names)


@pytest.mark.parametrize(("name", "sentence"), list(commands()))
def test_help_tells_what_a_command_does(name: str, sentence: str) -> None:
    answer = corpusmill(name, "--help")
    assert answer.code == 0
    assert f"corpusmill {name} " in answer.out.splitlines()[0]
    assert " ".join(sentence.split()) in " ".join(answer.out.split())
    if name != "doctor":  # looks at the machine, and needs nothing for it
        missing = corpusmill(name)
        assert missing.code == 2
        assert "Missing " in missing.err


def test_the_version_is_printed() -> None:
    assert corpusmill("--version") == Answer(0, f"corpusmill {__version__}\n", "")


def test_no_command_and_an_unknown_one_are_exit_code_2() -> None:
    assert corpusmill().code == 2
    unknown = corpusmill("runn")
    assert unknown.code == 2
    assert "No such command 'runn'" in unknown.err
