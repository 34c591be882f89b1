"""What Airflow makes of the DAGs of the project, as JSON: runs in Airflow's own environment.

    python tests/airflow_facts.py DAGS FOLDER [PACKAGES]

DAGS is a folder of DAG files; FOLDER is empty and may be written to; PACKAGES holds s3fs, for an
S3 server that the environment leads to. Prints one object to standard output (Airflow's log goes
to standard error): what is in the DAGs, and what single tasks did in situations that a whole run
would take a minute to come to.
"""

import json
import os
import sys
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HEAVY = ("corpusmill", "numpy", "pandas", "pyarrow", "torch", "transformers", "ray", "pyspark")


def dags(folder: str) -> dict[str, Any]:
    """Parse a folder as Airflow does, and serialize each DAG as the scheduler stores it."""
    from airflow.dag_processing.dagbag import BundleDagBag  # type: ignore[import-not-found]
    from airflow.serialization.serialized_objects import DagSerialization  # type: ignore[import-not-found]

    start = time.process_time()
    bag = BundleDagBag(dag_folder=folder, bundle_path=Path(folder), bundle_name="tried")
    seconds = time.process_time() - start
    return {
        "cpu_seconds": round(seconds, 3),
        "errors": bag.import_errors,
        "heavy": sorted({module.split(".")[0] for module in sys.modules} & set(HEAVY)),
        "dags": {
            dag_id: {
                "stored": len(json.dumps(DagSerialization.to_dict(dag))),
                "max_active_runs": dag.max_active_runs,
                "catchup": dag.catchup,
                "tasks": {
                    task.task_id: {
                        "kind": type(task).__name__,
                        "upstream": sorted(task.upstream_task_ids),
                        "all_upstream": sorted(task.get_flat_relative_ids(upstream=True)),
                        "retries": task.retries,
                        "depends_on_past": task.depends_on_past,
                        "templates": sorted(task.template_fields),
                        "outlets": [asset.name for asset in task.outlets],
                        "links": [link.name for link in task.operator_extra_links],
                        "trigger_rule": str(task.trigger_rule.value),
                        "mode": getattr(task, "mode", None),
                    }
                    for task in dag.tasks
                },
            }
            for dag_id, dag in bag.dags.items()
        },
    }


class Zone:
    """As much of a DAG as a task asks of it."""

    timezone = ZoneInfo("Europe/Berlin")


def context(given: str | None = None, start: datetime | None = None) -> dict[str, Any]:
    return {
        "params": {"interval_start": given},
        "data_interval_start": start,
        "dag": Zone,
        "outlet_events": {},
    }


def outcome(call: Any, *arguments: Any) -> str:
    """The name of what a call raises, or what it returned."""
    try:
        return str(call(*arguments))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def situations(dags_folder: str, folder: Path) -> dict[str, Any]:
    """Single tasks, and what they made of it."""
    sys.path.insert(0, dags_folder)
    from airflow.sdk import Asset  # type: ignore[import-not-found]
    from corpusmill_tasks import (  # type: ignore[import-not-found]
        CheckPlan,
        Mill,
        NewInput,
        Publish,
        RunStages,
        interval_start,
    )

    told = folder / "told"
    told.write_text('#!/bin/sh\necho "$TOLD"\nexit "${CODE:-0}"\n')
    told.chmod(0o755)
    mill = Mill(
        program=str(told),
        folder=str(folder),
        recipe="r.yaml",
        name="r",
        out="runs/%Y-%m-%d",
        sources={"crawl": "in/%Y-%m-%d"},
    )
    day = context(start=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))

    def run(code: int) -> str:
        os.environ.update(TOLD="what went wrong", CODE=str(code))
        return outcome(RunStages(task_id="run", mill=mill, until="00-ingest").execute, day)

    def poke(**settings: Any) -> str:
        settings = {"settle": timedelta(0), **settings}
        return outcome(NewInput(task_id="wait", mill=mill, **settings).poke, day)

    result: dict[str, Any] = {
        "interval": outcome(interval_start, day),
        "interval given": outcome(interval_start, context(given="2026-02-01T00:00:00")),
        "interval unknown": outcome(interval_start, context()),
        "interval nonsense": outcome(interval_start, context(given="{{ ds }}")),
        "exit 0": run(0),
        "exit 1": run(1),
        "exit 2": run(2),
        "no file": poke(),
    }
    (folder / "in/2026-03-02").mkdir(parents=True)
    result["no file in folder"] = poke()
    (folder / "in/2026-03-02/a.warc.gz").write_bytes(b"x")
    result["files"] = poke()
    result["files that are new"] = poke(settle=timedelta(hours=1))
    result["files without marker"] = poke(ready="in/%Y-%m-%d/_SUCCESS")
    (folder / "in/2026-03-02/_SUCCESS").touch()
    result["files with marker"] = poke(ready="in/%Y-%m-%d/_SUCCESS")
    os.environ.update(TOLD='{"stages": [{"name": "00-ingest"}]}', CODE="0")
    check = CheckPlan(task_id="check", mill=mill, stages=["00-ingest", "01-language"])
    result["stale plan"] = outcome(check.execute, day)
    os.environ["TOLD"] = '{"funnel": [{"stage": "00-ingest", "out": 0}]}'
    publish = Publish(task_id="publish", mill=mill, asset=Asset(name="nothing"))
    result["nothing to publish"] = outcome(publish.execute, day)
    return result


def in_a_store(packages: str) -> dict[str, str]:
    """What the sensor says of objects in S3, whose driver is among other packages."""
    sys.path.append(packages)
    import s3fs  # type: ignore[import-untyped]
    from corpusmill_tasks import Mill, NewInput

    place = "s3://bucket/in/%Y-%m-%d"
    sources = {"folder": place, "pattern": f"{place}/*.gz"}
    mill = Mill(program="", folder="", recipe="", name="", out="", sources=sources)
    day = context(start=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))

    def poke(settle: timedelta) -> str:
        return outcome(NewInput(task_id="wait", mill=mill, settle=settle).poke, day)

    result = {"no object": poke(timedelta(0))}
    s3fs.S3FileSystem().pipe("bucket/in/2026-03-02/a.gz", b"x")
    result["objects"] = poke(timedelta(0))
    result["objects that are new"] = poke(timedelta(hours=1))
    return result


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        facts = {**dags(sys.argv[1]), **situations(sys.argv[1], Path(sys.argv[2]))}
        for packages in sys.argv[3:]:
            facts |= in_a_store(packages)
    sys.stdout.write(json.dumps(facts) + "\n")
