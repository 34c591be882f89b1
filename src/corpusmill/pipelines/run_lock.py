"""One run in a folder at a time: a lock of the file system, or a lease in an object store.

Object stores have no locks, but S3 stores a file on condition that nobody else has
(`remote.swap`). So a lease is a small file that says who works in the folder. A process beside the
run, the keeper, writes it anew every few seconds, whatever the run is busy with, and gives it back
when the run ends, also by being killed. Who finds a lease watches it: if it is written anew,
somebody works there; if not, its keeper has gone with its machine, and the lease is taken over. No
clocks are compared.
"""

import _thread
import contextlib
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO

from corpusmill import remote, storage
from corpusmill.errors import FolderBusy, RunError, UsageError

RENEW_SECONDS = 5.0
"""How often a keeper writes its lease anew. A request costs a few millionths of a dollar."""

LEASE_SECONDS = 60.0
"""A lease that was not written anew for so long is taken over: longer than `remote` tries to reach
a store that does not answer."""

RELEASE_SECONDS = 10.0
"""How long a keeper may take to give its lease back; without that it is taken over later."""

LOOK_SECONDS = 0.5
"""How often somebody else's lease is looked at."""

FREE = b""
"""Content of a lease that was given back."""


@contextlib.contextmanager
def run_lock(out: str, note: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold a run folder for this process; a second one gets FolderBusy naming the first.

    Stores other than S3's kind have neither: there the caller must see to it that a folder has one
    run. Raises RunError when the lease is lost meanwhile, which ends what is done under it.
    """
    if storage.is_local(out):
        with storage.folder_lock(out):
            yield
    elif remote.can_swap(out):
        with _leased(storage.join(out, ".lock"), out, note):
            yield
    else:
        yield


@contextlib.contextmanager
def _leased(path: str, out: str, note: Callable[[str], None]) -> Iterator[None]:
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    lease = f"{holder}\n{secrets.token_hex(8)}\n".encode()
    _take(path, lease, out, note)
    words = (path, lease.decode(), f"{RENEW_SECONDS}")
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "corpusmill.pipelines.run_lock", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Apart from the run's group, with which it would be interrupted and killed.
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    in_main = threading.current_thread() is threading.main_thread()
    ending = threading.Event()
    lost: list[str] = []

    def listen(told: IO[bytes]) -> None:
        why = told.readline().decode(errors="replace").strip()
        if not ending.is_set():
            lost.append(why or "the process that keeps the lease has ended")
            if in_main:
                _thread.interrupt_main()

    listener = threading.Thread(target=listen, args=(keeper.stdout,), daemon=True)
    listener.start()
    try:
        yield
    except KeyboardInterrupt:
        if not lost:
            raise
    finally:
        ending.set()
        keeper.stdin.close()
        try:
            keeper.wait(RELEASE_SECONDS)
        except subprocess.TimeoutExpired:  # the store does not answer
            keeper.kill()
            keeper.wait()
        listener.join()
        keeper.stdout.close()
    if lost:
        raise RunError(f"{out}: {lost[0]}: what was done is kept, the same command goes on")


def _take(path: str, lease: bytes, out: str, note: Callable[[str], None]) -> None:
    """Make the lease ours. Raises FolderBusy when somebody else has it and lives."""
    try:
        while True:
            found = remote.content(path)
            if found:
                found = _watch(path, found, out, note)
            if remote.swap(path, found, lease):
                return
    except OSError as error:
        raise UsageError(f"{out}: cannot be an output folder: {error.strerror}") from None


def _watch(path: str, found: bytes, out: str, note: Callable[[str], None]) -> bytes | None:
    """What can be replaced: a lease that nobody keeps, or what its holder has left."""
    holder = _holder(found)
    note(f"{out} was held by {holder}: looking for {LEASE_SECONDS:g} s whether it still is")
    begun = time.monotonic()
    while time.monotonic() - begun < LEASE_SECONDS:
        time.sleep(LOOK_SECONDS)
        now = remote.content(path)
        if not now:
            return now
        if now != found:
            raise FolderBusy(f"{out} is busy: {_holder(now)} works in it")
    return found


def _holder(lease: bytes) -> str:
    first = lease.decode(errors="replace").partition("\n")[0]
    return "".join(letter for letter in first if letter.isprintable())[:200] or "another process"


def _keep(path: str, lease: bytes, renew_seconds: float) -> None:
    """Write the lease anew until standard input ends, then give it back.

    A store that does not answer is asked again: as long as nobody has taken the lease, it is ours.
    """
    current, number = lease, 1
    while not select.select([sys.stdin], [], [], renew_seconds)[0]:
        wanted = lease + b"%d\n" % number
        with contextlib.suppress(OSError):
            if not remote.swap(path, current, wanted):
                now = remote.content(path)
                why = f"{_holder(now)} has taken the lease" if now else "the lease was removed"
                sys.stdout.write(f"{why}\n")
                return
            current, number = wanted, number + 1
    with contextlib.suppress(OSError):
        remote.swap(path, current, FREE)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its run
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _keep(sys.argv[1], sys.argv[2].encode(), float(sys.argv[3]))
