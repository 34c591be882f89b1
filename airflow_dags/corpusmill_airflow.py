r"""DAGs from recipes: one task for each stage, or for narrow stages that run over a part together.

    wait -> check -> 00-ingest -> ... -> verify -> audit -> publish
                                                        \-> report

A DAG file must parse in no time, so nothing of the mill is imported and no recipe is read here.
What stages there are comes from a file that the mill wrote: `corpusmill plan RECIPE --json > PLAN`.
The task `check` compares it with the recipe before anything runs. docs/airflow.md is the manual.

The module's name has a purpose: Airflow skips files in which `dag` and `airflow` do not both occur.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    BaseOperator,
    CronDataIntervalTimetable,
    Param,
    TriggerRule,
    chain,
)
from corpusmill_tasks import CheckPlan, LookAtRun, Mill, NewInput, Publish, RunStages

ROOT = Path(__file__).resolve().parent.parent
"""The checkout, whose environment holds the mill if nothing else is said."""

STAGE = re.compile(r"\d{2,}-[a-z][a-z0-9_]*")
NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
"""As recipes may be called, with room for the interval."""


def corpusmill_dag(
    dag_id: str,
    *,
    recipe: str,
    plan: str | Path,
    out: str,
    schedule: str,
    start_date: datetime,
    sources: Mapping[str, str] | None = None,
    index: str | None = None,
    settings: Mapping[str, Any] | None = None,
    run_options: Sequence[str] = (),
    audit_options: Sequence[str] = (),
    report_url: str | None = None,
    program: str | None = None,
    folder: str | Path = ROOT,
    pool: str = "default_pool",
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=1),
    settle: timedelta = timedelta(minutes=1),
    ready: str | None = None,
    wait: timedelta = timedelta(days=1),
    **dag_options: Any,
) -> DAG:
    """The DAG of a recipe, with a run folder for each data interval.

    `out`, the paths of `sources`, `ready` and `report_url` are patterns of `strftime`, filled in
    with the start of the interval in the time zone of `start_date`. Relative paths start at
    `folder`. `schedule` is a cron expression or a preset; its intervals follow on one another.

    `sources` names the paths that change from interval to interval; the first task waits for their
    files, at most for `wait`. With `index` the intervals remember what earlier ones have seen: they
    run one after the other, each task when the one of the interval before was successful.

    `run_options` are for `corpusmill run` (`--workers 8`, `--engine ray`), `audit_options` for
    `corpusmill audit`. `program` is the mill's command: otherwise the environment variable
    CORPUSMILL, or that of the checkout. `dag_options` go to the DAG as they are.
    """
    if start_date.tzinfo is None:
        raise ValueError(f"{dag_id}: start_date needs a time zone, such as datetime.UTC")
    if "%" not in out:
        raise ValueError(f"{dag_id}: out={out!r} is one folder for all intervals: add %Y-%m-%d")
    name, stages = read_plan(Path(plan), recipe)
    names = [stage["name"] for stage in stages]
    kinds = {stage.partition("-")[2] for stage in names}
    if index is not None and "deduplicate" not in kinds:
        raise ValueError(f"{dag_id}: index= needs a stage 'deduplicate' in {recipe}")
    mill = Mill(
        program=program or os.environ.get("CORPUSMILL") or str(ROOT / ".venv/bin/corpusmill"),
        folder=str(folder),
        recipe=recipe,
        name=name,
        out=out,
        sources=dict(sources or {}),
        index=index,
        settings=dict(settings or {}),
        report_url=report_url,
    )
    with DAG(
        dag_id,
        schedule=CronDataIntervalTimetable(schedule, timezone=str(start_date.tzinfo)),
        start_date=start_date,
        max_active_runs=1,
        params={"interval_start": Param(None, type=["null", "string"], format="date-time")},
        default_args={
            "retries": retries,
            "retry_delay": retry_delay,
            "retry_exponential_backoff": True,
            "depends_on_past": index is not None,
            "pool": pool,
        },
        **{"catchup": False, "tags": ["corpusmill"], **dag_options},
    ) as dag:
        tasks: list[BaseOperator] = []
        if mill.sources:
            tasks.append(
                NewInput(task_id="wait", mill=mill, settle=settle, ready=ready, timeout=wait)
            )
        tasks.append(CheckPlan(task_id="check", mill=mill, stages=names))
        for group in stage_groups(stages):
            tasks.append(
                RunStages(
                    task_id=group[0] if len(group) == 1 else f"{group[0]}_to_{group[-1]}",
                    doc_md=f"Runs {', '.join(group)}.",
                    mill=mill,
                    until=group[-1],
                    options=run_options,
                )
            )
        gate = {"verify": (), "audit": audit_options} if "anonymize" in kinds else {"verify": ()}
        for command, options in gate.items():
            # What they find does not go away by itself: they are not tried again.
            tasks.append(
                LookAtRun(task_id=command, mill=mill, command=command, options=options, retries=0)
            )
        # Whatever became of the run, its report is written: it shows how far the documents came.
        report = LookAtRun(
            task_id="report", mill=mill, command="report", trigger_rule=TriggerRule.ALL_DONE
        )
        publish = Publish(task_id="publish", mill=mill, asset=Asset(name=f"{dag_id}_corpus"))
        chain(*tasks, [report, publish])
    return dag


def read_plan(path: Path, recipe: str) -> tuple[str, list[dict[str, Any]]]:
    """Name and stages of the recipe, as `corpusmill plan --json` printed them."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        name, stages = plan["name"], plan["stages"]
        known = NAME.fullmatch(name) and all(
            STAGE.fullmatch(stage["name"]) and isinstance(stage["writes"], bool) for stage in stages
        )
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    if not known or not stages:
        raise ValueError(
            f"{path}: not the plan of a recipe; make it: corpusmill plan {recipe} --json > {path}"
        )
    return name, stages


def stage_groups(stages: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Names of stages that run together: a group ends where output is written."""
    groups: list[list[str]] = [[]]
    for stage in stages:
        groups[-1].append(stage["name"])
        if stage["writes"]:
            groups.append([])
    return [group for group in groups if group]
