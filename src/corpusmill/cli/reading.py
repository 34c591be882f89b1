"""Commands that look at what there is: report, explore, why, verify and the like."""

from typing import Annotated

import typer

from corpusmill.cli import completing
from corpusmill.cli.base import AsJson, Run, command, print_json, show, show_data
from corpusmill.cli.places import places_of, print_places
from corpusmill.errors import RunError, UsageError


@command(
    "report out/run",
    "report out/run --train out/model",
    "report out/run --json > facts.json",
)
def report(
    run: Run,
    train: Annotated[
        str | None, typer.Option(metavar="TRAIN_DIR", help="Show this training's loss, too.")
    ] = None,
    terms: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Count mentions of these groups of people (YAML)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write RUN/report.html and print the funnel of documents, the rules and what matched."""
    from corpusmill.pipelines.representation import measure_representation
    from corpusmill.report.contamination import contamination_data, contamination_view
    from corpusmill.report.facts import funnel_data
    from corpusmill.report.html import report_facts, write_page
    from corpusmill.report.representation import representation_facts, representation_view
    from corpusmill.report.terminal import funnel_view, rules_view

    measure_representation(run, terms or "")
    facts = report_facts(run, train)
    funnel, rules = funnel_data(facts["record"]), facts["rules"]
    path = write_page(run, facts)
    represented = representation_facts(run)
    if as_json:
        print_json(
            {
                "report": path,
                "funnel": funnel,
                "rules": rules,
                "contamination": contamination_data(run),
                "coverage": facts["coverage"],
                "representation": represented,
            }
        )
        return
    show(funnel_view(funnel))
    if rules:
        show(rules_view(rules))
    if facts["contamination"]:
        show(contamination_view(facts["contamination"]))
    if (view := representation_view(represented)) is not None:
        show(view)
    print_places(places_of(run, train))


@command("explore out/run", "explore out/run --open", "explore out/run --port 8123")
def explore(
    run: Run,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any that is free.")
    ] = 0,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Serve a page on this machine that searches a run and tries thresholds, until Ctrl-C."""
    from corpusmill.report.explorer.server import explore as serve

    def ready(address: str) -> None:
        typer.echo(f"{address}\n(from this machine only, with the whole address; Ctrl-C ends it)")
        if browser:
            import webbrowser

            webbrowser.open(address)

    try:
        serve(run, port=port, ready=ready)
    except KeyboardInterrupt:
        typer.echo("ended", err=True)


@command(
    "diff out/first out/run",
    "diff out/first out/run --json > changes.json",
)
def diff(
    first: Annotated[
        str,
        typer.Argument(
            metavar="RUN_A",
            help="Folder of a run.",
            autocompletion=completing.folders("run.json"),
        ),
    ],
    second: Annotated[
        str,
        typer.Argument(
            metavar="RUN_B",
            help="Folder of another.",
            autocompletion=completing.folders("run.json"),
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare two runs: recipe, input, counts, documents and tokens."""
    from corpusmill.report.comparison import diff_data, diff_view

    show_data(diff_data(first, second), diff_view, as_json)


@command(
    "doctor",
    "doctor --json",
)
def doctor(as_json: AsJson = False) -> None:
    """Show what is installed, and what is missing for which feature; 1 if something is broken."""
    from corpusmill.report.doctor import doctor_data, doctor_view

    data = doctor_data()
    show_data(data, doctor_view, as_json)
    if not data["healthy"]:
        raise typer.Exit(RunError.exit_code)


@command(
    "sweep out/run gopher_short_doc",
    "sweep out/run gopher_short_doc 20 50 100 --json",
)
def sweep(
    run: Run,
    rule: Annotated[
        str,
        typer.Argument(
            metavar="RULE",
            help="A rule of `heuristics`.",
            autocompletion=completing.rules,
        ),
    ],
    thresholds: Annotated[
        list[float] | None,
        typer.Argument(metavar="THRESHOLD...", help="Thresholds to try; default: neighbours."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what other thresholds of a rule would keep, from the measures of a run."""
    from corpusmill.report.sweep import sweep_data
    from corpusmill.report.terminal import sweep_view

    show_data(sweep_data(run, rule, thresholds or ()), sweep_view, as_json)


@command(
    "why out/run https://example.org/page",
    "why out/run 0b7c4de1f2a35968d0b7c4de1f2a3596 --json",
)
def why(
    run: Run,
    document: Annotated[
        str,
        typer.Argument(metavar="ID_OR_URI", help="Its id or address, or a part of the address."),
    ],
    as_json: AsJson = False,
) -> None:
    """Tell what happened to a document, stage by stage."""
    from corpusmill.report.fate import why_data
    from corpusmill.report.terminal import why_view

    show_data(why_data(run, document), why_view, as_json)


@command(
    "inspect out/run",
    "inspect out/run/shards",
    "inspect out/run/documents/part-00000.parquet",
)
def inspect(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A run, a folder of shards, or a file of either.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what is in a run folder, in token shards, or in one of their files."""
    from corpusmill.report.inspection import inspect_data
    from corpusmill.report.terminal import inspect_view

    show_data(inspect_data(path), inspect_view, as_json)


@command(
    "verify out/run",
    "verify out/run/shards --json",
)
def verify(
    path: Annotated[str, typer.Argument(metavar="RUN_OR_SHARDS", help="What to check.")],
    as_json: AsJson = False,
) -> None:
    """Check every checksum and every count; exit code 1 when something is wrong."""
    from corpusmill.pipelines.verify import verify as verify_all

    findings, checked = verify_all(path)
    if as_json:
        print_json({"checked": checked, "findings": findings})
    else:
        for finding in findings:
            typer.echo(finding)
        typer.echo(f"{checked} files checked, {len(findings)} findings")
    if findings:
        raise typer.Exit(1)


@command(
    "audit out/run",
    "audit out/run --identities 200 --leave DATE_OF_BIRTH",
)
def audit(
    run: Run,
    identities: Annotated[int, typer.Option(min=1, help="Made-up people to plant.")] = 2000,
    min_recall: Annotated[
        float, typer.Option("--min-recall", min=0, max=1, help="Below it the audit fails.")
    ] = 0.997,
    leave: Annotated[
        list[str] | None,
        typer.Option("--leave", metavar="ENTITY", help="Stands on purpose; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plant made-up people into copies of documents; exit code 1 when they are still found."""
    from corpusmill.pipelines.audit import audit as audit_run
    from corpusmill.report.audit_view import audit_view

    facts = audit_run(run, identities=identities, min_recall=min_recall, leave=leave or ())
    show_data(facts, audit_view, as_json)
    if facts["findings"]:
        raise typer.Exit(1)


@command(
    "index duplicates.idx",
    "index duplicates.idx --remove crawl",
)
def index(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Index of a `deduplicate` stage.")],
    remove: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Take out a source, and what it had displaced."),
    ] = None,
    forget: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take out what the recipe of that name added.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what an index of duplicates holds, or take something out of it."""
    from corpusmill.report.index_view import index_view
    from corpusmill.stages.duplicate_index import forget_run, index_data, remove_source

    if remove is not None and forget is not None:
        raise UsageError("--remove and --forget exclude each other")
    if remove is not None:
        typer.echo(f"{remove_source(path, remove)} documents of {remove!r} removed", err=True)
    if forget is not None:
        typer.echo(f"{forget_run(path, forget)} documents of {forget!r} removed", err=True)
    show_data(index_data(path), index_view, as_json)
