"""`RUN/metrics.prom`: what each finished stage did, for Prometheus' textfile collector."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from corpusmill import storage
from corpusmill.pipelines.ledger import RunRecord

METRICS_FILE = "metrics.prom"


def write_metrics(run: str, record: RunRecord) -> None:
    """Write the file anew; it is called whenever a stage has ended."""
    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, *labels: str) -> Gauge:
        names = ("run", "stage", *labels)
        return Gauge(f"corpusmill_stage_{name}", help_text, names, registry=registry)

    documents = gauge("documents", "Documents by what the stage did with them", "fate")
    reasons = gauge("dropped", "Documents that the stage dropped, by reason", "reason")
    cpu = gauge("cpu_seconds", "CPU seconds that the stage took on all workers")
    wall = gauge("wall_seconds", "Seconds from the stage's begin to its end")
    size = gauge("bytes", "Bytes of the parts that the stage wrote")
    for stage in record.stages:
        labels = (record.name, stage.name)
        counts = stage.counts
        fates = {
            "in": counts.found,
            "out": counts.out,
            "added": counts.added,
            "changed": counts.changed,
            "dropped": sum(counts.dropped.values()),
            "quarantined": counts.quarantined,
        }
        for fate, number in fates.items():
            documents.labels(*labels, fate).set(number)
        for reason, number in counts.dropped.items():
            reasons.labels(*labels, reason).set(number)
        cpu.labels(*labels).set(stage.cpu_seconds)
        wall.labels(*labels).set(stage.wall_seconds)
        size.labels(*labels).set(sum(part.bytes for part in stage.parts))
    storage.write_atomic(storage.join(run, METRICS_FILE), generate_latest(registry))
