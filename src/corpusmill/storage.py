"""The only place that writes files: whole or not at all, checksummed, the same bytes each time.

Paths are local paths or fsspec URLs (`remote.py`). A local file is written under a temporary name
in its folder, flushed to disk and renamed; object stores show an upload when it is complete.
"""

import contextlib
import glob
import io
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import xxhash

from corpusmill import remote
from corpusmill.errors import FolderBusy, RunError, UsageError

ROW_GROUP_ROWS = 4096
"""Rows in a Parquet row group. Fixed: the same rows in other groups give other bytes."""

TEMPORARY = ".writing-"
"""Prefix of unfinished files; what a killed run left is removed by `remove_unfinished`."""

REMOVE_ATTEMPTS = 5
"""How often a folder is removed into which someone writes meanwhile."""


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A written file, as manifests record it."""

    rows: int
    bytes: int
    xxh3: str
    """xxh3-128 of the file's bytes, 32 hex digits."""


def is_local(path: str) -> bool:
    """Whether the path is on this machine's file system."""
    return "://" not in path or path.startswith("file://")


def join(folder: str, *names: str) -> str:
    """A path below a folder, local or URL."""
    return "/".join((folder.rstrip("/"), *names))


def open_read(path: str) -> IO[bytes]:
    """Open a file for reading bytes; a missing or unreadable one is an OSError."""
    if is_local(path):
        return open(path.removeprefix("file://"), "rb")
    return remote.open_read(path)


def read_bytes(path: str) -> bytes:
    """The whole file."""
    with open_read(path) as stream:
        return stream.read()


def write_atomic(path: str, data: bytes | memoryview) -> FileInfo:
    """Write a file so that it is there whole or not at all."""
    return write_pieces(path, [data])


def write_pieces(path: str, pieces: Iterable[bytes | memoryview]) -> FileInfo:
    """Write a file piece by piece so that it is there whole or not at all.

    On a local disk one piece is held in memory at a time, elsewhere all of them.
    """
    digest = xxhash.xxh3_128()
    size = 0

    def noted() -> Iterator[bytes | memoryview]:
        nonlocal size
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            yield piece

    try:
        if is_local(path):
            _write_local(path.removeprefix("file://"), noted())
        else:
            remote.write(path, b"".join(noted()))
    except OSError as error:
        shown = path if is_local(path) else remote.shown(path)
        raise RunError(f"cannot write {shown}: {error.strerror}") from None
    return FileInfo(rows=0, bytes=size, xxh3=digest.hexdigest())


def _write_local(path: str, pieces: Iterable[bytes | memoryview]) -> None:
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    temporary = os.path.join(folder, _temporary(name))
    try:
        with open(temporary, "wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary(name: str) -> str:
    """A name of this call's own: workers on other machines may write the same file at this time."""
    return f"{TEMPORARY}{secrets.token_hex(6)}-{name}"


def write_parquet(path: str, table: pa.Table) -> FileInfo:
    """Write a table as Parquet: one chunk per column, fixed row groups and options."""
    sink = io.BytesIO()
    pq.write_table(
        table.combine_chunks(),
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=3,
        use_dictionary=False,
        write_statistics=False,
    )
    info = write_atomic(path, sink.getbuffer())
    return FileInfo(rows=table.num_rows, bytes=info.bytes, xxh3=info.xxh3)


def read_parquet(path: str, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file that this project wrote."""
    with open_read(path) as stream:
        try:
            return pq.read_table(stream, columns=columns, use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk or the network
                raise RunError(f"cannot read {path}: {error.strerror}") from None
            raise RunError(f"{path} is damaged: {error}") from None


def write_ipc(path: str, table: pa.Table, metadata: dict[str, str] | None = None) -> FileInfo:
    """Write a table as an uncompressed Arrow IPC file of exactly one record batch.

    `metadata` replaces the schema's metadata, in sorted order.
    """
    schema = table.schema.with_metadata(dict(sorted(metadata.items())) if metadata else None)
    batches = table.combine_chunks().to_batches()
    if len(batches) > 1:
        raise RunError(f"{path}: more than 2 GiB of text in one column of string type")
    columns = batches[0].columns if batches else [pa.array([], f.type) for f in schema]
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    info = write_atomic(path, sink.getbuffer())
    return FileInfo(rows=table.num_rows, bytes=info.bytes, xxh3=info.xxh3)


def read_ipc(path: str) -> pa.Table:
    """Read an Arrow IPC file whole; local ones through a memory map."""
    try:
        if is_local(path):
            with pa.memory_map(path.removeprefix("file://"), "rb") as source:
                return pa.ipc.open_file(source).read_all()
        return pa.ipc.open_file(pa.BufferReader(read_bytes(path))).read_all()
    except pa.ArrowInvalid as error:
        raise RunError(f"{path} is damaged: {error}") from None


def write_ipc_batches(path: str, tables: list[pa.Table]) -> None:
    """Write tables of one schema as an Arrow IPC file with one record batch each."""
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, tables[0].schema) as writer:
        for table in tables:
            batches = table.combine_chunks().to_batches()
            empty = [pa.array([], field.type) for field in table.schema]
            writer.write_batch(
                batches[0] if batches else pa.RecordBatch.from_arrays(empty, schema=table.schema)
            )
    write_atomic(path, sink.getbuffer())


def read_ipc_batch(path: str, number: int) -> pa.Table:
    """Read one record batch of an Arrow IPC file."""
    if is_local(path):
        with pa.memory_map(path.removeprefix("file://"), "rb") as source:
            return pa.Table.from_batches([pa.ipc.open_file(source).get_batch(number)])
    reader = pa.ipc.open_file(pa.BufferReader(read_bytes(path)))
    return pa.Table.from_batches([reader.get_batch(number)])


def write_json(path: str, value: Any) -> FileInfo:
    """Write JSON for people and machines: indented, keys in the order given."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return write_atomic(path, (text + "\n").encode())


def read_json(path: str) -> Any:
    """Read JSON that this project wrote."""
    try:
        return json.loads(read_bytes(path))
    except ValueError:
        raise RunError(f"{path} is damaged: it is not JSON") from None


def checksum_file(path: str) -> str:
    """xxh3-128 of a file's bytes, 32 hex digits, read in blocks of 1 MiB."""
    digest = xxhash.xxh3_128()
    with open_read(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def exists(path: str) -> bool:
    """Whether there is a file or folder."""
    if is_local(path):
        return os.path.exists(path.removeprefix("file://"))
    return remote.exists(path)


def file_size(path: str) -> int:
    """Bytes of a file."""
    if is_local(path):
        return os.path.getsize(path.removeprefix("file://"))
    return remote.stat(path).bytes


def content_tag(path: str) -> str:
    """What a store says of a file's content without reading it: it changes when the content does.

    An ETag or its like, and the size; empty for local files and for stores that have none. The same
    bytes may have different tags when they were uploaded in different ways.
    """
    return "" if is_local(path) else remote.stat(path).tag


def list_files(path: str) -> list[str]:
    """All files below a folder, those that a pattern matches, or the file itself; sorted.

    Links to folders are not entered; links to files are listed, broken ones too. Sockets, pipes
    and devices are not.
    """
    if not is_local(path):
        return [file.path for file in remote.list_files(path)]
    path = path.removeprefix("file://")
    if os.path.isdir(path):
        files = []
        for folder, folders, names in os.walk(path):
            folders.sort()
            files += [os.path.join(folder, name) for name in names]
        return sorted(f for f in files if os.path.isfile(f) or not os.path.exists(f))
    if os.path.exists(path):
        return [path] if os.path.isfile(path) else []
    matches = sorted(glob.glob(path, recursive=True))
    return sorted({file for match in matches for file in list_files(match)})


def is_no_folder(path: str) -> bool:
    """Whether a local path is a file, or lies where no folder can be made."""
    while not os.path.lexists(path):
        path = os.path.dirname(os.path.abspath(path))
    return not os.path.isdir(path) or not os.access(path, os.W_OK | os.X_OK)


def is_below(file: str, folder: str) -> bool:
    """Whether a local file is in a folder or deeper, by its path."""
    return is_local(file) and os.path.abspath(file).startswith(os.path.abspath(folder) + os.sep)


def leads_outside(file: str, folder: str) -> bool:
    """Whether a local file, found below a folder, is a link to something that is not below it."""
    real = os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(file), real]) != real


def publish(source: str, target: str) -> None:
    """Make `target` the same file as `source`: a hard link where that works, else a copy."""
    if is_local(source) and is_local(target):
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        temporary = os.path.join(os.path.dirname(target), _temporary(os.path.basename(target)))
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
        # rename(2) does nothing when both names are links to one file already
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    else:
        write_atomic(target, read_bytes(source))


def remove(path: str) -> None:
    """Remove a file or a whole folder; not being there is fine."""
    if is_local(path):
        path = path.removeprefix("file://")
        if os.path.isdir(path) and not os.path.islink(path):
            _remove_folder(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return
    remote.remove(path)


def _remove_folder(path: str) -> None:
    """Remove a folder in which a worker that was given up may still be writing."""
    for _ in range(REMOVE_ATTEMPTS):
        with contextlib.suppress(OSError):
            shutil.rmtree(path)
        if not os.path.lexists(path):
            return
    shutil.rmtree(path)


def remove_unfinished(folder: str) -> None:
    """Remove what killed processes left half-written. Call it under the folder's lock."""
    if is_local(folder):
        for place, _, names in os.walk(folder):
            for name in names:
                if name.startswith(TEMPORARY):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(place, name))


@contextlib.contextmanager
def folder_lock(folder: str) -> Iterator[None]:
    """Hold a folder for this process; a second process gets FolderBusy naming the first.

    The lock goes with the process, however it ends. Object stores have no locks: there the caller
    must see to it that a folder has one run.
    """
    if not is_local(folder):
        yield
        return
    import fcntl

    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(folder, exist_ok=True)
            stream = stack.enter_context(open(os.path.join(folder, ".lock"), "a+"))
        except OSError as error:
            raise UsageError(f"{folder}: cannot be an output folder: {error.strerror}") from None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            raise FolderBusy(f"{folder} is busy: {holder} works in it") from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield
