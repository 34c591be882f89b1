"""The small world in which the commands of the documentation run."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = "The ferry left the harbour at six and nobody on the quay had heard the bell".split()


def fill_world(folder: Path, root: Path, run: Path) -> None:
    """Everything that pages name: inputs, lists, a recipe and finished runs of it."""
    folder.mkdir(parents=True)
    for name in ("src", "benchmarks", "airflow_dags", "pipelines"):
        (folder / name).symlink_to(root / name)
    shutil.copytree(root / "samples", folder / "samples")
    shutil.copy(root / "samples" / "web" / "crawl.warc.gz", folder / "crawl.warc.gz")
    shutil.copytree(root / "samples" / "books", folder / "books")
    shutil.copytree(root / "samples" / "code" / "tidetable", folder / "my-repo")
    quickstart = root / "src" / "corpusmill" / "pipelines" / "recipes" / "quickstart.yaml"
    shutil.copy(quickstart, folder / "recipe.yaml")
    for name in ("RUN", "out/quickstart"):
        shutil.copytree(run, folder / name)
    _fill_data(folder)


def _fill_data(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    shutil.copy(folder / "crawl.warc.gz", data / "crawl.warc.gz")
    shutil.copytree(folder / "books", data / "books")
    shutil.copytree(folder / "my-repo", data / "repos")
    shutil.copy(folder / "samples" / "reference.txt", data / "reference.txt")
    for name in ("reference", "good-code"):
        (data / name).mkdir()
        shutil.copy(data / "reference.txt", data / name / "text.txt")
    (folder / "lists").mkdir()
    for name in ("adult", "blocked", "urls", "words", "en", "de"):
        (folder / "lists" / f"{name}.txt").write_text(f"{name}.example\n")
    for name in ("texts", "crawl", "site", "models"):
        (folder / name).mkdir()
    rows = [
        {"url": f"https://a.example/{n}", "topic": "sea", "source": "a", **_texts(n)}
        for n in range(40)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "texts" / "some.jsonl").write_text(lines)
    (folder / "texts" / "some.json.gz").write_bytes(lines.encode())
    for name in ("crawl/pages.jsonl", "harmless.jsonl", "toxic.jsonl"):
        (folder / name).write_text(lines)
    for n in range(3):
        page = f"<html><body><article><p>{_texts(n)['text']}</p></article></body></html>"
        (folder / "site" / f"page-{n}.html").write_text(page)
    urls = "".join(f"<url><loc>page-{n}.html</loc></url>" for n in range(3))
    (folder / "site" / "sitemap.xml").write_text(f"<urlset>{urls}</urlset>")
    _fill_benchmarks(data)


def _fill_benchmarks(data: Path) -> None:
    items = [{"question": " ".join(WORDS * 2) + f" {n}?", "answer": f"{n}"} for n in range(5)]
    (data / "HumanEval.jsonl.gz").write_text("".join(json.dumps(item) + "\n" for item in items))
    (data / "gsm8k").mkdir()
    pq.write_table(pa.Table.from_pylist(items), data / "gsm8k" / "test.parquet")
    (data / "arc").mkdir()
    choices = [{"question": item["question"], "choices": {"text": ["one"]}} for item in items]
    pq.write_table(pa.Table.from_pylist(choices), data / "arc" / "test.parquet")


def _texts(number: int) -> dict[str, str]:
    """A text under the two names that pages give its column."""
    turned = WORDS[number % len(WORDS) :] + WORDS[: number % len(WORDS)]
    text = " ".join(f"{' '.join(turned)} {number} {line}." for line in range(8))
    return {"content": text, "text": text}
