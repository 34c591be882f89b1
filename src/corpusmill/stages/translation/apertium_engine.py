"""Rule-based translation by Apertium, installed beside Python: `apt-get install apertium-eng-spa`.

Apertium is a chain of programs with pipes between them, named in a mode file. The chain of a
direction is started once and stays: with `-z`, a zero byte ends a sentence in each program, which
then writes out what it has read. (The script `apertium -z` is not used: its awk holds each sentence
back until the next one comes.) The programs are separate ones under the GPL; nothing is linked.
"""

import os
import re
import selectors
import shlex
import shutil
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import psutil

from corpusmill.errors import UsageError
from corpusmill.stages.translation.engines import Direction, Translator
from corpusmill.stages.translation.language_codes import two_letters

MOST_CPU_SECONDS = 20.0
"""That a chain may take without giving a byte; a sentence takes 4 ms. The clock on the wall would
call a chain hung that only waits for its turn on a busy machine."""
MOST_IDLE = 30
"""Looks, a second apart, at which all programs sleep though they owe an answer."""
PENDING = 64
"""Sentences that are sent before the first comes back: fewer bytes than pipes hold, with
`Apertium.max_chars` each, so that no program waits for another that waits for it."""

_SPECIAL = re.compile(r"([\[\]{}^$/\\@<>])")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_INSTALL = "apt-get install apertium apertium-eng-spa (or another pair)"


class ApertiumEngine:
    """The pairs of languages that are installed."""

    def directions(self) -> Collection[Direction]:
        """Of the mode files."""
        return list(_modes())

    def check(self) -> None:
        """Raise UsageError when the programs are absent."""
        if shutil.which("lt-proc") is None:
            raise UsageError(f"backtranslate: engine apertium needs its programs: {_INSTALL}")

    def open(self, direction: Direction) -> Translator:
        """Start the chain of programs."""
        return Apertium(_commands(_modes()[direction]))


class Apertium:
    """One direction: some ten processes that live as long as this one."""

    max_chars = 800

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._commands = commands
        self._processes: list[subprocess.Popen[bytes]] = []
        # Now, for they inherit limits on CPU time that a call of an isolated stage has.
        self._start()

    def translate(self, sentences: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Translate; a sentence that kills or stops the chain comes back empty."""
        results: list[str] = []
        for start in range(0, len(sentences), PENDING):
            some = sentences[start : start + PENDING]
            answers = self._exchange(some)
            if answers is None:  # find out which it is
                one_by_one = [self._exchange([sentence]) for sentence in some]
                answers = [answer[0] if answer else "" for answer in one_by_one]
            results += answers
        return results

    def stop(self) -> None:
        """End the programs."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.wait()
        self._processes = []

    def __del__(self) -> None:
        self.stop()

    def _exchange(self, sentences: Sequence[str]) -> list[str] | None:
        """Send sentences and read as many; None, and the chain ended, if they do not come."""
        if not self._processes:
            self._start()
        first, last = self._processes[0].stdin, self._processes[-1].stdout
        assert first is not None
        assert last is not None
        waiting = b"".join(_escaped(sentence).encode() + b"\0" for sentence in sentences)
        received = bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(last, selectors.EVENT_READ)
            ready.register(first, selectors.EVENT_WRITE)
            watch = _Watch(self._processes)
            while received.count(b"\0") < len(sentences):
                for key, _ in ready.select(1.0):
                    if key.fileobj is last:
                        some = os.read(last.fileno(), 1 << 16)
                        received += some
                        watch.moved(ended=not some)
                        continue
                    try:
                        waiting = waiting[os.write(first.fileno(), waiting[:4096]) :]
                    except OSError:
                        watch.moved(ended=True)
                        break
                    if not waiting:
                        ready.unregister(first)
                if watch.is_over():
                    self.stop()
                    return None
        answers = received.decode(errors="replace").split("\0")
        if len(answers) != len(sentences) + 1 or answers[-1]:
            self.stop()
            return None
        return [_ESCAPED.sub(r"\1", answer.replace("[]", "")).strip() for answer in answers[:-1]]

    def _start(self) -> None:
        before = None
        for command in self._commands:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if before is None else before.stdout,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
            if before is not None and before.stdout is not None:
                before.stdout.close()  # it is the next program's now
            self._processes.append(process)
            before = process


class _Watch:
    """Tells whether a chain has ended, goes round in circles, or waits for itself."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._processes = [psutil.Process(process.pid) for process in processes]
        self._ended = False
        self._looked = time.monotonic()
        self._idle = 0
        self._cpu_seconds: float | None = None

    def moved(self, *, ended: bool) -> None:
        """Something came, or the end did."""
        self._ended |= ended
        self._idle, self._cpu_seconds = 0, None

    def is_over(self) -> bool:
        """Whether to wait no longer; looks at the programs once a second."""
        if self._ended or time.monotonic() - self._looked < 1:
            return self._ended
        self._looked = time.monotonic()
        try:
            spent = sum(sum(process.cpu_times()[:2]) for process in self._processes)
            states = {process.status() for process in self._processes}
        except psutil.Error:
            return True
        if self._cpu_seconds is None:
            self._cpu_seconds = spent
        self._idle = self._idle + 1 if states == {psutil.STATUS_SLEEPING} else 0
        return (
            psutil.STATUS_ZOMBIE in states
            or spent - self._cpu_seconds > MOST_CPU_SECONDS
            or self._idle > MOST_IDLE
        )


def _modes() -> dict[Direction, Path]:
    """Direction -> mode file, of those between two languages."""
    program = shutil.which("lt-proc")
    if program is None:
        return {}
    found = {}
    for path in sorted((Path(program).parent.parent / "share/apertium/modes").glob("*-*.mode")):
        source, _, target = path.stem.partition("-")
        if source.isalpha() and target.isalpha():
            found[two_letters(source), two_letters(target)] = path
    return found


def _commands(mode: Path) -> list[list[str]]:
    """The programs of a mode file: `lt-proc 'data.bin' | apertium-tagger -g $2 'data.prob'`."""
    words = shlex.split(mode.read_text("utf-8"))
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            commands.append([])
        elif word == "$1":
            commands[-1].append("-n")  # unknown words as they are, without a star
        elif word != "$2":
            commands[-1].append(word)
    return [[command[0], "-z", *command[1:]] for command in commands]


def _escaped(sentence: str) -> str:
    """As the programs' stream format wants it; empty brackets at the end mark that of a text."""
    return _SPECIAL.sub(r"\\\1", sentence) + "[]"
