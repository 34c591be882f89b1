"""Every command, recipe and piece of Python in README, CONTRIBUTING and docs/ does what it says.

Each page gets a copy of a small world in which the names that pages use are there: `crawl.warc.gz`,
`books/`, `my-repo/`, `recipe.yaml` (the quickstart's), `RUN` and `out/quickstart` (finished runs of
it) and `TRAIN` (a training on its shards). A page's blocks run in their order. A recipe with a name
is written to NAME.yaml where it stands. Trainings get a model that is small enough to test with.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs_blocks import LANGUAGES, Block, Command, commands, read_blocks
from tests.docs_world import fill_world
from typer.main import get_command
from typer.testing import CliRunner

from corpusmill.cli.base import app
from corpusmill.pipelines.plan import describe
from corpusmill.pipelines.recipe import load_recipe

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
SMALL = ("layers=1", "width=32", "heads=2", "kv_heads=1", "feed_forward=32")
"""Of the models that commands train here; what a page sets comes after and wins."""
SERVES = frozenset({"explore"})
"""Commands that end when somebody stops them: they are parsed; tests/test_explorer.py runs them."""
HARMLESS = frozenset({"cat", "cp", "echo", "git", "ls", "mkdir", "printf"})
"""Other programs that pages may call."""
SOURCES = [
    {"name": "crawl", "kind": "web", "path": "crawl.warc.gz"},
    {"name": "shelf", "kind": "book", "path": "books"},
    {"name": "repos", "kind": "code", "path": "my-repo"},
]
"""Of recipes that are only a part of one."""

Fail = Callable[[str], Any]


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page."""
    return read_blocks(ROOT, page)


def runnable(page: str) -> bool:
    """Whether a page has anything to run."""
    return any(b.language in ("sh", "python", "yaml") and not b.not_run for b in blocks_of(page))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, quickstart: Path, one_thread: None) -> Path:
    """What every page's world is a copy of."""
    folder = tmp_path_factory.mktemp("docs") / "world"
    fill_world(folder, ROOT, quickstart)
    train = ["train", "--shards", "RUN/shards", "--out", "TRAIN", "--set", "steps=200"]
    with contextlib.chdir(folder):
        result = CliRunner().invoke(app, with_a_small_model(train))
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A world for one page, and the current folder; variables that it sets are forgotten."""
    place = tmp_path / "world"
    shutil.copytree(world, place, symlinks=True)
    monkeypatch.chdir(place)
    for name, value in dict(os.environ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CORPUSMILL_KEY", "a key that is only for these tests")
    return place


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)])
def test_what_a_page_shows_runs(page: str, here: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.not_run:
            continue
        if block.language == "yaml":
            plan_recipe(block)
        elif block.language == "python":
            with contextlib.redirect_stdout(None):
                exec(compile(block.text, str(block), "exec"), names)  # noqa: S102 - our own pages
        elif block.language == "sh":
            for command in commands(block.text):
                run_command(block, command)


def plan_recipe(block: Block) -> None:
    """Check and plan a recipe, or a part of one with what it lacks; whole ones become files."""
    raw = yaml.safe_load(block.text)
    if isinstance(raw, list):
        raw = {"stages": raw}
    if not {"name", "sources", "stages", "engine"} & set(raw):
        return  # settings of a stage, words: the page says of what
    if {"name", "sources"} <= set(raw):
        Path(f"{raw['name']}.yaml").write_text(block.text, encoding="utf-8")
    recipe = {"name": "page", "sources": SOURCES, "stages": [], **raw}
    path = Path("of-the-page.yaml")
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    try:
        loaded = load_recipe(str(path), [])
        if not any(str(source.path).startswith("s3://") for source in loaded.sources):
            for stage in loaded.stages:
                stage.check()
            describe(loaded)
    except Exception as error:
        raise AssertionError(f"{block}: {error}") from error


def run_command(block: Block, command: Command) -> None:
    """Run a command as a page shows it, in this process where it is ours."""
    os.environ.update(command.variables)
    if not command.words:
        return
    program, *arguments = command.words
    if program == "corpusmill" and arguments[0] in SERVES:
        parse_command(arguments, block)
    elif program == "corpusmill":
        result = CliRunner().invoke(app, with_a_small_model(arguments))
        said = f"{block}: {' '.join(command.words)}\n{result.output}\n{result.exception!r}"
        assert result.exit_code == 0, said
        if command.output:
            Path(command.output).write_text(result.stdout, encoding="utf-8")
    elif program in HARMLESS:
        done = subprocess.run(command.words, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}: {done.stderr}"
    else:
        check_program(block, command)


def with_a_small_model(arguments: list[str]) -> list[str]:
    """The arguments of `train` with settings in front that make it a matter of seconds."""
    if arguments[0] != "train":
        return arguments
    settings = ["steps=20", "batch=2", "context=64", *(f"model.{value}" for value in SMALL)]
    return ["train", *(word for value in settings for word in ("--set", value)), *arguments[1:]]


def check_program(block: Block, command: Command) -> None:
    """Other programs than ours are there: targets of make, our scripts with these options."""
    program, *arguments = command.words
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in arguments if "=" not in word} <= targets, f"{block}: {arguments}"
    elif program in ("python", ".venv/bin/python") and arguments[0].endswith(".py"):
        script = (ROOT / arguments[0]).read_text(encoding="utf-8")
        for option in (word for word in arguments if word.startswith("--")):
            assert f'"{option}"' in script, f"{block}: {arguments[0]} has no option {option}"
    elif program.endswith("pip") or command.words[:2] == ("python", "-m"):
        for extra in re.findall(r"\[([\w,-]+)\]", " ".join(arguments)):
            for name in extra.split(","):
                assert re.search(rf"^{name} = \[", (ROOT / "pyproject.toml").read_text(), re.M)
    else:
        known = program == "source" or block.not_run
        assert known, f"{block}: {program}: say in front of the block why it is not run"


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page: str) -> None:
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{block}: ```{block.language}"
        assert not re.search(r"^\$ ", block.text, re.MULTILINE), f"{block}: a prompt"
        if block.language != "sh":
            lines = block.text.splitlines()
            assert not any(line.startswith("corpusmill ") for line in lines), f"{block}: is `sh`"


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_fences(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.search(r"^ {4,}(corpusmill|python|make|pip|\.venv/bin/\w+) .*$", text, re.MULTILINE)
    assert found is None, f"{page}: {found and found[0]}"


def test_what_is_not_run_is_said_and_parsed(record_property: Callable[[str, Any], None]) -> None:
    skipped = [b for page in PAGES for b in blocks_of(page) if b.not_run]
    for block in skipped:
        if block.language == "python":
            compile(block.text, str(block), "exec")
        if block.language == "yaml":
            list(yaml.safe_load_all(block.text))
        for words in our_commands(block):
            parse_command(words, block)
    record_property("not_run", [f"{block}: {block.not_run}" for block in skipped])
    sys.stdout.writelines(f"{block}: {block.not_run}\n" for block in skipped)
    ran = [b for page in PAGES for b in blocks_of(page) if b.language == "sh" and not b.not_run]
    assert len(ran) > len([b for b in skipped if b.language == "sh"])


def our_commands(block: Block) -> Iterator[list[str]]:
    """Every `corpusmill ...` in a shell block, also behind another program (torchrun, srun)."""
    if block.language != "sh":
        return
    text = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "VALUE", block.text.replace("\\\n", " "))
    for line in text.splitlines():
        if found := re.search(r"(?:^|\s|-- )corpusmill (?=[a-z])(.*)$", line.split(" #")[0]):
            yield read_words(found[1])


def read_words(text: str) -> list[str]:
    """The words of a command, where variables of the shell are what they are."""
    [command] = commands(f"corpusmill {text}")
    return list(command.words[1:])


def parse_command(words: list[str], place: object) -> None:
    """Let the command line read it, without doing it."""
    command: Any = get_command(app)
    known = command.commands
    assert words[0] in known, f"{place}: there is no corpusmill {words[0]}"
    try:
        known[words[0]].make_context(words[0], words[1:]).close()
    except Exception as error:
        message = getattr(error, "message", "") or repr(error)
        raise AssertionError(f"{place}: corpusmill {' '.join(words)}: {message}") from error


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_have_the_options_that_they_name(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
    known: Any = get_command(app)
    for span in re.findall(r"`corpusmill ([^`]+)`", " ".join(text.split())):
        name, *words = span.split()
        if name.startswith("-"):
            continue
        assert name in known.commands, f"{page}: `corpusmill {span}`"
        options = {o for p in known.commands[name].params for o in p.opts} | {"--help"}
        for word in words:
            if word.strip("[]").startswith("--"):
                assert word.strip("[],.").partition("=")[0] in options, f"{page}: {span}"
