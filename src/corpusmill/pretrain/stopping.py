"""Being asked to end: a machine that is taken away says so a little before, with SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Whether this process was asked to end."""

    def __init__(self) -> None:
        self.made = False

    def make(self, signum: int, frame: FrameType | None) -> None:
        """As a handler of signals."""
        self.made = True


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """SIGTERM is noted, instead of ending the process, for as long as the context lasts.

    Outside the main thread, where Python takes no signals, it stays as it is.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request.make)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
