"""The tasks of a corpus in Airflow: each is one command of the mill, in the mill's environment.

Nothing here is a shell command or a template: commands are lists of arguments, and the only thing
that is filled in is the start of the data interval, by `strftime`. What stands in a recipe is never
evaluated by Airflow.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context

USAGE = 2
"""Exit code of the mill for a mistake in recipe, command or input: the same command fails again."""

OF_AIRFLOW = ("AIRFLOW_", "_AIRFLOW_", "__AIRFLOW_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables that begin so stay behind: Airflow's secrets and connections, and the paths of its
environment."""


@dataclass(frozen=True, kw_only=True)
class Mill:
    """What the commands of one DAG have in common. Texts with `%Y-%m-%d` and the like are filled in
    with the start of the data interval, in the DAG's time zone; `%%` is a plain percent sign."""

    program: str
    """The command `corpusmill` of the mill's environment."""
    folder: str
    """Where it runs: relative paths in the recipe are looked up from there."""
    recipe: str
    name: str
    """The recipe's own name; runs are called by it and the interval, as an index asks for."""
    out: str
    """Run folder of an interval."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Path of each source that is another one in each interval."""
    index: str | None = None
    """What duplicates are looked for in, besides the interval itself."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """As with `--set`."""
    report_url: str | None = None
    """Address of an interval's report, where run folders are served to browsers."""

    def run_folder(self, start: datetime) -> str:
        return self.below_folder(start.strftime(self.out))

    def below_folder(self, path: str) -> str:
        """An absolute path, or a URL as it is."""
        return path if "://" in path else os.path.join(self.folder, path)

    def set_options(self, start: datetime) -> list[str]:
        """`--set` for all that depends on the interval, and for the DAG's own settings.

        Values are written as JSON: a date or a `no` stays the text that it is.
        """
        values = {"name": f"{self.name}-{start:%Y%m%d-%H%M}"}
        for source, path in self.sources.items():
            values[f"sources.{source}.path"] = self.below_folder(start.strftime(path))
        if self.index is not None:
            values["deduplicate.index"] = self.below_folder(self.index)
        values |= self.settings
        return [
            option
            for setting, value in values.items()
            for option in ("--set", f"{setting}={json.dumps(value, ensure_ascii=False)}")
        ]

    def report(self, start: datetime) -> str:
        if self.report_url is not None:
            return start.strftime(self.report_url)
        run = self.run_folder(start)
        return f"{run if '://' in run else f'file://{run}'}/report.html"


def interval_start(context: "Context") -> datetime:
    """Start of the data interval in the DAG's time zone, or what the run was given in its place."""
    given = context["params"].get("interval_start")
    zone = context["dag"].timezone
    if given is None:
        start = context.get("data_interval_start")
        if start is None:
            raise AirflowFailException(
                "this run has no data interval: trigger it with a logical date, or with the "
                'parameter interval_start, such as {"interval_start": "2026-01-31T00:00:00Z"}'
            )
        return datetime.fromtimestamp(start.timestamp(), zone)
    try:
        start = datetime.fromisoformat(given)
    except ValueError:
        raise AirflowFailException(
            f"interval_start: {given!r} is no date and time as ISO 8601 has them"
        ) from None
    return start.replace(tzinfo=zone) if start.tzinfo is None else start.astimezone(zone)


class ReportLink(BaseOperatorLink):
    """The run's report, beside each task; Airflow keeps it as an XCom, so no plugin is needed."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        # While the task runs, Airflow passes the task instance itself.
        return str(operator.mill.report(interval_start(ti_key.get_template_context())))


class MillTask(BaseOperator):
    """One command of the mill. Tried again it goes on from what is there, so retries are safe."""

    template_fields = ()
    operator_extra_links = (ReportLink(),)

    def __init__(self, *, mill: Mill, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mill = mill
        self._running: Any = None

    def arguments(self, start: datetime) -> list[str]:
        """What stands behind `corpusmill`."""
        raise NotImplementedError

    def execute(self, context: "Context") -> None:
        self.last_line(context)

    def last_line(self, context: "Context") -> str:
        """Run the command, its output into the task's log; returns the last line of it."""
        from airflow.providers.standard.hooks.subprocess import SubprocessHook

        arguments = self.arguments(interval_start(context))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(OF_AIRFLOW)}
        self._running = SubprocessHook()
        done = self._running.run_command(
            [self.mill.program, *arguments], env=kept, cwd=self.mill.folder
        )
        if done.exit_code == USAGE:
            raise AirflowFailException(f"corpusmill {arguments[0]}: {done.output}")
        if done.exit_code != 0:
            raise AirflowException(
                f"corpusmill {arguments[0]} ended with exit code {done.exit_code}"
            )
        return str(done.output)

    def on_kill(self) -> None:
        if self._running is not None:
            self._running.send_sigterm()


class CheckPlan(MillTask):
    """Checks the recipe with the interval's settings, and that it still has the stages that the
    tasks of the DAG were made for."""

    def __init__(self, *, stages: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stages = list(stages)

    def arguments(self, start: datetime) -> list[str]:
        return ["plan", self.mill.recipe, "--json", *self.mill.set_options(start)]

    def execute(self, context: "Context") -> None:
        plan = json.loads(self.last_line(context))
        found = [stage["name"] for stage in plan["stages"]]
        if found != self.stages:
            raise AirflowFailException(
                f"{self.mill.recipe} has the stages {', '.join(found)}, but the plan of this DAG "
                f"was made when it had {', '.join(self.stages)}: make the plan again "
                f"(corpusmill plan RECIPE --json)"
            )


class RunStages(MillTask):
    """`corpusmill run --until`: a stage, or narrow stages that go over each part together."""

    def __init__(self, *, until: str, options: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.until = until
        self.options = list(options)

    def arguments(self, start: datetime) -> list[str]:
        out = self.mill.run_folder(start)
        command = ["run", self.mill.recipe, "--out", out, "--until", self.until]
        return [*command, *self.options, *self.mill.set_options(start)]


class LookAtRun(MillTask):
    """`verify`, `audit` or `report` on the run folder."""

    def __init__(self, *, command: str, options: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.options = list(options)

    def arguments(self, start: datetime) -> list[str]:
        return [self.command, self.mill.run_folder(start), *self.options]


class Publish(MillTask):
    """Tells Airflow that an interval's corpus may be used: the event of the asset says where it is.

    It stands behind the gate. An interval that brought nothing new is skipped, not published.
    """

    def __init__(self, *, asset: "Asset", **kwargs: Any) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.asset = asset

    def arguments(self, start: datetime) -> list[str]:
        return ["inspect", self.mill.run_folder(start), "--json"]

    def execute(self, context: "Context") -> None:
        start = interval_start(context)
        last = json.loads(self.last_line(context))["funnel"][-1]
        if last["out"] == 0:
            raise AirflowSkipException("no document of this interval is left: nothing to publish")
        context["outlet_events"][self.asset].extra = {
            "run": self.mill.run_folder(start),
            "interval_start": start.isoformat(),
            "stage": last["stage"],
            "documents": last["out"],
            "report": self.mill.report(start),
        }


class NewInput(BaseSensorOperator):
    """Waits until every source of the interval has files, and all of them have come to rest.

    It holds no worker while it waits. A file counts as whole when it has not changed for `settle`;
    where whoever writes the files can put a marker behind them, `ready` is surer.
    """

    template_fields = ()

    def __init__(
        self, *, mill: Mill, settle: timedelta, ready: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(mode="reschedule", **kwargs)
        self.mill = mill
        self.settle = settle
        self.ready = ready

    def poke(self, context: "Context") -> bool:
        start = interval_start(context)
        if self.ready is not None and not self._at_rest(start.strftime(self.ready), timedelta(0)):
            return False
        return all(
            self._at_rest(start.strftime(path), self.settle) for path in self.mill.sources.values()
        )

    def _at_rest(self, path: str, settle: timedelta) -> bool:
        import fsspec

        where = self.mill.below_folder(path)
        files, place = fsspec.url_to_fs(where)
        found = files.find(place) if files.isdir(place) else files.glob(place)
        if not found:
            self.log.info("no file yet at %s", where)
            return False
        latest = datetime.now(UTC) - settle
        if settle and any(files.modified(file) > latest for file in found):
            self.log.info("files at %s changed less than %s ago", where, settle)
            return False
        self.log.info("%d files at %s", len(found), where)
        return True
