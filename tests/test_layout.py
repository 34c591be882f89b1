"""The layout that the rest relies on: links, namespace rooms, and imports that point one way."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("pipelines", "stages", "filters", "privacy", "tokenize", "pretrain", "report")
LINKED_ROOMS = ROOMS[:5]

# (importing room, imported room): each is forbidden by one of the contracts in pyproject.toml.
FORBIDDEN = (
    ("stages", "pipelines"),
    ("filters", "stages"),
    ("filters", "privacy"),
    ("privacy", "tokenize"),
    ("tokenize", "stages"),
    ("pipelines", "report"),
    ("pretrain", "filters"),
    ("pretrain", "pipelines"),
    ("report", "pipelines"),
    ("report", "stages"),
    ("report", "pretrain"),
)


def run_python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python from `root`, as a user at the top of a checkout would."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_has_an_init_file_directly_inside(repo_root: Path, room: str) -> None:
    # With one, the link `tokenize` would shadow the standard library's module.
    folder = repo_root / "src" / "corpusmill" / room
    assert folder.is_dir()
    assert not (folder / "__init__.py").exists()


@pytest.mark.parametrize("room", LINKED_ROOMS)
def test_the_top_level_links_lead_to_the_rooms(repo_root: Path, room: str) -> None:
    link = repo_root / room
    assert link.is_symlink()
    assert link.readlink() == Path("src") / "corpusmill" / room
    assert link.resolve(strict=True) == repo_root / "src" / "corpusmill" / room


def test_the_root_does_not_shadow_the_standard_library(repo_root: Path) -> None:
    code = "import tokenize; tokenize.generate_tokens; print(tokenize.__file__)"
    done = run_python(repo_root, "-c", code)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == Path(shutil.__file__).parent


def test_the_module_runs_from_the_root(repo_root: Path) -> None:
    done = run_python(repo_root, "-m", "corpusmill", "--help")
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout


def test_pytest_runs_from_the_root(repo_root: Path) -> None:
    done = run_python(repo_root, "-m", "pytest", "--collect-only", "tests/test_layout.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_line_imports_no_heavy_library(repo_root: Path) -> None:
    heavy = "numba presidio_analyzer pyarrow pyspark ray spacy torch trafilatura transformers"
    code = (
        "import sys, corpusmill.cli; "
        f"print(*sorted(set('{heavy}'.split()) & set(sys.modules)), sep=', ')"
    )
    done = run_python(repo_root, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.fixture
def copied_root(repo_root: Path, tmp_path: Path) -> Path:
    """The code and its import contracts, to be spoiled."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(repo_root / "src", tmp_path / "src", ignore=ignored)
    shutil.copy(repo_root / "pyproject.toml", tmp_path)
    return tmp_path


def check_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of `root` on the code in `root`, not on the installed package."""
    code = (
        f"import sys; sys.path.insert(0, {str(root / 'src')!r}); "
        "from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(no_cache=True))"
    )
    return run_python(root, "-c", code)


def test_imports_point_one_way(copied_root: Path) -> None:
    done = check_imports(copied_root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_forbidden_import_is_found(copied_root: Path) -> None:
    package = copied_root / "src" / "corpusmill"
    for room in ROOMS:
        targets = [target for source, target in FORBIDDEN if source == room]
        lines = [f"import corpusmill.{target}.planted" for target in targets]
        (package / room / "planted.py").write_text("\n".join(lines), encoding="utf-8")
    with (package / "document.py").open("a", encoding="utf-8") as core:
        core.write("\ndef planted() -> None:\n    import corpusmill.stages.planted\n")

    done = check_imports(copied_root)

    assert done.returncode == 1, done.stdout + done.stderr
    missed = [
        arrow
        for source, target in FORBIDDEN
        if (arrow := f"corpusmill.{source}.planted -> corpusmill.{target}.planted")
        not in done.stdout
    ]
    assert not missed, done.stdout
    assert "corpusmill.document -> corpusmill.stages.planted" in done.stdout


def test_a_module_of_the_core_that_no_layer_names_is_found(copied_root: Path) -> None:
    (copied_root / "src" / "corpusmill" / "unnamed.py").touch()
    done = check_imports(copied_root)
    assert done.returncode == 1
    assert "corpusmill.unnamed" in done.stdout
