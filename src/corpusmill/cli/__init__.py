"""The command line: reads arguments, prints results, and turns errors into exit codes.

Only typer and what is light is imported here; every command imports what it needs. The commands
stand in the modules of this package, by what they are for.
"""

import sys

import typer

from corpusmill.cli import making, reading, taking, training
from corpusmill.cli.base import app, complain
from corpusmill.errors import MillError, RunError, UsageError, where_raised

COMMANDS = (making, reading, taking, training)
"""Modules of commands, in the order in which the help lists them; importing them adds them."""

INTERRUPTED = 130


def main() -> None:
    """Entry point of the command `corpusmill`."""
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer's answer to Ctrl-C; older versions raise Abort
            raise typer.Abort
    except (typer.Abort, KeyboardInterrupt):
        complain("interrupted: the same command goes on from here")
        sys.exit(INTERRUPTED)
    except MillError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        complain(f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}")
        sys.exit(MillError.exit_code)
    except Exception as error:
        if hasattr(error, "show"):  # click's own: a wrong option, a missing argument
            error.show()
            sys.exit(UsageError.exit_code)
        from corpusmill import plugins

        if plugin := plugins.to_blame(error):
            complain(f"{plugin} failed: {where_raised(error)}")
            sys.exit(RunError.exit_code)
        raise
    sys.exit(code)
