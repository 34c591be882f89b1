"""Opens Spark: is there a Java, does the master answer; a quiet Java process that ends with us.

Spark's own errors for these come after a minute, or as pages of a Java stack. What Java prints goes
into a file without a name, of which only the reason of a failed start is shown.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import IO, Any

from corpusmill.errors import UsageError
from corpusmill.pipelines.engines.settings import with_variables

OLDEST_JAVA = 17
"""Spark 4 is compiled for it."""

MASTERS = re.compile(
    r"spark://(?P<addresses>[^,/\s]+:\d+(,[^,/\s]+:\d+)*)"
    r"|yarn|k8s://\S+|local(-cluster)?(\[[\w,* ]+\])?"
)
CONNECT_SECONDS = 5.0
"""For a master to accept a connection. Spark itself would try for a minute."""

EXECUTORS_SECONDS = 180.0
"""For a cluster to give the first executor. Spark itself would wait for ever."""

SETTLED_SECONDS = 1.0
"""No further executor has come for so long: the cluster has given what it has."""

END_SECONDS = 10.0
"""For Java to end when it is asked to."""

WORKER_LOST = re.compile(r"Python worker exited unexpectedly( \(crashed\))?|ExecutorLostFailure.*")
"""How Spark says that the process of a task has ended."""

OF_PYTHON = re.compile(r"^(?:pyspark\.[\w.]+\.)?([A-Z]\w*Error: .+)$", re.MULTILINE)
"""The end of a Python stack, as of a worker that lacks a package."""

LONGEST_REASON = 300
FIRST_WORDS = 1 << 16
"""Bytes of what Java has printed that are looked through for the reason of a failed start."""


class SparkProcess:
    """A session, and the Java process that it lives in."""

    def __init__(
        self, master: str, conf: Mapping[str, Any], environment: Mapping[str, str]
    ) -> None:
        """Start both. Raises UsageError when there is no Java or no such master."""
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession

        check_master(master)
        self._gateway: Any = None
        self._printed: IO[bytes] | None = None
        self._had_session = SparkSession.getActiveSession() is not None
        settings = SparkConf()
        for name, value in {**conf, "spark.master": master}.items():
            settings.set(name, str(value))
        try:
            with with_variables(environment):
                if SparkContext._gateway is None:
                    check_java()
                    self._start_java(settings)
                self.session = self._open(settings, master)
            self.context = self.session.sparkContext
            self.context.setLogLevel("OFF")
        except BaseException:  # Ctrl-C, too, must leave no Java behind
            self.close()
            raise

    def _start_java(self, settings: Any) -> None:
        from pyspark import SparkContext
        from pyspark.errors import PySparkException
        from pyspark.java_gateway import launch_gateway

        self._printed = tempfile.TemporaryFile()  # noqa: SIM115
        streams = {"stdout": self._printed, "stderr": self._printed}
        try:
            self._gateway = launch_gateway(settings, streams)  # type: ignore[no-untyped-call]
        except (OSError, PySparkException):
            words = os.pread(self._printed.fileno(), FIRST_WORDS, 0).decode(errors="replace")
            lines = [
                line for line in words.splitlines() if re.search("error|exception", line, re.I)
            ]
            why = f": {lines[0].strip()[:LONGEST_REASON]}" if lines else ""
            raise UsageError(f"engine spark: Java has ended while it started{why}") from None
        SparkContext._ensure_initialized(gateway=self._gateway)

    def _open(self, settings: Any, master: str) -> Any:
        from pyspark.sql import SparkSession

        try:
            return SparkSession.builder.config(conf=settings).getOrCreate()
        except Exception as error:
            why = reason(error)
            if "on a stopped SparkContext" in why:
                why = "the cluster has ended the application; its executors' logs say why"
            raise UsageError(f"--master {master}: {why}") from None

    def wait_for_executors(self) -> None:
        """Return when the cluster has given what it has; UsageError when it has nothing."""
        begin = changed = time.monotonic()
        known = 0
        while True:
            now = time.monotonic()
            found = self.executors()
            if found > known:
                known, changed = found, now
            if known and now - changed > SETTLED_SECONDS:
                return
            if not known and now - begin > EXECUTORS_SECONDS:
                raise UsageError(
                    f"--master {self.context.master}: the cluster has given no executor in "
                    f"{EXECUTORS_SECONDS:g} seconds: its workers are busy with other applications, "
                    "or have less memory or fewer cores than one needs "
                    "(engine.spark.conf: spark.executor.memory, spark.executor.cores)"
                )
            time.sleep(0.1)

    def executors(self) -> int:
        """Executors that the application has now; the driver is one of those that are listed."""
        return len(self.context._jsc.sc().statusTracker().getExecutorInfos()) - 1

    def close(self) -> None:
        """End what was started here; a session that was there before goes on."""
        if not self._had_session and hasattr(self, "session"):
            with contextlib.suppress(Exception):  # Java may have been killed
                self.session.stop()
        if self._gateway is not None:
            self._end_java()
        if self._printed is not None:
            self._printed.close()

    def _end_java(self) -> None:
        from pyspark import SparkContext

        process = self._gateway.proc
        with contextlib.suppress(Exception):
            self._gateway.shutdown()
        with contextlib.suppress(OSError):
            process.stdin.close()  # it ends when nobody holds the other end
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # the next session of this Python starts its own
        SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
        self._gateway = None


def check_master(master: str) -> None:
    """Raise UsageError for what is no address of a master, and for one that does not answer."""
    found = MASTERS.fullmatch(master)
    if found is None:
        raise UsageError(
            f"--master {master}: write spark://HOST:PORT, k8s://URL, yarn or local[CORES]"
        )
    if found["addresses"] is None:
        return
    refused = ""
    for address in found["addresses"].split(","):
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
                return
        except (OSError, OverflowError) as error:
            refused = getattr(error, "strerror", None) or str(error)
    raise UsageError(f"--master {master}: no master answers there: {refused}")


def check_java() -> None:
    """Raise UsageError unless there is a Java that Spark runs on, where Spark looks for it."""
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    needed = f"engine spark needs Java {OLDEST_JAVA} or later"
    if java is None:
        raise UsageError(f"{needed}: there is no `java`; install one, or set JAVA_HOME")
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, timeout=60, text=True, errors="replace"
        ).stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or "it does not answer"
        raise UsageError(f"{needed}: {java}: {why} (JAVA_HOME says where Java is)") from None
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    if found is None:
        raise UsageError(f"{needed}: {java} does not tell its version")
    if int(found[1]) < OLDEST_JAVA:
        raise UsageError(f"{needed}: {java} is Java {found[1]}; set JAVA_HOME")


def reason(error: Exception) -> str:
    """What Spark says, in a line: a worker was lost, what Python raised, or the innermost cause."""
    try:
        told = str(error)
    except Exception:  # asked of Java, which may have ended
        return f"{type(error).__name__}: Java has ended"
    if lost := WORKER_LOST.search(told):
        return lost[0][:LONGEST_REASON]
    if raised := OF_PYTHON.search(told):
        return raised[1][:LONGEST_REASON]
    lines = [line.strip(" :\t") for line in told.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("An error occurred while calling")]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return ((causes or lines[:1])[-1] if lines else type(error).__name__)[:LONGEST_REASON]
