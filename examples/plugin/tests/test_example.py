"""Each of the things that the package offers, by itself: no run is needed to test them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.privacy.recognizers import Scanner
from corpusmill.stage import check_verdicts
from corpusmill.stages.sources.html import parse_html

from corpusmill_example.extractors import main_element
from corpusmill_example.recognizers import VEHICLE_IDS
from corpusmill_example.rules import capitals
from corpusmill_example.stages import UnicodeForm
from corpusmill_example.translators import Glossary


def test_texts_come_into_one_form_and_broken_ones_are_dropped() -> None:
    stage = UnicodeForm(form="NFC", max_replaced=0.1)
    texts = {"a": "caf\u0065\u0301", "b": "caf\u00e9", "c": "\ufffd\ufffd?"}
    rows = [
        {"id": key * 32, "text": text, "source": "s", "kind": "web", "uri": key}
        for key, text in texts.items()
    ]
    batch = documents_from_rows(rows, document_schema(stage.score_fields()))
    outcome = stage.open()(batch)
    verdicts = check_verdicts(batch, outcome)
    assert outcome.documents.column("text").to_pylist()[:2] == ["caf\u00e9", "caf\u00e9"]
    assert list(verdicts) == ["a" * 32, "c" * 32]
    assert outcome.verdicts.column("reason").to_pylist() == ["unicode_form", "badly_decoded"]


def test_capitals_are_counted_where_there_are_letters_enough() -> None:
    texts = pa.array(
        ["ALL OF THIS IS SHOUTED AT YOU", "while this here is not at all", "OK"], pa.large_string()
    )
    np.testing.assert_array_equal(capitals(texts), [1.0, 0.0, np.nan])


def test_a_vehicle_is_found_if_its_check_digit_is_right() -> None:
    scanner = Scanner(others=[VEHICLE_IDS])
    (found,) = scanner.find("The car, 1M8GDM9AXKP042788, was sold.")
    assert (found.entity, found.start, found.end) == ("VEHICLE_ID", 9, 26)
    assert scanner.find("The part 1M8GDM9AXKP042789 was sold.") == []


def test_only_the_main_element_is_taken() -> None:
    page = parse_html(b"<body><nav><p>Menu</p></nav><main><p>The text.</p></main></body>", None)
    assert page is not None
    assert main_element(page).strip() == "The text."


def test_words_come_back_as_others(tmp_path: Path) -> None:
    (tmp_path / "en-de.tsv").write_text("car\tauto\n", encoding="utf-8")
    engine = Glossary({"en-de": str(tmp_path / "en-de.tsv")})
    engine.check()
    assert engine.open(("en", "de")).translate(["Car or bus?"], [0]) == ["Auto or bus?"]
    with pytest.raises(UsageError, match="there is no word list"):
        Glossary({"en-de": str(tmp_path / "none.tsv")}).check()
