"""report.html: one file that says what a run did; no script, nothing fetched."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from corpusmill import storage
from corpusmill.pipelines.ledger import RunRecord, load_run
from corpusmill.report.contamination import contamination_summary
from corpusmill.report.coverage import coverage
from corpusmill.report.curve import loss_picture, read_losses
from corpusmill.report.facts import (
    StageFacts,
    byte_flow,
    funnel_data,
    ingested_bytes,
    languages,
    read_fertility,
    read_manifest,
    stage_facts,
)
from corpusmill.report.lookup import has_texts, read_texts, uri_mask
from corpusmill.report.mixture import mixture_picture
from corpusmill.report.representation import representation_facts, shown_representation
from corpusmill.report.showing import (
    MASKING,
    WINDOW_CHARACTERS,
    excerpt,
    visible,
)
from corpusmill.report.sweep import sweep_all

REPORT_FILE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"


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
    """Everything that the report shows, as its template wants it."""
    record = load_run(run)
    stages = [stage_facts(run, record, stage) for stage in record.stages]
    ingested = ingested_bytes(run, record, stages)
    flows = byte_flow(record, stages, ingested) if ingested is not None else None
    manifest = read_manifest(storage.join(run, "shards"))
    mixture = None if manifest is None else manifest["mixture"]
    facts: dict[str, Any] = {
        "record": record,
        "funnel": [
            {
                **row,
                "bytes": flows[number].left if flows else None,
                "speed": _speed(flows[number].worked, row["cpu_seconds"]) if flows else None,
                "source_bytes": flows[number].sources if flows else {},
                "sources": {name: c.out for name, c in record.stages[number].sources.items()},
            }
            for number, row in enumerate(funnel_data(record))
        ],
        "sources": sorted({name for stage in record.stages for name in stage.sources}),
        "skipped": _skipped(record),
        "rules": sweep_all(run, record),
        "contamination": contamination_summary(run),
        "stages": stages,
        "samples": _samples(run, record, stages),
        "has_texts": has_texts(run),
        "languages": languages(run, record),
        "coverage": coverage(run, record),
        "representation": shown_representation(representation_facts(run, record)),
        "manifest": manifest,
        "mixture_picture": None if mixture is None else mixture_picture(mixture),
        "fertility": read_fertility(storage.join(run, "shards")),
        "curve": None if train is None else loss_picture([(train, read_losses(train))]),
        "train": train,
        "masking": MASKING,
    }
    return facts


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


def _samples(run: str, record: RunRecord, stages: list[StageFacts]) -> list[dict[str, Any]]:
    """The samples of each stage and reason, with the beginnings of dropped texts."""
    groups = [(stage, reason) for stage in stages for reason in stage.reasons]
    wanted: dict[int, set[str]] = defaultdict(set)
    for _, reason in groups:
        if reason.action == "dropped":
            for row in reason.samples:
                wanted[row["part"]].add(row["id"])
    masked = uri_mask(record)
    texts = read_texts(run, wanted, WINDOW_CHARACTERS + 1)
    return [
        {
            "stage": stage.name,
            "action": reason.action,
            "reason": reason.name,
            "documents": reason.documents,
            "rows": [
                {
                    **row,
                    "uri": masked(row["uri"]),
                    "text": excerpt(texts[row["id"]]) if row["id"] in texts else None,
                }
                for row in reason.samples
            ],
        }
        for stage, reason in groups
        if reason.action != "changed"
    ]


def render(template: str, facts: dict[str, Any]) -> str:
    """A page or drawing; every string that comes into it is escaped and made visible."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "size": size, "span": span, "share": share}
    return environment.get_template(template).render(facts)


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
