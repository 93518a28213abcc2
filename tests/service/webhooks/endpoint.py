"""A consumer of webhooks on loopback that verifies signatures and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


class Endpoint(ThreadingHTTPServer):
    """Records the messages that it gets.

    Attributes:
        answers: Statuses of the next answers; 200 after them. 0 hangs up without an answer.
        messages: The id and the body of each request, in order.
        headers: The headers of each request.
        hold: While cleared, requests wait before they are answered.
        most_at_once: The largest number of requests at the same time.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, _Handler)
        self.answers: deque[int] = deque()
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.answer_headers: dict[str, str] = {}
        self.hold = threading.Event()
        self.hold.set()
        self.now_at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def seqs(self) -> list[int]:
        """The numbers of the rows that arrived, in order."""
        return [body["seq"] for _, body in self.messages]

    def verify_all(self, secret: str) -> None:
        """Verify every signature with the reference library."""
        for body, headers in zip(self.bodies, self.headers, strict=True):
            Webhook(secret).verify(body, headers)

    def handle_error(self, *_: object) -> None:
        """Ignore a sender that was killed."""


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        server, body = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            server.headers.append({k.lower(): v for k, v in self.headers.items()})
            server.bodies.append(body)
            server.messages.append((self.headers["webhook-id"], json.loads(body)))
            server.now_at_once += 1
            server.most_at_once = max(server.most_at_once, server.now_at_once)
            status = server.answers.popleft() if server.answers else 200
        server.hold.wait(60)
        with server.lock:
            server.now_at_once -= 1
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in server.answer_headers.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def run_endpoint() -> Iterator[Endpoint]:
    """Run an endpoint on a free port."""
    with Endpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield endpoint
        endpoint.hold.set()
        endpoint.shutdown()
        thread.join()
