"""Settings of engines: none changes the output, and a stranger's recipe can name no place."""

from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from corpusmill.errors import UsageError
from corpusmill.pipelines.engines.choice import open_engine
from corpusmill.pipelines.engines.settings import EngineSettings
from corpusmill.pipelines.metrics_file import METRICS_FILE
from corpusmill.pipelines.recipe import Recipe, check_recipe
from corpusmill.pipelines.run import run

RAW = {
    "name": "small",
    "sources": [{"name": "texts", "kind": "web", "path": "texts/*.txt"}],
    "stages": [{"heuristics": {"preset": "gopher"}}],
}


def recipe_of(folder: Path, **engine: object) -> Recipe:
    (folder / "texts").mkdir(exist_ok=True)
    (folder / "texts" / "a.txt").write_text("The words of a text that is long enough. " * 30)
    (folder / "texts" / "b.txt").write_text("short")
    raw = {**RAW, "engine": engine} if engine else dict(RAW)
    raw["sources"] = [{"name": "texts", "kind": "web", "path": str(folder / "texts" / "*.txt")}]
    return check_recipe(raw)


def test_the_recipe_says_where_and_the_command_line_goes_before(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, name="local", workers=1)
    assert run(recipe, str(tmp_path / "a")).workers == 1
    assert run(recipe, str(tmp_path / "b"), workers=2).workers == 2


def test_a_run_goes_on_with_other_settings_of_the_engine(tmp_path: Path) -> None:
    first = run(recipe_of(tmp_path, workers=1), str(tmp_path / "run"), until="ingest")
    then = run(recipe_of(tmp_path, workers=2, stall_minutes=5), str(tmp_path / "run"))
    assert then.stages[0].parts == first.stages[0].parts
    assert len(then.stages) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spark.driver.extraJavaOptions", "-javaagent:x.jar"),
        ("spark.jars", "http://x/y.jar"),
        ("spark.executor.memory", "4g -Dx=y"),
        ("spark.master", "spark://elsewhere:7077"),
        ("spark.pyspark.python", "/tmp/python"),
        ("spark.local.dir", "/etc"),
    ],
)
def test_a_recipe_sets_sizes_and_times_of_spark_only(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        recipe_of(tmp_path, name="spark", spark={"conf": {name: value}})


@pytest.mark.parametrize(
    ("override", "place", "value"),
    [
        ("engine.name=ray", ("name",), "ray"),
        ("engine.ray.task_memory_mb=500", ("ray", "task_memory_mb"), 500),
        ("engine.spark.conf.spark.executor.memory=2g", ("spark", "conf"), None),
    ],
)
def test_settings_of_the_engine_are_overridden_by_name(
    override: str, place: tuple[str, ...], value: object
) -> None:
    found: object = check_recipe(RAW, [override]).engine
    for name in place:
        found = getattr(found, name)
    assert found == (value or {"spark.executor.memory": "2g"})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("engine=ray", "'engine' is not one of"),
        ("engine.name=dask", "'dask' is not one of local, ray, spark"),
        ("engine.workers=0", "greater than or equal to 1"),
        ("engine.nam=ray", "did you mean 'name'"),
        ("engine.workers.x=1", "is not a group of settings"),
    ],
)
def test_wrong_settings_are_named(override: str, message: str) -> None:
    raw = {**RAW, "engine": {"workers": 1}}
    with pytest.raises(UsageError, match=message):
        check_recipe(raw, [override])


def test_an_address_belongs_to_its_engine() -> None:
    with pytest.raises(UsageError, match="--address is for --engine ray, not local"):
        open_engine(EngineSettings(), address="127.0.0.1:6379")
    with pytest.raises(UsageError, match="--master is for --engine spark, not ray"):
        open_engine(EngineSettings(name="ray"), master="spark://127.0.0.1:7077")


def test_each_stage_stands_in_the_metrics_of_the_run(tmp_path: Path) -> None:
    record = run(recipe_of(tmp_path), str(tmp_path / "run"))
    text = (tmp_path / "run" / METRICS_FILE).read_text()
    found = {
        (sample.name, sample.labels["stage"], sample.labels.get("fate", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    for stage in record.stages:
        assert found["corpusmill_stage_documents", stage.name, "in"] == stage.counts.found
        assert found["corpusmill_stage_documents", stage.name, "out"] == stage.counts.out
        assert found["corpusmill_stage_cpu_seconds", stage.name, ""] == stage.cpu_seconds
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["engine"]["name"] == (
        "local"
    )
