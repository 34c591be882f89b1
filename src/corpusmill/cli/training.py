"""Commands of training: train, runs, filter-round, train-classifier, generate, trace."""

from typing import Annotated

import typer

from corpusmill.cli import completing
from corpusmill.cli.base import (
    AsJson,
    Run,
    Settings,
    TrainFolder,
    Workers,
    command,
    print_json,
    show,
    show_data,
)


@command(
    "train --shards out/run/shards --out out/model --set steps=200",
    "train --shards out/run/shards --out out/model --config train.yaml",
)
def train(
    shards: Annotated[
        str,
        typer.Option(
            "--shards",
            metavar="DIR",
            help="Folder of shards.",
            autocompletion=completing.folders("manifest.json"),
        ),
    ],
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
        print_json(summary)


@command(
    "runs out/model",
    "runs out --picture losses.svg",
)
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

    show_data(runs_data(folders, picture), runs_view, as_json)


@command(
    "filter-round out/run --train out/model",
    "filter-round out/run --train out/model --drop 0.1 --code",
    name="filter-round",
)
def filter_round(
    run: Run,
    train: Annotated[
        str,
        typer.Option(
            "--train",
            metavar="TRAIN_DIR",
            help="Its newest checkpoint judges.",
            autocompletion=completing.folders("train.json"),
        ),
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
        print_json(result)
        return
    typer.echo(
        f"round {result['round']:02d}: {result['in']} in, {result['kept']} kept, "
        f"{result['dropped']} dropped"
    )
    typer.echo(f"next: corpusmill train --shards {result['shards']} --out DIR --set start={train}")


@command(
    "train-classifier --good samples/reference.txt --raw samples/web --out good.bin",
    "train-classifier --good good/ --raw raw/ --out good.bin --holdout 0.1",
    name="train-classifier",
)
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
        print_json(result)
        return
    card = read_card(out)
    typer.echo(f"{out}: {card.describe() if card else ''}")


@command(
    'generate out/model --prompt "The harbour "',
    "generate out/model --tokens 20 --samples 1 --temperature 0",
)
def generate(
    train_dir: TrainFolder,
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
        print_json(texts)
        return
    from corpusmill.report.terminal import texts_view

    show(texts_view(prompt, texts))


@command(
    "trace out/model --step 10",
    "trace out/model --step 10 --shards out/run/shards --json",
)
def trace(
    train_dir: TrainFolder,
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
        print_json(rows)
        return
    for row in rows:
        typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))
