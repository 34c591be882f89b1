"""What the shell offers at the tabulator: asked in the way in which shells ask."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from corpusmill.plugins import BUILT_IN

PROGRAM = Path(sys.executable).with_name("corpusmill")
HEAVY = ("numba", "numpy", "pyarrow", "torch", "transformers", "rich")


def asked(folder: Path, **environment: str) -> str:
    """What the program prints, started in `folder` with these variables."""
    done = subprocess.run(
        [PROGRAM],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def offered(folder: Path, line: str) -> list[str]:
    """What bash would offer for the last word of a line."""
    words = line.split(" ")
    answer = asked(
        folder,
        _CORPUSMILL_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
    )
    return answer.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with runs, a training and recipes."""
    for name, marker in (
        ("out/one", "run.json"),
        ("out/two", "run.json"),
        ("alone", "run.json"),
        ("out/model", "train.json"),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / marker).write_text(
            '{"stages": [{"judged_scores": {"gopher_short_doc": {}, "word_entropy": {}}}, {}]}'
        )
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "shelf.yaml").touch()
    (tmp_path / "web.yaml").touch()
    (tmp_path / "notes.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("corpusmill tra", ["train", "trace", "train-classifier"]),
        ("corpusmill run x --eng", ["--engine"]),
        ("corpusmill run x --engine ", ["local", "ray", "spark"]),
        ("corpusmill export x --to j", ["jsonl.zst"]),
        ("corpusmill run x.yaml --until ", ["ingest", *BUILT_IN["stages"]]),
        ("corpusmill report o", ["out/one", "out/two"]),
        ("corpusmill report ", ["alone", "out/one", "out/two"]),
        ("corpusmill trace ", ["out/model"]),
        ("corpusmill plan ", ["books/shelf.yaml", "web.yaml"]),
        ("corpusmill sweep out/one g", ["gopher_short_doc"]),
        ("corpusmill sweep books ", []),
        ("corpusmill inspect n", []),  # the shell offers files
    ],
)
def test_bash_is_offered(folder: Path, line: str, answer: list[str]) -> None:
    assert sorted(offered(folder, line)) == sorted(answer)


def test_fish_and_zsh_are_offered_the_same(folder: Path) -> None:
    line = {"_TYPER_COMPLETE_ARGS": "corpusmill export x --to j"}
    fish = asked(
        folder,
        _CORPUSMILL_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        **line,
    )
    assert fish.strip() == "jsonl.zst"
    assert '"jsonl.zst"' in asked(folder, _CORPUSMILL_COMPLETE="complete_zsh", **line)


def test_a_hostile_folder_is_no_pattern_and_a_broken_record_offers_nothing(folder: Path) -> None:
    for broken in ('{"stages": [7]', '{"stages": [7]}', "[]", '{"stages": [{"judged_scores": 7}]}'):
        (folder / "alone" / "run.json").write_text(broken)
        assert offered(folder, "corpusmill sweep alone ") == []
    assert offered(folder, "corpusmill report [ao") == []
    assert offered(folder, "corpusmill report **") == []


def test_completion_imports_no_heavy_library(folder: Path) -> None:
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print('loaded', *set({HEAVY!r}) & set(sys.modules)))\n"
        "from corpusmill.cli import main\n"
        "sys.argv[0] = 'corpusmill'\n"
        "main()"
    )
    environment = {
        **os.environ,
        "_CORPUSMILL_COMPLETE": "complete_bash",
        "COMP_WORDS": "corpusmill run x --until ",
        "COMP_CWORD": "4",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    *names, loaded = done.stdout.split("\n")[:-1]
    assert "deduplicate" in names
    assert loaded.strip() == "loaded"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_shown_and_installed(tmp_path: Path, shell: str) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    # Typer asks which shell has started it; in a test there is none.
    environment["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    for option, said in (
        ("--show-completion", "_CORPUSMILL_COMPLETE"),
        ("--install-completion", ""),
    ):
        done = subprocess.run(
            [PROGRAM, option, shell], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    scripts = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_CORPUSMILL_COMPLETE" in path.read_text() for path in scripts)


def test_bash_takes_the_script_and_completes_with_it(folder: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    script = (
        'source <(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 "$0" --show-completion bash)\n'
        "COMP_WORDS=(corpusmill why out/o) COMP_CWORD=2\n"
        '_corpusmill_completion "$0"\n'
        'echo "${COMPREPLY[@]}"\n'
        "complete -p corpusmill"
    )
    done = subprocess.run(
        [bash, "--norc", "-c", script, PROGRAM],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    offer, how = done.stdout.splitlines()
    assert offer == "out/one"
    assert how == "complete -o default -F _corpusmill_completion corpusmill"
