"""Commands that take something out of a run: forget, export, clean."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from corpusmill.cli import completing
from corpusmill.cli.base import AsJson, Run, command, print_json


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


@command(
    "forget out/run --domain example.org --dry-run",
    "forget out/run --id 0b7c4de1f2a35968d0b7c4de1f2a3596 --copies",
)
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
        print_json(asdict(result))
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


@command(
    "export out/run --to jsonl.zst",
    "export out/run --to hf --out dataset",
    "export out/model --to transformers --out model",
)
def export(
    path: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run, of token shards, or of a training (for a model).",
            autocompletion=completing.folders("*.json"),
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


@command(
    "clean out/run",
    "clean out/first",
)
def clean(
    run: Run,
) -> None:
    """Remove RUN/stages: no raw text remains, documents and ledger stay."""
    from corpusmill.pipelines.verify import clean as clean_run

    freed = clean_run(run)
    typer.echo(f"{run}: {freed / 1e6:.1f} MB freed")
