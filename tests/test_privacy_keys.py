"""Keys come from the environment or a file; what is wrong with one is said without showing it."""

import os
from pathlib import Path

import pytest

from corpusmill.errors import UsageError
from corpusmill.privacy.keys import MAXIMUM_KEY_BYTES, load_key

SECRET = "correct horse battery staple"


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILL_KEY", SECRET)
    assert load_key("env:MILL_KEY") == SECRET.encode()


def test_a_key_comes_from_a_file_without_its_line_break(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(SECRET.encode() + b"\n")
    assert load_key(f"file:{tmp_path}/key") == SECRET.encode()


def test_an_absent_key_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MILL_KEY", raising=False)
    with pytest.raises(UsageError, match=r"MILL_KEY.*is not set"):
        load_key("env:MILL_KEY")


@pytest.mark.parametrize(("value", "message"), [("", "is empty"), ("s3cr3t", "less than 16 bytes")])
def test_an_empty_or_short_key_is_an_error_without_its_value(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setenv("MILL_KEY", value)
    with pytest.raises(UsageError, match=f"MILL_KEY.*{message}") as caught:
        load_key("env:MILL_KEY")
    assert "s3cr3t" not in str(caught.value)


def test_a_missing_key_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no-such-key cannot be read: No such file"):
        load_key(f"file:{tmp_path}/no-such-key")


@pytest.mark.parametrize("reference", [SECRET, "env:", "file:", "vault:key", ""])
def test_a_key_written_in_place_of_a_reference_is_refused_and_not_shown(reference: str) -> None:
    with pytest.raises(UsageError, match="not by its value") as caught:
        load_key(reference)
    assert SECRET not in str(caught.value)


def test_a_key_file_without_an_end_is_refused_and_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/zero", str(tmp_path / "pipe")):
        with pytest.raises(UsageError, match="is no regular file"):
            load_key(f"file:{place}")
    (tmp_path / "large").write_bytes(b"x" * (MAXIMUM_KEY_BYTES + 1))
    with pytest.raises(UsageError, match="larger than 65536 bytes"):
        load_key(f"file:{tmp_path}/large")


@pytest.mark.parametrize("place", ["a\0b", "."])
def test_what_can_be_no_key_file_is_an_error_of_usage(place: str) -> None:
    with pytest.raises(UsageError, match=r"is no path|Is a directory"):
        load_key(f"file:{place}")
