"""Child processes: workers that may be killed, and stages that may crash.

A child is a fresh interpreter (never a fork: Arrow, Numba and torch have threads) that runs one
function at a time. Functions and arguments are pickled over a private pipe; they are this project's
own objects. A child dies with its parent, also when the parent is killed.
"""

import contextlib
import ctypes
import gc
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from corpusmill.errors import BrokenContract, MillError, RunError, where_raised
from corpusmill.stage import Apply, NarrowStage, Outcome, check_opened

DEFAULT_CPU_SECONDS = 20
"""CPU seconds for one call of an isolated stage, besides those for the size of the batch
(`NarrowStage.cpu_seconds_per_mb`); a document alone in its batch that needs more is quarantined."""

ENDING_SECONDS = 30.0
"""For a child whose connection has ended to end itself: its memory is given back, or dumped."""

OPEN_ATTEMPTS = 3
"""How often a child that ends while it loads its stage is started again."""


class ChildDied(Exception):
    """The child ended in the middle of a call; the message is a quarantine reason."""


class ChildError(Exception):
    """The function raised; the message is type and place, without the exception's own text."""


class Child:
    """One child process. Calls are answered in order; `connection` can be waited on."""

    def __init__(self, *, cpu_seconds: int | None = None) -> None:
        self.cpu_seconds = cpu_seconds
        self.connection, theirs = Pipe()
        arguments = [str(theirs.fileno()), str(os.getpid())]
        # One thread in every worker: sums of floating-point numbers depend on how they are divided.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # Where the parent found the package, also when it was started from elsewhere.
        environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        self.process = subprocess.Popen(
            # -P: nothing in the current folder, which may hold a stranger's files, is imported.
            [sys.executable, "-P", "-m", "corpusmill.isolation", *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()

    def send(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Start a call."""
        try:
            self.connection.send((function, arguments, self.cpu_seconds))
        except OSError:
            raise ChildDied(self.cause_of_death()) from None

    def receive(self) -> Any:
        """The result of the oldest call that has not been received yet."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            raise ChildDied(self.cause_of_death()) from None
        if kind == "mill_error":
            raise value
        if kind == "error":
            raise ChildError(value)
        return value

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in the child and wait for its result.

        An interruption ends the child: its answer would be taken for that of the next call.
        """
        try:
            self.send(function, *arguments)
            return self.receive()
        except Exception:
            raise
        except BaseException:
            self.stop()
            raise

    def cause_of_death(self) -> str:
        """Why the process ended, as a reason for a ledger. One that lives on, mute, is ended."""
        try:
            code = self.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code == -signal.SIGXCPU:
            return "cpu_limit"
        if code < 0:
            return f"killed_by_{signal.Signals(-code).name.lower()}"
        return f"exited_with_{code}"

    def stop(self) -> None:
        """End the child."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


class IsolatedStage:
    """A narrow stage that runs in a child; a crash surfaces as ChildDied for the whole batch.

    The runner answers that by trying smaller batches, so the limit on CPU time is, in the end, one
    for a single document.
    """

    def __init__(self, stage: NarrowStage) -> None:
        self.stage = stage
        self.child: Child | None = None
        self.child_cpu_seconds = 0.0
        """Spent by all children so far."""

    def apply(self, batch: pa.RecordBatch) -> Outcome:
        """Judge a batch in the child, starting one when there is none."""
        if self.child is None:
            self.child = self._open()
        megabytes = batch.nbytes / (1 << 20)
        more = int(self.stage.cpu_seconds_per_mb * megabytes)
        self.child.cpu_seconds = DEFAULT_CPU_SECONDS + more
        try:
            answer, cpu_seconds = self.child.call(_apply_stage, _pack(batch))
        except ChildDied:
            self.child.stop()
            self.child = None
            raise
        self.child_cpu_seconds += cpu_seconds
        documents, verdicts, added, skipped = answer
        return Outcome(
            documents=_unpack(documents),
            verdicts=_unpack(verdicts),
            added=None if added is None else _unpack(added),
            skipped=skipped,
        )

    def _open(self) -> Child:
        """A child that has loaded the stage. Failing to load is no document's fault."""
        reason = ""
        for _ in range(OPEN_ATTEMPTS):
            # Loading a model may take longer than judging a document: no limit on CPU time yet.
            child = Child()
            try:
                child.call(_open_stage, self.stage, self.stage.memory_mb)
                return child
            except (ChildDied, ChildError) as error:
                reason = str(error)
                child.stop()
            except MillError:
                child.stop()
                raise
        raise RunError(f"stage {self.stage.name} could not be opened: {reason}")

    def stop(self) -> None:
        """End the child."""
        if self.child is not None:
            self.child.stop()
            self.child = None


def _pack(batch: pa.RecordBatch) -> bytes:
    # Not pickle: a pickled slice may carry the whole buffers that it is a view of.
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _unpack(data: bytes) -> pa.RecordBatch:
    return pa.ipc.open_stream(data).read_next_batch()


_opened: list[Apply] = []


def _open_stage(stage: NarrowStage, memory_mb: int) -> None:
    _opened[:] = [check_opened(stage.open())]
    gc.freeze()  # modules and models stay: no collection of garbage needs to look through them
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    limit = used + (memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _apply_stage(
    packed: bytes,
) -> tuple[tuple[bytes, bytes, bytes | None, dict[str, int]], float]:
    before = _cpu_seconds()
    outcome = _opened[0](_unpack(packed))
    if not isinstance(outcome, Outcome):
        raise BrokenContract(f"gave a {type(outcome).__name__} instead of an Outcome")
    added = None if outcome.added is None else _pack(outcome.added)
    packs = (_pack(outcome.documents), _pack(outcome.verdicts), added)
    return (*packs, dict(outcome.skipped)), _cpu_seconds() - before


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _limit_cpu(seconds: int | None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = resource.RLIM_INFINITY if seconds is None else int(_cpu_seconds()) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _serve(connection: Connection) -> None:
    while True:
        try:
            function, arguments, cpu_seconds = connection.recv()
        except (EOFError, OSError):
            return
        _limit_cpu(cpu_seconds)
        try:
            answer = ("value", function(*arguments))
        except MillError as error:
            answer = ("mill_error", error)
        except Exception as error:
            answer = ("error", where_raised(error))
        _limit_cpu(None)
        connection.send(answer)


def _main() -> None:
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with_parent(parent)
    # Interrupting the run is the parent's business; libraries must not print into its output.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with contextlib.suppress(BrokenPipeError):
        _serve(Connection(fd))


if __name__ == "__main__":
    # Run as the module that others import, so that pickled functions are found under one name.
    from corpusmill import isolation

    isolation._main()
