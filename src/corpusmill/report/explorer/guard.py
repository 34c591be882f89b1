"""Who may look, and what every answer tells the browser to refuse."""

import hashlib
import hmac
import logging
from urllib.parse import quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from corpusmill.errors import where_raised

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

REFUSED = (
    "This page needs the token of its run. Copy the whole address that `corpusmill explore` has "
    "printed into the address bar; a link on another page does not carry the cookie.\n"
)

_log = logging.getLogger(__name__)


class Sealed:
    """Puts HEADERS on every answer that has none of its own, and answers what fails without
    telling of what."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; the outermost of ours, so that refusals have the headers too."""
        begun = False

        async def sealed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, sealed)
        except Exception as error:
            # messages of exceptions may quote documents
            _log.error("a page failed: %s", where_raised(error))
            if scope["type"] != "http" or begun:
                raise
            failed = PlainTextResponse("The explorer failed on this page.\n", 500)
            await failed(scope, receive, sealed)


class Guard:
    """Lets in who has the token: once in the address, from then on in a cookie.

    A cookie is sent to every port of a host, so its name is the token's own: two explorers do not
    overwrite each other's. Requests that another site or another port has caused are refused.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token
        self.cookie = "explorer-" + hashlib.sha256(token.encode()).hexdigest()[:12]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, redirect or refuse."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        given = request.query_params.get("token")
        if given is not None:
            if self._is_token(given):
                await self._admitted(request)(scope, receive, send)
                return
        elif self._is_token(request.cookies.get(self.cookie, "")) and request.headers.get(
            "sec-fetch-site", "none"
        ) in ("none", "same-origin"):
            await self.app(scope, receive, send)
            return
        await PlainTextResponse(REFUSED, 403)(scope, receive, send)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    def _admitted(self, request: Request) -> RedirectResponse:
        """To the same address without the token, which would stay in the history otherwise."""
        rest = [(name, value) for name, value in request.query_params.multi_items()]
        query = urlencode([(name, value) for name, value in rest if name != "token"])
        path = "/" + quote(request.scope["path"].lstrip("/\\"))
        answer = RedirectResponse(path + (f"?{query}" if query else ""), 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return answer
