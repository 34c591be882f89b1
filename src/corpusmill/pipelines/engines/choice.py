"""Opens the engine that a recipe or a command line names."""

import os
import socket
import time
from dataclasses import dataclass
from importlib.util import find_spec

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.engines.engine import Engine
from corpusmill.pipelines.engines.local import LocalEngine
from corpusmill.pipelines.engines.settings import EngineSettings

PACKAGES = {"ray": "ray", "spark": "pyspark"}
"""What an engine needs besides the mill."""

PROBES_PER_WORKER = 2
"""So that a worker of every machine is likely to be asked whether it sees the run folder."""


def check_engine(settings: EngineSettings, address: str | None, master: str | None) -> None:
    """Raise UsageError for an engine that is not installed, or an address of another one."""
    for option, value, engine in (("--address", address, "ray"), ("--master", master, "spark")):
        if value is not None and settings.name != engine:
            raise UsageError(f"{option} is for --engine {engine}, not {settings.name}")
    package = PACKAGES.get(settings.name)
    if package is not None and find_spec(package) is None:
        raise UsageError(f"engine {settings.name}: pip install 'corpusmill[{settings.name}]'")


def open_engine(
    settings: EngineSettings, *, address: str | None = None, master: str | None = None
) -> Engine:
    """The engine of these settings, on the cluster at Ray's `address` or Spark's `master`.

    Raises UsageError when the engine is not installed or the cluster does not answer.
    """
    check_engine(settings, address, master)
    stall_seconds = 60 * settings.stall_minutes
    if settings.name == "ray":
        from corpusmill.pipelines.engines.ray import RayEngine

        return RayEngine(
            settings.ray, address=address, workers=settings.workers, stall_seconds=stall_seconds
        )
    if settings.name == "spark":
        from corpusmill.pipelines.engines.spark import SparkEngine

        return SparkEngine(
            settings.spark, master=master, workers=settings.workers, stall_seconds=stall_seconds
        )
    return LocalEngine(settings.workers or len(os.sched_getaffinity(0)))


@dataclass(frozen=True, kw_only=True)
class _Probe:
    path: str
    seconds: float


def _look(probe: _Probe) -> tuple[str, bool]:
    time.sleep(probe.seconds)  # the next probe goes to another worker
    return socket.gethostname(), storage.exists(probe.path)


def check_storage(engine: Engine, out: str) -> None:
    """Raise RunError when a worker does not see the run folder."""
    if engine.name == "local":
        return
    mark = storage.join(out, ".seen-by-workers")
    storage.write_atomic(mark, b"")
    try:
        probes = [_Probe(path=mark, seconds=0.05)] * min(PROBES_PER_WORKER * engine.workers, 256)
        blind = {host for host, seen in engine.map(_look, probes, name="storage") if not seen}
    finally:
        storage.remove(mark)
    if blind:
        raise RunError(
            f"{out} is not seen by workers on {', '.join(sorted(blind))}: a cluster needs a run "
            "folder and inputs on storage that every machine mounts at the same path, or s3://"
        )
