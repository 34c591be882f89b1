"""The template of a package that extends the mill: built, installed, run, changed, taken away."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

PACKAGE = "corpusmill-example"

CAR = "1M8GDM9AXKP042788"
"""The identification number that ISO 3779's check digit is explained with."""

PROSE = (
    "The harbour was empty, and the small boat that had come in at night lay beside the wall. "
    "Nobody on the pier had seen the second lamp, which the old keeper had lit before the storm. "
    "In the morning they walked along the sand and found the broken mast between two dark stones. "
)

PAGES = {
    "car.html": f"<nav>Menu of the site</nav><main><p>{PROSE}</p><p>Car {CAR}.</p></main>",
    "loud.html": f"<article><p>{PROSE.upper()}</p></article>",
    "form.html": f"<main><p>{PROSE} The cafe\u0301 was closed.</p></main>",
    "lost.html": f"<main><p>{PROSE} {'&#xfffd;' * 40}</p></main>",
}

RECIPE = """\
name: extended
sources:
  - {{name: crawl, kind: web, path: "{samples}/web"}}
  - {{name: pages, kind: web, path: pages, extractor: main_element}}
stages:
  - language: {{keep: [en]}}
  - unicode_form: {{max_replaced: 0.02}}
  - heuristics: {{rules: [entropy, shouting]}}
  - anonymize: {{recognizers: [vehicle_ids]}}
  - augment:
      share: 1
      for: [pages]
      backtranslate:
        engine: glossary
        models: {{en-de: en-de.tsv, de-en: de-en.tsv}}
        pivot: de
        gate: {{min_changed: 0.1, max_chrf: 99, language: false}}
"""

WORDS = {"en-de.tsv": "boat\tboot\nwall\tmauer\n", "de-en.tsv": "boot\tvessel\nmauer\trampart\n"}


class Done(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str


class Workshop:
    """A folder with the template, built and installed."""

    def __init__(self, folder: Path, repo_root: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        shutil.copytree(repo_root / "examples" / "plugin", self.source)
        (folder / "pages").mkdir()
        for name, body in PAGES.items():
            page = f"<html><head><title>Pier</title></head><body>{body}</body></html>"
            (folder / "pages" / name).write_text(page, encoding="utf-8")
        for name, words in WORDS.items():
            (folder / name).write_text(words, encoding="utf-8")
        text = RECIPE.format(samples=repo_root / "samples")
        (folder / "recipe.yaml").write_text(text, encoding="utf-8")

    def install(self, version: str) -> Path:
        """Build a wheel of that version without a network, and install it into a folder."""
        project = self.source / "pyproject.toml"
        text = re.sub(
            r'^version = ".*?"', f'version = "{version}"', project.read_text(), flags=re.M
        )
        project.write_text(text)
        wheels, site = self.folder / f"wheels-{version}", self.folder / f"site-{version}"
        offline = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
        pip = (sys.executable, "-m", "pip")
        for command in (
            (*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", wheels, self.source),
            (*pip, "install", *offline, "--find-links", wheels, "--target", site, PACKAGE),
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=200)
            assert done.returncode == 0, done.stdout + done.stderr
        assert list(wheels.glob(f"corpusmill_example-{version}-*.whl"))
        return site

    def mill(self, *arguments: str, site: Path | None) -> Done:
        """`corpusmill ARGUMENTS...` where the package is installed in `site`, or not at all."""
        environment = {**os.environ, "PYTHONPATH": str(site) if site else ""}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "corpusmill", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def ledger(self, stage: str) -> dict[str, str]:
        """Address -> reason, of a stage's verdicts."""
        rows = pq.read_table(self.folder / "run" / "ledger" / stage).to_pylist()
        return {row["uri"]: row["reason"] for row in rows}

    def documents(self) -> list[dict[str, Any]]:
        rows = pq.read_table(self.folder / "run" / "documents").to_pylist()
        return [row for row in rows if row["source"] == "pages"]


class Finished(NamedTuple):
    """The workshop after a run of all five."""

    shop: Workshop
    site: Path
    told: dict[str, Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Finished:
    shop = Workshop(tmp_path_factory.mktemp("workshop"), repo_root)
    site = shop.install("0.1.0")
    done = shop.mill("run", "recipe.yaml", "--out", "run", "--workers", "1", "--json", site=site)
    assert done.code == 0, done.err
    return Finished(shop, site, json.loads(done.out))


def test_all_five_do_their_part_in_one_run(finished: Finished) -> None:
    shop = finished.shop
    assert finished.told["quarantined"] == 0
    assert shop.ledger("02-unicode_form") == {
        "form.html": "unicode_form",
        "lost.html": "badly_decoded",
    }
    assert shop.ledger("03-heuristics")["loud.html"] == "shouting_capitals"
    assert shop.ledger("04-anonymize")["car.html"] == "anonymized"
    documents = shop.documents()
    originals = {row["uri"]: row for row in documents if row["augmented_from"] is None}
    assert set(originals) == {"car.html", "form.html"}
    text = originals["car.html"]["text"]
    assert "<VEHICLE_ID>" in text
    assert CAR not in text
    assert "Menu of the site" not in text
    assert originals["car.html"]["scores"]["shouting_capitals"] < 0.5
    assert "caf\u00e9" in originals["form.html"]["text"]
    derived = [row["text"] for row in documents if row["augmented_from"]]
    assert len(derived) == 2
    assert all("small vessel" in text and "the rampart" in text for text in derived)


def test_run_and_plan_say_which_package_was_used(finished: Finished) -> None:
    shop, site, _ = finished
    record = json.loads((shop.folder / "run" / "run.json").read_text())
    assert record["versions"][PACKAGE] == "0.1.0"
    plan = shop.mill("plan", "recipe.yaml", site=site)
    assert plan.code == 0
    for kind in (
        "00-ingest: extractor 'main_element'",
        "02-unicode_form: stage 'unicode_form'",
        "03-heuristics: rule group 'shouting'",
        "04-anonymize: recognizer 'vehicle_ids'",
        "05-augment: translator 'glossary'",
    ):
        assert f"{kind} of {PACKAGE} 0.1.0" in plan.out


def test_doctor_lists_what_the_package_offers(finished: Finished) -> None:
    data = json.loads(finished.shop.mill("doctor", "--json", site=finished.site).out)
    found = {f["name"]: f["state"] for f in data["findings"] if f["found"] == f"{PACKAGE} 0.1.0"}
    assert found == dict.fromkeys(
        (
            "extractor main_element",
            "recognizer vehicle_ids",
            "rule group shouting",
            "stage unicode_form",
            "translator glossary",
        ),
        "ok",
    )


def test_another_version_of_the_package_runs_its_stage_again(finished: Finished) -> None:
    shop, site, _ = finished
    (shop.folder / "short.yaml").write_text(
        "name: short\nsources: [{name: pages, kind: web, path: pages}]\nstages: [unicode_form]\n"
    )
    command = ("run", "short.yaml", "--out", "short", "--workers", "1", "--json")
    first = json.loads(shop.mill(*command, site=site).out)
    newer = shop.install("0.2.0")
    refused = shop.mill(*command, site=newer)
    assert refused.code == 2
    assert "stage 01-unicode_form: the content of its files, its key or its code" in refused.err
    assert "add --update" in refused.err
    updated = shop.mill(*command, "--update", site=newer)
    assert updated.code == 0, updated.err
    second = json.loads(updated.out)
    prints = [[stage["fingerprint"] for stage in told["stages"]] for told in (first, second)]
    same = [one == other for one, other in zip(*prints, strict=True)]
    assert same == [True, False]
    record = json.loads((shop.folder / "short" / "run.json").read_text())
    assert record["versions"][PACKAGE] == "0.2.0"


def test_without_the_package_each_name_is_told_with_its_line(finished: Finished) -> None:
    gone = finished.shop.mill("run", "recipe.yaml", "--out", "run", site=None)
    assert gone.code == 2
    for line, said in (
        (4, "sources[1].extractor: extractor 'main_element' is not one of blocks, none"),
        (7, "stages[1].unicode_form: stage 'unicode_form' is not one of anonymize"),
        (8, "stages[2].heuristics.rules[1]: rule group 'shouting' is not one of books"),
        (14, "stages[4].augment.backtranslate.engine: translator 'glossary' is not one of"),
    ):
        assert f"recipe.yaml:{line}: {said}" in gone.err, gone.err


def test_the_template_is_tidy_and_its_own_tests_pass(finished: Finished, repo_root: Path) -> None:
    template = repo_root / "examples" / "plugin"
    for command in (
        (sys.executable, "-m", "ruff", "check", "--no-cache", template),
        (sys.executable, "-m", "ruff", "format", "--check", "--no-cache", template),
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", template / "tests"),
    ):
        environment = {**os.environ, "PYTHONPATH": str(finished.site)}
        done = subprocess.run(
            command, cwd=template, env=environment, capture_output=True, text=True, timeout=250
        )
        assert done.returncode == 0, done.stdout + done.stderr
