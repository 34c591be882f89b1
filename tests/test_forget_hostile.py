"""Erasure where a run was killed, files are damaged, keys are lost and addresses badly written."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.erasing_fixture import ERASED, documents, everything, finished, id_of

from corpusmill import storage
from corpusmill.document import derived_id
from corpusmill.errors import FolderBusy, RunError, UsageError
from corpusmill.pipelines.export import export
from corpusmill.pipelines.forget import REQUEST_FILE, forget
from corpusmill.pipelines.ledger import load_run, part_path
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.run import run
from corpusmill.pipelines.verify import verify
from corpusmill.pipelines.wanted import find, with_ids
from corpusmill.stages.duplicate_index import load_index


@pytest.fixture(name="out", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, made once."""
    folder = tmp_path_factory.mktemp("made") / "a"
    finished(folder)
    return folder


@pytest.fixture(name="run_folder")
def _run_folder(out: Path) -> Path:
    """The run as it was made; its index lies where the recipe says, and is restored with it."""
    kept = out.parent / "kept"
    if kept.exists():
        for name in ("a", "a-index"):
            shutil.rmtree(out.parent / name)
            shutil.copytree(kept / name, out.parent / name)
    else:
        for name in ("a", "a-index"):
            shutil.copytree(out.parent / name, kept / name)
    return out / "out"


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): path.read_bytes() for path in files}


def test_exports_in_the_run_folder_go(run_folder: Path) -> None:
    export(str(run_folder), "jsonl.zst")
    result = forget(str(run_folder), uris=[ERASED])
    assert result.exports_removed
    assert not (run_folder / "export").exists()
    assert not forget(str(run_folder), uris=[ERASED]).exports_removed


def test_what_a_killed_run_has_left_goes(run_folder: Path) -> None:
    leftovers = [
        "documents/.writing-7-part-00001.parquet",
        "stages/00-ingest/splits/00000.parquet",
        "stages/09-later/part-00000.parquet",
        "rounds/01/work/x/train-00000.arrow.places.arrow",
        "rounds/01/shards/train-00000.arrow",
    ]
    for name in leftovers:
        (run_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run_folder / name).write_text("Anna keeps bees")
    forget(str(run_folder), uris=[ERASED])
    assert not [name for name in leftovers if (run_folder / name).exists()]


def test_documents_and_shards_that_no_recorded_stage_wrote_go(run_folder: Path) -> None:
    # killed while tokenizing, and before that, while documents/ was filled
    record = load_run(str(run_folder))
    del record.stages[-1]
    record.published = None
    record.save(str(run_folder))
    gone = id_of(run_folder, ERASED)
    forget(str(run_folder), uris=[ERASED])
    assert not (run_folder / "shards").exists()
    assert gone not in everything(run_folder)
    recipe, _ = recipe_for([str(run_folder.parent / "recipe.yaml")], [])
    run(recipe, str(run_folder), workers=1)
    assert gone not in everything(run_folder)
    assert verify(str(run_folder))[0] == []


def test_another_key_under_the_same_name_is_refused(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERASURES", "0123456789abcdef")
    forget(str(run_folder), uris=[ERASED], key="env:ERASURES")
    monkeypatch.setenv("ERASURES", "fedcba9876543210")
    with pytest.raises(UsageError, match="another key than that in env:ERASURES"):
        forget(str(run_folder), domains=["people.example.org"])
    assert any("another key" in finding for finding in verify(str(run_folder))[0])
    shutil.rmtree(run_folder / "ledger")
    shutil.rmtree(run_folder / "stages")
    recipe, _ = recipe_for([str(run_folder.parent / "recipe.yaml")], [])
    with pytest.raises(UsageError, match="another key"):
        run(recipe, str(run_folder), workers=1)


def test_copies_are_followed_over_any_number_of_steps(tmp_path: Path) -> None:
    rows = documents()
    rows += [{"url": f"https://copy-{n}.example.com/", "text": rows[36]["text"]} for n in range(2)]
    finished(tmp_path / "a", rows)
    out = tmp_path / "a" / "out"
    # all are copies of one, so that one of them leads to the others over that one only
    assert forget(str(out), uris=["https://copy-1.example.com/"], dry_run=True).copies_left == 3
    result = forget(str(out), uris=["https://copy-1.example.com/"], copies=True)
    assert (result.documents, result.copies_left) == (4, 0)
    assert "Anna" not in everything(out)
    assert verify(str(out))[0] == []


def test_a_derived_document_and_its_original_go_together(run_folder: Path) -> None:
    # erased by itself it would be made again
    original = id_of(run_folder, ERASED)
    derived = derived_id(original, "backtranslate-pt", 0)
    record = load_run(str(run_folder))
    for number in range(len(record.parts)):
        path = part_path(str(run_folder), "documents", number)
        rows = pq.read_table(path).to_pylist()
        rows += [
            {**row, "id": derived, "augmented_from": original}
            for row in rows
            if row["id"] == original
        ]
        schema = pq.read_schema(path)
        storage.write_parquet(path, pa.Table.from_pylist(rows, schema=schema))
    for named in (original, derived):
        found = find(str(run_folder), record, with_ids({named}))
        assert list(found.values()) == [{original, derived}]


def test_a_domain_is_met_without_a_scheme_and_with_others(tmp_path: Path) -> None:
    addresses = [
        "people.example.org/anna",
        "//people.example.org:81/b",
        "ftp://user@people.example.org/c",
        "PEOPLE.example.org./d",
    ]
    others = [
        "example.org.evil.net/a",
        "notexample.org/a",
        "https://evil.net/example.org/",
        "example.org@evil.net/",
        "files/example.org/a",
    ]
    rows = [{"url": a, "text": f"Page {a} is here. " * 9} for a in addresses + others]
    finished(tmp_path / "a", rows)
    out = str(tmp_path / "a" / "out")
    assert forget(out, uris=["https://people.example.org/anna"], dry_run=True).documents == 1
    assert forget(out, domains=["example.org"]).documents == len(addresses)
    left = everything(tmp_path / "a" / "out")
    assert [a for a in addresses if a in left] == []
    assert [a for a in others if a not in left] == []
    assert verify(out)[0] == []


def test_a_file_stands_for_all_its_chapters(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    for name in ("One", "Two"):
        chapters = [f"Chapter {n}\n\n{f'{name} sails past cape {n}. ' * 200}\n" for n in (1, 2, 3)]
        (tmp_path / "books" / f"{name}.txt").write_text("\n\n".join(chapters))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: library\n"
        "sources: [{name: library, kind: book, unit: chapter, path: books/*.txt}]\n"
        "stages: [{heuristics: {rules: [gopher_quality]}}]\n"
    )
    loaded, _ = recipe_for([str(recipe)], [])
    out = tmp_path / "out"
    run(loaded, str(out), workers=1)
    assert forget(str(out), uris=["One.txt#2"], dry_run=True).documents == 1
    assert forget(str(out), uris=["One.txt"]).documents == 3
    for name in ("ledger", "stages", "documents"):
        shutil.rmtree(out / name)
    record = run(loaded, str(out), workers=1)
    assert record.stages[0].counts.skipped["erased"] == 3
    assert record.stages[0].counts.found == 3
    assert verify(str(out))[0] == []


def test_a_folder_that_is_no_run_stays_as_it_is(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UsageError, match="not a run folder"):
            forget(str(folder), uris=[ERASED])
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_does_not_finish_what_was_killed(run_folder: Path) -> None:
    (run_folder / REQUEST_FILE).write_text("{}")
    before = contents(run_folder)
    with pytest.raises(UsageError, match="has not finished"):
        forget(str(run_folder), uris=[ERASED], dry_run=True)
    assert contents(run_folder) == before


@pytest.mark.parametrize("area", ["shards", "stages/00-ingest", "ledger/02-deduplicate"])
@pytest.mark.parametrize("how", ["cut", "missing"])
def test_damage_is_found_before_anything_is_touched(run_folder: Path, area: str, how: str) -> None:
    for path in [p for p in (run_folder / area).iterdir() if p.suffix in (".arrow", ".parquet")]:
        if how == "cut":
            path.write_bytes(path.read_bytes()[:-40])
        else:
            path.unlink()
    before = contents(run_folder)
    if area == "stages/00-ingest" and how == "missing":
        assert forget(str(run_folder), uris=[ERASED]).documents == 1  # as after `clean`
        return
    with pytest.raises(RunError):
        forget(str(run_folder), uris=[ERASED])
    assert contents(run_folder) == before


def test_an_index_that_is_in_use_is_waited_for_before_anything_is_touched(
    run_folder: Path,
) -> None:
    before = contents(run_folder)
    with storage.folder_lock(f"{run_folder.parent}-index"), pytest.raises(FolderBusy):
        forget(str(run_folder), uris=[ERASED])
    assert contents(run_folder) == before


def test_a_part_that_was_put_back_is_neither_verified_nor_counted_twice(run_folder: Path) -> None:
    kept = {path: path.read_bytes() for path in (run_folder / "documents").iterdir()}
    forget(str(run_folder), uris=[ERASED])
    for path, data in kept.items():
        path.write_bytes(data)
    assert any("1 rows of documents that were erased" in f for f in verify(str(run_folder))[0])
    with pytest.raises(RunError, match="run the recipe again"):
        forget(str(run_folder), uris=[ERASED])


def test_verify_reads_indexes_and_what_the_ledger_names(run_folder: Path) -> None:
    index = Path(f"{run_folder.parent}-index")
    kept = {path: path.read_bytes() for path in index.rglob("*") if path.is_file()}
    gone = id_of(run_folder, ERASED)
    forget(str(run_folder), uris=[ERASED])
    assert verify(str(run_folder))[0] == []
    for path, data in kept.items():
        path.write_bytes(data)
    assert load_index(str(index)).generations
    assert [f for f in verify(str(run_folder))[0] if str(index) in f]

    path = min((run_folder / "ledger" / "01-heuristics").glob("*.parquet"))
    rows = pq.read_table(path)
    added = {name: rows[name][0].as_py() if rows.num_rows else None for name in rows.column_names}
    added |= {"id": "0" * 32, "part": 0, "uri": "x", "source": "pages", "stage": "01-heuristics"}
    added |= {"action": "dropped", "reason": "x", "detail": gone}
    more = pa.Table.from_pylist([added], schema=rows.schema)
    storage.write_parquet(str(path), pa.concat_tables([rows, more]))
    assert [f for f in verify(str(run_folder))[0] if f.startswith(str(path))]


def test_a_damaged_file_of_tombstones_is_told(run_folder: Path) -> None:
    forget(str(run_folder), uris=[ERASED])
    path = run_folder / "tombstones.json"
    plain = json.loads(path.read_text())
    for key in ("hex:zz", f"hex:{'0' * 64}", 7):
        path.write_text(json.dumps({**plain, "key": key}))
        with pytest.raises((RunError, UsageError), match=r"tombstones\.json"):
            forget(str(run_folder), uris=[ERASED])
