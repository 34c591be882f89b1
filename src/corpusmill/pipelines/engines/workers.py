"""Looks at a cluster's workers before work begins: what they see, and what they compute with.

A worker that lacks the run folder would fail late, and one with another version of a package would
write other bytes, which nobody would notice.
"""

import functools
import platform
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import xxhash
from packaging.requirements import Requirement

import corpusmill
from corpusmill import plugins, storage
from corpusmill.errors import RunError
from corpusmill.pipelines.engines.engine import Engine

PROBES_PER_WORKER = 2
"""So that a worker of every machine is likely to be asked."""

MOST_PROBES = 256
"""For a cluster of thousands of cores, which has many workers on each machine."""

MOST_DIFFERENCES = 4
"""That a message names; the first ones tell enough."""


@dataclass(frozen=True, kw_only=True)
class _Probe:
    path: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Found:
    host: str
    sees_folder: bool
    environment: Mapping[str, str]


def check_workers(engine: Engine, out: str, used: Iterable[plugins.Plugin] = ()) -> None:
    """Raise RunError when a worker does not see the run folder, lacks what the recipe uses of other
    packages, or has other versions than here."""
    if engine.name == "local":
        return
    mark = storage.join(out, ".seen-by-workers")
    storage.write_atomic(mark, b"")
    try:
        count = min(PROBES_PER_WORKER * engine.workers, MOST_PROBES)
        probes = [_Probe(path=mark, seconds=0.05)] * count
        found: list[_Found] = engine.map(_look, probes, name="workers")
    finally:
        storage.remove(mark)
    blind = {worker.host for worker in found if not worker.sees_folder}
    if blind:
        raise RunError(
            f"{out} is not seen by workers on {', '.join(sorted(blind))}: a cluster needs a run "
            "folder and inputs on storage that every machine mounts at the same path, or s3://"
        )
    here = environment()
    packages = {plugin.package: plugin.version for plugin in used}
    for worker in found:
        for package in packages.keys() - worker.environment.keys():
            raise RunError(
                f"workers on {worker.host} lack {package} {packages[package]}, which the recipe "
                "uses: install it on all machines of the cluster"
            )
        other = differences(here, worker.environment)
        if other:
            more = ", ..." if len(other) > MOST_DIFFERENCES else ""
            raise RunError(
                f"workers on {worker.host} are not like this machine: "
                f"{', '.join(other[:MOST_DIFFERENCES])}{more}: a cluster needs the same "
                "environment on all of its machines, or its output would be another one"
            )


def _look(probe: _Probe) -> _Found:
    time.sleep(probe.seconds)  # the next probe goes to another worker
    return _Found(
        host=socket.gethostname(),
        sees_folder=storage.exists(probe.path),
        environment=environment(),
    )


@functools.cache  # a worker is asked several times
def environment() -> Mapping[str, str]:
    """Versions of all that output depends on, plug-ins and a checksum of the mill's own code among
    them."""
    found = {
        "processor": platform.machine(),
        "python": platform.python_version(),
        "corpusmill": _code(),
    }
    found |= {plugin.package: plugin.version for plugin in plugins.offered()}
    try:
        needed = requires("corpusmill") or []
    except PackageNotFoundError:  # not installed, only on the path
        return found
    for requirement in map(Requirement, needed):
        if _is_of_developers(requirement):
            continue
        try:
            found[requirement.name] = version(requirement.name)
        except PackageNotFoundError:
            continue
    return found


def _is_of_developers(requirement: Requirement) -> bool:
    marker = requirement.marker
    return (
        marker is not None
        and marker.evaluate({"extra": "dev"})
        and not marker.evaluate({"extra": ""})
    )


def _code() -> str:
    folder = Path(corpusmill.__file__).parent
    digest = xxhash.xxh3_64()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return f"code {digest.hexdigest()}"


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What is there in another version. What only one of them has is told by who needs it."""
    return [
        f"{name} {there[name]} and not {version}"
        for name, version in here.items()
        if there.get(name, version) != version
    ]
