"""Erasure leaves no trace, whatever interrupts it, and what was erased does not come back."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.erasing_fixture import ERASED, documents, everything, finished, id_of, prepare

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines import erase as erasing
from corpusmill.pipelines.forget import forget
from corpusmill.pipelines.ledger import load_run, reconcile
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.run import run
from corpusmill.pipelines.verify import verify
from corpusmill.stages.duplicate_index import load_index
from corpusmill.stages.index_pieces import read_checked


@pytest.fixture(name="out")
def _out(tmp_path: Path) -> Path:
    finished(tmp_path / "a")
    return tmp_path / "a" / "out"


def test_an_erased_address_leaves_no_trace_and_the_run_still_adds_up(out: Path) -> None:
    gone = id_of(out, ERASED)
    copy = id_of(out, "https://copy.example.com/")
    assert gone in everything(out)
    result = forget(str(out), uris=[ERASED])
    assert (result.documents, result.copies_left) == (1, 1)
    left = everything(out)
    assert gone not in left
    assert copy in left
    assert ERASED not in left
    assert verify(str(out))[0] == []
    assert reconcile(str(out), load_run(str(out))) == []


def test_copies_of_an_erased_document_go_when_that_is_asked(out: Path) -> None:
    result = forget(str(out), uris=[ERASED], copies=True)
    assert (result.documents, result.copies_left) == (2, 0)
    assert "Anna" not in everything(out)
    assert verify(str(out))[0] == []


def test_a_domain_stands_for_all_its_pages_dropped_ones_too(out: Path, tmp_path: Path) -> None:
    assert forget(str(out), domains=["people.example.org"]).documents == 3
    assert "people.example.org" not in everything(out)
    assert verify(str(out))[0] == []
    # the counts are those of a run that never had the documents, the copy aside, which has now
    # been dropped for a document that is not there
    others = [row for row in documents() if "people.example.org" not in row["url"]]
    never = finished(tmp_path / "b", others)
    now = load_run(str(out))
    for stage, expected in zip(now.stages[:2], never.stages[:2], strict=True):
        assert stage.counts.to_json() == expected.counts.to_json()


def test_what_is_erased_is_out_of_the_index_and_of_later_runs(out: Path, tmp_path: Path) -> None:
    gone = id_of(out, ERASED)
    assert forget(str(out), ids=[gone]).indexed == 1
    index = load_index(f"{tmp_path / 'a'}-index")
    ids = [
        document
        for generation in index.generations
        for piece in generation.pieces
        for document in read_checked(index.path, piece, "documents")["id"].to_pylist()
    ]
    assert ids
    assert gone not in ids
    # everything is read again, and the document is left out
    storage.remove(str(out / "ledger"))
    storage.remove(str(out / "stages"))
    recipe, _ = recipe_for([str(tmp_path / "a" / "recipe.yaml")], [])
    record = run(recipe, str(out), workers=1)
    assert record.stages[0].counts.skipped["erased"] == 1
    assert record.stages[0].counts.found == len(documents()) - 1
    assert gone not in everything(out)
    assert verify(str(out))[0] == []


def test_a_changed_recipe_goes_on_from_what_is_left(out: Path, tmp_path: Path) -> None:
    gone = id_of(out, ERASED)
    forget(str(out), ids=[gone])
    recipe, _ = recipe_for([prepare(tmp_path / "a", changed="0")], [])
    storage.remove(f"{tmp_path / 'a'}-index")
    run(recipe, str(out), workers=1, update=True)
    assert gone not in everything(out)
    assert verify(str(out))[0] == []


def test_an_erasure_that_is_killed_anywhere_is_finished_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As a kill: nothing in the code may catch it."""

    def contents(out: Path) -> dict[str, bytes]:
        files = {str(p.relative_to(out)): p for p in sorted(out.rglob("*")) if p.is_file()}
        measured = re.compile(r"run\.json|metrics\.prom|recipe\.yaml|stages/.*\.json|\..*")
        return {n: path.read_bytes() for n, path in files.items() if not measured.fullmatch(n)}

    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    finished(tmp_path / "whole")
    whole = tmp_path / "whole" / "out"
    forget(str(whole), domains=["people.example.org"], key=f"file:{key}")
    expected, last = contents(whole), load_run(str(whole))

    finished(tmp_path / "cut")
    cut = tmp_path / "cut" / "out"
    storage.remove(f"{tmp_path / 'cut'}-index")  # it lies outside, and is not compared
    step, writes = 0, 0
    original = storage.write_atomic

    def write(path: str, data: bytes | memoryview) -> Any:
        nonlocal writes
        writes += 1
        if writes > 1 + step:
            raise Killed
        return original(path, data)

    while True:
        writes = 0
        monkeypatch.setattr(storage, "write_atomic", write)
        try:
            forget(str(cut), domains=["people.example.org"], key=f"file:{key}")
            break
        except Killed:
            assert step > 0 or verify(str(cut))[0]  # an unfinished erasure is told
            step += 1
    monkeypatch.setattr(storage, "write_atomic", original)
    assert step > 3
    assert contents(cut) == expected
    now = load_run(str(cut))
    assert [s.counts.to_json() for s in now.stages] == [s.counts.to_json() for s in last.stages]
    assert verify(str(cut))[0] == []


def test_erasing_twice_is_fine_and_what_was_never_there_is_an_error(out: Path) -> None:
    forget(str(out), uris=[ERASED])
    assert forget(str(out), uris=[ERASED]).documents == 0
    with pytest.raises(UsageError, match=r"no document has domain 'nobody\.example'"):
        forget(str(out), domains=["nobody.example"])
    with pytest.raises(UsageError, match="not an id"):
        forget(str(out), ids=["abc"])
    with pytest.raises(UsageError, match="give a host"):
        forget(str(out), domains=["https://nobody.example/"])
    with pytest.raises(UsageError, match="give a host"):
        forget(str(out), domains=["%ff"])
    with pytest.raises(UsageError, match="whole top-level domain"):
        forget(str(out), domains=["org"])
    with pytest.raises(UsageError, match="name what to forget"):
        forget(str(out))


def test_a_dry_run_counts_and_changes_nothing(out: Path) -> None:
    before = everything(out)
    assert forget(str(out), domains=["people.example.org"], dry_run=True).documents == 3
    assert everything(out) == before


def test_verify_sees_what_was_erased_and_is_there_again(out: Path) -> None:
    gone = id_of(out, "https://people.example.org/bo")
    forget(str(out), ids=[gone])
    path = min((out / "ledger" / "01-heuristics").glob("*.parquet"))
    left = pq.read_table(path)
    row = {**dict.fromkeys(left.column_names), "id": gone, "part": 0, "uri": "x"}
    row |= {"source": "pages", "stage": "01-heuristics", "action": "dropped", "reason": "x"}
    added = pa.Table.from_pylist([row], schema=left.schema)
    storage.write_parquet(str(path), pa.concat_tables([left, added]))
    assert any("erased" in finding for finding in verify(str(out))[0])


def test_a_cleaned_run_can_be_erased_from(out: Path) -> None:
    storage.remove(str(out / "stages"))
    gone = [
        row["id"]
        for path in sorted((out / "documents").glob("*.parquet"))
        for row in pq.read_table(path, columns=["id", "uri"]).to_pylist()
        if row["uri"] == ERASED
    ]
    assert forget(str(out), uris=[ERASED]).documents == len(gone) == 1
    assert gone[0] not in everything(out)
    assert verify(str(out))[0] == []
    assert erasing.shard_folders(str(out)) == [str(out / "shards")]
