"""Runs that add documents: what is counted, what follows its original, what a kill changes."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from tests.crashing_stages import CrashingHere
from tests.engines.same_bytes import checksums
from tests.verbs_fixture import ids, write_parts

from corpusmill import storage
from corpusmill.document import document_schema, documents_from_rows
from corpusmill.pipelines.forget import forget
from corpusmill.pipelines.judge import Judged, drop_orphans
from corpusmill.pipelines.ledger import (
    ORIGINAL_DROPPED,
    Counts,
    RunRecord,
    load_run,
    part_path,
    reconcile,
)
from corpusmill.pipelines.part import ChainStep, PartTask, run_part
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run
from corpusmill.report.fate import why_data

WORDS = ["harbour", "ferry", "island", "winter", "letter", "garden", "window", "morning", "river"]
WORDS += ["teacher", "market", "bridge", "kitchen", "mountain", "village", "weather", "station"]


def page(number: int, words: int = 60) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=words))


def write_recipe(folder: Path) -> str:
    """Sixty pages in six parts: ten are copies of others, three are short."""
    folder.mkdir(exist_ok=True)
    texts = [page(n) for n in range(47)] + [page(n) for n in range(10)] + ["12 34", "5", "67"]
    rows = [
        {"url": f"https://pages.net/{n}", "text": text, "topic": "rare" if n % 9 == 0 else "other"}
        for n, text in enumerate(texts)
    ]
    (folder / "pages.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    raw = {
        "name": "derived",
        "part_mb": 0.006,
        "sources": [{"name": "pages", "kind": "web", "path": str(folder / "pages.jsonl")}],
        "stages": [
            {"augment": {"noise": {"typing": 0.1, "operations": 2}, "share": 0.9, "copies": 2}},
            {"deduplicate": {"index": str(folder / "index")}},
            {"tokenize": {"vocab_size": 512, "split": {"train": 0.7, "validation": 0.3}}},
        ],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw))
    return str(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    folder = tmp_path_factory.mktemp("finished")
    return folder / "run", run(load_recipe(write_recipe(folder)), str(folder / "run"), workers=1)


def rows_of(run_folder: Path, area: str, columns: list[str]) -> list[dict[str, Any]]:
    paths = sorted((run_folder / area).glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path, columns=columns).to_pylist()]


def test_what_was_not_added_is_counted_by_reason(finished: tuple[Path, RunRecord]) -> None:
    folder, record = finished
    counts = record.stages[1].counts
    made = rows_of(folder, "stages/01-augment", ["id", "augmented_from"])
    assert counts.added == sum(row["augmented_from"] is not None for row in made) > 80
    assert counts.skipped["unchanged"] >= 2
    assert reconcile(str(folder), record) == []
    plain = json.loads((folder / "run.json").read_text())["stages"][1]["counts"]
    assert plain["skipped"] == dict(counts.skipped)


def test_derived_documents_go_with_their_originals(finished: tuple[Path, RunRecord]) -> None:
    folder, record = finished
    columns = ["id", "reason", "detail", "stage"]
    ledger = {row["id"]: row for row in rows_of(folder, "ledger/02-deduplicate", columns)}
    kept = {row["id"] for row in rows_of(folder, "documents", ["id"])}
    made = rows_of(folder, "stages/01-augment", ["id", "augmented_from"])
    families = [(row["id"], row["augmented_from"]) for row in made if row["augmented_from"]]
    orphans = [child for child, original in families if original in ledger]
    assert len(orphans) >= 10
    for child, original in families:
        if original in ledger:
            assert ledger[child]["reason"] == ORIGINAL_DROPPED
            assert ledger[child]["detail"] == original
        else:
            assert child in kept
            assert original in kept
    dropped = record.stages[2].counts.dropped
    assert dropped == {"exact_duplicate": 10, ORIGINAL_DROPPED: len(orphans)}


def test_a_family_is_in_one_split(finished: tuple[Path, RunRecord]) -> None:
    folder, _ = finished
    splits = {
        document: path.name.split("-")[0]
        for path in (folder / "shards").glob("*.arrow")
        for document in storage.read_ipc(str(path))["id"].to_pylist()
    }
    assert set(Counter(splits.values())) == {"train", "validation"}
    for row in rows_of(folder, "documents", ["id", "augmented_from"]):
        assert splits[row["id"]] == splits[row["augmented_from"] or row["id"]]


def test_why_names_a_familys_members_to_each_other(finished: tuple[Path, RunRecord]) -> None:
    folder, _ = finished
    ledger = rows_of(folder, "ledger/02-deduplicate", ["id", "reason", "detail"])
    child = next(row for row in ledger if row["reason"] == ORIGINAL_DROPPED)
    (told,) = why_data(str(folder), child["id"])["documents"]
    assert told["augmented_from"] == child["detail"]
    assert told["fate"] == "dropped"
    assert told["instead_of"] is None
    assert [stage["outcome"] for stage in told["stages"]] == ["added", "dropped"]
    (original,) = why_data(str(folder), child["detail"])["documents"]
    assert child["id"] in original["derived"]
    kept = next(
        row
        for row in rows_of(folder, "documents", ["id", "augmented_from"])
        if row["augmented_from"]
    )
    (told,) = why_data(str(folder), kept["id"])["documents"]
    assert told["augmented_from"] == kept["augmented_from"]
    (original,) = why_data(str(folder), kept["augmented_from"])["documents"]
    assert kept["id"] in original["derived"]
    assert original["augmented_from"] is None


@pytest.mark.parametrize("which", ["kept", "dropped"])
def test_who_is_forgotten_takes_the_family_along(
    finished: tuple[Path, RunRecord], tmp_path: Path, which: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    record = load_run(str(folder))
    made = rows_of(folder, "stages/01-augment", ["id", "augmented_from"])
    gone = {row["id"] for row in rows_of(folder, "ledger/02-deduplicate", ["id"])}
    child = next(
        row
        for row in made
        if row["augmented_from"] and (row["augmented_from"] in gone) == (which == "dropped")
    )
    original = child["augmented_from"]
    family = {original, *(row["id"] for row in made if row["augmented_from"] == original)}
    before = record.stages[1].counts
    told = forget(str(folder), ids=[original])
    assert told.documents == len(family)
    record = load_run(str(folder))
    assert reconcile(str(folder), record) == []
    assert record.stages[1].counts.added == before.added - (len(family) - 1)
    left = b"".join(
        path.read_bytes() for path in folder.rglob("*.json") if path.name != "tombstones.json"
    )
    for area in ("documents", "stages/01-augment", "ledger/02-deduplicate"):
        assert not family & {row["id"] for row in rows_of(folder, area, ["id"])}
    assert not any(document.encode() in left for document in family)


def test_workers_change_no_byte(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    run(load_recipe(write_recipe(tmp_path)), str(tmp_path / "run"), workers=2)
    assert checksums(tmp_path / "run") == checksums(finished[0])


def test_a_run_that_is_killed_while_it_augments_repeats_no_finished_part(
    finished: tuple[Path, RunRecord], tmp_path: Path
) -> None:
    recipe, out = write_recipe(tmp_path), tmp_path / "run"
    command = [sys.executable, "-m", "corpusmill", "run", recipe, "--out", str(out)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--workers", "1"], stdout=log, stderr=log)
    area = out / "stages" / "01-augment"
    while len(list(area.glob("part-*.json"))) < 2:
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in area.glob("part-*.json")}
    assert "01-augment" not in (out / "run.json").read_text()
    run(load_recipe(recipe), str(out), workers=1)
    assert checksums(out) == checksums(finished[0])
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_derived_documents_follow_what_a_narrow_stage_drops_or_quarantines(tmp_path: Path) -> None:
    names = ids(7)
    texts = ["drop", "raise", "stays", "of drop", "of raise", "of stays", "drop"]
    originals = [None, None, None, names[0], names[1], names[2], names[2]]
    part = write_parts(
        tmp_path,
        [
            [
                {"id": document, "text": text, "augmented_from": original}
                for document, text, original in zip(names, texts, originals, strict=True)
            ]
        ],
    )[0]
    once = ChainStep(name="01-crashing", stage=CrashingHere(), applies=True)
    again = ChainStep(name="02-crashing", stage=CrashingHere(), applies=True)
    task = PartTask(
        run=str(tmp_path), part=part, chain=(once, again), fingerprint="f", score_fields=()
    )
    first, second = (step.counts for step in run_part(task).steps)
    assert first == Counts(
        found=7,
        kept=2,
        dropped=Counter({"asked_for": 2, ORIGINAL_DROPPED: 2}),
        quarantined=1,
    )
    assert second == Counts(found=2, kept=2)
    ledger = storage.read_parquet(part_path(str(tmp_path), "ledger/01-crashing", 0)).to_pylist()
    assert {row["id"]: (row["reason"], row["detail"]) for row in ledger[-2:]} == {
        names[3]: (ORIGINAL_DROPPED, names[0]),
        names[4]: (ORIGINAL_DROPPED, names[1]),
    }
    left = storage.read_parquet(part_path(str(tmp_path), "stages/02-crashing", 0))
    assert left["text"].to_pylist() == ["STAYS", "OF STAYS"]


def test_a_change_of_a_document_that_follows_its_original_is_forgotten() -> None:
    original, child, other = ids(3)
    rows = [
        {"id": child, "text": "", "source": "s", "kind": "web", "uri": "", "augmented_from": parent}
        for child, parent in ((child, original), (other, None))
    ]
    empty = {"uri": "", "source": "s", "value": 1.0, "threshold": None, "detail": None}
    judged = Judged(
        kept=[documents_from_rows(rows, document_schema())],
        ledger=[
            {**empty, "id": child, "action": "changed", "reason": "shortened"},
            {**empty, "id": original, "action": "dropped", "reason": "too_short"},
            {**empty, "id": other, "action": "changed", "reason": "shortened"},
        ],
        counts=Counts(found=3, kept=2, changed=2, dropped=Counter({"too_short": 1})),
    )
    drop_orphans(judged)
    assert judged.kept[0]["id"].to_pylist() == [other]
    assert [(row["id"], row["reason"]) for row in judged.ledger] == [
        (original, "too_short"),
        (other, "shortened"),
        (child, ORIGINAL_DROPPED),
    ]
    assert judged.counts == Counts(
        found=3, kept=1, changed=1, dropped=Counter({"too_short": 1, ORIGINAL_DROPPED: 1})
    )
