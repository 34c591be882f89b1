"""Any recognizer of Presidio that looks at text alone can be named."""

from pathlib import Path

import pytest

from corpusmill.errors import UsageError
from corpusmill.privacy.presidio import OVERLAP, WINDOW, presidio_recognizers
from corpusmill.privacy.recognizers import Scanner

UUID = "550e8400-e29b-41d4-a716-446655440000"

STAFF = r"""
recognizers:
  - name: staff number
    supported_entity: STAFF_NUMBER
    patterns: [{name: six digits, regex: '\bE-\d{6}\b', score: 0.2}]
    context: [employee]
"""


def test_a_recognizer_is_named_by_its_class_and_adds_to_what_is_found() -> None:
    text = f"request {UUID} by jane@somewhere.org"
    findings = Scanner(["EMAIL_ADDRESS"], presidio=["UuidRecognizer"]).find(text)
    assert {(f.entity, text[f.start : f.end]) for f in findings} == {
        ("EMAIL_ADDRESS", "jane@somewhere.org"),
        ("UUID", UUID),
    }
    assert {f.recognizer for f in findings} == {"emails", "UuidRecognizer"}


def test_a_yaml_file_in_presidios_format_makes_recognizers(tmp_path: Path) -> None:
    (tmp_path / "staff.yaml").write_text(STAFF)
    recognizers = presidio_recognizers([str(tmp_path / "staff.yaml")])
    assert recognizers.entities == ("STAFF_NUMBER",)
    text = "Employee E-123456 left"
    (finding,) = recognizers.find(text)
    assert text[finding.start : finding.end] == "E-123456"
    assert finding.score == pytest.approx(0.55)
    assert recognizers.find("part E-123456") == []  # no context word: too low a score


@pytest.mark.parametrize("place", [0, WINDOW - 20, WINDOW - OVERLAP, 3 * WINDOW])
def test_values_at_the_borders_of_windows_are_found_in_their_places(place: int) -> None:
    text = "." * place + f" {UUID} " + "." * WINDOW
    found = presidio_recognizers(["UuidRecognizer"]).find(text)
    assert {text[f.start : f.end] for f in found} == {UUID}


@pytest.mark.parametrize("name", ["UuidRecogniser", "SpacyRecognizer", "__builtins__"])
def test_unknown_names_and_those_that_need_a_model_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"is not one of .*UuidRecognizer"):
        presidio_recognizers([name])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("recognizers: []", "must hold a list"),
        ("recognizers: [{name: x}]", "supported_entity"),
        ("recognizers: [{supported_entity: X, patern: []}]", "did you mean 'patterns'"),
        ("recognizers: [{supported_entity: X}]", "Presidio refuses it"),
        ("{", "is not YAML"),
        ("[" * 20_000, "nested too deeply"),
        ("recognizers: [{supported_entity: X, deny_list: abc}]", "deny_list: must be a list"),
        ("recognizers: [{supported_entity: X, deny_list: [abc], context: 5}]", "context: must be"),
        ("recognizers: [{supported_entity: X, deny_list: [abc], context: [5]}]", "context: must"),
        ("recognizers: [{supported_entity: [X], deny_list: [abc]}]", "entity: must be text"),
        ("recognizers: [{supported_entity: x-y, deny_list: [abc]}]", "'x-y' is not up to 40"),
        ("recognizers: [{supported_entity: X, deny_list: [abc], name: {a: b}}]", "name: must be"),
        ("recognizers: [{supported_entity: X, deny_list: [abc], type: predefined}]", "custom"),
        ("recognizers: [{supported_entity: X, deny_list: [abc], enabled: 1}]", "true or false"),
        ("recognizers: [{supported_entity: X, patterns: [{regex: '('}]}]", "refuses it"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_a_file_of_another_format_is_an_error_that_names_it(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "staff.yml"
    path.write_text(content)
    with pytest.raises(UsageError, match=f"staff.yml.*{message}"):
        presidio_recognizers([str(path)])


def test_an_absent_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        presidio_recognizers([str(tmp_path / "none.yaml")])


def test_a_recognizer_that_is_not_enabled_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "staff.yaml").write_text(STAFF + "    enabled: false\n")
    assert presidio_recognizers([str(tmp_path / "staff.yaml")]).entities == ()


def test_words_of_a_deny_list_are_no_patterns(tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text(
        "recognizers: [{supported_entity: CODE_NAME, deny_list: ['a.b', '(x', 'C++']}]"
    )
    found = presidio_recognizers([str(tmp_path / "names.yaml")]).find("a.b acb (x C++ C")
    assert {(f.start, f.end) for f in found} == {(0, 3), (8, 10), (11, 14)}


def test_a_pattern_that_takes_too_long_is_not_given_up_by_the_clock() -> None:
    presidio_recognizers(["UuidRecognizer"])
    from presidio_analyzer import pattern_recognizer

    assert vars(pattern_recognizer)["REGEX_TIMEOUT_SECONDS"] is None
