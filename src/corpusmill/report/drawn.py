"""The charts of the report: from the facts that its tables show to SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

from corpusmill.report.charts import COLOURS, bars, histogram
from corpusmill.report.rules import Ruled

VALUES = 15
"""Languages, domains, licences and types that are drawn; the tables have more."""
DRAWN = 60
"""Rules with a histogram: first those that drop most. Of the others only the table is shown."""
OTHERS = "all others"

Row = Mapping[str, Any]


def funnel_charts(funnel: Sequence[Row], sources: Sequence[str]) -> dict[str, str]:
    """{fates, documents, bytes}: by stage, the last two by source and only where they differ."""
    stages = [row["stage"] for row in funnel]
    fates = {
        "kept": [row["kept"] for row in funnel],
        "dropped": [sum(row["dropped"].values()) for row in funnel],
        "added": [row["added"] for row in funnel],
        "quarantined": [row["quarantined"] for row in funnel],
    }
    fates = {name: numbers for name, numbers in fates.items() if any(numbers) or name == "kept"}
    drawn = {"fates": bars(stages, fates, "Documents by stage and fate", unit="documents")}
    if len(sources) > 1:
        left = _by_source([row["sources"] for row in funnel], sources)
        drawn["documents"] = bars(
            stages, left, "Documents left after each stage, by source", unit="documents"
        )
    if any(row["source_bytes"] for row in funnel):
        left = _by_source([row["source_bytes"] for row in funnel], sources)
        drawn["bytes"] = bars(
            stages, left, "Bytes of text left after each stage, by source", unit="bytes"
        )
    return drawn


def _by_source(rows: Sequence[Mapping[str, int]], sources: Sequence[str]) -> dict[str, list[int]]:
    """Numbers of each source, of the smaller ones together where there are more than colours."""
    largest = sorted(sources, key=lambda name: (-max(row.get(name, 0) for row in rows), name))
    single = largest if len(largest) <= len(COLOURS) else largest[: len(COLOURS) - 1]
    found = {name: [row.get(name, 0) for row in rows] for name in single}
    if rest := largest[len(single) :]:
        found[OTHERS] = [sum(row.get(name, 0) for name in rest) for row in rows]
    return found


def time_chart(funnel: Sequence[Row]) -> str:
    """CPU seconds of each stage."""
    seconds = {"CPU seconds": [row["cpu_seconds"] for row in funnel]}
    return bars([row["stage"] for row in funnel], seconds, "CPU seconds by stage", unit="seconds")


def token_chart(tokens: Mapping[str, Mapping[str, int]], splits: Sequence[str]) -> str:
    """Tokens by source and split."""
    sources = sorted(tokens, key=lambda name: -sum(tokens[name].values()))[: 2 * VALUES]
    numbers = {split: [tokens[name].get(split, 0) for name in sources] for split in splits}
    return bars(sources, numbers, "Tokens by source and split", unit="tokens")


def fertility_chart(rows: Sequence[Row]) -> str | None:
    """Tokens per word by language and kind; None where there is but one."""
    if len(rows) < 2:
        return None
    shown = sorted(rows, key=lambda row: -row["documents"])[:VALUES]
    names = [f"{row['language'] or 'not identified'}, {row['kind']}" for row in shown]
    numbers = {"tokens per word": [row["tokens_per_word"] for row in shown]}
    return bars(names, numbers, "Tokens per word by language and kind", unit="tokens per word")


def coverage_chart(table: Row) -> str | None:
    """Documents in and out by language, domain or licence; None where there is but one."""
    rows = [row for row in table["rows"] if row["value"] is not None][:VALUES]
    if len(rows) < 2:
        return None
    numbers = {"out": [row["out"]["documents"] for row in rows]}
    if table["since"] is not None:
        numbers = {"in": [row["in"]["documents"] for row in rows], **numbers}
    names = [row["value"] for row in rows]
    title = f"Documents by {table['key']}"
    return bars(names, numbers, title, stacked=False, unit="documents")


def personal_chart(types: Sequence[Row]) -> str | None:
    """Findings of personal data by type."""
    if not types:
        return None
    shown = types[:VALUES]
    numbers = {name: [row[name] for row in shown] for name in ("replaced", "kept")}
    numbers = {name: counts for name, counts in numbers.items() if any(counts)}
    names = [row["type"] for row in shown]
    return bars(names, numbers, "Findings of personal data by type", unit="findings")


def rule_sections(
    ruled: Sequence[Ruled],
    nearest: Mapping[tuple[str, str], Sequence[Row]],
    dropped: Mapping[tuple[str, str], Sequence[Row]],
) -> list[dict[str, Any]]:
    """Rules as sections: {stage, name, threshold, languages, came, dropped, plain, chart, bins,
    groups, nearest, samples}.

    `plain` rules are off or have measured nothing. `bins` are (from, to, counts by group) without
    the empty ones, and `chart` is their histogram, None for rules beyond DRAWN.
    """
    order = sorted(range(len(ruled)), key=lambda n: (-ruled[n].dropped, n))
    drawn = set(order[:DRAWN])
    found = []
    for number, rule in enumerate(ruled):
        off = rule.threshold is None and not rule.languages
        edges = [] if off else rule.edges
        name = rule.stage, rule.name
        section: dict[str, Any] = {
            "stage": rule.stage,
            "name": rule.name,
            "threshold": rule.threshold,
            "languages": rule.languages,
            "came": rule.came,
            "dropped": rule.dropped,
            "plain": not edges,
            "chart": None,
            "bins": [],
            "groups": [],
            "nearest": None if off else nearest.get(name),
            "samples": dropped.get(name, ()),
        }
        if edges:
            counts = {group: tally.into(edges) for group, tally in rule.tallies.items()}
            met = {group: numbers for group, numbers in counts.items() if any(numbers)}
            section["groups"] = list(met)
            section["bins"] = [
                (edges[n], edges[n + 1], [numbers[n] for numbers in met.values()])
                for n in range(len(edges) - 1)
                if any(numbers[n] for numbers in met.values())
            ]
            if number in drawn:
                title = f"{rule.stage}, {rule.name}: documents by measure"
                section["chart"] = histogram(edges, counts, rule.threshold, title, legend=False)
        found.append(section)
    return found
