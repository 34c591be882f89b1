"""What can go wrong, as the user sees it: one message, and the exit code it ends with."""

import difflib
import traceback
from collections.abc import Iterable, Mapping


class MillError(Exception):
    """A failure whose message is written for the user. It never carries document text."""

    exit_code = 1


class UsageError(MillError):
    """The command, the recipe or the input is wrong: nothing was run (exit code 2)."""

    exit_code = 2


class RunError(MillError):
    """The run was right but failed on the way (exit code 1). The same command resumes it."""


class FolderBusy(RunError):
    """Another process works in the folder."""


class BrokenContract(RunError):
    """A stage, or something of another package, does not give back what it must: its code is wrong,
    and no document is to blame."""


def one_of(value: str, allowed: Iterable[str], labels: Mapping[str, str] | None = None) -> str:
    """Say what is allowed instead of `value`, with the nearest name as a suggestion.

    `labels`: how some names are written where there is more to say of them.
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join((labels or {}).get(name, name) for name in names)
    return f"{value!r} is not one of {listed}{hint}"


def where_raised(error: BaseException) -> str:
    """Type and place of an exception, without its message: messages may quote document text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    file = last.filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{type(error).__name__} at {file}:{last.lineno} in {last.name}"
