"""A proxy in front of an S3 server that does to answers what networks and busy stores do."""

import contextlib
import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESET = "reset"
"""The connection is reset in the middle of the body, or of the headers when there is no body."""
CUT = "cut"
"""The body ends early, and the connection with it."""
FEWER = "fewer"
"""A well-formed answer to a range with fewer bytes than were asked for."""
SLOW_DOWN = "slow_down"
"""503 SlowDown, without doing anything."""
DELAY = "delay"
"""The answer comes late."""
LOST = "lost"
"""The request is carried out, and the connection is reset before the answer."""
ALL = (RESET, CUT, FEWER, SLOW_DOWN, DELAY, LOST)

_SLOW_DOWN_BODY = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
_NOT_IMPLEMENTED_BODY = (
    b'<?xml version="1.0"?><Error><Code>NotImplemented</Code>'
    b"<Message>A header implies functionality that is not implemented.</Message></Error>"
)


@dataclass
class Plan:
    """Which requests meet with which fault.

    A fault depends on the seed, the request (method, path, range) and how often that very request
    has come, not on the order in which several clients send theirs.
    """

    seed: int = 0
    share: float = 0.0
    """Of requests."""
    kinds: tuple[str, ...] = ALL
    at_most: int = 4
    """Faults in a row for one request: fewer than a client's attempts."""
    conditions: bool = True
    """Whether the store knows requests with If-Match and If-None-Match."""
    seen: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    """Faults so far, by kind."""
    requests: list[str] = field(default_factory=list)
    """`METHOD path range`, in the order in which they came."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, request: str) -> str | None:
        """What happens to a request."""
        with self.lock:
            number = self.seen[request]
            self.seen[request] += 1
            self.requests.append(request)
            chance = random.Random(f"{self.seed} {request} {number}")
            if number >= self.at_most or chance.random() >= self.share:
                return None
            kind = chance.choice(self.kinds)
            self.made[kind] += 1
            return kind


class FaultyProxy:
    """Serves at `url`; `plan` may be exchanged at any time."""

    def __init__(self, host: str, port: int) -> None:
        self.backend = (host, port)
        self.plan = Plan()
        self.writing = threading.Lock()
        """Moto looks whether a condition holds, and then stores: two steps."""
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients leave when they are treated like this."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FaultyProxy

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: requests are in the plan."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = f"{self.command} {self.path} {self.headers.get('Range') or '-'}"
        fault = self.owner.plan.fault(request)
        if fault == SLOW_DOWN:
            self._answer(503, [("Content-Type", "application/xml")], _SLOW_DOWN_BODY)
            return
        if not self.owner.plan.conditions and {"If-Match", "If-None-Match"} & {*self.headers}:
            self._answer(501, [("Content-Type", "application/xml")], _NOT_IMPLEMENTED_BODY)
            return
        if fault == DELAY:
            time.sleep(0.02)
        with self.owner.writing if self.command == "PUT" else contextlib.nullcontext():
            status, headers, answer = self._forwarded(body)
        half = len(answer) // 2
        if fault == LOST:
            self._reset()
        elif fault in (RESET, CUT):
            self._answer(status, headers, answer, send=half)
            if fault == RESET:
                self._reset()
            self.close_connection = True
        elif fault == FEWER and status == 206 and half:
            self._answer(status, headers, answer[:half])
        else:
            self._answer(status, headers, answer)

    def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self.owner.backend, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, response.getheaders(), answer

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        send: int | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            length = name.lower() == "content-length" and self.command != "HEAD"
            if not length and name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        if self.command != "HEAD" and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if send is None else body[:send])
            self.wfile.flush()

    def _reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815
