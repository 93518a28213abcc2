"""A local web server that answers as a test tells it to, and events to send."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from sgmn.live.events import Event, to_json
from sgmn.live.webhook import DeliveryReport, Webhook, WebhookSettings

QUICK = WebhookSettings(timeout_s=20.0, initial_backoff_s=0.01, max_backoff_s=0.02)
LONG_S = 60.0  # far more than needed: a test that reaches it hangs


class WebhookServer:
    """Answers each request with the next of `statuses`, then 200, and records the requests.

    A status of 0 closes the connection without a response. No request is answered before `gate`
    is set.
    """

    def __init__(self, statuses: list[int], gate: threading.Event) -> None:
        self.statuses, self.gate = statuses, gate
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.arrived = threading.Semaphore(0)
        self.http = HTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.http.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook"

    def event_ids(self) -> list[int]:
        return [json.loads(body)["id"] for _, body in self.requests]

    def close(self) -> None:
        self.gate.set()
        self.http.shutdown()
        self.http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((dict(self.headers), body))
                server.paths.append(self.path)
                server.arrived.release()
                server.gate.wait(LONG_S)
                status = server.statuses.pop(0) if server.statuses else 200
                if status == 0:
                    return  # closes the connection without a response
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                raise AssertionError("a redirect was followed")

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def unused_host() -> str:
    """Return a host and port at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def build_event(event_id: int) -> dict[str, object]:
    return to_json(Event(event_id, "started", 1.0, 2.0, "Löwe", None, 0.5))


def send_all(webhook: Webhook, count: int) -> DeliveryReport:
    assert all(webhook.send(build_event(event_id)) for event_id in range(1, count + 1))
    return webhook.close(LONG_S)
