"""The quickstart recipe on the samples of the repository, once a day: `make airflow` starts it."""

from datetime import UTC, datetime
from pathlib import Path

from corpusmill_airflow import corpusmill_dag

quickstart = corpusmill_dag(
    "quickstart",
    recipe="src/corpusmill/pipelines/recipes/quickstart.yaml",
    plan=Path(__file__).with_name("quickstart.plan.json"),
    out="out/airflow/quickstart/%Y-%m-%d",
    sources={"crawl": "samples/web", "shelf": "samples/books", "repos": "samples/code"},
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
)
