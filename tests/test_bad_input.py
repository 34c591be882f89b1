"""Whatever is put in, each bad thing gets a message or a quarantine entry, and the rest arrives."""

import os
import random
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpusmill.pipelines.ledger import load_run, reconcile

PROSE = "The ferry left at noon, and nobody on the pier had seen the second bell. " * 20
PAGE = f"<html><head><title>T</title></head><body><article><p>{PROSE}</p></article></body></html>"

CRASHER = """
import os, signal
from corpusmill.stages.sources import html

read_html = html.read_html

def crash(payload, *arguments, **settings):
    if b"CRASH" in payload:
        os.kill(os.getpid(), signal.SIGSEGV)
    return read_html(payload, *arguments, **settings)

html.read_html = crash
"""


def corpusmill(
    *arguments: str | Path, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, **({"PYTHONPATH": str(path)} if path else {}))
    command = [sys.executable, "-m", "corpusmill", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "Traceback" not in result.stderr + result.stdout, result.stderr
    return result


def quarantined(run: Path) -> Counter[str]:
    ledger = pq.read_table(run / "ledger" / "00-ingest")
    return Counter(row["reason"] for row in ledger.to_pylist() if row["action"] == "quarantined")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bad files among ten good pages and one good book."""
    folder = tmp_path_factory.mktemp("bad") / "mixed"
    folder.mkdir()
    for number in range(10):
        (folder / f"good-{number}.html").write_text(PAGE.replace("noon", f"{number} o'clock"))
    (folder / "good.txt").write_text(PROSE)
    (folder / "crash.html").write_text(PAGE.replace("noon", "CRASH"))
    (folder / "deep.html").write_text("<div>" * 100_000 + "x")
    (folder / "empty.warc.gz").touch()
    (folder / "noise.bin").write_bytes(random.Random(1).randbytes(50_000))
    (folder / "broken-link.html").symlink_to(folder / "nowhere.html")
    (folder / "no-zip.epub").write_text("this is no archive")
    (folder / "invalid.jsonl").write_bytes(
        b'{"text": "a good line"}\n{"text": "bad \xff\xfe"}\n{"text": \n{"text": "another"}\n'
    )
    (folder / "long-line.txt").write_bytes(b"x" * 200_000_000)
    with zipfile.ZipFile(folder / "bomb.epub", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        container = '<container><rootfiles><rootfile full-path="a.opf"/></rootfiles></container>'
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("a.opf", b" " * 300_000_000)
    return folder


def test_bad_files_are_quarantined_by_reason_and_good_ones_all_arrive(
    bad: Path, tmp_path: Path
) -> None:
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(CRASHER)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: bad\nsources: [{{name: mixed, kind: web, path: {bad}}}]\nstages: []\n"
    )
    run = tmp_path / "run"
    result = corpusmill("run", recipe, "--out", run, "--workers", "2", path=patch)
    assert result.returncode == 0, result.stderr
    record = load_run(str(run))
    assert reconcile(str(run), record) == []
    uris = pq.read_table(run / "documents")["uri"].to_pylist()
    assert sorted(u for u in uris if u.startswith("good")) == [
        *(f"good-{n}.html" for n in range(10)),
        "good.txt",
    ]
    assert sum(uri.startswith("invalid.jsonl") for uri in uris) == 2
    assert len(uris) == 13
    reasons = quarantined(run)
    assert reasons["killed_by_sigsegv"] == 1
    assert reasons["too_deep"] + reasons["too_many_nodes"] == 1
    assert reasons["unreadable_file"] == 1
    assert reasons["not_a_zip"] == 1
    assert reasons["invalid_utf8"] == 1
    assert reasons["too_large"] == 1
    assert sum(reasons.values()) == 8, reasons
    skipped = record.stages[0].counts.skipped
    assert skipped["empty_file"] == 1
    assert skipped["unknown_format"] == 1
    # what killed the child is known, and a second run meets it no more
    again = corpusmill("run", recipe, "--out", run, "--workers", "2")
    assert again.returncode == 0


@pytest.mark.parametrize("what", ["empty folder", "missing", "random bytes", "empty archive"])
def test_nothing_to_read_is_exit_code_2_with_a_reason(tmp_path: Path, what: str) -> None:
    data = tmp_path / "data"
    expected = {
        "empty folder": "no file at",
        "missing": "there is no such file or folder",
        "random bytes": "unknown_format",
        "empty archive": "empty_file",
    }[what]
    if what != "missing":
        data.mkdir()
    if what == "random bytes":
        for number in range(5):
            (data / f"{number}.dat").write_bytes(random.Random(number).randbytes(5000))
    if what == "empty archive":
        (data / "a.warc").touch()
    result = corpusmill("run", data, "--out", tmp_path / "run")
    assert result.returncode == 2
    assert expected in result.stderr
    assert str(data) in result.stderr or "data" in result.stderr


def test_damaged_web_archives_lose_no_good_record(shared_data: Path, tmp_path: Path) -> None:
    edge = shared_data / "web" / "warc-edge"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: e\nsources: [{{name: e, kind: web, path: {edge}}}]\nstages: []\n")
    run = tmp_path / "run"
    result = corpusmill("run", recipe, "--out", run, "--workers", "2")
    assert result.returncode == 0, result.stderr
    record = load_run(str(run))
    assert reconcile(str(run), record) == []
    uris = pq.read_table(run / "documents")["uri"].to_pylist()
    # the pages that warcio and fastwarc agree on in these files
    assert "http://example.com/" in {uri.replace("https", "http") for uri in uris}
    assert record.stages[0].counts.found >= 5


def test_an_output_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "data.txt").write_text(PROSE)
    result = corpusmill("run", tmp_path / "data.txt", "--out", tmp_path / "file")
    assert result.returncode == 2
    assert "cannot be an output folder" in result.stderr
