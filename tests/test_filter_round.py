"""Progressive filtering: train, drop what the model finds hardest, train again."""

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.shard_folders import real_texts

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines import filter_round as module
from corpusmill.pipelines import filter_tasks
from corpusmill.pipelines.filter_round import filter_round
from corpusmill.pipelines.ledger import load_run, part_path
from corpusmill.pipelines.recipe import check_recipe
from corpusmill.pipelines.rounds import (
    load_round,
    recount_rounds,
    standing_rounds,
    verify_rounds,
)
from corpusmill.pipelines.run import run as run_recipe
from corpusmill.pipelines.verify import verify
from corpusmill.pretrain.checkpoint import list_checkpoints
from corpusmill.pretrain.loop import train
from corpusmill.pretrain.trace import trace
from corpusmill.report.fate import why_data
from corpusmill.tokenize.forget import forget_in_shards
from corpusmill.tokenize.manifest import read_manifest

TINY = [
    "steps=60",
    "batch=8",
    "context=64",
    "learning_rate=1e-2",
    "checkpoint_every=30",
    "evaluate_every=60",
    "evaluate_batches=1",
    "device=cpu",
    "precision=fp32",
    "model.layers=1",
    "model.width=32",
    "model.feed_forward=64",
]

GIBBERISH = 36


class InProcess:
    """An engine without processes: any engine must be equal to it, and a kill can be played."""

    name = "in process"
    workers = 1
    cpu_seconds = 0.0

    def map(
        self,
        task: Callable[[Any], Any],
        items: Sequence[Any],
        done: Callable[[], None] = lambda: None,
        *,
        name: str = "",
        gpu: bool = False,
    ) -> list[Any]:
        """Run the task on every item, the last one first."""
        results = [task(item) for item in reversed(items)]
        for _ in results:
            done()
        return results[::-1]

    def exchange(self, task: Any, *, name: str = "") -> list[str]:
        """Not asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """There is nothing to give back."""


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def prose() -> tuple[str, ...]:
    """English that every Python carries, in pieces of about 1,500 characters."""
    text = "\n".join(topics[name] for name in sorted(topics))
    return tuple(text[i : i + 1500] for i in range(0, 300_000, 1500))


def gibberish(number: int) -> str:
    """The letters of a piece of prose in another order."""
    chance = random.Random(number)
    letters = list(prose()[number])
    chance.shuffle(letters)
    return "".join(letters)


def write_jsonl(path: Path, texts: dict[str, str]) -> None:
    lines = (json.dumps({"id": name, "text": text}) for name, text in texts.items())
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of prose, of gibberish among it, and of code; and a model of it. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    texts = {f"prose-{n}": text for n, text in enumerate(prose())}
    texts |= {f"gibberish-{n}": gibberish(n) for n in range(GIBBERISH)}
    names = sorted(texts, key=lambda name: random.Random(name).random())
    write_jsonl(folder / "pages.jsonl", {name: texts[name] for name in names})
    code = "\n".join(real_texts())
    pieces = {f"code-{n}": code[n * 1000 : (n + 1) * 1000] for n in range(30)}
    write_jsonl(folder / "code.jsonl", pieces)
    tokenize = {
        "tokenizer": "train",
        "vocab_size": 512,
        "split": {"train": 0.95, "validation": 0.05},
        "shard_tokens": 40_000,
    }
    recipe = check_recipe(
        {
            "name": "try",
            "part_mb": 0.1,
            "sources": [
                {"name": "pages", "kind": "web", "path": str(folder / "pages.jsonl")},
                {"name": "repos", "kind": "code", "path": str(folder / "code.jsonl")},
            ],
            "stages": [{"mix": {"weights": {"pages": 3, "repos": 1}}}, {"tokenize": tokenize}],
        }
    )
    run_recipe(recipe, str(folder / "run"), workers=1)
    assert len(load_run(str(folder / "run")).parts) > 2
    assert len(read_manifest(str(folder / "run" / "shards")).of_split("train")) > 2
    trained(folder / "run" / "shards", folder / "t1")
    return folder


def trained(shards: Path, out: Path, *changes: str) -> Path:
    """A small model of the shards."""
    train(
        shards=str(shards),
        out=str(out),
        config=None,
        overrides=[*TINY, *changes],
        echo=lambda line: None,
    )
    return out


def filtered(folder: Path, train_dir: str = "t1", **options: Any) -> dict[str, Any]:
    """A round in this process."""
    return filter_round(
        run=str(folder / "run"), train=str(folder / train_dir), engine=InProcess(), **options
    )


@pytest.fixture
def fresh(made: Path, tmp_path: Path) -> Path:
    """A copy of the run and its model."""
    shutil.copytree(made / "run", tmp_path / "run")
    shutil.copytree(made / "t1", tmp_path / "t1")
    return tmp_path


@pytest.fixture(scope="module")
def once(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after one round. Not to be changed."""
    folder = tmp_path_factory.mktemp("once")
    shutil.copytree(made / "run", folder / "run")
    shutil.copytree(made / "t1", folder / "t1")
    filtered(folder)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def documents(folder: Path) -> dict[str, tuple[str, str]]:
    """id -> (source, the name that the test gave it)."""
    found = {}
    for part in range(len(load_run(str(folder / "run")).parts)):
        path = part_path(str(folder / "run"), "documents", part)
        for row in storage.read_parquet(path, ["id", "source", "metadata"]).to_pylist():
            found[row["id"]] = (row["source"], dict(row["metadata"])["id"])
    return found


def shard_rows(shards: Path, split: str = "train") -> dict[str, list[int]]:
    """id -> tokens, in order."""
    rows: dict[str, list[int]] = {}
    for shard in read_manifest(str(shards)).of_split(split):
        table = storage.read_ipc(str(shards / shard.name))
        rows |= zip(table["id"].to_pylist(), table["tokens"].to_pylist(), strict=True)
    return rows


def ledger(folder: Path, number: int = 1) -> list[dict[str, Any]]:
    paths = sorted((folder / "run" / "rounds" / f"{number:02d}" / "ledger").iterdir())
    return [row for path in paths for row in storage.read_parquet(str(path)).to_pylist()]


def test_three_rounds_drop_gibberish_first_and_account_for_every_document(fresh: Path) -> None:
    names = documents(fresh)
    before = shard_rows(fresh / "run" / "shards")
    noise = {i for i, (_, name) in names.items() if name.startswith("gibberish")}
    there = [len(noise & before.keys())]
    for number in (1, 2, 3):
        result = filtered(fresh, f"t{number}")
        shards = fresh / "run" / "rounds" / f"{number:02d}" / "shards"
        after = shard_rows(shards)
        web = [i for i in before if names[i][0] == "pages"]
        gone = [i for i in before if i not in after]
        assert result["round"] == number
        assert (result["in"], result["kept"]) == (len(before), len(after))
        assert result["dropped"] == len(gone) == int(0.2 * len(web))
        assert list(after) == [i for i in before if i in after], "the order is as it was"
        assert all(after[i] == before[i] for i in after), "tokens are copied"
        assert sorted(row["id"] for row in ledger(fresh, number)) == sorted(gone)
        assert all(names[i][0] == "pages" for i in gone), "code is not judged"
        there.append(len(noise & after.keys()))
        before = after
        if number < 3:
            trained(shards, fresh / f"t{number + 1}", f"start={fresh / f't{number}'}")
    share = sum(name.startswith("gibberish") for s, name in names.values() if s == "pages") / 236
    assert share < 0.16
    # a fifth of the pages went: by chance a fifth of the noise would have gone with them
    assert there[1] <= 0.1 * there[0]
    assert there[3] == 0
    assert [r.round for r in standing_rounds(str(fresh / "run"))] == [1, 2, 3]
    findings, checked = verify(str(fresh / "run"))
    assert findings == []
    assert checked > 20
    (fresh / "run" / "rounds" / "03" / "shards" / "train-00000.arrow").unlink()
    assert "rounds/03" in verify(str(fresh / "run"))[0][0]


def test_the_ledger_says_what_was_measured_and_why_tells_it(once: Path) -> None:
    rows = ledger(once)
    record = load_round(str(once / "run"), 1)
    assert record is not None
    judged = next(group for group in record.groups if group.kind == "web")
    for row in rows:
        assert (row["stage"], row["action"]) == ("filter-round-01", "dropped")
        assert row["reason"] == "loss_above_quantile"
        assert row["threshold"] == judged.threshold
        assert row["value"] >= row["threshold"]
        assert row["scores"]["checkpoint_nats_per_byte"] == pytest.approx(row["value"])
        assert row["scores"]["ingest_bytes"] > 0
        assert row["detail"] == f"{judged.documents} documents of web unidentified"
    assert min(row["value"] for row in rows) == judged.threshold

    run = str(once / "run")
    told = why_data(run, rows[0]["id"])["documents"][0]
    assert told["fate"] == "dropped"
    assert told["stages"][-1]["stage"] == "filter-round-01"
    assert told["stages"][-1]["value"] == rows[0]["value"]
    assert told["scores"]["checkpoint_nats_per_byte"] == pytest.approx(rows[0]["value"])
    kept = next(iter(shard_rows(once / "run" / "rounds" / "01" / "shards")))
    told = why_data(run, kept)["documents"][0]
    assert told["fate"] == "kept"
    assert (told["stages"][-1]["stage"], told["stages"][-1]["outcome"]) == (
        "filter-round-01",
        "passed",
    )


def test_other_splits_and_the_mixture_stay_as_they_are(once: Path) -> None:
    before, after = once / "run" / "shards", once / "run" / "rounds" / "01" / "shards"
    assert shard_rows(after, "validation") == shard_rows(before, "validation")
    assert read_manifest(str(after)).mixture == read_manifest(str(before)).mixture
    assert (after / "tokenizer.json").read_bytes() == (before / "tokenizer.json").read_bytes()


def test_a_training_on_a_round_is_traced_to_its_documents(once: Path, tmp_path: Path) -> None:
    shards = once / "run" / "rounds" / "01" / "shards"
    out = trained(shards, tmp_path / "t2", "steps=2")
    rows = trace(str(out), 2)
    assert {row["id"] for row in rows} <= set(shard_rows(shards))


def test_a_finished_round_is_recognised(once: Path) -> None:
    before = files_of(once / "run")
    said: list[str] = []
    result = filtered(once, echo=said.append)
    assert result["already"]
    assert "nothing to do" in said[-1]
    assert files_of(once / "run") == before


def test_workers_and_pieces_change_no_byte(
    once: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes, against one that takes the tasks in another order."""
    filter_round(run=str(fresh / "run"), train=str(fresh / "t1"), workers=2)
    assert files_of(fresh / "run" / "rounds") == files_of(once / "run" / "rounds")


class Killed(BaseException):
    """What no code catches."""


def killed_after(monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    """From now on the process dies before it writes one more file than this."""
    left = [files]
    real = WRITE

    def write(path: str, data: bytes | memoryview) -> storage.FileInfo:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return real(path, data)

    monkeypatch.setattr(storage, "write_atomic", write)
    monkeypatch.setattr(os, "fsync", lambda stream: None)  # only the process dies


WRITE = storage.write_atomic


@pytest.fixture
def scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring takes nearly all the time: what was scored is remembered, and written again."""
    known: dict[tuple[str, int, tuple[int, ...]], pa.Table] = {}
    real = filter_tasks.score_chunk

    def score(task: Any) -> None:
        key = (task.shard, task.first, task.judged)
        if key not in known:
            elsewhere = replace(task, target=f"{task.target}.elsewhere")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(storage, "write_atomic", WRITE)
                real(elsewhere)
            known[key] = storage.read_ipc(elsewhere.target)
        storage.write_ipc(task.target, known[key])

    monkeypatch.setattr(module, "score_chunk", score)


def test_a_round_killed_again_and_again_ends_with_the_same_bytes(
    once: Path, fresh: Path, scored_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first file; the same command, before its second; and so on."""
    for kills in range(100):
        killed_after(monkeypatch, kills)
        try:
            filtered(fresh)
            break
        except Killed:
            assert load_round(str(fresh / "run"), 1) is None
    assert kills > 5
    assert files_of(fresh / "run" / "rounds") == files_of(once / "run" / "rounds")


@pytest.mark.parametrize("otherwise", [{}, {"drop": 0.5, "code": True}])
def test_a_round_killed_between_any_two_files_ends_with_the_same_bytes(
    otherwise: dict[str, Any],
    once: Path,
    fresh: Path,
    scored_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when it was begun with other settings: nothing of that is left."""
    expected = files_of(once / "run" / "rounds")
    for files in range(100):
        shutil.rmtree(fresh / "run" / "rounds", ignore_errors=True)
        killed_after(monkeypatch, files)
        try:
            filtered(fresh, **otherwise)
            break
        except Killed:
            killed_after(monkeypatch, 1000)
            filtered(fresh)
            assert files_of(fresh / "run" / "rounds") == expected
    assert files > 30


def test_equal_scores_at_the_threshold_go_by_id(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(task: Any) -> None:
        scores = pa.array([1.0] * (task.end - task.first), pa.float32())
        storage.write_ipc(task.target, pa.table({"score": scores}))

    names = documents(fresh)
    monkeypatch.setattr(module, "score_chunk", same)
    filtered(fresh)
    before = shard_rows(fresh / "run" / "shards")
    web = sorted(i for i in before if names[i][0] == "pages")
    assert sorted(row["id"] for row in ledger(fresh)) == web[: len(web) // 5]


def test_each_language_is_a_group_and_small_ones_lose_nothing(fresh: Path) -> None:
    run = str(fresh / "run")
    languages: dict[str, str] = {}
    for part in range(len(load_run(run).parts)):
        path = part_path(run, "documents", part)
        table = storage.read_parquet(path)
        ids = table["id"].to_pylist()
        chosen = ["xx" if int(i[:8], 16) % 3 == 0 else "yy" for i in ids]
        chosen = ["zz" if int(i[:8], 16) % 17 == 0 else c for i, c in zip(ids, chosen, strict=True)]
        languages |= zip(ids, chosen, strict=True)
        index = table.schema.get_field_index("language")
        storage.write_parquet(path, table.set_column(index, "language", pa.array(chosen)))
    filtered(fresh, drop=0.1)
    record = load_round(run, 1)
    assert record is not None
    groups = {group.language: group for group in record.groups if group.kind == "web"}
    assert groups["zz"].documents < 20
    assert groups["zz"].dropped == 0
    for language in ("xx", "yy"):
        group = groups[language]
        gone = [row["id"] for row in ledger(fresh) if languages[row["id"]] == language]
        assert len(gone) == group.dropped == math.floor(0.1 * group.documents) > 0


def test_code_is_judged_when_asked(fresh: Path) -> None:
    filtered(fresh, code=True)
    assert {row["source"] for row in ledger(fresh)} == {"pages", "repos"}


def test_a_source_that_has_nothing_left_is_no_longer_in_the_mixture(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the code is left when its documents are the hardest, and almost all must go."""
    names = documents(fresh)

    def code_is_worst(task: Any) -> None:
        ids = storage.read_ipc(task.shard)["id"].to_pylist()[task.first : task.end]
        scores = [2.0 if names[i][0] == "repos" else 1.0 for i in ids]
        storage.write_ipc(task.target, pa.table({"score": pa.array(scores, pa.float32())}))

    monkeypatch.setattr(module, "score_chunk", code_is_worst)
    monkeypatch.setattr(module, "_wanted", lambda plan, kind, n: n if kind == "code" else 0)
    result = filtered(fresh, code=True)
    assert result["notes"] == ["no training tokens left in repos: left out of the mixture"]
    mixture = read_manifest(str(fresh / "run" / "rounds" / "01" / "shards")).mixture
    assert mixture is not None
    assert mixture.weights == {"pages": 3}
    assert verify_rounds(str(fresh / "run"))[0] == []


def test_what_does_not_fit_is_refused_before_anything_is_written(fresh: Path, once: Path) -> None:
    run = fresh / "run"
    with pytest.raises(UsageError, match="is not a run folder"):
        filter_round(run=str(fresh / "t1"), train=str(fresh / "t1"))
    with pytest.raises(UsageError, match="no training folder"):
        filter_round(run=str(run), train=str(run))
    with pytest.raises(UsageError, match=r"--drop: 1 is not a share"):
        filtered(fresh, drop=1.0)
    with pytest.raises(UsageError, match="nothing to drop"):
        filtered(fresh, drop=0.001)
    other = trained(once / "run" / "rounds" / "01" / "shards", fresh / "other", "steps=1")
    with pytest.raises(UsageError, match=r"train on the newest ones first.*run/shards --out DIR"):
        filter_round(run=str(run), train=str(other), engine=InProcess())
    for checkpoint in list_checkpoints(str(fresh / "t1")):
        shutil.rmtree(checkpoint.path)
    with pytest.raises(UsageError, match="no checkpoint yet"):
        filtered(fresh)
    assert not files_of(run / "rounds")


def test_a_finished_round_is_not_made_otherwise(once: Path) -> None:
    before = files_of(once / "run")
    with pytest.raises(UsageError, match=r"drop: 0.2 before, 0.3 now") as raised:
        filtered(once, drop=0.3)
    assert "checkpoint" not in str(raised.value).splitlines()[1]
    assert files_of(once / "run") == before


def test_a_run_that_changed_makes_its_rounds_stale(once: Path, tmp_path: Path) -> None:
    """Shards of the same run that were written otherwise, under a round that stays."""
    shutil.copytree(once / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "shards")
    shutil.copytree(once / "run" / "rounds" / "01" / "shards", tmp_path / "run" / "shards")
    run = str(tmp_path / "run")
    assert standing_rounds(run) == []
    assert any("is stale" in finding for finding in verify_rounds(run)[0])
    trained(tmp_path / "run" / "shards", tmp_path / "t1", "steps=1")
    with pytest.raises(UsageError, match="was made of other shards"):
        filtered(tmp_path)
    dropped = ledger(once)[0]["id"]
    assert "filter-round-01" not in json.dumps(why_data(run, dropped)), "it tells of this run only"


def test_the_records_follow_an_erasure(once: Path, tmp_path: Path) -> None:
    """Documents leave the shards and the ledger of a round, and its counts with them."""
    shutil.copytree(once / "run", tmp_path / "run")
    run = str(tmp_path / "run")
    folder = tmp_path / "run" / "rounds" / "01"
    gone = [ledger(once)[0]["id"], next(iter(shard_rows(folder / "shards")))]
    ids = pa.array(gone, pa.string())
    for shards in (tmp_path / "run" / "shards", folder / "shards"):
        forget_in_shards(str(shards), ids)
    for path in (folder / "ledger").iterdir():
        table = storage.read_parquet(str(path))
        storage.write_parquet(str(path), table.filter(pc.invert(pc.is_in(table["id"], ids))))
    assert verify_rounds(run)[0] != []
    before = load_round(str(once / "run"), 1)
    recount_rounds(run, 1)
    after = load_round(run, 1)
    assert before is not None
    assert after is not None
    assert after.counts.found == before.counts.found - 2
    assert after.counts.dropped == before.counts.dropped - 1
    assert verify_rounds(run)[0] == []
    assert [record.round for record in standing_rounds(run)] == [1]


def test_verify_finds_what_is_damaged_in_a_round(once: Path, tmp_path: Path) -> None:
    def broken(change: Callable[[Path], object]) -> str:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(once / "run", tmp_path / "run")
        change(tmp_path / "run" / "rounds" / "01")
        return "\n".join(verify_rounds(str(tmp_path / "run"))[0])

    def edited(folder: Path) -> None:
        path = folder / "round.json"
        record = json.loads(path.read_text())
        record["counts"]["kept"] += 1
        path.write_text(json.dumps(record))

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    assert broken(lambda folder: None) == ""
    assert "are accounted for" in broken(edited)
    assert "checksum" in broken(lambda folder: flip(next((folder / "ledger").iterdir())))
    assert "checksum" in broken(lambda folder: flip(folder / "shards" / "train-00001.arrow"))
    assert "missing" in broken(lambda folder: shutil.rmtree(folder / "ledger"))
    assert "has not finished" in broken(lambda folder: (folder / "round.json").unlink())
    assert "is damaged" in broken(lambda folder: (folder / "round.json").write_text("{}"))


def test_damaged_shards_are_not_filtered(fresh: Path) -> None:
    path = fresh / "run" / "shards" / "train-00000.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"cannot be filtered: .*checksum"):
        filtered(fresh)


def test_a_training_that_begins_with_other_weights_records_them(once: Path, tmp_path: Path) -> None:
    shards = once / "run" / "rounds" / "01" / "shards"
    cold = trained(shards, tmp_path / "cold", "steps=1", "learning_rate=1e-9")
    warm = trained(shards, tmp_path / "warm", "steps=1", "learning_rate=1e-9", f"start={once}/t1")

    def loss(out: Path) -> float:
        return float(json.loads((out / "metrics.jsonl").read_text().splitlines()[0])["loss"])

    assert loss(warm) < 0.9 * loss(cold)
    newest = list_checkpoints(str(once / "t1"))[-1]
    assert json.loads((warm / "train.json").read_text())["start"] == {
        "step": newest.step,
        "xxh3": newest.xxh3,
    }
    shutil.copytree(once / "t1", tmp_path / "t1")
    again = trained(
        shards, tmp_path / "again", "steps=1", "learning_rate=1e-9", f"start={tmp_path}/t1"
    )
    assert list_checkpoints(str(again))[0].xxh3 == list_checkpoints(str(warm))[0].xxh3
    with pytest.raises(UsageError, match=r"model.width: 32 there, 64 here"):
        trained(shards, tmp_path / "wide", f"start={once}/t1", "model.width=64")
    with pytest.raises(UsageError, match="is no training folder"):
        trained(shards, tmp_path / "none", f"start={once}")


def test_a_training_that_was_killed_early_begins_with_the_weights_it_recorded(
    once: Path, tmp_path: Path
) -> None:
    shards = once / "run" / "rounds" / "01" / "shards"
    shutil.copytree(once / "t1", tmp_path / "t1")
    out = trained(shards, tmp_path / "t2", "steps=2", f"start={tmp_path}/t1")
    shutil.rmtree(out / "checkpoints")
    for checkpoint in list_checkpoints(str(tmp_path / "t1")):
        shutil.rmtree(checkpoint.path)
    with pytest.raises(UsageError, match="no longer has the checkpoint of step 60"):
        trained(shards, out, "steps=2", f"start={tmp_path}/t1")
