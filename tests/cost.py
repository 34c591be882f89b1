"""What work costs, judged so that a busy machine does not decide: a bad figure is measured again.

CPU time, too, swells when others share the caches or the machine halts. Work that is quadratic is
so every time; work that is linear is not slow every time.
"""

import math
import time
from collections.abc import Callable

ATTEMPTS = 5


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process for one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def is_within(seconds: float, work: Callable[[], object]) -> bool:
    """Whether the work takes at most that long at one of the attempts.

    A limit far above what the work takes, and far below what it must never become.
    """
    return any(cpu_seconds(work) < seconds for _ in range(ATTEMPTS))


def grows_linearly(work: Callable[[int], object], size: int, times: int = 8) -> bool:
    """Whether work on `times` the size costs less than half way to `times` squared as much.

    Half way between the two as factors: 23 for eight times the size. Attempts in which the machine
    halted in the small work would pass what is quadratic: its fastest of all attempts counts.
    """
    small = math.inf
    for _ in range(ATTEMPTS):
        small = min(small, *(cpu_seconds(lambda: work(size)) for _ in range(2)))
        if cpu_seconds(lambda: work(size * times)) < times**1.5 * small:
            return True
    return False
