"""What people see of trainings: the curve in the report, the table and picture of several."""

import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from corpusmill.errors import UsageError
from corpusmill.pretrain import config
from corpusmill.pretrain.config import Settings, read_settings
from corpusmill.pretrain.cost import parameters
from corpusmill.pretrain.folder import FORMAT
from corpusmill.report import runs
from corpusmill.report.charts import COLOURS
from corpusmill.report.curve import loss_chart, read_losses, thinned
from corpusmill.report.runs import runs_data
from corpusmill.report.terminal import runs_view

SVG = "{http://www.w3.org/2000/svg}"


def write_metrics(folder: Path, *rows: dict[str, Any], tail: str = "") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines + tail, encoding="utf-8")
    return str(folder)


def write_training(folder: Path, *changes: str, steps: int = 4, losses: int = 4) -> Path:
    """A training folder as `train` leaves it, with `losses` steps taken."""
    settings = read_settings(None, [f"steps={steps}", "batch=2", "context=8", *changes])
    rows: list[dict[str, Any]] = [
        {"step": n, "loss": 8.0 / n, "tokens_per_second": 100.0 * n, "seconds": 2.0}
        for n in range(1, losses + 1)
    ]
    measures = {"loss": 3.0, "bits_per_byte": 1.5}
    rows.append({"step": losses, "validation_loss": 3.0, "validation_bits_per_byte": 1.5})
    rows[-1] |= {"sources": {"books": measures}, "seconds": 1.0}
    write_metrics(folder, *rows)
    record = {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "shards_xxh3": "a" * 32,
    }
    record["parameters"] = parameters(settings.model, 512)
    (folder / "train.json").write_text(json.dumps(record))
    return folder


def shown(data: dict[str, Any]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(runs_view(data))
    return console.export_text()


# ---- one curve ----


def test_the_curve_goes_through_the_losses(tmp_path: Path) -> None:
    folder = write_metrics(
        tmp_path / "train",
        {"step": 1, "loss": 9.0},
        {"step": 2, "loss": 5.0},
        {"step": 2, "validation_loss": 6.0},
        {"step": 3, "loss": 1.0},
    )
    chart = loss_chart([("train", read_losses(folder))])
    assert chart is not None
    root = ElementTree.fromstring(chart)
    (line,) = (p for p in root.iter(f"{SVG}path") if p.get("stroke") == COLOURS[0])
    corners = [
        tuple(map(float, pair.split(",")))
        for pair in re.findall(r"[ML]([\d.]+,[\d.]+)", line.get("d") or "")
    ]
    (first, high), (second, middle), (third, low) = corners
    assert second - first == pytest.approx(third - second)
    assert middle - high == pytest.approx(low - middle)
    (dot,) = (p for p in root.iter(f"{SVG}path") if p.get("fill") == COLOURS[0])
    place = re.fullmatch(r"translate\(([\d.]+),([\d.]+)\)", dot.get("transform") or "")
    assert place is not None
    assert float(place[1]) == pytest.approx(second)
    assert float(place[2]) == pytest.approx(middle + (high - middle) / 4)
    assert "3 steps, loss from 9 to 5, validation loss 6" in (root.get("aria-label") or "")


def test_of_a_step_that_was_repeated_the_later_line_counts(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 9.0}, {"step": 2, "loss": 7.0}, {"step": 2, "loss": 3.0}]
    losses = read_losses(write_metrics(tmp_path / "train", *rows, tail='{"step": 3, "lo'))
    assert losses.last_loss == 6.0
    assert losses.unread_lines == 1


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 10**400, "9", True, [9]])
def test_losses_that_are_no_numbers_are_not_drawn_and_no_damage(
    tmp_path: Path, value: object
) -> None:
    losses = read_losses(write_metrics(tmp_path / "train", {"step": 1, "loss": value}))
    assert (losses.training, losses.unread_lines) == ([], 0)
    assert loss_chart([("train", losses)]) is None


@pytest.mark.parametrize(
    "line", ["{", "[1]", '"step"', '{"step": "1"}', '{"loss": 1}', "[" * 100_000, '{"step": 1e9}']
)
def test_a_damaged_line_is_left_out_and_counted(tmp_path: Path, line: str) -> None:
    folder = write_metrics(tmp_path / "train", {"step": 1, "loss": 2.0}, tail=f"{line}\n")
    with open(Path(folder) / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 2, "loss": 1.0}\n')
    losses = read_losses(folder)
    assert losses.training == [(1, 2.0), (2, 1.0)]
    assert losses.unread_lines == 1


def test_a_long_curve_has_few_points_and_the_same_mean() -> None:
    series = [(step, float(step % 7)) for step in range(10_000)]
    thin = thinned(series)
    assert len(thin) == 400
    mean = sum(loss for _, loss in series) / len(series)
    assert sum(loss for _, loss in thin) / len(thin) == pytest.approx(mean)


def test_a_folder_without_metrics_has_no_losses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a training folder"):
        read_losses(str(tmp_path))


# ---- several runs ----


def test_runs_are_compared_by_what_came_of_them(tmp_path: Path) -> None:
    write_training(tmp_path / "a", steps=8)
    write_training(tmp_path / "b", "learning_rate=0.01", "model.layers=2", "tensorboard=true")
    data = runs_data([str(tmp_path)])
    first, second = data["runs"]
    assert (first["name"], second["name"]) == ("a", "b")
    assert (first["steps_taken"], first["steps"], first["finished"]) == (4, 8, False)
    assert second["finished"]
    assert first["tokens"] == 4 * 2 * 8
    assert first["loss"] == pytest.approx((8 + 4 + 8 / 3 + 2) / 4)
    assert (first["validation_loss"], first["bits_per_byte"]) == (3.0, 1.5)
    assert (first["tokens_per_second"], first["seconds"]) == (250.0, 9.0)
    assert first["sources"] == {"books": {"loss": 3.0, "bits_per_byte": 1.5}}
    # what only looks on, and what has a column of its own, is no difference
    assert first["differs"] == {"learning_rate": 3e-3, "model.layers": 4}
    assert second["differs"] == {"learning_rate": 0.01, "model.layers": 2}
    assert first["parameters"] > second["parameters"] > 512 * 128
    view = shown(data)
    assert "a: is not finished: 4 of 8 steps" in view
    assert "b: learning_rate 0.01, model.layers 2" in view
    assert "0:00:09" in view


def test_steps_that_were_skipped_are_counted_and_no_damage(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "a")
    with open(folder / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 3, "loss": null, "skipped": true}\n{"step": 4, "lo')
    (run,) = runs_data([str(folder)])["runs"]
    assert (run["skipped"], run["unread_lines"], run["steps_taken"]) == (1, 1, 4)
    assert "lines of its metrics that are damaged and left out: 1" in shown(
        {"runs": [run], "picture": None}
    )


def test_a_run_that_has_only_begun_is_told_as_such(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "a")
    (folder / "metrics.jsonl").unlink()
    (run,) = runs_data([str(folder)])["runs"]
    assert (run["steps_taken"], run["loss"], run["parameters"]) == (
        0,
        None,
        parameters(Settings().model, 512),
    )
    assert "0 of 4 steps" in shown({"runs": [run], "picture": None})
    with pytest.raises(UsageError, match="no run has a loss yet"):
        runs_data([str(folder)], str(tmp_path / "p.svg"))


def test_names_tell_runs_apart_and_each_is_there_once(tmp_path: Path) -> None:
    one, two = write_training(tmp_path / "x" / "run"), write_training(tmp_path / "y" / "run")
    data = runs_data([str(one), str(two), str(one) + "/", str(tmp_path / "y")])
    assert [run["name"] for run in data["runs"]] == ["x/run", "y/run"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no training folder and has none in it"),
        (
            f'{{"format": {FORMAT}, "settings": {{"steps": "many"}}}}',
            "not a record of training",
        ),
        (f'{{"format": {FORMAT}}}', "not a record of training"),
        ("[]", "is not a record of training"),
    ],
)
def test_folders_that_are_no_trainings_are_refused(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "train.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        runs_data([str(tmp_path)])


def test_a_picture_needs_a_name_that_says_its_form(tmp_path: Path) -> None:
    write_training(tmp_path / "a")
    with pytest.raises(UsageError, match=r"named .svg or .html"):
        runs_data([str(tmp_path)], str(tmp_path / "p.png"))


def test_the_picture_has_a_line_a_legend_and_words_for_each_run(tmp_path: Path) -> None:
    evil = '<b onload="x">&\u202e'
    for name in ("a", evil, *(f"run-{n}" for n in range(6))):
        write_training(tmp_path / "runs" / name)
    path = tmp_path / "p.svg"
    runs_data([str(tmp_path / "runs")], str(path))
    root = ElementTree.fromstring(path.read_bytes())
    curves = [p for p in root.iter(f"{SVG}path") if p.get("stroke-width") == "1.5"]
    styles = {(p.get("stroke"), p.get("stroke-dasharray")) for p in curves if p.get("stroke")}
    assert len(styles) == 8
    words = "".join(root.itertext())
    assert '<b onload="x">&⟨U+202E⟩: 4 steps, loss from 8 to 4.167, validation loss 3' in words
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "style", "g", "line", "text", "path")
    }
    assert "prefers-color-scheme: dark" in words


def test_a_picture_as_a_page_has_the_table_as_well(tmp_path: Path) -> None:
    write_training(tmp_path / "<i>", "learning_rate=0.01")
    write_training(tmp_path / "b")
    path = tmp_path / "p.html"
    runs_data([str(tmp_path)], str(path))
    page = path.read_text()
    assert "default-src 'none'" in page
    assert "<i>" not in page
    assert "learning_rate 0.01" in page
    assert "&lt;i&gt;" in page
    assert page.count("<svg") == page.count("<caption>") == 1


def test_records_of_an_earlier_version_lack_only_what_is_new(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_training(tmp_path / name)
    path = tmp_path / "a" / "train.json"
    record = json.loads(path.read_text())
    del record["settings"]["peak_tflops"], record["settings"]["z_loss"], record["parameters"]
    path.write_text(json.dumps(record))
    first, second = runs_data([str(tmp_path)])["runs"]
    assert (first["differs"], second["differs"]) == ({"z_loss": None}, {"z_loss": 0.0})
    assert first["parameters"] is None
    assert second["parameters"] > 512 * 128


def test_settings_that_only_look_on_are_those_of_training() -> None:
    assert runs.WATCHING == config.WATCHING
