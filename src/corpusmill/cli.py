"""The command line: reads arguments, prints results, and turns errors into exit codes.

Only typer and pydantic are imported here; every command imports what it needs.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corpusmill import __version__
from corpusmill.errors import MillError, RunError, UsageError

if TYPE_CHECKING:
    from corpusmill.pipelines.ledger import RunRecord
    from corpusmill.pipelines.run import Progress

INTERRUPTED = 130

WIDTH_OF_FILES = 160
"""Columns of tables that go into a file or a log."""

app = typer.Typer(
    name="corpusmill",
    help="Raw web crawls, books and source code to language-model training data.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Engine(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"
    spark = "spark"


class Format(StrEnum):
    """What `export` writes."""

    jsonl_zst = "jsonl.zst"
    parquet = "parquet"
    hf = "hf"
    megatron = "megatron"
    nanogpt = "nanogpt"
    tokens = "tokens"
    safetensors = "safetensors"
    transformers = "transformers"


Run = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Workers = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Worker processes; default: all cores.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Change a setting; repeatable.")
]


def main() -> None:
    """Entry point of the command `corpusmill`."""
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer's answer to Ctrl-C; older versions raise Abort
            raise typer.Abort
    except (typer.Abort, KeyboardInterrupt):
        _complain("interrupted: the same command goes on from here")
        sys.exit(INTERRUPTED)
    except MillError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        _complain(f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}")
        sys.exit(MillError.exit_code)
    except Exception as error:
        if hasattr(error, "show"):  # click's own: a wrong option, a missing argument
            error.show()
            sys.exit(UsageError.exit_code)
        raise
    sys.exit(code)


def _complain(message: str) -> None:
    typer.echo(f"corpusmill: {message}", err=True)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value))


def _show(renderable: Any) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_FILES)
    console.print(renderable)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"corpusmill {__version__}")
        raise typer.Exit


@app.command()
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
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after STAGE.")] = None,
    only: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Run STAGE again from its recorded input.")
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
    with _progress(quiet=as_json) as progress:
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
    places = _places(out)
    represented = representation_facts(out, record)
    if as_json:
        _print_json(
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
    _show(funnel_view(funnel_data(record)))
    if (view := representation_view(represented)) is not None:
        _show(view)
    typer.echo(f"{left} documents left; {quarantined} quarantined; every document is accounted for")
    if not left:
        typer.echo("warning: every document was dropped")
    _print_places(places)


def _places(run: str, train: str | None = None) -> dict[str, str]:
    from corpusmill import storage

    areas = ("documents", "shards", "ledger", "report.html", "run.json", "recipe.yaml")
    found = {area.partition(".")[0]: storage.join(run, area) for area in areas}
    if train is not None:
        found["training"] = train
    return {name: place for name, place in found.items() if storage.exists(place)}


def _print_places(places: dict[str, str]) -> None:
    for name, place in places.items():
        typer.echo(f"  {name:<10} {place}")


@contextmanager
def _progress(quiet: bool) -> Iterator["Progress"]:
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


@app.command()
def plan(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A recipe (.yaml).", show_default=False)
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
        _data(describe_size(loaded, volume, cores or 1), sizing_view, as_json)
        return
    if loaded is None:
        raise UsageError("Missing argument RECIPE (or --input-bytes 100TB, to size a cluster)")
    for stage in loaded.stages:
        stage.check()
    described = describe(loaded)
    if as_json:
        _print_json(described)
    else:
        _show(plan_view(described))


@app.command()
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


@app.command()
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
        _print_json(
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
    _show(funnel_view(funnel))
    if rules:
        _show(rules_view(rules))
    if facts["contamination"]:
        _show(contamination_view(facts["contamination"]))
    if (view := representation_view(represented)) is not None:
        _show(view)
    _print_places(_places(run, train))


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="RUN_A", help="Folder of a run.")],
    second: Annotated[str, typer.Argument(metavar="RUN_B", help="Folder of another.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs: recipe, input, counts, documents and tokens."""
    from corpusmill.report.comparison import diff_data, diff_view

    _data(diff_data(first, second), diff_view, as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what is installed, and what is missing for which feature; 1 if something is broken."""
    from corpusmill.report.doctor import doctor_data, doctor_view

    data = doctor_data()
    _data(data, doctor_view, as_json)
    if not data["healthy"]:
        raise typer.Exit(RunError.exit_code)


@app.command()
def sweep(
    run: Run,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="A rule of `heuristics`.")],
    thresholds: Annotated[
        list[float] | None,
        typer.Argument(metavar="THRESHOLD...", help="Thresholds to try; default: neighbours."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what other thresholds of a rule would keep, from the measures of a run."""
    from corpusmill.report.sweep import sweep_data
    from corpusmill.report.terminal import sweep_view

    _data(sweep_data(run, rule, thresholds or ()), sweep_view, as_json)


@app.command()
def why(
    run: Run,
    document: Annotated[str, typer.Argument(metavar="ID_OR_URI", help="Which document.")],
    as_json: AsJson = False,
) -> None:
    """Tell what happened to a document, stage by stage."""
    from corpusmill.report.fate import why_data
    from corpusmill.report.terminal import why_view

    _data(why_data(run, document), why_view, as_json)


@app.command()
def inspect(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A run, a folder of shards, or a file of either.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what is in a run folder, in token shards, or in one of their files."""
    from corpusmill.report.inspection import inspect_data
    from corpusmill.report.terminal import inspect_view

    _data(inspect_data(path), inspect_view, as_json)


def _data(data: dict[str, Any], view: Callable[[dict[str, Any]], Any], as_json: bool) -> None:
    if as_json:
        _print_json(data)
    else:
        _show(view(data))


@app.command()
def verify(
    path: Annotated[str, typer.Argument(metavar="RUN_OR_SHARDS", help="What to check.")],
    as_json: AsJson = False,
) -> None:
    """Check every checksum and every count; exit code 1 when something is wrong."""
    from corpusmill.pipelines.verify import verify as verify_all

    findings, checked = verify_all(path)
    if as_json:
        _print_json({"checked": checked, "findings": findings})
    else:
        for finding in findings:
            typer.echo(finding)
        typer.echo(f"{checked} files checked, {len(findings)} findings")
    if findings:
        raise typer.Exit(1)


@app.command()
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
    _data(facts, audit_view, as_json)
    if facts["findings"]:
        raise typer.Exit(1)


@app.command()
def forget(
    run: Run,
    ids: Annotated[list[str] | None, typer.Option("--id", help="A document; repeatable.")] = None,
    uris: Annotated[
        list[str] | None, typer.Option("--uri", help="All documents of an address; repeatable.")
    ] = None,
    domains: Annotated[
        list[str] | None, typer.Option("--domain", help="All below a domain; repeatable.")
    ] = None,
    copies: Annotated[
        bool, typer.Option("--copies", help="What was dropped as their copy goes, too.")
    ] = False,
    key: Annotated[
        str | None, typer.Option(metavar="env:NAME|file:PATH", help="Key of the tombstones.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what is meant, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Erase documents from a run, its shards and its indexes; they do not come back."""
    from corpusmill.pipelines.forget import forget as erase

    result = erase(
        run,
        ids=ids or (),
        uris=uris or (),
        domains=domains or (),
        copies=copies,
        key=key,
        dry_run=dry_run,
    )
    if as_json:
        _print_json(asdict(result))
        return
    if dry_run:
        typer.echo(f"{result.documents} documents in {result.parts} parts; nothing was changed")
        return
    typer.echo(
        f"{result.documents} documents erased from {result.parts} parts, {result.shards} shards "
        f"and {result.indexed} entries of indexes"
    )
    if result.copies_left:
        typer.echo(
            f"{result.copies_left} documents stay that were dropped as copies of them, or they as "
            "copies of those: --copies erases them, too"
        )
    if result.report_removed:
        typer.echo(f"its report is removed: corpusmill report {run}")
    if result.exports_removed:
        typer.echo(f"its exports are removed: corpusmill export {run}")
    typer.echo(
        "vocabularies and models that were trained on them stay as they are: train them anew where "
        "they must not have seen them"
    )


@app.command()
def export(
    path: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Folder of a run, of token shards, or of a training (for a model)."
        ),
    ],
    to: Annotated[
        Format,
        typer.Option(
            "--to",
            help="Documents: jsonl.zst, parquet, hf. Tokens: megatron, nanogpt, tokens. "
            "Model: safetensors, transformers.",
        ),
    ],
    out: Annotated[
        str | None, typer.Option("--out", help="Folder to write; default: RUN/export/FORMAT.")
    ] = None,
) -> None:
    """Write the documents or tokens of a run, or a trained model, in another format."""
    if to in (Format.safetensors, Format.transformers):
        from corpusmill.pretrain.export import export_model

        folder = out or f"{path.rstrip('/')}/export/{to.value}"
        step = export_model(path, to.value, folder, lambda line: typer.echo(line, err=True))
        typer.echo(f"weights of step {step}: {folder}")
        return
    from corpusmill.pipelines.export import export as export_data

    folder, files, documents = export_data(path, to.value, out)
    typer.echo(f"{documents} documents in {files} files: {folder}")


@app.command()
def clean(
    run: Run,
) -> None:
    """Remove RUN/stages: no raw text remains, documents and ledger stay."""
    from corpusmill.pipelines.verify import clean as clean_run

    freed = clean_run(run)
    typer.echo(f"{run}: {freed / 1e6:.1f} MB freed")


@app.command()
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
    _data(index_data(path), index_view, as_json)


@app.command()
def train(
    shards: Annotated[str, typer.Option("--shards", metavar="DIR", help="Folder of shards.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder of the training.")],
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Settings as YAML.")
    ] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on token shards; the same command resumes from the last checkpoint."""
    from corpusmill.pretrain.loop import train as train_model

    def echo(text: str) -> None:
        typer.echo(text, err=as_json)

    summary = train_model(
        shards=shards, out=out, config=config, overrides=settings or [], echo=echo
    )
    if as_json:
        _print_json(summary)


@app.command()
def runs(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="Training folders, or folders of them."),
    ],
    picture: Annotated[
        str | None,
        typer.Option("--picture", metavar="FILE", help="Draw the losses: .svg or .html."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List and compare trainings, in a table and a picture of their loss curves."""
    from corpusmill.report.runs import runs_data
    from corpusmill.report.terminal import runs_view

    _data(runs_data(folders, picture), runs_view, as_json)


@app.command("filter-round")
def filter_round(
    run: Run,
    train: Annotated[
        str, typer.Option("--train", metavar="TRAIN_DIR", help="Its newest checkpoint judges.")
    ],
    drop: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of each kind and language to drop.")
    ] = 0.2,
    code: Annotated[bool, typer.Option("--code", help="Judge source code as well.")] = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Drop the documents that a trained model finds hardest to predict, as new shards."""
    from corpusmill.pipelines.filter_round import filter_round as make_round

    result = make_round(
        run=run,
        train=train,
        drop=drop,
        code=code,
        workers=workers,
        echo=lambda line: typer.echo(line, err=as_json),
    )
    if as_json:
        _print_json(result)
        return
    typer.echo(
        f"round {result['round']:02d}: {result['in']} in, {result['kept']} kept, "
        f"{result['dropped']} dropped"
    )
    typer.echo(f"next: corpusmill train --shards {result['shards']} --out DIR --set start={train}")


@app.command("train-classifier")
def train_classifier(
    good: Annotated[
        list[str], typer.Option("--good", metavar="PATH", help="Good text; repeatable.")
    ],
    raw: Annotated[
        list[str], typer.Option("--raw", metavar="PATH", help="Text to tell it from; repeatable.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="MODEL", help="File to write.")],
    holdout: Annotated[float, typer.Option(help="Share of both kept back for the trial.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Decides what is left to chance.")] = 1,
    settings: Settings = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Train a fastText classifier of quality, and try it on text it has not seen."""
    from corpusmill.filters.classifier import read_card
    from corpusmill.pipelines.train_classifier import train_classifier as train_it

    result = train_it(
        good, raw, out, holdout=holdout, seed=seed, overrides=settings or (), workers=workers
    )
    if as_json:
        _print_json(result)
        return
    card = read_card(out)
    typer.echo(f"{out}: {card.describe() if card else ''}")


@app.command()
def generate(
    train_dir: Annotated[str, typer.Argument(metavar="TRAIN_DIR", help="Folder of a training.")],
    prompt: Annotated[str, typer.Option("--prompt", help="The beginning of a text.")] = "",
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="At most so many more.")] = 100,
    samples: Annotated[int, typer.Option("--samples", min=1, help="How many texts.")] = 3,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="0: always the most probable token.")
    ] = 0.8,
    top_k: Annotated[
        int, typer.Option("--top-k", min=0, help="Draw from so many tokens only; 0: from all.")
    ] = 50,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Let a trained model continue a text, to see what it has learned."""
    from corpusmill.pretrain.generate import generate as generate_texts

    texts = generate_texts(
        train_dir,
        prompt,
        tokens=tokens,
        samples=samples,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
        echo=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        _print_json(texts)
        return
    from corpusmill.report.terminal import texts_view

    _show(texts_view(prompt, texts))


@app.command()
def trace(
    train_dir: Annotated[str, typer.Argument(metavar="TRAIN_DIR", help="Folder of a training.")],
    step: Annotated[int, typer.Option("--step", min=1, help="Which step.")],
    shards: Annotated[
        str | None, typer.Option("--shards", metavar="DIR", help="Where the shards are now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell which documents, from which sources, were in the batch of a training step."""
    from corpusmill.pretrain.trace import trace as trace_step

    rows = trace_step(train_dir, step, shards)
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))
