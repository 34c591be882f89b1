"""Every command's help ends with examples, and they are commands that can be typed."""

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer.main
from tests.test_cli import corpusmill

from corpusmill.cli.base import app

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]

RUN_HERE = frozenset(
    "plan init report diff doctor sweep why inspect verify forget export runs trace clean".split()
)
"""Commands whose examples are run: those that take about a second."""

SOME_DOCUMENT = "0b7c4de1f2a35968d0b7c4de1f2a3596"
SOME_PAGE = "https://example.org/page"


def examples() -> Iterator[tuple[str, str]]:
    for name, command in COMMANDS.items():
        _, _, listed = (command.epilog or "").partition("Examples:\n")
        for line in listed.splitlines():
            yield name, line.strip()


def words_of(line: str) -> list[str]:
    """The arguments, without what a shell would take for itself."""
    words = shlex.split(line)
    assert words[0] == "corpusmill"
    return words[1 : words.index(">") if ">" in words else None]


def test_every_command_has_two_or_three_examples() -> None:
    counts = dict.fromkeys(COMMANDS, 0)
    for name, _ in examples():
        counts[name] += 1
    assert {name: count for name, count in counts.items() if not 2 <= count <= 3} == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples_as_they_are_typed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = corpusmill(name, "--help").out.splitlines()
    for command, line in examples():
        assert command != name or f"    {line}" in shown


@pytest.mark.parametrize(("name", "line"), list(examples()))
def test_an_example_has_arguments_that_the_command_takes(name: str, line: str) -> None:
    first, *arguments = words_of(line)
    assert first == name
    COMMANDS[name].make_context(name, list(arguments))


@pytest.fixture(scope="module")
def folder(
    quickstart: Path,
    quickstart_train: Path,
    repo_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder in which what the examples name is there."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("run", "first"):
        shutil.copytree(quickstart, folder / "out" / name)
    shutil.copytree(quickstart_train, folder / "out" / "model")
    (folder / "samples").symlink_to(repo_root / "samples")
    shutil.copy(repo_root / "src/corpusmill/pipelines/recipes/quickstart.yaml", folder)
    (folder / "quickstart.yaml").rename(folder / "recipe.yaml")
    shutil.copy(folder / "samples" / "web" / "crawl.warc.gz", folder)
    (folder / "books").symlink_to(repo_root / "samples" / "books")
    (folder / "repos").symlink_to(repo_root / "samples" / "code")
    return folder


def test_the_examples_do_what_they_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    document = pq.read_table("out/run/documents", columns=["id", "uri"]).to_pylist()[0]
    there = {SOME_DOCUMENT: document["id"], SOME_PAGE: document["uri"]}
    there["example.org"] = document["uri"].split("/")[2]
    ran = set()
    # what changes a run comes last
    for name, line in sorted(examples(), key=lambda example: example[0] in ("forget", "clean")):
        if name not in RUN_HERE:
            continue
        if name == "init":
            Path("recipe.yaml").rename("mine.yaml")
        answer = corpusmill(*(there.get(word, word) for word in words_of(line)))
        assert answer.code == 0, f"{line}: {answer.err}"
        assert "Traceback" not in answer.err
        if name == "init":
            Path("mine.yaml").rename("recipe.yaml")
        ran.add(name)
    assert ran == RUN_HERE


def test_explore_prints_the_address_and_opens_the_browser_if_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[tuple[str, int]] = []
    opened: list[str] = []

    def serve(run: str, *, port: int, ready: Callable[[str], None]) -> None:
        served.append((run, port))
        ready("http://127.0.0.1:8123/?token=abc")
        raise KeyboardInterrupt

    monkeypatch.setattr("corpusmill.report.explorer.server.explore", serve)
    monkeypatch.setattr("webbrowser.open", opened.append)
    answer = corpusmill("explore", "out/run", "--port", "8123")
    assert (answer.code, answer.err) == (0, "ended\n")
    assert answer.out.startswith("http://127.0.0.1:8123/?token=abc\n")
    assert opened == []
    assert corpusmill("explore", "out/run", "--open").code == 0
    assert opened == ["http://127.0.0.1:8123/?token=abc"]
    assert served == [("out/run", 8123), ("out/run", 0)]


def test_explore_refuses_what_is_no_run_and_no_port(tmp_path: Path) -> None:
    assert corpusmill("explore", tmp_path).code == 2
    assert corpusmill("explore", tmp_path, "--port", "70000").code == 2
