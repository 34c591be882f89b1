"""Where a recipe's work is done: the settings under `engine:`. None of them changes the output.

Where a cluster is, and what Python runs there, is said on the command line and in the environment
and not in a recipe: a stranger's recipe must not send data, or run programs, somewhere.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

EngineName = Literal["local", "ray", "spark"]

SPARK_SETTINGS = re.compile(
    r"spark\.(executor\.(memory|memoryOverhead|cores|instances|pyspark\.memory|heartbeatInterval"
    r"|resource\.gpu\.amount)|driver\.(memory|maxResultSize)|cores\.max|task\.cpus"
    r"|task\.resource\.gpu\.amount|network\.timeout(Interval)?|default\.parallelism"
    r"|memory\.(fraction|storageFraction)|shuffle\.(compress|spill\.compress|file\.buffer)"
    r"|dynamicAllocation\.(enabled|minExecutors|maxExecutors|initialExecutors))"
)
"""Sizes and times. Others name classes, files, commands or places, which a recipe must not."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RaySettings(_Settings):
    """For `--engine ray`."""

    task_memory_mb: int | None = Field(default=None, ge=1)
    """What Ray sets aside for each task, so that fewer run where memory is short."""


class SparkSettings(_Settings):
    """For `--engine spark`."""

    conf: dict[str, str | int | float | bool] = {}
    """Spark's own settings of size and time, such as `spark.executor.memory: 8g`."""

    @field_validator("conf")
    @classmethod
    def _of_size_and_time(
        cls, value: dict[str, str | int | float | bool]
    ) -> dict[str, str | int | float | bool]:
        for name, setting in value.items():
            if not SPARK_SETTINGS.fullmatch(name):
                raise ValueError(
                    f"{name} cannot be set in a recipe (only sizes and times can): "
                    "write it into the cluster's spark-defaults.conf"
                )
            if isinstance(setting, str) and not re.fullmatch(r"[0-9.]+ ?[A-Za-z]{0,2}", setting):
                raise ValueError(f"{name}: write a number, with a unit where it has one")
        return value


class EngineSettings(_Settings):
    """Which engine, and how large."""

    name: EngineName = "local"
    """`--engine` says it for one run."""
    workers: int | None = Field(default=None, ge=1, le=100_000)
    """Tasks at a time, without it as many as there are cores; `--workers` says it for one run."""
    stall_minutes: float = Field(default=240.0, gt=0, le=100_000)
    """A run on a cluster in which no task has ended for so long fails, and can be resumed."""
    ray: RaySettings = RaySettings()
    """For `--engine ray`."""
    spark: SparkSettings = SparkSettings()
    """For `--engine spark`."""


WORKER_ENVIRONMENT = {
    # One thread in every worker: sums of floating-point numbers depend on how they are divided.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Nothing is fetched while the mill runs.
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Of every worker of a cluster."""


@contextlib.contextmanager
def with_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """What this process and those that it starts meanwhile find in their environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
