"""The same facts in a terminal: each view takes what the function of data gave.

Whatever comes from documents goes through `plain`: no markup, no escape sequence.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from corpusmill.report.showing import MASKING, visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

TOP_REASONS = 3
"""Reasons that the funnel names for each stage."""

_STYLES = {"dropped": "yellow", "quarantined": "red", "changed": "cyan", "kept": "green"}


def plain(value: object, style: str = "", *, lines: bool = False) -> "Text":
    """A value as text: never markup, and with control characters made visible."""
    from rich.text import Text

    return Text(visible(str(value), lines=lines), style=style)


def amount(value: float | None) -> str:
    """A number for people; nothing for what was not measured."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def make_table(title: str, columns: Mapping[str, bool]) -> "Table":
    """A table; `columns` says which ones hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(title=plain(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD)
    for name, is_number in columns.items():
        header = plain(name)
        table.add_column(
            header, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number
        )
    return table


def funnel_view(rows: list[dict[str, Any]]) -> "RenderableType":
    """The funnel of `funnel_data`, one line for each stage."""
    numbers = ("in", "kept", "added", "changed")
    table = make_table(
        "Documents",
        {
            "stage": False,
            **dict.fromkeys(numbers, True),
            "dropped": False,
            "quarantined": True,
            "out": True,
            "CPU s": True,
        },
    )
    for row in rows:
        table.add_row(
            plain(row["stage"]),
            *(amount(row[name]) for name in numbers),
            plain(_dropped(row["dropped"])),
            plain(row["quarantined"], "red" if row["quarantined"] else ""),
            amount(row["out"]),
            f"{row['cpu_seconds']:,.1f}",
        )
    return table


def _dropped(reasons: Mapping[str, int]) -> str:
    """The most frequent reasons, with numbers."""
    if not reasons:
        return "0"
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = TOP_REASONS if len(ordered) > TOP_REASONS + 1 else len(ordered)
    named = [f"{reason} {n:,}" for reason, n in ordered[:shown]]
    if rest := ordered[shown:]:
        named.append(f"{sum(n for _, n in rest):,} for {len(rest)} other reasons")
    return f"{sum(reasons.values()):,}: {', '.join(named)}"


def texts_view(prompt: str, texts: list[str]) -> "RenderableType":
    """Texts of `generate`, each after the prompt that it continues."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    parts: list[RenderableType] = []
    for text in texts:
        begun = plain(prompt, "bold", lines=True)
        parts += [Rule(style="dim"), Text.assemble(begun, plain(text, lines=True))]
    return Group(*parts)


def runs_view(data: dict[str, Any]) -> "RenderableType":
    """The trainings that `runs_data` compared: what came of each, then in what they differ."""
    from rich.console import Group

    table = make_table(
        "Training runs",
        {
            "run": False,
            **dict.fromkeys(("steps", "tokens", "parameters", "batch", "loss"), True),
            **dict.fromkeys(("validation", "bits/byte", "tokens/s", "skipped", "time"), True),
        },
    )
    for run in data["runs"]:
        unfinished = "" if run["finished"] else f" of {run['steps']:,}"
        table.add_row(
            plain(run["name"]),
            plain(f"{run['steps_taken']:,}{unfinished}", "" if run["finished"] else "yellow"),
            amount(run["tokens"]),
            amount(run["parameters"]),
            f"{run['batch']:,} x {run['context']:,}",
            *(amount(run[name]) for name in ("loss", "validation_loss", "bits_per_byte")),
            "" if (speed := run["tokens_per_second"]) is None else f"{speed:,.0f}",
            plain(run["skipped"], "yellow" if run["skipped"] else ""),
            "" if (seconds := run["seconds"]) is None else _duration(seconds),
        )
    views: list[RenderableType] = [table]
    for run in data["runs"]:
        if run["differs"]:
            named = ", ".join(f"{name} {value}" for name, value in run["differs"].items())
            views.append(plain(f"{run['name']}: {named}"))
        if not run["finished"]:
            done = f"{run['steps_taken']:,} of {run['steps']:,} steps"
            views.append(plain(f"{run['name']}: is not finished: {done}", "yellow"))
        if run["unread_lines"]:
            lines = f"lines of its metrics that are damaged and left out: {run['unread_lines']:,}"
            views.append(plain(f"{run['name']}: {lines}", "yellow"))
    if data["picture"] is not None:
        views.append(plain(f"picture: {data['picture']}"))
    return Group(*views)


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def sweep_view(data: dict[str, Any]) -> "RenderableType":
    """What `sweep_data` found, one table for each stage that has the rule."""
    from rich.console import Group

    views: list[RenderableType] = []
    for stage in data["stages"]:
        table = make_table(
            f"{stage['stage']}: {data['rule']} drops what is {data['drops']}",
            {
                "threshold": True,
                "drops alone": True,
                "bytes": True,
                "drops as first rule": True,
                "the stage keeps": True,
                "bytes kept": True,
            },
        )
        for row in stage["thresholds"]:
            mark = " now" if row["threshold"] == stage["threshold"] else ""
            table.add_row(
                plain(amount(row["threshold"]) + mark),
                amount(row["alone"]["dropped"]),
                amount(row["alone"]["dropped_bytes"]),
                amount(row["chain"]["dropped"]),
                amount(row["chain"]["kept"]),
                amount(row["chain"]["kept_bytes"]),
            )
        quantiles = (f"{name} {amount(value)}" for name, value in stage["quantiles"].items())
        views += [
            table,
            plain(
                f"{stage['came']:,} documents came, {stage['measured']:,} were measured; "
                f"{stage['dropped_now']:,} dropped now. {stage['dropped_earlier']:,} were dropped "
                "before and have no measure."
            ),
            plain(f"quantiles: {', '.join(quantiles) or 'none'}"),
        ]
        if stage["languages"]:
            limits = (f"{name} {amount(value)}" for name, value in stage["languages"].items())
            views.append(plain(f"now in other languages: {', '.join(limits)}"))
    return Group(*views)


def rules_view(rows: list[dict[str, Any]]) -> "RenderableType":
    """What `rule_facts` found, one line for each rule: threshold, measures, neighbours."""
    table = make_table(
        "Rules: what the stage would keep at other thresholds",
        {
            "stage": False,
            "rule": False,
            "drops": False,
            "now": True,
            "median": True,
            "5 %": True,
            "95 %": True,
            "dropped now": True,
            "would keep (at)": False,
        },
    )
    for row in rows:
        quantiles = row["quantiles"]
        table.add_row(
            plain(row["stage"]),
            plain(row["rule"]),
            plain(row["drops"]),
            "off" if row["threshold"] is None else amount(row["threshold"]),
            *(amount(quantiles.get(name)) for name in ("0.5", "0.05", "0.95")),
            amount(row["dropped_now"]),
            plain(
                ", ".join(
                    f"{t['chain']['kept']:,} ({amount(t['threshold'])})" for t in row["thresholds"]
                )
            ),
        )
    return table


def why_view(data: dict[str, Any]) -> "RenderableType":
    """The fates that `why_data` found."""
    from rich.console import Group

    shown = data["documents"]
    views = [_document_view(document) for document in shown]
    if data["matches"] > len(shown):
        total = f"{'more than ' if data['more'] else ''}{data['matches']:,}"
        views.append(plain(f"{total} documents match; these are the first {len(shown)}."))
    return Group(*views)


def _document_view(document: dict[str, Any]) -> "RenderableType":
    from rich.console import Group

    head = plain(document["uri"], "bold").append("\n")
    head.append_text(plain(f"{document['id']}  source {document['source']}"))
    head.append_text(plain(f", part {document['part']}: "))
    head.append_text(plain(document["fate"], _STYLES.get(document["fate"], "")))
    for label, value in _more(document):
        head.append("\n").append_text(plain(f"{label}: {value}"))
    table = make_table(
        "",
        {
            "stage": False,
            "outcome": False,
            "reason": False,
            "measured": True,
            "threshold": True,
            "detail": False,
        },
    )
    for step in document["stages"]:
        table.add_row(
            plain(step["stage"]),
            plain(step["outcome"], _STYLES.get(step["outcome"], "")),
            plain(step["reason"] or ""),
            amount(step["value"]),
            amount(step["threshold"]),
            plain(step["detail"] or ""),
        )
    views: list[RenderableType] = [head, table]
    if (other := document["instead_of"]) is not None:
        views.append(plain(f"kept instead: {other['uri'] or 'not in this run'} ({other['id']})"))
        views += _diff_view(other["diff"])
    return Group(*views)


def _more(document: dict[str, Any]) -> list[tuple[str, str]]:
    """What else is known, as (label, value)."""
    known = []
    if document["augmented_from"]:
        known.append(("derived from", document["augmented_from"]))
    if document["derived"]:
        known.append(("derived documents", ", ".join(document["derived"])))
    if document["language"]:
        score = amount(document["language_score"])
        known.append(("language", f"{document['language']} {score}"))
    if document["scores"]:
        scores = (f"{name} {amount(value)}" for name, value in document["scores"].items())
        known.append(("scores", ", ".join(scores)))
    if (shard := document["shard"]) is not None:
        tokens = f"{shard['tokens']:,} tokens, row {shard['row']:,} of {shard['shard']}"
        known.append((f"split {shard['split']}", tokens))
    return known


def _diff_view(diff: list[str] | None) -> "list[RenderableType]":
    if diff is None:
        return [plain("The texts are not compared: they are not both among the run's stages.")]
    if not diff:
        return [plain("Once they are masked, the texts do not differ in what was compared.")]
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return [*(plain(line, colours.get(line[:1], "")) for line in diff), plain(MASKING, "dim")]


def inspect_view(data: dict[str, Any]) -> "RenderableType":
    """What `inspect_data` found."""
    from rich.console import Group

    if data["what"] == "run":
        return Group(*_run_view(data))
    if data["what"] == "shards":
        return Group(plain(data["path"], "bold"), *_shards_view(data), *_samples_view(data))
    return Group(*_file_view(data))


def _run_view(data: dict[str, Any]) -> "list[RenderableType]":
    published = data["published"] or "nothing yet"
    views: list[RenderableType] = [
        plain(f"{data['name']}: a run by engine {data['engine']}; documents/ holds {published}"),
        funnel_view(data["funnel"]),
    ]
    table = make_table(
        "documents/", {"language": False, "source": False, "documents": True, "bytes": True}
    )
    for row in data["documents"]:
        language = row["language"] or "not identified"
        table.add_row(
            plain(language), plain(row["source"]), amount(row["documents"]), amount(row["bytes"])
        )
    views.append(table)
    if data["shards"] is not None:
        views += _shards_view(data["shards"])
    views += [plain(f"note: {note}") for note in data["notes"]]
    return views


def _shards_view(data: dict[str, Any]) -> "list[RenderableType]":
    splits = list(data["splits"])
    table = make_table("Tokens", {"source": False, **dict.fromkeys(splits, True), "all": True})
    for source, tokens in data["tokens"].items():
        counts = [amount(tokens.get(split, 0)) for split in splits]
        table.add_row(plain(source), *counts, amount(sum(tokens.values())))
    for label, key in (("all tokens", "tokens"), ("documents", "documents")):
        totals = [data["splits"][split][key] for split in splits]
        table.add_row(label, *map(amount, totals), amount(sum(totals)), style="bold")
    tokenizer = data["tokenizer"]
    views: list[RenderableType] = [
        table,
        plain(
            f"{len(data['shards'])} shards; tokenizer {tokenizer['hash']}, "
            f"{amount(tokenizer['vocab_size'])} tokens ({tokenizer['dtype']})"
        ),
    ]
    if data["mixture"] is not None:
        views += _mixture_view(data["mixture"])
    return views


def _mixture_view(facts: dict[str, Any]) -> "list[RenderableType]":
    """The mixture of `mixture_facts`."""
    table = make_table(
        f"Mixture by {facts['by']}, over {facts['delivered']:,} tokens",
        {"class": False, "tokens": True}
        | dict.fromkeys(("natural", "asked", "delivered", "epochs"), True),
    )
    for row in facts["classes"]:
        shares = (f"{100 * row[name]:.3g} %" for name in ("natural", "asked", "delivered"))
        table.add_row(plain(row["name"]), amount(row["tokens"]), *shares, f"{row['epochs']:.3g}")
    views: list[RenderableType] = [table]
    if facts["until"] is not None:
        views.append(
            plain(
                f"from token {facts['until']:,} on a class has given all that its budget or "
                f"max_repetitions {facts['max_repetitions']:g} permits: the others take its turns"
            )
        )
    return views


def _samples_view(data: dict[str, Any]) -> "list[RenderableType]":
    if data["unread"] is not None:
        return [plain(f"no samples: {data['unread']}", "yellow")]
    views: list[RenderableType] = []
    for sample in data["samples"]:
        head = (
            f"\n{sample['split']}, {sample['source']}: document {sample['id']}, {sample['shard']}"
        )
        views += [plain(head, "bold", lines=True), plain(sample["text"], lines=True)]
    return [*views, plain(f"\n{MASKING}", "dim", lines=True)] if views else []


def _file_view(data: dict[str, Any]) -> "list[RenderableType]":
    views: list[RenderableType] = [
        plain(f"{data['path']}: {data['format']}, {data['rows']:,} rows", "bold")
    ]
    for key, value in data["metadata"].items():
        views.append(plain(f"{key}: {value}"))
    columns = {"column": False, "type": False}
    rows = data["first_rows"]
    table = make_table("", columns | {f"row {i}": False for i in range(len(rows))})
    for field in data["schema"]:
        cells = (plain(row[field["name"]], lines=True) for row in rows)
        table.add_row(plain(field["name"]), plain(field["type"]), *cells)
    return [*views, table, plain(MASKING, "dim")]
