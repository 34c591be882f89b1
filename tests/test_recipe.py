"""A recipe is checked as a whole, and every mistake is told with its place and what is allowed."""

from pathlib import Path

import pytest
import yaml

from corpusmill.errors import UsageError
from corpusmill.pipelines.plan import fingerprints, make_steps
from corpusmill.pipelines.recipe import Recipe, check_recipe, load_recipe, resolve_paths
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.sources.source import Source

GOOD = """\
name: my-corpus
seed: 3
sources:
  - {name: crawl, kind: web, path: data}
  - {name: shelf, kind: book, path: data}
stages:
  - language: {keep: [en]}
  - heuristics: {preset: fineweb, for: [web]}
  - deduplicate
  - mix: {weights: {crawl: 1, shelf: 2}}
  - tokenize:
"""


def write(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return str(path)


def problems(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(UsageError) as told:
        load_recipe(write(folder, text), overrides)
    return str(told.value).splitlines()


def test_a_recipe_file_and_python_give_the_same_recipe(tmp_path: Path) -> None:
    text = (
        "name: n\nsources: [{name: s, kind: web, path: /data}]\n"
        "stages: [{deduplicate: {threshold: 0.8}}]\n"
    )
    from_file = load_recipe(write(tmp_path, text))
    source = Source(name="s", kind="web", path="/data")
    assert from_file == Recipe(name="n", sources=(source,), stages=(Deduplicate(threshold=0.8),))
    plain = {
        "name": "n",
        "sources": [{"name": "s", "kind": "web", "path": "/data"}],
        "stages": [{"deduplicate": {"threshold": 0.8}}],
    }
    assert Recipe.model_validate(plain) == from_file


def test_the_resolved_recipe_is_a_recipe_that_means_the_same(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    (tmp_path / "again").mkdir()
    assert load_recipe(write(tmp_path / "again", recipe.to_yaml())) == recipe


def test_the_quickstart_as_resolved_has_the_same_fingerprints(repo_root: Path) -> None:
    path = repo_root / "src/corpusmill/pipelines/recipes/quickstart.yaml"
    recipe = resolve_paths(load_recipe(str(path), ["seed=5"]), str(repo_root))
    again = check_recipe(yaml.safe_load(recipe.to_yaml()))
    steps = make_steps(recipe)
    assert fingerprints(again, steps, []) == fingerprints(recipe, steps, [])
    assert fingerprints(again, make_steps(again), []) == fingerprints(recipe, steps, [])


def test_five_mistakes_are_reported_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """\
name: my corpus
sources:
  - {name: crawl, kind: wed, path: data}
stages:
  - heuristics: {preset: finweb}
  - dedup: {}
  - language: {min_scor: 0.5}
  - deduplicate: {threshold: 7}
"""
    told = problems(tmp_path, text)
    file = f"{tmp_path}/recipe.yaml"
    assert len(told) == 6
    assert any(t.startswith(f"{file}:1: name:") for t in told)
    assert f"{file}:3: sources[0].kind: 'wed' is not one of book, code, web (did you mean" in (
        "\n".join(told)
    )
    preset = next(t for t in told if ":5: " in t)
    assert preset.startswith(f"{file}:5: stages[0].heuristics.preset: 'finweb' is not one of ")
    assert preset.endswith("(did you mean 'fineweb'?)")
    assert any(f"{file}:6: stages[1]" in t and "did you mean 'deduplicate'" in t for t in told)
    assert any(f"{file}:7: stages[2].language.min_scor: unknown setting" in t for t in told)
    assert any(f"{file}:8: stages[3].deduplicate.threshold:" in t for t in told)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("for: [web]", "for: [wob]"),
            ":8: stages[1].heuristics.for: source or kind 'wob' is not one of",
        ),
        (("for: [web]", "for: [code]"), "source or kind 'code' is not one of"),
        (("shelf, kind", "crawl, kind"), "the name 'crawl' stands twice"),
        (("crawl: 1", "craw: 1"), "'craw' is not one of crawl, shelf (did you mean 'crawl'?)"),
        (("shelf: 2}", "shelf: 2}, budgets: {shel: 9}"), "budgets: source 'shel' is not one of"),
        (
            ("shelf: 2}", "shelf: 2}, curriculum: [{tokens: 9, weights: {she: 1}}]"),
            "curriculum: source 'she' is not one of",
        ),
        (("  - tokenize:", "  - tokenize:\n  - language"), "'tokenize' must be the last stage"),
        (("seed: 3", "seed: 3\nseed: 4"), ":3: 'seed' stands twice"),
        (("seed: 3", "seed: -1"), "recipe.yaml:2: seed: "),
        (("seed: 3", "sead: 3"), "unknown setting: 'sead' is not one of"),
        (("seed: 3", "seed: &x 3"), "recipe.yaml:2: anchors and aliases are not allowed"),
        (("seed: 3", "seed: [3"), "not valid YAML"),
        (("seed: 3", "seed: 0x" + "F" * 6000), "not valid YAML"),
        (("  - deduplicate\n", "  - {deduplicate: {}, mix: {}}\n"), "a stage is written as"),
        (
            (
                "  - deduplicate\n",
                "  - deduplicate\n  - quality: {reference: x, ngram: {ordr: 4}}\n",
            ),
            "'ordr' is not one of order, train_mb (did you mean 'order'?)",
        ),
        (("name: my-corpus\n", ""), "name: is missing"),
        (("seed: 3", "seed: !!python/object/apply:os.getpid []"), "recipe.yaml:2: seed: "),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    assert message in "\n".join(problems(tmp_path, GOOD.replace(*change)))


def test_what_is_no_recipe_at_all_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe("/nowhere.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_recipe(str(tmp_path / "b.yaml"))
    assert problems(tmp_path, "- a\n- b\n")[0].endswith("with name, sources and stages")
    deep = "x: " + "[" * 600
    assert "not valid YAML" in problems(tmp_path, deep)[0]
    assert "nested too deeply" in problems(tmp_path, deep + "]" * 600)[0]


def test_settings_are_overridden_by_address(tmp_path: Path) -> None:
    recipe = load_recipe(
        write(tmp_path, GOOD),
        [
            "part_mb=0.5",
            "heuristics.preset=gopher",
            "03-deduplicate.threshold=0.9",
            "stages.tokenize.split={train: 0.9, validation: 0.1}",
            "sources.crawl.kind=code",
            "language.for=[book]",
            "mix.weights.crawl=5",
            "heuristics.for=[code]",
            "04-mix.max_repetitions=2",
        ],
    )
    assert recipe.part_mb == 0.5
    by_name = {stage.name: stage for stage in recipe.stages}
    assert by_name["heuristics"].model_dump()["preset"] == "gopher"
    assert by_name["deduplicate"].model_dump()["threshold"] == 0.9
    assert by_name["tokenize"].model_dump()["split"] == {"train": 0.9, "validation": 0.1}
    assert by_name["mix"].model_dump()["weights"] == {"crawl": 5.0, "shelf": 2.0}
    assert by_name["language"].for_ == ("book",)
    assert recipe.sources[0].kind == "code"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("part_mb", "write it as setting=value"),
        ("parts_mb=1", "did you mean 'part_mb'"),
        ("dedup.threshold=1", "there is no stage 'dedup'"),
        ("02-deduplicate.threshold=1", "there is no stage"),
        ("deduplicate.treshold=1", "unknown setting: 'treshold'"),
        ("seed=" + "9" * 30, "too large"),
        ("sources.crowl.kind=web", "there is no source 'crowl'"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    assert message in "\n".join(problems(tmp_path, GOOD, override))


def test_relative_paths_are_looked_up_here_and_then_beside_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub" / "data").mkdir(parents=True)
    recipe = write(tmp_path / "sub", GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_recipe(recipe).sources[0].path == str(tmp_path / "sub" / "data")
    (tmp_path / "data").mkdir()
    assert load_recipe(recipe).sources[0].path == str(tmp_path / "data")
