"""The promises of a run: the same bytes whatever happens, every document accounted for."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from corpusmill import storage
from corpusmill.errors import FolderBusy, RunError, UsageError
from corpusmill.pipelines.ledger import RunRecord, load_run, reconcile
from corpusmill.pipelines.recipe import load_recipe
from corpusmill.pipelines.run import run
from corpusmill.stages.sources.listing import list_inputs
from corpusmill.stages.sources.source import Source
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.vocabulary import load_tokenizer

STAGES: list[dict[str, Any]] = [
    {"heuristics": {"preset": "gopher", "for": ["web"]}},
    {"deduplicate": {}},
    {"tokenize": {"vocab_size": 1024, "split": {"train": 0.9, "validation": 0.1}}},
]


def write_recipe(folder: Path, samples: Path, **changes: Any) -> str:
    raw = {
        "name": "promises",
        "part_mb": 0.02,
        "sources": [
            {"name": "crawl", "kind": "web", "path": str(samples / "web")},
            {"name": "shelf", "kind": "book", "path": str(samples / "books")},
            {"name": "repos", "kind": "code", "path": str(samples / "code")},
        ],
        "stages": STAGES,
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw))
    return str(path)


def checksums(run_folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(run_folder)): storage.checksum_file(str(path))
        for area in ("documents", "shards")
        for path in sorted((run_folder / area).rglob("*"))
    }


@pytest.fixture(scope="module")
def samples(repo_root: Path) -> Path:
    return repo_root / "samples"


@pytest.fixture(scope="module")
def finished(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """An undisturbed run with one worker."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = load_recipe(write_recipe(folder, samples))
    return folder / "run", run(recipe, str(folder / "run"), workers=1)


Finished = tuple[Path, RunRecord]


def command(recipe: str, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "corpusmill", "run", recipe, "--out", str(out), *options]


def test_a_run_adds_up_and_its_shards_decode_to_its_documents(finished: Finished) -> None:
    folder, record = finished
    assert [stage.name for stage in record.stages] == [
        "00-ingest",
        "01-heuristics",
        "02-deduplicate",
        "03-tokenize",
    ]
    assert reconcile(str(folder), record) == []
    plain = json.loads((folder / "run.json").read_text())
    for before, after in zip(plain["stages"], plain["stages"][1:], strict=False):
        counts = before["counts"]
        fates = counts["kept"] + sum(counts["dropped"].values()) + counts["quarantined"]
        assert counts["in"] == fates
        assert counts["kept"] + counts["added"] == after["counts"]["in"]
    assert plain["stages"][0]["counts"]["skipped"]["redirect"] == 1

    documents = pq.read_table(folder / "documents")
    texts = dict(zip(documents["id"].to_pylist(), documents["text"].to_pylist(), strict=True))
    assert len(texts) == record.stages[-1].counts.out > 30
    encoder = Encoder(load_tokenizer(str(folder / "shards" / "tokenizer.json")))
    seen = {}
    for shard in sorted((folder / "shards").glob("*.arrow")):
        with pa.memory_map(str(shard)) as source:
            table = pa.ipc.open_file(source).read_all()
        for row in table.select(["id", "n_bytes"]).to_pylist():
            assert row["n_bytes"] == len(texts[row["id"]].encode())
        for identity, tokens in zip(table["id"].to_pylist(), table["tokens"], strict=True):
            seen[identity] = encoder.decode(tokens.values.to_numpy())
    assert seen == texts


def test_reconciliation_notices_a_lost_document_and_a_lost_ledger_row(
    finished: Finished, tmp_path: Path
) -> None:
    folder, _ = finished
    record = load_run(str(folder))
    record.stages[1].counts.kept -= 1
    assert any("01-heuristics" in finding for finding in reconcile(str(folder), record))
    record = load_run(str(folder))
    record.stages[2].counts.dropped["near_duplicate"] += 1
    record.stages[2].counts.found += 1
    assert any("02-deduplicate" in finding for finding in reconcile(str(folder), record))


def test_two_workers_give_the_bytes_of_one(
    finished: Finished, samples: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(write_recipe(tmp_path, samples))
    record = run(recipe, str(tmp_path / "run"), workers=2)
    assert len(record.stages[0].parts) >= 6
    assert record.stages[1].workers_seen == 2, "one worker did all: the test shows nothing"
    assert checksums(tmp_path / "run") == checksums(finished[0])


def test_sources_and_files_listed_in_another_order_give_the_same_bytes(
    finished: Finished, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_recipe(tmp_path, samples)
    raw = yaml.safe_load(Path(path).read_text())
    raw["sources"].reverse()
    Path(path).write_text(yaml.safe_dump(raw))
    walk = os.walk

    def backwards(top: str, **options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, folders, names in walk(top, **options):
            yield folder, folders, names[::-1]

    monkeypatch.setattr(os, "walk", backwards)
    run(load_recipe(path), str(tmp_path / "run"), workers=2)
    assert checksums(tmp_path / "run") == checksums(finished[0])


def kill_when(
    arguments: list[str], condition: str, out: Path, victim: str, log: Path
) -> subprocess.Popen[bytes]:
    """Start a run and kill it, or one of its workers, once a path matching `condition` exists."""
    with log.open("wb") as stream:
        process = subprocess.Popen(arguments, stdout=stream, stderr=stream)
    deadline = time.monotonic() + 250
    while not list(out.glob(condition)):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "the run never came to the point"
        time.sleep(0.005)
    if victim == "run":
        process.kill()
    else:
        psutil.Process(process.pid).children()[0].kill()
    return process


@pytest.mark.parametrize(
    "point",
    [
        "stages/00-ingest/splits/*.json",
        "stages/02-deduplicate/work/*/*/done.json",
        "stages/03-tokenize/work/*/*/done.json",
    ],
)
def test_a_killed_run_goes_on_to_the_same_bytes(
    finished: Finished, samples: Path, tmp_path: Path, point: str
) -> None:
    arguments = command(write_recipe(tmp_path, samples), tmp_path / "run", "--workers", "2")
    process = kill_when(arguments, point, tmp_path / "run", "run", tmp_path / "log")
    assert process.wait() == -signal.SIGKILL
    again = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert checksums(tmp_path / "run") == checksums(finished[0])
    assert not list((tmp_path / "run").rglob(f"{storage.TEMPORARY}*"))


def test_a_killed_worker_changes_no_output_byte(
    finished: Finished, samples: Path, tmp_path: Path
) -> None:
    arguments = command(write_recipe(tmp_path, samples), tmp_path / "run", "--workers", "2")
    point = "stages/00-ingest/splits/*"
    process = kill_when(arguments, point, tmp_path / "run", "worker", tmp_path / "log")
    assert process.wait() == 0, (tmp_path / "log").read_text()
    assert checksums(tmp_path / "run") == checksums(finished[0])


def test_until_stops_and_a_later_run_goes_on_from_there(
    finished: Finished, samples: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(write_recipe(tmp_path, samples))
    out = str(tmp_path / "run")
    record = run(recipe, out, workers=2, until="heuristics")
    assert record.published == "01-heuristics"
    published = pq.read_table(tmp_path / "run" / "documents")
    assert published.num_rows == record.stages[1].counts.out
    assert not (tmp_path / "run" / "shards").exists()
    stamp = (tmp_path / "run/stages/01-heuristics/part-00000.parquet").stat().st_mtime_ns
    run(recipe, out, workers=2)
    assert checksums(tmp_path / "run") == checksums(finished[0])
    after = (tmp_path / "run/stages/01-heuristics/part-00000.parquet").stat().st_mtime_ns
    assert after == stamp, "what was finished was run again"

    run(recipe, out, workers=2, until="ingest")
    assert not (tmp_path / "run" / "shards").exists()
    run(recipe, out, workers=2)
    run(recipe, out, workers=2, only="deduplicate")
    assert load_run(out).published == "02-deduplicate"
    run(recipe, out, workers=2)
    assert checksums(tmp_path / "run") == checksums(finished[0])


def test_a_changed_recipe_needs_update_and_reruns_only_what_depends_on_the_change(
    finished: Finished, samples: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "run")
    shutil.copytree(finished[0], out)
    changed = write_recipe(tmp_path / "new", samples)
    overrides = ["deduplicate.threshold=0.9"]
    with pytest.raises(UsageError, match=r"threshold: 0.75 -> 0.9\n.*--update"):
        run(load_recipe(changed, overrides), out)
    kept = tmp_path / "run/stages/01-heuristics/part-00000.parquet"
    stamp = kept.stat().st_mtime_ns
    record = run(load_recipe(changed, overrides), out, workers=2, update=True)
    assert kept.stat().st_mtime_ns == stamp
    direct = run(load_recipe(changed, overrides), str(tmp_path / "direct"), workers=2)
    assert checksums(tmp_path / "run") == checksums(tmp_path / "direct")
    assert [s.fingerprint for s in record.stages] == [s.fingerprint for s in direct.stages]

    run(load_recipe(write_recipe(tmp_path, samples)), out, workers=2, update=True)
    assert checksums(tmp_path / "run") == checksums(finished[0])

    renamed = write_recipe(tmp_path / "other", samples, name="other")
    with pytest.raises(UsageError, match="holds another run:\n  name: promises -> other"):
        run(load_recipe(renamed), out, update=True)


def test_what_was_taken_away_is_made_again(
    finished: Finished, samples: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    recipe = load_recipe(write_recipe(tmp_path, samples))
    shutil.rmtree(out / "shards")
    run(recipe, str(out), workers=1)
    assert checksums(out) == checksums(finished[0])
    (out / "ledger/02-deduplicate/part-00001.parquet").unlink()
    (out / "documents/part-00000.parquet").unlink()
    run(recipe, str(out), workers=1)
    assert checksums(out) == checksums(finished[0])
    assert reconcile(str(out), load_run(str(out))) == []


def test_odd_names_pipes_and_the_runs_own_folder_do_no_harm(samples: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "good.txt").write_text("a good text " * 20)
    with open(os.fsencode(str(data)) + b"/odd\xff.txt", "w") as stream:
        stream.write("an oddly named text " * 20)
    os.mkfifo(data / "pipe")
    source = {"name": "s", "kind": "book", "path": str(data)}
    recipe = load_recipe(write_recipe(tmp_path, samples, sources=[source], stages=[]))
    for _ in range(2):  # the second time the run's folder is in the source
        run(recipe, str(data / "run"), workers=1)
    uris = pq.read_table(data / "run" / "documents")["uri"].to_pylist()
    assert sorted(uris) == ["good.txt", "odd\\xff.txt"]


def test_a_file_that_changes_while_it_is_read_fails_the_run(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text " * 20)
    (file,) = list_inputs(Source(name="s", kind="book", path=str(path)))
    file.refuse_changed()
    path.write_text("text! " * 20)
    with pytest.raises(RunError, match="was changed or removed while"):
        file.refuse_changed()
    path.unlink()
    with pytest.raises(RunError, match="was changed or removed while"):
        file.refuse_changed()


def test_a_changed_input_file_is_another_run(samples: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("one text " * 30)
    (data / "b.txt").write_text("another text " * 30)
    source = {"name": "s", "kind": "book", "path": str(data)}
    recipe = load_recipe(write_recipe(tmp_path, samples, sources=[source], stages=[]))
    run(recipe, str(tmp_path / "run"), workers=1)
    (data / "a.txt").write_text("one text! " * 30)
    (data / "c.txt").write_text("a third text " * 30)
    with pytest.raises(UsageError, match=r"file a.txt changed\n.*file c.txt added"):
        run(recipe, str(tmp_path / "run"), workers=1, update=True)


def test_cleaning_leaves_documents_and_the_record(samples: Path, tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, samples, stages=[]))
    record = run(recipe, str(tmp_path / "run"), workers=1, discard_stages=True)
    assert not (tmp_path / "run" / "stages").exists()
    again = run(recipe, str(tmp_path / "run"), workers=1)
    assert again.stages[0].counts == record.stages[0].counts
    assert not (tmp_path / "run" / "stages").exists(), "a finished run was run again"


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_there_is_refused_before_anything_changes(
    samples: Path, tmp_path: Path, engine: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    recipe = load_recipe(write_recipe(tmp_path, samples, stages=[]), [f"engine.name={engine}"])
    with pytest.raises(UsageError, match=rf"engine {engine}: pip install 'corpusmill\[{engine}\]'"):
        run(recipe, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_limit_and_sample_read_less_and_say_so(samples: Path, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, samples, stages=[])
    limited = run(load_recipe(path, ["limit=7"]), str(tmp_path / "limited"), workers=1)
    assert limited.stages[0].counts.found == 7
    assert {n: c.found for n, c in limited.stages[0].sources.items()} == {
        "crawl": 3,
        "repos": 2,
        "shelf": 2,
    }
    sampled = run(load_recipe(path, ["sample=0.3"]), str(tmp_path / "sampled"), workers=1)
    counts = sampled.stages[0].counts
    assert 0.15 < counts.found / (counts.found + counts.skipped["not_sampled"]) < 0.45


def test_a_folder_that_is_busy_or_not_a_run_is_refused(samples: Path, tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path / "r", samples, stages=[]))
    held = storage.folder_lock(str(tmp_path / "busy"))
    with held, pytest.raises(FolderBusy, match=f"process {os.getpid()} on "):
        run(recipe, str(tmp_path / "busy"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="not a run folder"):
        run(recipe, str(tmp_path / "mine"))
    assert sorted(os.listdir(tmp_path / "mine")) == [".lock", "thesis.txt"]


def test_a_source_with_too_many_unreadable_documents_fails_the_run(
    samples: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = ['{"text": "good"}'] * 10 + ["{bad"] * 21
    (data / "a.jsonl").write_text("\n".join(lines))
    source = {"name": "s", "kind": "web", "path": str(data)}
    path = write_recipe(tmp_path, samples, sources=[source], stages=[])
    with pytest.raises(RunError, match="source 's' has 21 quarantined of 31 documents"):
        run(load_recipe(path), str(tmp_path / "run"), workers=1)
    tolerant = load_recipe(path, ["max_quarantined_ratio=0.9"])
    record = run(tolerant, str(tmp_path / "run"), workers=1)
    assert record.stages[0].counts.quarantined == 21
    assert record.stages[0].counts.kept == 10


def test_everything_dropped_is_no_failure_and_leaves_no_shards(
    samples: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("too short")
    source = {"name": "s", "kind": "web", "path": str(data)}
    record = run(
        load_recipe(write_recipe(tmp_path, samples, sources=[source])),
        str(tmp_path / "run"),
        workers=1,
    )
    assert record.stages[-1].counts.out == 0
    assert record.notes == ["every document was dropped: there are no shards"]
    assert not (tmp_path / "run" / "shards").exists()
