"""A run whose ledger or documents are gone is told, not taken for one that dropped nothing."""

import random
import shutil
from pathlib import Path

import pytest

import corpusmill
from corpusmill.errors import RunError, UsageError
from corpusmill.report.comparison import diff_data
from corpusmill.report.fate import why_data
from corpusmill.report.html import report_facts
from corpusmill.report.sweep import sweep_data

ADDRESS = "https://deals.test/you-are-a-winner"
"""Of a page that the quickstart drops."""


@pytest.fixture
def run(quickstart: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(quickstart, tmp_path / "run"))


def test_a_missing_ledger_is_no_proof_that_a_document_passed(run: Path, quickstart: Path) -> None:
    shutil.rmtree(run / "ledger" / "02-heuristics")
    with pytest.raises(RunError, match="ledger/02-heuristics: is missing"):
        why_data(str(run), ADDRESS)
    with pytest.raises(RunError, match="is missing"):
        sweep_data(str(run), "gopher_short_doc")
    with pytest.raises(RunError, match="is missing"):
        report_facts(str(run))
    with pytest.raises(RunError, match="is missing"):
        diff_data(str(run), str(quickstart))


def test_missing_documents_are_told(run: Path, quickstart: Path) -> None:
    shutil.rmtree(run / "documents")
    with pytest.raises(RunError, match="documents: is missing"):
        diff_data(str(quickstart), str(run))


@pytest.mark.parametrize("seed", range(3))
def test_damaged_documents_are_told_by_diff(run: Path, quickstart: Path, seed: int) -> None:
    path = run / "documents" / "part-00000.parquet"
    content = bytearray(path.read_bytes())
    content[-3000:] = random.Random(seed).randbytes(3000)
    path.write_bytes(content)
    with pytest.raises(RunError, match="corpusmill verify"):
        diff_data(str(quickstart), str(run))


def test_a_run_is_opened_by_a_path_and_asked_for_a_list_of_columns(quickstart: Path) -> None:
    documents = corpusmill.open_run(quickstart).documents
    with pytest.raises(UsageError, match="a list of names"):
        documents.arrow("id")
