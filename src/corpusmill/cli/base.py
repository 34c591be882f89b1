"""What all commands share: the application, arguments that several have, how things are shown."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from corpusmill import __version__
from corpusmill.cli import completing

WIDTH_OF_FILES = 160
"""Columns of tables that go into a file or a log."""

app = typer.Typer(
    name="corpusmill",
    help="Raw web crawls, books and source code to language-model training data.",
    epilog="`corpusmill COMMAND --help` shows what a command takes, with examples.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Folder of a run.", autocompletion=completing.folders("run.json")
    ),
]
TrainFolder = Annotated[
    str,
    typer.Argument(
        metavar="TRAIN_DIR",
        help="Folder of a training.",
        autocompletion=completing.folders("train.json"),
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Workers = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Worker processes; default: all cores.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Change a setting; repeatable.")
]

Function = Callable[..., None]


def command(*examples: str, name: str | None = None) -> Callable[[Function], Function]:
    """Make a function a command whose help ends with examples, as they are typed."""
    lines = "\n".join(f"  corpusmill {example}" for example in examples)
    # \b: click keeps the lines of the paragraph as they are.
    return app.command(name, epilog=f"\b\nExamples:\n{lines}")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"corpusmill {__version__}")
        raise typer.Exit


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    typer.echo(f"corpusmill: {message}", err=True)


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    typer.echo(json.dumps(value))


def show(renderable: Any) -> None:
    """Print something of rich's, in full width where no terminal has one."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_FILES)
    console.print(renderable)


def show_data(data: dict[str, Any], view: Callable[[dict[str, Any]], Any], as_json: bool) -> None:
    """Print facts as JSON, or what `view` makes of them for people."""
    if as_json:
        print_json(data)
    else:
        show(view(data))
