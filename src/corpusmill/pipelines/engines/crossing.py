"""How work crosses to the workers of a cluster: items out as tables, answers and pieces back.

Both clusters move Arrow tables, and neither all types of Arrow; so items, answers and the pieces of
an exchange cross as bytes in columns that both know. What is pickled is made here and read here.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.errors import MillError, RunError, where_raised
from corpusmill.pipelines.engines.engine import Answer, ExchangeTask, storage_failed
from corpusmill.pipelines.engines.shuffle import bring_together, cut

ITEMS = pa.schema([("number", pa.int64()), ("item", pa.binary())])
"""What goes out: one row an item."""

ANSWERS = pa.schema([("number", pa.int64()), ("answer", pa.binary())])
"""What comes back: one row an item, a pickled Answer."""

PIECES = pa.schema(
    [
        ("partition", pa.int64()),
        ("number", pa.int64()),
        ("piece", pa.int64()),
        ("rows", pa.binary()),
        ("answer", pa.binary()),
    ]
)
"""What is shuffled: rows of one partition out of file `number` as an Arrow stream. An answer (with
no rows) tells how many pieces the file has sent, or why it could not be cut."""

PIECE_BYTES = 4 << 20
"""A larger one is cut: what an engine holds of a table at a time."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the driver works: paths and imports mean the same on a worker."""

    folder: str
    path: tuple[str, ...]

    @classmethod
    def here(cls) -> "Place":
        """The place of this process."""
        return cls(folder=os.getcwd(), path=tuple(path for path in sys.path if path))

    def take(self) -> None:
        """Make this process, a worker's, work like the driver. Folders that it lacks are left."""
        sys.path.extend(path for path in self.path if path not in sys.path)
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        # one thread in every worker, as ever: its neighbours have the other cores
        pa.set_cpu_count(1)
        pa.set_io_thread_count(1)


def as_items(items: Sequence[Any]) -> list[pa.Table]:
    """A table for each item."""
    return [
        pa.Table.from_pydict({"number": [number], "item": [pickle.dumps(item)]}, ITEMS)
        for number, item in enumerate(items)
    ]


def as_answers(answers: Iterable[tuple[int, Answer]]) -> pa.Table:
    """Answers as they cross back."""
    rows = [(number, pickle.dumps(answer)) for number, answer in answers]
    return pa.Table.from_pydict(
        {"number": [number for number, _ in rows], "answer": [data for _, data in rows]}, ANSWERS
    )


def answers_of(table: pa.Table) -> Iterator[tuple[int, Answer]]:
    """What `as_answers` was given."""
    for row in table.to_pylist():
        yield row["number"], _read(row["answer"])


def answer(task: Callable[[], Any]) -> Answer:
    """Do a task; whatever it raises becomes the answer."""
    started = time.process_time()
    try:
        value = task()
    except KeyboardInterrupt:
        # A task that Ray cancels. What it had begun, an import or a message, must meet no other.
        os._exit(1)
    except MillError as error:
        return Answer(failure=error)
    except OSError as error:
        return Answer(failure=storage_failed(error))
    except Exception as error:
        return Answer(raised=where_raised(error))
    return Answer(value=value, cpu_seconds=time.process_time() - started)


@dataclass(frozen=True, kw_only=True)
class _OnWorker:
    """What is done on a worker with a table: a pickled task, in the place of the driver."""

    task: bytes
    place: Place

    @classmethod
    def of(cls, task: Any) -> Self:
        """For a task of the driver, which is this process."""
        return cls(task=pickle.dumps(task), place=Place.here())


@dataclass(frozen=True, kw_only=True)
class Mapping(_OnWorker):
    """A task, done on a worker for each row of a table of items."""

    def __call__(self, items: pa.Table) -> pa.Table:
        """ITEMS to ANSWERS."""
        self.place.take()

        def do(item: bytes) -> Any:
            return _read(self.task)(_read(item))

        rows = items.to_pylist()
        return as_answers((row["number"], answer(partial(do, row["item"]))) for row in rows)


@dataclass(frozen=True, kw_only=True)
class Cutting(_OnWorker):
    """The first end of an exchange: items are (dataset, file)."""

    def __call__(self, items: pa.Table) -> Iterator[pa.Table]:
        """ITEMS to PIECES, a table each."""
        self.place.take()
        for row in items.to_pylist():
            yield from self._pieces(row["number"], row["item"])

    def _pieces(self, number: int, item: bytes) -> Iterator[pa.Table]:
        task: ExchangeTask = _read(self.task)
        dataset, path = _read(item)
        done = answer(lambda: cut(task, dataset, path))
        sent = 0
        if done.value is not None:
            # An empty piece of each dataset's first file tells every partition of all columns.
            first = path == task.datasets[dataset][0]
            for partition, rows in enumerate(done.value):
                for piece in _in_pieces(rows) if rows.num_rows or first else ():
                    yield _piece(partition, number, sent, _pack(piece), None)
                    sent += 1
        told = Answer(
            value=sent, failure=done.failure, raised=done.raised, cpu_seconds=done.cpu_seconds
        )
        yield _piece(number % task.partitions, number, -1, None, pickle.dumps(told))


@dataclass(frozen=True, kw_only=True)
class Gathering(_OnWorker):
    """The second end: pieces of whole partitions become the files of the result."""

    def __call__(self, pieces: pa.Table) -> pa.Table:
        """PIECES to ANSWERS: partition -> (file, pieces); -1 -> what a file had to tell."""
        self.place.take()
        return as_answers(self._answers(pieces))

    def _answers(self, pieces: pa.Table) -> Iterator[tuple[int, Answer]]:
        task: ExchangeTask = _read(self.task)
        # Rows are looked up one by one: a sorted copy would hold all of them twice, and fails
        # at 2 GiB.
        order = pc.sort_indices(
            pieces.select(["partition", "number", "piece"]),
            sort_keys=[(name, "ascending") for name in ("partition", "number", "piece")],
        ).to_numpy()
        partitions = pieces.column("partition").to_numpy()[order]
        begins = np.flatnonzero(np.diff(partitions, prepend=-1))
        for rows in np.split(order, begins[1:]) if len(order) else ():
            told = _there(pieces.column("answer"), rows)
            for data in told:
                yield -1, _read(data.as_py())
            if len(told) < len(rows):
                packed = _there(pieces.column("rows"), rows)
                partition = pieces.column("partition")[int(rows[0])].as_py()
                yield partition, answer(partial(_brought_together, task, partition, packed))


def _there(column: pa.ChunkedArray, rows: npt.NDArray[np.uint64]) -> list[pa.Scalar]:
    """The values of some rows that are not null."""
    return [value for row in rows.tolist() if (value := column[row]).is_valid]


def _brought_together(
    task: ExchangeTask, partition: int, packed: Sequence[pa.Scalar]
) -> tuple[str, int]:
    path = bring_together(task, partition, (_unpack(data.as_buffer()) for data in packed))
    return path, len(packed)


def files_of(task: ExchangeTask, answers: Iterable[tuple[int, Answer]]) -> tuple[list[str], float]:
    """The files of a result and the CPU seconds that it took.

    Raises RunError unless every piece that was sent has come, in one place for each partition.
    """
    files: dict[int, str] = {}
    sent = received = 0
    told = 0
    cpu_seconds = 0.0
    late: list[Answer] = []
    for number, given in answers:
        cpu_seconds += given.cpu_seconds
        if number < 0:
            sent += given.result()
            told += 1
            continue
        if given.failure is not None or given.raised:
            late.append(given)  # the reason may be a file that could not be cut
            continue
        path, pieces = given.value
        if number in files:
            raise RunError(f"the exchange has split partition {number}: nothing of it was used")
        files[number] = path
        received += pieces
    for given in late:
        given.result()
    everything = told == sum(map(len, task.datasets)) and len(files) == task.partitions
    if not everything or sent != received:
        raise RunError(
            f"the exchange has lost rows: {received} of {sent} pieces came, {len(files)} of "
            f"{task.partitions} partitions; nothing of it was used"
        )
    return [files[number] for number in range(task.partitions)], cpu_seconds


def _read(data: bytes) -> Any:
    """What this module has pickled, on this run's driver or on one of its workers."""
    try:
        return pickle.loads(data)  # noqa: S301
    except (AttributeError, ImportError) as error:
        raise RunError(
            f"a worker cannot read what the driver sends ({type(error).__name__}): it has another "
            "version of corpusmill, or lacks a package"
        ) from None


def _in_pieces(rows: pa.Table) -> Iterator[pa.Table]:
    count = max(1, -(-rows.nbytes // PIECE_BYTES))
    step = max(1, -(-rows.num_rows // count))
    for begin in range(0, max(1, rows.num_rows), step):
        yield rows.slice(begin, step)


def _piece(
    partition: int, number: int, piece: int, rows: bytes | None, told: bytes | None
) -> pa.Table:
    row = {"partition": partition, "number": number, "piece": piece, "rows": rows, "answer": told}
    return pa.Table.from_pylist([row], PIECES)


def _pack(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    return bytes(sink.getvalue())


def _unpack(data: pa.Buffer) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()
