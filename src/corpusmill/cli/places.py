"""Where the things are that a run has made."""

import typer


def places_of(run: str, train: str | None = None) -> dict[str, str]:
    """Name and path of what is in a run folder, and of a training if there is one."""
    from corpusmill import storage

    areas = ("documents", "shards", "ledger", "report.html", "run.json", "recipe.yaml")
    found = {area.partition(".")[0]: storage.join(run, area) for area in areas}
    if train is not None:
        found["training"] = train
    return {name: place for name, place in found.items() if storage.exists(place)}


def print_places(places: dict[str, str]) -> None:
    """Print them, a line each."""
    for name, place in places.items():
        typer.echo(f"  {name:<10} {place}")
