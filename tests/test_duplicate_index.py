"""Deduplication against an index: what several runs keep is what one run would have kept."""

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.test_deduplicate import drifting, prose
from tests.verbs_fixture import PlainVerbs, apply_to_parts, write_parts
from typer.testing import CliRunner

from corpusmill import storage
from corpusmill.cli.base import app
from corpusmill.document import document_id
from corpusmill.errors import FolderBusy, RunError, UsageError
from corpusmill.filters.clusters import BUCKET
from corpusmill.pipelines.recipe import Recipe, check_recipe
from corpusmill.pipelines.run import run
from corpusmill.stage import Part
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.duplicate_index import (
    forget_run,
    index_data,
    load_index,
    remove_source,
)
from corpusmill.stages.index_pieces import key_filter, may_contain

Fate = tuple[str, str, float, str]
"""Reason, threshold as text, value, and what is kept."""


class Runs:
    """Runs over named batches of texts, with one folder of work for each."""

    def __init__(self, work: Path, stage: Deduplicate) -> None:
        self.work = work
        self.stage = stage
        self.names: dict[str, str] = {}
        self.count = 0

    def run(
        self,
        name: str,
        batches: Sequence[tuple[str, dict[str, str]]],
        *,
        stage: Deduplicate | None = None,
        parts: int = 2,
        chance: random.Random | None = None,
        work: Path | None = None,
    ) -> dict[str, Fate]:
        """What is removed: (source, texts) each; `name` is that of the recipe."""
        stage = stage or self.stage
        self.count += 1
        folder = work or self.work / f"{self.count:03d}"
        written: list[Part] = []
        for source, texts in batches:
            ids = {document_id(source, key, ""): key for key in texts}
            self.names |= ids
            rows = [{"id": i, "text": texts[key], "source": source} for i, key in ids.items()]
            if chance:
                chance.shuffle(rows)
            written += write_parts(
                folder / source, [rows[i::parts] for i in range(parts)], source, len(written)
            )
        outside = stage.outside(name)
        settings = [stage.model_dump(mode="json"), outside, [sorted(t) for _, t in batches]]
        verbs = PlainVerbs(
            folder / "work",
            partitions=1 + self.count % 4,
            run=name,
            fingerprint=xxhash.xxh3_128_hexdigest(json.dumps(settings).encode()),
            outside=outside,
        )
        join = stage.prepare(verbs, written)
        verdicts = apply_to_parts(join, written)[1] if written else []
        return {
            self.names[row["id"]]: (
                row["reason"],
                f"{row['threshold']:.3f}",
                row["value"],
                self.names[row["detail"]],
            )
            for row in verdicts
        }


def generations(chance: random.Random, crowd: int) -> list[tuple[str, dict[str, str]]]:
    """Three batches with near and exact copies of each other, and a crowd that shares a band."""
    everything = drifting(chance, 3, 14)
    base = prose(chance.randrange(10**6), 60)
    for i in range(crowd):
        version = list(base)
        for place in chance.sample(range(60), chance.choice([0, 1, 2, 6, 9])):
            version[place] = f"crowd{i}x{place}"
        everything[f"crowd {i}"] = " ".join(version)
    batches: list[dict[str, str]] = [{}, {}, {}]
    for name, text in everything.items():
        number = chance.randrange(3)
        batches[number][f"{number} {name}"] = text
        for other in range(3):
            if chance.random() < 0.15:  # an exact copy, perhaps of what is removed
                batches[other][f"{other} again {name}"] = text + "!"
    return [(source, batch) for source, batch in zip("abc", batches, strict=True)]


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.sampled_from([0, BUCKET + 40]))
def test_three_runs_with_an_index_keep_exactly_what_one_run_over_all_keeps(
    tmp_path_factory: pytest.TempPathFactory, seed: int, crowd: int
) -> None:
    chance = random.Random(seed)
    work = tmp_path_factory.mktemp("index")
    batches = generations(chance, crowd)
    # With a crowd few bands: only then does it matter who is among the best 64 of a bucket.
    bands = {"bands": 3, "rows": 2} if crowd else {"bands": 64, "rows": 1}
    one = Deduplicate.model_validate(
        {"threshold": 0.8, "keep": ["source", "longest"], "sources": ["a", "b", "c"], **bands}
    )
    several = Deduplicate.model_validate({"threshold": 0.8, "index": f"{work}/index", **bands})
    runs = Runs(work, several)
    expected = runs.run("all", batches, stage=one)
    found: dict[str, Fate] = {}
    for source, batch in batches:
        found |= runs.run(f"run {source}", [(source, batch)], chance=chance)
    assert found == expected
    assert {fate[0] for fate in found.values()} == {"exact_duplicate", "near_duplicate"}
    across = [name for name, fate in found.items() if name[0] != fate[3][0]]
    assert len(across) > 3, "the generations have nothing in common: the test shows little"


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Runs with one index."""
    return Runs(tmp_path, Deduplicate(index=f"{tmp_path}/index", bands=64, rows=1))


A = " ".join(prose(1, 100))
B = " ".join(prose(2, 100))
C = " ".join(prose(3, 100))


def test_the_same_run_again_removes_the_same_and_adds_nothing(runs: Runs, tmp_path: Path) -> None:
    batches = [("a", {"one": A, "two": A + " more", "three": B})]
    first = runs.run("first", batches)
    second = runs.run("second", [("b", {"four": A, "five": B, "six": C})])
    assert set(first) == {"one"}
    assert {name: fate[3] for name, fate in second.items()} == {"four": "two", "five": "three"}
    state = checksums(tmp_path / "index")
    # a generation between its own and the end is not seen either
    assert runs.run("first", batches) == first
    assert runs.run("second", [("b", {"four": A, "five": B, "six": C})]) == second
    assert checksums(tmp_path / "index") == state
    assert [g["run"] for g in index_data(f"{tmp_path}/index")["generations"]] == ["first", "second"]


def checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): storage.checksum_file(str(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


class Killed(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize("victim", ["store_piece", "Index.save", "_remove_strangers"])
def test_a_killed_run_leaves_the_index_whole_and_does_the_same_when_repeated(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    runs.run("first", [("a", {"one": A})])
    batches = [("b", {"two": A, "three": B, "four": C})]
    calls = 0

    def die(*_: Any) -> None:
        nonlocal calls
        calls += 1
        raise Killed

    module = "corpusmill.stages.duplicate_search" if victim == "store_piece" else ""
    with monkeypatch.context() as patch:
        patch.setattr(f"{module or 'corpusmill.stages.duplicate_index'}.{victim}", die)
        with pytest.raises(Killed):
            runs.run("second", batches)
    assert calls
    published = [g.run for g in load_index(f"{tmp_path}/index").generations]
    assert published == (["first"] if victim != "_remove_strangers" else ["first", "second"])
    repeated = runs.run("second", batches)
    assert {name: fate[3] for name, fate in repeated.items()} == {"two": "one"}
    assert [g.run for g in load_index(f"{tmp_path}/index").generations] == ["first", "second"]
    assert set(runs.run("third", batches)) == {"two", "three", "four"}


def test_files_of_killed_runs_are_removed_and_no_others(runs: Runs, tmp_path: Path) -> None:
    stray = tmp_path / "index" / ("0" * 32) / "piece-00000-documents-0.parquet"
    foreign = tmp_path / "index" / "data" / "part-00000.parquet"
    for path in (stray, foreign):
        storage.write_atomic(str(path), b"left behind")
    runs.run("first", [("a", {"one": A})])
    assert not stray.exists()
    assert foreign.exists()
    assert set(runs.run("second", [("b", {"two": A})])) == {"two"}


def test_another_run_of_that_name_is_refused(runs: Runs) -> None:
    runs.run("weekly", [("a", {"one": A})])
    with pytest.raises(UsageError, match="holds a generation 'weekly' that was made of other"):
        runs.run("weekly", [("a", {"one": A, "two": B})])


def test_an_index_made_with_other_settings_is_refused(runs: Runs) -> None:
    runs.run("first", [("a", {"one": A})])
    for changes in ({"bands": 30}, {"scope": "source"}, {"words": 6, "rows": 1}, {"characters": 9}):
        other = Deduplicate.model_validate(
            {"index": runs.stage.index, "bands": 64, "rows": 1, **changes}
        )
        with pytest.raises(UsageError, match=r"use the same settings or another index"):
            runs.run("second", [("b", {"two": A})], stage=other)
    # the threshold is not in the signatures
    other = runs.stage.model_copy(update={"threshold": 0.9})
    assert set(runs.run("second", [("b", {"two": A})], stage=other)) == {"two"}


def test_an_index_that_changed_since_the_fingerprint_was_made_is_refused(
    runs: Runs, tmp_path: Path
) -> None:
    written = write_parts(tmp_path / "parts", [[{"id": document_id("b", "x", ""), "text": A}]])
    verbs = PlainVerbs(tmp_path / "work", run="second", outside=runs.stage.outside("second"))
    runs.run("first", [("a", {"one": A})])
    with pytest.raises(RunError, match="has changed since this run began"):
        runs.stage.prepare(verbs, written)


def test_a_busy_index_is_refused(runs: Runs, tmp_path: Path) -> None:
    with storage.folder_lock(f"{tmp_path}/index"):
        with pytest.raises(FolderBusy, match="index is busy"):
            runs.run("first", [("a", {"one": A})])
        runs.run("other", [("a", {"one": A})], stage=Deduplicate())
    assert runs.run("first", [("a", {"one": A})]) == {}


def test_a_damaged_file_is_noticed(runs: Runs, tmp_path: Path) -> None:
    runs.run("first", [("a", {"one": A, "two": B})])
    for path in sorted((tmp_path / "index").rglob("*-signatures-*.parquet")):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    with pytest.raises(RunError, match="missing or damaged"):
        runs.run("second", [("b", {"three": A})])
    (tmp_path / "index" / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(RunError, match="not an index's manifest"):
        load_index(f"{tmp_path}/index")


def test_a_source_that_is_removed_displaces_nothing_any_more(runs: Runs, tmp_path: Path) -> None:
    index = f"{tmp_path}/index"
    runs.run("first", [("a", {"A": A, "B": B})])
    # b's near-copy of A is displaced by a, and so is its exact copy of B
    second = runs.run("second", [("b", {"A edited": A + " b", "B again": B, "C": C})])
    assert set(second) == {"A edited", "B again"}
    assert remove_source(index, "a") == 2
    data = index_data(index)
    assert [list(g["sources"]) for g in data["generations"]] == [[], ["b"]]
    assert data["generations"][1]["sources"]["b"] == {"documents": 1, "accepted": 1}
    third = [("c", {"A3": A, "A3 edited": A + " b", "B3": B, "C3": C})]
    found = runs.run("third", third)
    assert {name: fate[3] for name, fate in found.items()} == {"A3": "A3 edited", "C3": "C"}
    # the generation is made once, whatever the index is by then
    assert runs.run("third", third) == found
    with pytest.raises(UsageError, match="source 'a' is not one of b, c"):
        remove_source(index, "a")
    with pytest.raises(UsageError, match=r"not an index"):
        remove_source(f"{tmp_path}/nothing", "a")


def test_a_generation_can_be_forgotten(runs: Runs, tmp_path: Path) -> None:
    index = f"{tmp_path}/index"
    runs.run("first", [("a", {"one": A, "two": B})])
    runs.run("second", [("b", {"three": C, "four": A + " more"})])
    assert forget_run(index, "first") == 2
    assert [g["run"] for g in index_data(index)["generations"]] == ["second"]
    found = runs.run("third", [("c", {"A3": A, "C3": C})])
    assert {name: fate[3] for name, fate in found.items()} == {"C3": "three"}
    with pytest.raises(UsageError, match="run 'frist' is not one of second, third"):
        forget_run(index, "frist")


def test_parts_without_documents_and_runs_without_parts_are_generations_too(runs: Runs) -> None:
    assert runs.run("first", [("a", {})]) == {}
    assert runs.run("second", []) == {}
    assert runs.run("third", [("a", {"one": A, "!": "!!!", "none": ""})], parts=5) == {}
    assert set(runs.run("fourth", [("b", {"two": A, "?": "!!!", "nothing": ""})])) == {
        "two",
        "?",
        "nothing",
    }


def test_a_filter_knows_every_key_that_was_put_in_and_few_others(tmp_path: Path) -> None:
    keys = np.random.default_rng(1).integers(-(2**63), 2**63, 21_000)
    known, others = keys[:1000], keys[1000:]
    paths = [f"{tmp_path}/{i}.arrow" for i in range(2)]
    for path, some in zip(paths, np.split(known, 2), strict=True):
        storage.write_ipc(path, pa.table({"band": some}))
    bits = key_filter(paths, len(known))
    assert may_contain(bits, known).all()
    assert 0.02 < may_contain(bits, others).mean() < 0.07


# ---- in whole runs ----


def recipe(folder: Path, name: str, texts: dict[str, str], **settings: Any) -> Recipe:
    """A recipe over one source: a file of JSON lines."""
    source = folder / f"{name}.jsonl"
    lines = [json.dumps({"id": key, "text": text}) for key, text in texts.items()]
    storage.write_atomic(str(source), "\n".join(lines).encode())
    return check_recipe(
        {
            "name": name,
            "sources": [{"name": name, "kind": "web", "path": str(source)}],
            "stages": [{"deduplicate": {"index": f"{folder}/index", **settings}}],
        }
    )


def ids_of(run_folder: Path) -> set[str]:
    tables = [pq.read_table(path) for path in sorted((run_folder / "documents").glob("*.parquet"))]
    rows = [row for table in tables for row in table.column("metadata").to_pylist()]
    return {dict(row)["id"] for row in rows}


MONDAY = {"A": A, "B": B, "A edited": A + " more"}
TUESDAY = {"A": A, "B": B + " more", "C": C}


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index and two runs of it; the second was killed before it published."""
    folder = tmp_path_factory.mktemp("runs")

    def die(*_: Any) -> None:
        raise Killed

    run(recipe(folder, "monday", MONDAY), f"{folder}/one", workers=1)
    tuesday = recipe(folder, "tuesday", TUESDAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("corpusmill.stages.deduplicate.publish", die)
        with pytest.raises(Killed):
            run(tuesday, f"{folder}/two", workers=1)
    assert [g.run for g in load_index(f"{folder}/index").generations] == ["monday"]
    run(tuesday, f"{folder}/two", workers=1)
    return folder


@pytest.fixture
def copied(two_runs: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    shutil.copytree(two_runs, tmp_path / "copy")
    return tmp_path / "copy"


def test_runs_share_an_index_and_repeat_to_the_same_bytes(two_runs: Path, copied: Path) -> None:
    assert ids_of(two_runs / "one") == {"A edited", "B"}
    assert ids_of(two_runs / "two") == {"C"}
    assert [g.run for g in load_index(f"{copied}/index").generations] == ["monday", "tuesday"]
    # the ledger names documents that only the first run has
    ledger = pq.read_table(two_runs / "two" / "ledger" / "01-deduplicate").to_pylist()
    assert {row["detail"] for row in ledger} == {
        document_id("monday", "monday.jsonl", str(offset))
        for offset in locators(two_runs / "monday.jsonl", {"A edited", "B"})
    }
    # in its folder, and in another one; the index was moved
    tuesday = recipe(copied, "tuesday", TUESDAY)
    run(tuesday, f"{copied}/two", workers=1)
    run(tuesday, f"{copied}/three", workers=2)
    assert checksums(copied / "index") == checksums(two_runs / "index")
    for name in ("two", "three"):
        assert checksums(copied / name / "documents") == checksums(two_runs / "two" / "documents")


def locators(file: Path, keys: set[str]) -> list[int]:
    offset, found = 0, []
    for line in file.read_bytes().splitlines(keepends=True):
        if json.loads(line)["id"] in keys:
            found.append(offset)
        offset += len(line)
    return found


def test_a_changed_index_is_noticed_and_another_run_of_that_name_refused_at_once(
    copied: Path,
) -> None:
    tuesday = recipe(copied, "tuesday", TUESDAY)
    remove_source(f"{copied}/index", "monday")
    with pytest.raises(UsageError, match=r"holds a generation 'tuesday'"):
        run(tuesday, f"{copied}/two", workers=1)
    changed = recipe(copied, "tuesday", {"A": A})
    with pytest.raises(UsageError, match=r"holds a generation 'tuesday' that was made of other"):
        run(changed, f"{copied}/four", workers=1)
    other = recipe(copied, "wednesday", {"A": A}, bands=5)
    with pytest.raises(UsageError, match="made with bands 14, here it is 5"):
        run(other, f"{copied}/five", workers=1)
    assert not (copied / "four" / "stages").exists(), "documents were read first"
    forget_run(f"{copied}/index", "tuesday")
    tuesday = recipe(copied, "tuesday", TUESDAY)
    with pytest.raises(UsageError, match="add --update"):
        run(tuesday, f"{copied}/two", workers=1)
    run(tuesday, f"{copied}/two", workers=1, update=True)
    assert ids_of(copied / "two") == {"A", "B", "C"}


def test_the_command_shows_an_index_and_takes_a_source_out(runs: Runs, tmp_path: Path) -> None:
    path = f"{tmp_path}/index"
    runs.run("first", [("a", {"one": A, "two": B}), ("b", {"three": A})])

    def answer(*options: str) -> Any:
        return CliRunner().invoke(app, ["index", path, *options])

    shown = answer()
    assert shown.exit_code == 0
    assert "first" in shown.stdout
    assert "bands 64" in shown.stdout
    left = answer("--remove", "a", "--json")
    assert "2 documents of 'a' removed" in left.stderr
    sources = json.loads(left.stdout)["generations"][0]["sources"]
    assert set(sources) == {"b"}
    assert isinstance(answer("--remove", "a", "--forget", "first").exception, UsageError)
    assert answer("--forget", "first").exit_code == 0
    assert index_data(path)["generations"] == []
