"""Commands that make a run, or prepare for one: run, plan, init."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from corpusmill.cli import completing
from corpusmill.cli.base import (
    AsJson,
    Settings,
    Workers,
    command,
    print_json,
    show,
    show_data,
)
from corpusmill.cli.places import places_of, print_places
from corpusmill.errors import UsageError

if TYPE_CHECKING:
    from corpusmill.pipelines.ledger import RunRecord
    from corpusmill.pipelines.run import Progress


class Engine(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"
    spark = "spark"


@command(
    "run samples/web samples/books samples/code --out out/first",
    "run recipe.yaml --out out/run --workers 4",
    "run recipe.yaml --out out/run --update --set quality.drop_lowest=0.2",
)
def run(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE|INPUT...", help="A recipe (.yaml), or files and folders."),
    ],
    out: Annotated[str, typer.Option("--out", metavar="RUN", help="Folder of the run.")],
    engine: Annotated[
        Engine | None, typer.Option(help="Where the work is done, if not as the recipe says.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The Ray cluster; else one of its own.")
    ] = None,
    master: Annotated[
        str | None, typer.Option(metavar="URL", help="The Spark cluster; else one of its own.")
    ] = None,
    workers: Workers = None,
    settings: Settings = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Stop after STAGE.", autocompletion=completing.stages),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="Run STAGE again from its recorded input.",
            autocompletion=completing.stages,
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Run changed stages, and what follows, again.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Read N documents at most.")
    ] = None,
    sample: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Read a share of the documents.")
    ] = None,
    retry_quarantined: Annotated[
        bool, typer.Option("--retry-quarantined", help="Try quarantined documents once more.")
    ] = False,
    discard_stages: Annotated[
        bool, typer.Option("--discard-stages", help="Remove raw text and barriers at the end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a recipe, or the default recipe on files and folders; the same command resumes."""
    from corpusmill.pipelines.oneshot import recipe_for
    from corpusmill.pipelines.representation import measure_representation
    from corpusmill.pipelines.run import run as run_recipe
    from corpusmill.report.html import write_report

    if limit is not None and sample is not None:
        raise UsageError("--limit and --sample exclude each other")
    overrides = list(settings or [])
    overrides += [f"limit={limit}"] if limit is not None else []
    overrides += [f"sample={sample}"] if sample is not None else []
    recipe, notes = recipe_for(what, overrides)
    for note in notes:
        typer.echo(note, err=True)
    with shown_progress(quiet=as_json) as progress:
        record = run_recipe(
            recipe,
            out,
            engine=engine.value if engine else None,
            workers=workers,
            address=address,
            master=master,
            until=until,
            only=only,
            update=update,
            retry_quarantined=retry_quarantined,
            discard_stages=discard_stages,
            progress=progress,
        )
    measure_representation(out)
    write_report(out)
    _finished(out, record, as_json)


def _finished(out: str, record: "RunRecord", as_json: bool) -> None:
    from corpusmill.report.facts import funnel_data
    from corpusmill.report.representation import representation_facts, representation_view
    from corpusmill.report.terminal import funnel_view

    quarantined = sum(stage.counts.quarantined for stage in record.stages)
    left = record.stages[-1].counts.out
    places = places_of(out)
    represented = representation_facts(out, record)
    if as_json:
        print_json(
            {
                "run": out,
                "documents": left,
                "quarantined": quarantined,
                "notes": record.notes,
                "places": places,
                "representation_warnings": represented["warnings"],
                "stages": [stage.to_json() for stage in record.stages],
            }
        )
        return
    show(funnel_view(funnel_data(record)))
    if (view := representation_view(represented)) is not None:
        show(view)
    typer.echo(f"{left} documents left; {quarantined} quarantined; every document is accounted for")
    if not left:
        typer.echo("warning: every document was dropped")
    print_places(places)
    typer.echo(f"look closer: corpusmill explore {out}")


@contextmanager
def shown_progress(quiet: bool) -> Iterator["Progress"]:
    """Bars on a terminal, plain lines otherwise, nothing if asked for."""
    from corpusmill.pipelines.run import Silent

    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        from corpusmill.report.progress import Bars

        with Bars() as bars:
            yield bars
    else:
        from corpusmill.report.progress import Lines

        yield Lines(lambda text: typer.echo(text, err=True))


@command(
    "plan recipe.yaml",
    "plan recipe.yaml --set seed=2 --json",
    "plan --input-bytes 100TB --cores 1024",
)
def plan(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe (.yaml).",
            show_default=False,
            autocompletion=completing.recipes,
        ),
    ] = None,
    settings: Settings = None,
    input_bytes: Annotated[
        str | None,
        typer.Option("--input-bytes", metavar="SIZE", help="Size a cluster for so much: 100TB."),
    ] = None,
    cores: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Size a cluster of so many cores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a recipe and print its steps and an estimate of disk; reads no document.

    With --input-bytes or --cores: what each step takes, by what was measured; without a recipe for
    the default recipe on web archives.
    """
    from corpusmill.pipelines.plan import describe
    from corpusmill.pipelines.recipe import load_recipe
    from corpusmill.report.plan_view import plan_view

    if recipe is None and settings:
        raise UsageError("--set changes a recipe, and none is given: corpusmill plan RECIPE")
    loaded = load_recipe(recipe, settings or []) if recipe is not None else None
    if input_bytes is not None or cores is not None:
        from corpusmill.pipelines.sizing import describe_size, parse_size
        from corpusmill.report.sizing_view import sizing_view

        volume = parse_size(input_bytes) if input_bytes is not None else None
        show_data(describe_size(loaded, volume, cores or 1), sizing_view, as_json)
        return
    if loaded is None:
        raise UsageError("Missing argument RECIPE (or --input-bytes 100TB, to size a cluster)")
    for stage in loaded.stages:
        stage.check()
    described = describe(loaded)
    if as_json:
        print_json(described)
    else:
        show(plan_view(described))


@command(
    "init samples/web samples/books --out recipe.yaml",
    "init crawl.warc.gz books/ repos/",
)
def init(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files and folders.")],
    out: Annotated[str, typer.Option("--out", help="Where to write the recipe.")] = "recipe.yaml",
) -> None:
    """Write a commented recipe for the data found at PATH..."""
    from corpusmill import storage
    from corpusmill.pipelines.oneshot import commented_recipe

    text, notes = commented_recipe(paths)
    for note in notes:
        typer.echo(note, err=True)
    if storage.exists(out):
        raise UsageError(f"{out} exists already: choose another --out")
    storage.write_atomic(out, text.encode())
    typer.echo(f"{out}: edit it, then: corpusmill run {out} --out RUN")
