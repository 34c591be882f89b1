"""Files are there whole or not at all, and the same rows give the same bytes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from corpusmill import storage
from corpusmill.errors import FolderBusy, RunError

ROWS = pa.table({"id": ["a", "b", "c"] * 3000, "n": list(range(9000))})


def test_the_same_rows_in_other_chunks_give_the_same_parquet_bytes(tmp_path: Path) -> None:
    chunked = pa.concat_tables([ROWS.slice(0, 17), ROWS.slice(17, 5000), ROWS.slice(5017)])
    whole = storage.write_parquet(str(tmp_path / "a.parquet"), ROWS)
    pieces = storage.write_parquet(str(tmp_path / "b.parquet"), chunked)
    assert whole == pieces
    assert whole.xxh3 == storage.checksum_file(str(tmp_path / "a.parquet"))
    assert storage.read_parquet(str(tmp_path / "a.parquet")).equals(ROWS)


def test_an_ipc_file_holds_one_batch_however_the_table_was_chunked(tmp_path: Path) -> None:
    chunked = pa.concat_tables([ROWS.slice(0, 17), ROWS.slice(17)])
    one = storage.write_ipc(str(tmp_path / "a.arrow"), ROWS, {"k": "v"})
    other = storage.write_ipc(str(tmp_path / "b.arrow"), chunked, {"k": "v"})
    assert one == other
    assert pa.ipc.open_file(str(tmp_path / "b.arrow")).num_record_batches == 1


def test_an_empty_table_survives_both_formats(tmp_path: Path) -> None:
    storage.write_parquet(str(tmp_path / "a.parquet"), ROWS.slice(0, 0))
    storage.write_ipc(str(tmp_path / "a.arrow"), ROWS.slice(0, 0))
    assert storage.read_parquet(str(tmp_path / "a.parquet")).schema == ROWS.schema
    assert storage.read_ipc(str(tmp_path / "a.arrow")).num_rows == 0


def test_a_write_that_fails_leaves_neither_the_file_nor_a_temporary_one(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / "inside").write_text("x")
    with pytest.raises(RunError, match="cannot write"):
        storage.write_atomic(str(folder), b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken"]


def test_unfinished_files_are_removed_and_finished_ones_kept(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"{storage.TEMPORARY}1-x").write_text("half")
    (tmp_path / "deep" / "x").write_text("whole")
    storage.remove_unfinished(str(tmp_path))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x"]


def test_publishing_twice_is_harmless(tmp_path: Path) -> None:
    source, target = str(tmp_path / "s"), str(tmp_path / "sub" / "t")
    storage.write_atomic(source, b"data")
    storage.publish(source, target)
    storage.publish(source, target)
    assert storage.read_bytes(target) == b"data"
    assert os.listdir(tmp_path / "sub") == ["t"]


def test_links_are_listed_and_those_that_lead_out_of_the_folder_recognised(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").write_text("y")
    (tmp_path / "data" / "theirs").symlink_to(tmp_path / "secret")
    (tmp_path / "data" / "broken").symlink_to(tmp_path / "data" / "nothing")
    os.mkfifo(tmp_path / "data" / "pipe")
    listed = storage.list_files(str(tmp_path / "data"))
    assert [Path(path).name for path in listed] == ["broken", "mine", "theirs"]
    outside = [storage.leads_outside(path, str(tmp_path / "data")) for path in listed]
    assert outside == [False, False, True]


def test_object_stores_are_written_and_read_through_fsspec() -> None:
    info = storage.write_parquet("memory://bucket/a/part.parquet", ROWS)
    assert storage.exists("memory://bucket/a/part.parquet")
    assert storage.checksum_file("memory://bucket/a/part.parquet") == info.xxh3
    assert storage.read_parquet("memory://bucket/a/part.parquet").equals(ROWS)
    storage.publish("memory://bucket/a/part.parquet", "memory://bucket/b/part.parquet")
    assert len(storage.list_files("memory://bucket/b")) == 1
    storage.remove("memory://bucket/a")
    assert not storage.exists("memory://bucket/a/part.parquet")


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom corpusmill import storage\n"
        f"with storage.folder_lock({str(tmp_path)!r}):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        named = pytest.raises(FolderBusy, match=f"process {holder.pid} on ")
        with named, storage.folder_lock(str(tmp_path)):
            pass
    finally:
        holder.kill()
        holder.wait()
    time.sleep(0.05)
    with storage.folder_lock(str(tmp_path)):  # the lock goes with the process that held it
        pass
