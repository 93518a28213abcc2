"""A webhook against local servers that fail, refuse, hang and are dead."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sgmn.errors import SettingsError, SgmnError
from sgmn.live.events import Event, from_json, to_json
from sgmn.live.webhook import DeliveryReport, Webhook, WebhookSettings

QUICK = WebhookSettings(timeout_s=20.0, initial_backoff_s=0.01, max_backoff_s=0.02)
LONG_S = 60.0  # far more than needed: a test that fails by it hangs


class Server:
    """Answers each request with the next of `statuses`, then 200; keeps what it got."""

    def __init__(self, statuses: list[int], held: threading.Event) -> None:
        self.statuses, self.held = statuses, held
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.arrived = threading.Semaphore(0)
        self.http = HTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.http.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}/hook"

    def ids(self) -> list[int]:
        return [json.loads(body)["id"] for _, body in self.got]

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.got.append((dict(self.headers), body))
                server.paths.append(self.path)
                server.arrived.release()
                server.held.wait(LONG_S)
                status = server.statuses.pop(0) if server.statuses else 200
                if status == 0:
                    return  # hangs up without an answer
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                raise AssertionError("a redirect was followed")

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts a server with a list of statuses; `held` makes it wait before it answers."""
    servers: list[Server] = []

    def start(*statuses: int, held: bool = False) -> Server:
        gate = threading.Event()
        if not held:
            gate.set()
        servers.append(Server(list(statuses), gate))
        return servers[-1]

    yield start
    for server in servers:
        server.held.set()
        server.http.shutdown()
        server.http.server_close()


def dead_place() -> str:
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def event(key: int) -> dict[str, object]:
    return to_json(Event(key, "started", 1.0, 2.0, "Löwe", None, 0.5))


def sent(hook: Webhook, count: int) -> DeliveryReport:
    assert all(hook.send(event(key)) for key in range(1, count + 1))
    return hook.close(LONG_S)


def test_an_event_arrives_as_it_was(serve: Callable[..., Server]) -> None:
    server = serve()
    assert sent(Webhook(server.url, settings=QUICK), 1) == DeliveryReport(1, {}, 0)
    ((headers, body),) = server.got
    assert from_json(json.loads(body)) == from_json(event(1))
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Sgmn-Event"] == "1"
    assert "X-Sgmn-Signature" not in headers and "Authorization" not in headers


@pytest.mark.parametrize("fault", [500, 503, 429, 0])
def test_a_server_that_fails_twice_gets_all_events_in_order(
    serve: Callable[..., Server], fault: int
) -> None:
    server = serve(200, fault, fault)
    found = sent(Webhook(server.url, settings=QUICK), 4)
    assert server.ids() == [1, 2, 2, 2, 3, 4]
    assert (found.delivered, found.refused, found.dropped) == (4, {}, 0)
    assert found.last_error == (f"status {fault}" if fault else "RemoteDisconnected")


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302, 307])
def test_what_is_refused_is_not_tried_again(serve: Callable[..., Server], status: int) -> None:
    server = serve(status, 200, status)
    found = sent(Webhook(server.url, settings=QUICK), 4)
    assert server.ids() == [1, 2, 3, 4]
    assert (found.delivered, found.refused, found.dropped) == (2, {status: 2}, 0)
    assert f"2 with status {status} refused" in str(found)


def test_refusals_are_counted_by_status(serve: Callable[..., Server]) -> None:
    found = sent(Webhook(serve(400, 404, 400).url, settings=QUICK), 3)
    assert found.refused == {400: 2, 404: 1}


def test_a_dead_server_is_tried_as_often_as_set_and_then_the_event_is_dropped() -> None:
    hook = Webhook(f"http://{dead_place()}/", settings=QUICK)
    found = sent(hook, 3)
    assert found == DeliveryReport(0, {}, 3, "ConnectionRefusedError")


def test_attempts_are_counted_for_each_event(serve: Callable[..., Server]) -> None:
    server = serve(*[500] * 3, 500, 200)
    settings = WebhookSettings(initial_backoff_s=0.01, max_backoff_s=0.01, attempts=3)
    found = sent(Webhook(server.url, settings=settings), 2)
    assert server.ids() == [1, 1, 1, 2, 2]
    assert (found.delivered, found.dropped) == (1, 1)


def test_closing_gives_up_what_cannot_be_sent_in_time() -> None:
    """Waits between attempts would take days; closing ends them."""
    settings = WebhookSettings(initial_backoff_s=1e5, max_backoff_s=1e5)
    hook = Webhook(f"http://{dead_place()}/", settings=settings)
    for key in (1, 2, 3):
        hook.send(event(key))
    found = hook.close(0.1)
    assert (found.delivered, found.dropped) == (0, 3)
    assert hook.close(LONG_S) == found
    assert not hook.send(event(4))


def test_the_caller_goes_on_while_the_server_hangs(serve: Callable[..., Server]) -> None:
    """The server answers only after the last event was handed over: blocking would hang."""
    server = serve(held=True)
    settings = WebhookSettings(
        timeout_s=LONG_S, initial_backoff_s=0.01, max_backoff_s=0.01, queue_size=3
    )
    hook = Webhook(server.url, settings=settings)
    taken = [hook.send(event(1))]
    assert server.arrived.acquire(timeout=LONG_S)
    taken += [hook.send(event(key)) for key in (2, 3, 4, 5)]
    assert taken == [True, True, True, False, False]
    server.held.set()
    assert hook.close(LONG_S) == DeliveryReport(3, {}, 2)
    assert server.ids() == [1, 2, 3]


def test_one_that_arrives_after_closing_is_not_counted_twice(
    serve: Callable[..., Server],
) -> None:
    server = serve(held=True)
    hook = Webhook(server.url, settings=QUICK)
    hook.send(event(1))
    assert server.arrived.acquire(timeout=LONG_S)
    assert hook.close(0.0) == DeliveryReport(0, {}, 1)
    server.held.set()
    assert hook.close(LONG_S) == DeliveryReport(0, {}, 1)


def test_a_server_that_takes_too_long_is_tried_again(serve: Callable[..., Server]) -> None:
    server = serve(held=True)
    settings = WebhookSettings(
        timeout_s=0.05, initial_backoff_s=0.01, max_backoff_s=0.01, attempts=1
    )
    found = sent(Webhook(server.url, settings=settings), 1)
    assert found == DeliveryReport(0, {}, 1, "TimeoutError")


def test_an_event_is_sent_as_it_was_when_it_was_handed_over(
    serve: Callable[..., Server],
) -> None:
    server = serve(held=True)
    hook, changing = Webhook(server.url, settings=QUICK), event(2)
    hook.send(event(1))
    hook.send(changing)
    changing["product_id"] = "another"
    server.held.set()
    hook.close(LONG_S)
    assert json.loads(server.got[1][1])["product_id"] == "Löwe"


def test_the_signature_is_of_the_very_bytes(serve: Callable[..., Server]) -> None:
    server = serve()
    sent(Webhook(server.url, "hush", QUICK), 2)
    for headers, body in server.got:
        expected = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
        assert headers["X-Sgmn-Signature"] == f"sha256={expected}"
    assert server.got[0][0]["X-Sgmn-Signature"] != server.got[1][0]["X-Sgmn-Signature"]


def test_credentials_and_query_reach_the_server(serve: Callable[..., Server]) -> None:
    server = serve()
    hook = Webhook(f"http://us%40er:p%3Ass@{server.place}/a/b?token=x#part", settings=QUICK)
    sent(hook, 1)
    assert server.paths == ["/a/b?token=x"]
    basic = server.got[0][0]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"us@er:p:ss"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://me:s3cret@host/s3cret",
        "http://me:s3cret/@host",
        "https://me:s3cret@",
        "s3cret",
        "http://me:s3cret@host:0/",
        "http://me:s3cret@host:99999/",
        "http://me:s3cret@host/a b",
        "http://me:s3cret@host/a\nb",
        "http://me:s3cret@hößt/",
        "http://me:s3cret@a..b/",
        "http://me:s3cret@[::1/",
    ],
)
def test_what_is_no_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="webhook URL: not a valid URL") as caught:
        Webhook(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_no_message_shows_the_url(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    hook = Webhook(f"http://me:s3cret@{dead_place()}/s3cret?s3cret", "s3cret", QUICK)
    hook.send(event(1))
    with pytest.raises(SgmnError) as caught:
        hook.send({"id": 1, "bad": {1, 2}})
    found = hook.close(LONG_S)
    printed = capsys.readouterr()
    texts = [str(found), repr(found), str(caught.value), repr(hook), caplog.text, *printed]
    assert not any("s3cret" in text or "me:" in text for text in texts)
    assert found.dropped == 1


@pytest.mark.parametrize("bad", [{}, {"id": "1\r\nX: y"}, {"id": True}, {"id": 1, "x": {2}}])
def test_what_is_no_event_is_refused(bad: dict[str, object]) -> None:
    hook = Webhook(f"http://{dead_place()}/", settings=QUICK)
    with pytest.raises(SgmnError, match="webhook event"):
        hook.send(bad)
    with pytest.raises(SgmnError, match="event 1 cannot be represented as JSON"):
        hook.send({"id": 1, "confidence": float("nan")})
    assert hook.close(LONG_S) == DeliveryReport(0, {}, 0)


def test_waits_double_up_to_the_longest_and_chance_takes_up_to_a_half() -> None:
    settings = WebhookSettings(initial_backoff_s=0.5, max_backoff_s=3.0)
    assert [settings.backoff_s(n, 1.0) for n in (1, 2, 3, 4, 5, 5000)] == [0.5, 1, 2, 3, 3, 3]
    assert [settings.backoff_s(n, 0.0) for n in (1, 2, 3, 4)] == [0.25, 0.5, 1, 1.5]


def test_chance_takes_part_in_each_wait(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    real = WebhookSettings.backoff_s

    def spied(self: WebhookSettings, failures: int, share: float) -> float:
        shares.append(share)
        return real(self, failures, share)

    monkeypatch.setattr(WebhookSettings, "backoff_s", spied)
    sent(Webhook(serve(500, 500, 500, 500).url, settings=QUICK), 1)
    assert len(shares) == len(set(shares)) == 4 and all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize(
    "name, value",
    [
        ("timeout_s", 0.0),
        ("timeout_s", float("inf")),
        ("attempts", 0),
        ("initial_backoff_s", 0.0),
        ("max_backoff_s", 0.1),
        ("queue_size", 0),
    ],
)
def test_settings_refuse_what_cannot_be(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} is {value}"):
        WebhookSettings(**{name: value})  # type: ignore[arg-type]
