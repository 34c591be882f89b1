"""A crawl a day: what an earlier day has brought is not kept again.

Put web archives into out/airflow/incoming/YYYY-MM-DD, or change `sources` to where yours are.
"""

from datetime import UTC, datetime
from pathlib import Path

from corpusmill_airflow import corpusmill_dag

daily_crawl = corpusmill_dag(
    "daily_crawl",
    recipe="airflow_dags/daily_crawl.yaml",
    plan=Path(__file__).with_name("daily_crawl.plan.json"),
    out="out/airflow/daily_crawl/%Y-%m-%d",
    sources={"crawl": "out/airflow/incoming/%Y-%m-%d"},
    index="out/airflow/seen",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
)
