"""report.html: one file that says what a run did; no script, nothing fetched."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpusmill import storage
from corpusmill.pipelines.ledger import RunRecord
from corpusmill.report.contamination import contamination_summary
from corpusmill.report.coverage import coverage
from corpusmill.report.curve import loss_chart, read_losses, thinned
from corpusmill.report.drawn import (
    coverage_chart,
    fertility_chart,
    funnel_charts,
    personal_chart,
    rule_sections,
    time_chart,
    token_chart,
)
from corpusmill.report.duplicates import duplicate_clusters
from corpusmill.report.facts import (
    REASONS,
    StageFacts,
    byte_flow,
    funnel_data,
    ingested_bytes,
    languages,
    read_fertility,
    read_manifest,
    stage_facts,
)
from corpusmill.report.lookup import has_texts, load_whole, uri_mask
from corpusmill.report.mixture import DRAWN, mixture_chart
from corpusmill.report.personal import k_anonymity, personal_data
from corpusmill.report.representation import representation_facts, shown_representation
from corpusmill.report.rules import other_thresholds, rule_facts
from corpusmill.report.samples import URI_BYTES, cut, sampled, shown_values
from corpusmill.report.showing import MASKING, visible

if TYPE_CHECKING:
    from jinja2 import Environment

REPORT_FILE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"

SECTIONS = (
    ("notes", "Notes", "notes.html.j2"),
    ("funnel", "The funnel", "funnel.html.j2"),
    ("reasons", "Reasons", "reasons.html.j2"),
    ("rules", "Rules and other thresholds", "rules.html.j2"),
    ("duplicates", "Near-duplicates", "duplicates.html.j2"),
    ("benchmarks", "Benchmarks in the corpus", "contamination.html.j2"),
    ("personal", "Personal data", "personal.html.j2"),
    ("output", "What came out", "output.html.j2"),
    ("coverage", "Coverage", "coverage.html.j2"),
    ("represented", "Who is represented", "representation.html.j2"),
    ("time", "Time", "time.html.j2"),
    ("quarantine", "Quarantine", "quarantine.html.j2"),
    ("training", "Training", "curve.html.j2"),
    ("about", "About this page", "about.html.j2"),
)
"""Anchor, heading and template of each, in the order of the page."""

LANGUAGES = 100
"""Rows of the tables of languages, those with most documents."""
LANGUAGE_BYTES = 60
CURVE_ROWS = 40
"""Rows of the table of a training's losses."""
DRAWN_KEYS = frozenset({"language", "domain", "licence", "topic"})
"""Keys of `coverage` that are drawn; of kinds there are three."""


def write_report(run: str, train: str | None = None) -> str:
    """Write RUN/report.html and return its path.

    `train` is a training folder whose loss curve is to be drawn. Raises UsageError when a folder is
    not what it should be.
    """
    return write_page(run, report_facts(run, train))


def write_page(run: str, facts: dict[str, Any]) -> str:
    """Write RUN/report.html of facts that are known already (`report_facts`); return its path."""
    page = render("report.html.j2", facts)
    path = storage.join(run, REPORT_FILE)
    # what no UTF-8 has (lone surrogates) has been made visible by `_shown`
    storage.write_atomic(path, page.encode())
    return path


def report_facts(run: str, train: str | None = None) -> dict[str, Any]:
    """Everything that the report shows, as its templates want it.

    `rules`, `contamination` and `coverage` are plain data, for machines as well.
    """
    record = load_whole(run)
    stages = [stage_facts(run, record, stage) for stage in record.stages]
    ingested = ingested_bytes(run, record, stages)
    flows = byte_flow(record, stages, ingested) if ingested is not None else None
    funnel = [
        {
            **row,
            "bytes": flows[number].left if flows else None,
            "speed": _speed(flows[number].worked, row["cpu_seconds"]) if flows else None,
            "source_bytes": flows[number].sources if flows else {},
            "sources": {name: c.out for name, c in record.stages[number].sources.items()},
        }
        for number, row in enumerate(funnel_data(record))
    ]
    sources = sorted({name for stage in record.stages for name in stage.sources})
    manifest = read_manifest(storage.join(run, "shards"))
    fertility = _languages(read_fertility(storage.join(run, "shards")))
    facts: dict[str, Any] = {
        "record": record,
        "funnel": funnel,
        "sources": sources,
        "skipped": _skipped(record),
        "contamination": contamination_summary(run),
        "stages": stages,
        "has_texts": has_texts(run),
        "languages": _languages(languages(run, record)),
        "representation": shown_representation(representation_facts(run, record)),
        "manifest": manifest,
        "mixture_shown": DRAWN,
        "fertility": fertility,
        "duplicates": _duplicates(run, record),
        "personal": [
            {**stage, "chart": personal_chart(stage["types"])}
            for stage in personal_data(run, record)
        ],
        "k_anonymity": k_anonymity(run, record),
        "coverage": coverage(run, record),
        "charts": _charts(funnel, sources, manifest) | {"fertility": fertility_chart(fertility)},
        "masking": MASKING,
        "reasons_shown": REASONS,
    }
    facts |= _judged(run, record, stages)
    facts["coverage_tables"] = [
        {**table, "chart": coverage_chart(table) if table["key"] in DRAWN_KEYS else None}
        for table in shown_values(record, facts["coverage"])
    ]
    if train is not None:
        losses = read_losses(train)
        facts |= {"losses": losses, "curve_rows": thinned(losses.training, CURVE_ROWS)}
        facts["charts"]["curve"] = loss_chart([(train, losses)])
    facts["contents"] = _contents(facts, train)
    return facts


def _contents(facts: dict[str, Any], train: str | None) -> list[tuple[str, str, str]]:
    """The SECTIONS that have something to say; those not named here say something of any run."""
    there = {
        "notes": facts["record"].notes,
        "rules": facts["rule_sections"],
        "duplicates": facts["duplicates"],
        "benchmarks": facts["contamination"],
        "personal": facts["personal"] or facts["k_anonymity"],
        "coverage": facts["coverage"],
        "training": train is not None,
        "about": True,
    }
    return [section for section in SECTIONS if there.get(section[0], facts["funnel"])]


def _charts(
    funnel: list[dict[str, Any]], sources: list[str], manifest: dict[str, Any] | None
) -> dict[str, str | None]:
    """The charts of what is there, by name; None for the others."""
    charts: dict[str, str | None] = dict.fromkeys(
        ("fates", "documents", "bytes", "time", "tokens", "mixture")
    )
    if funnel:
        charts |= funnel_charts(funnel, sources)
        charts["time"] = time_chart(funnel)
    if manifest is not None:
        charts["tokens"] = token_chart(manifest["tokens"], list(manifest["splits"]))
        if manifest["mixture"] is not None:
            charts["mixture"] = mixture_chart(manifest["mixture"])
    return charts


def _judged(run: str, record: RunRecord, stages: list[StageFacts]) -> dict[str, Any]:
    """What the rules did, and the documents that are shown for them and for other reasons."""
    rules, ruled = rule_facts(run, record)
    order = [stage.name for stage in record.stages]
    ruled += other_thresholds(run, record, stages)
    ruled.sort(key=lambda rule: order.index(rule.stage))
    sampling = sampled(run, record, stages, ruled)
    dropped = {
        (group["stage"], group["reason"]): group["rows"]
        for group in sampling["groups"]
        if group["action"] == "dropped"
    }
    return {
        "rules": rules,
        "ruled": {(rule.stage, rule.name) for rule in ruled},
        "rule_sections": rule_sections(ruled, sampling["nearest"], dropped),
        "samples": sampling["groups"],
        "sampling": sampling,
    }


def _duplicates(run: str, record: RunRecord) -> list[dict[str, Any]]:
    """Clusters with their addresses as they may be shown."""
    masked = uri_mask(record)
    found = duplicate_clusters(run, record)
    for cluster in (cluster for stage in found for cluster in stage["clusters"]):
        for row in (cluster, *cluster["members"]):
            row["uri"] = None if row["uri"] is None else cut(masked(row["uri"]), URI_BYTES)
    return found


def _languages(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first rows of a table of languages, whose names are a stranger's."""
    return [
        row | {"language": row["language"] and cut(row["language"], LANGUAGE_BYTES)}
        for row in rows[:LANGUAGES]
    ]


def _speed(size: int, seconds: float) -> float | None:
    """MB (a million bytes) per CPU-second."""
    return size / 1e6 / seconds if seconds > 0 else None


def _skipped(record: RunRecord) -> list[tuple[str, str, str, int]]:
    """What became no document: (stage, source, reason, number)."""
    return [
        (stage.name, source, reason, number)
        for stage in record.stages
        for source, counts in sorted(stage.sources.items())
        for reason, number in sorted(counts.skipped.items())
    ]


def render(template: str, facts: dict[str, Any]) -> str:
    """A page or drawing; every string that comes into it is escaped and made visible."""
    return environment(TEMPLATES).get_template(template).render(facts)


def environment(folder: Path) -> "Environment":
    """Templates of a folder, into which every string goes visible and escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "size": size, "span": span, "share": share}
    made.filters["drawing"] = Markup  # of report/charts.py, which escapes what it is given
    return made


def _shown(value: Any) -> Any:
    """Every string goes through here on its way into the page; autoescape comes after it.

    Results of macros are of a subclass of str: they have been through it already.
    """
    return visible(value, lines=True) if type(value) is str else value


def number(value: float | None, digits: int = 3) -> str:
    """Integers with separators of thousands, others with so many significant digits."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"


def size(value: float | None) -> str:
    """Bytes in units of a thousand."""
    if value is None:
        return "\N{EN DASH}"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def span(ends: tuple[float, float] | None) -> str:
    """One number, or the smallest and the largest."""
    if ends is None:
        return "\N{EN DASH}"
    low, high = (number(end) for end in ends)
    return low if low == high else f"{low} to {high}"


def share(part: float, whole: float) -> str:
    """Per cent, for people and for the widths of bars."""
    return f"{100 * part / whole:.1f}%" if whole else "0%"
