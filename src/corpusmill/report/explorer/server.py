"""`corpusmill explore RUN`: a page on 127.0.0.1 that shows a finished run until interrupted."""

import contextlib
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.report.tables import library

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST = "127.0.0.1"
TOKEN_BYTES = 32
"""Of randomness in a token that is made here."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")
"""What an address and a cookie hold unchanged, and nobody guesses."""
CONNECTIONS = 64
"""More at a time are told to come again (503)."""
LIBRARIES = ("duckdb", "starlette", "uvicorn")


def explore(
    run: str, *, port: int = 0, token: str | None = None, ready: Callable[[str], None]
) -> None:
    """Serve the explorer of a run until it is interrupted, which raises KeyboardInterrupt.

    `ready` is called once with the address to open, token included, as soon as it answers. Port 0
    takes any free one. Raises UsageError for a run that cannot be explored, a port that is taken,
    and libraries that are not installed.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES) if token is None else token
    with _listening(port) as server:
        app = application(run, token)
        import uvicorn

        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,  # addresses hold what was searched for
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
        ready(f"http://{HOST}:{server.getsockname()[1]}/?token={token}")
        uvicorn.Server(config).run(sockets=[server])


def application(run: str, token: str) -> "Starlette":
    """The explorer as an application of Starlette; what it holds goes with its lifespan.

    Raises UsageError as `explore` does.
    """
    for name in LIBRARIES:
        library(name)
    if not _TOKEN.fullmatch(token):
        raise UsageError("a token is 16 to 200 letters, digits, hyphens and underscores")
    if not storage.is_local(run):
        raise UsageError(f"{run}: a run is explored on a local disk; copy it to one")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from corpusmill.report.explorer.guard import Guard, Sealed
    from corpusmill.report.explorer.opening import open_catalogue
    from corpusmill.report.explorer.pages import Pages

    with contextlib.ExitStack() as stack:
        catalogue = stack.enter_context(open_catalogue(run))
        held = stack.pop_all()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with held:
            yield
            catalogue.stop()

    return Starlette(
        routes=Pages(catalogue).routes(),
        middleware=[
            Middleware(Sealed),
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(Guard, token=token),
        ],
        lifespan=lifespan,
    )


def _listening(port: int) -> socket.socket:
    """A socket that listens on this machine only."""
    if not 0 <= port < 1 << 16:
        raise UsageError(f"port {port}: is not a number from 0 to 65535")
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, port))
        server.listen()
    except OSError as error:
        server.close()
        raise UsageError(f"port {port} of {HOST}: {error.strerror}") from None
    return server
