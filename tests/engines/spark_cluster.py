"""A standalone Spark cluster on loopback: a master and two workers of one core, to be killed."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyspark

HOME = Path(pyspark.__file__).parent
ENVIRONMENT = {
    "SPARK_HOME": str(HOME),
    "SPARK_LOCAL_IP": "127.0.0.1",
    "SPARK_SCALA_VERSION": "2.13",  # as the scripts in bin/ have it
}
CORES_OF_A_WORKER = 1
START_SECONDS = 120
CONFIGURATION = """\
spark.driver.extraJavaOptions    -XX:TieredStopAtLevel=1
spark.executor.extraJavaOptions  -XX:TieredStopAtLevel=1
spark.driver.memory              512m
spark.executor.memory            512m
spark.driver.host                127.0.0.1
spark.driver.bindAddress         127.0.0.1
spark.ui.enabled                 false
spark.network.timeout            20s
spark.network.timeoutInterval    5s
spark.executor.heartbeatInterval 3s
"""
"""What a cluster's own spark-defaults.conf would say."""


class SparkCluster:
    """Processes of a cluster, each of which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.configuration = folder / "conf"
        self.configuration.mkdir()
        (self.configuration / "spark-defaults.conf").write_text(CONFIGURATION)
        self.port = free_port()
        self.master = f"spark://127.0.0.1:{self.port}"
        self._processes = [
            self._java("master.Master", "--port", str(self.port), "--webui-port", "0")
        ]
        wait_until(self._answers, "the master answers")
        self.start_workers()

    def start_workers(self) -> None:
        """Start those of the two that are not there."""
        self._processes = [p for p in self._processes if p.poll() is None]
        while len(self._processes) < 3:
            work = self.folder / f"work-{time.monotonic_ns()}"
            size = ("--cores", str(CORES_OF_A_WORKER), "--memory", "1g")
            self._processes.append(
                self._java("worker.Worker", *size, "--work-dir", str(work), self.master)
            )

    def kill_workers(self) -> None:
        """As when two machines lose their current: what they had started ends with them."""
        for process in self._processes[1:]:
            process.kill()
            process.wait()

    def _java(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        with open(self.folder / "cluster.log", "ab") as log:
            return subprocess.Popen(
                [
                    *("java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", f"{HOME}/jars/*"),
                    *("-Dspark.worker.ui.port=0", f"org.apache.spark.deploy.{name}"),
                    *("--host", "127.0.0.1", *options),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, **ENVIRONMENT},
            )

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def close(self) -> None:
        """End all of it."""
        for process in self._processes:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Return when it holds; a test that waits for ever tells nothing."""
    end = time.monotonic() + START_SECONDS
    while not holds():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.05)


def executor_of(worker: int) -> psutil.Process:
    """The executor of a Python worker, which is the process of a task."""
    return next(p for p in psutil.Process(worker).parents() if p.name() == "java")


def daemon_of(worker: int) -> psutil.Process:
    """The cluster's process on a machine: it starts executors."""
    return next(p for p in executor_of(worker).parents() if p.name() == "java")
