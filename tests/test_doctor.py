"""What `corpusmill doctor` finds on a machine."""

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from corpusmill.report import doctor


def findings() -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in doctor.doctor_data()["findings"]}


def test_every_extra_for_users_has_a_line() -> None:
    extras = set(metadata.metadata("corpusmill").get_all("Provides-Extra") or ()) - {"dev", "docs"}
    assert extras <= set(doctor.FEATURES)
    assert {f"extra {extra}" for extra in extras} <= set(findings())


def test_a_missing_package_of_an_extra_is_missing_and_the_rest_is_healthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "ray":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", version)
    found = findings()["extra ray"]
    assert found["state"] == "missing"
    assert "ray" in found["found"]
    assert "corpusmill[ray]" in found["mend"]
    assert doctor.doctor_data()["healthy"]


def test_a_package_of_an_unfit_version_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(doctor, "version", lambda name: "1.0" if name == "pyarrow" else real(name))
    found = findings()["base packages"]
    assert found["state"] == "broken"
    assert "pyarrow 1.0" in found["found"]
    assert not doctor.doctor_data()["healthy"]


def test_programs_that_fail_or_are_not_there_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failing = tmp_path / "java"
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    found = findings()
    assert (found["java"]["state"], found["git"]["state"]) == ("missing", "missing")
    assert "17" in found["java"]["mend"]
