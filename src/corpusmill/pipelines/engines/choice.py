"""Opens the engine that a recipe or a command line names."""

import os
from importlib.util import find_spec

from corpusmill.errors import UsageError
from corpusmill.pipelines.engines.engine import Engine
from corpusmill.pipelines.engines.local import LocalEngine
from corpusmill.pipelines.engines.settings import EngineSettings

PACKAGES = {"ray": "ray", "spark": "pyspark"}
"""What an engine needs besides the mill."""


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
