"""A webhook against local servers that fail, refuse, hang or do not exist."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sgmn.errors import SgmnError
from sgmn.live.events import from_json
from sgmn.live.webhook import DeliveryReport, Webhook, WebhookSettings
from tests.live.webhook_server import (
    LONG_S,
    QUICK,
    WebhookServer,
    build_event,
    send_all,
    unused_host,
)


def test_an_event_arrives_unchanged(serve: Callable[..., WebhookServer]) -> None:
    server = serve()
    assert send_all(Webhook(server.url, settings=QUICK), 1) == DeliveryReport(1, {}, 0)
    ((headers, body),) = server.requests
    assert from_json(json.loads(body)) == from_json(build_event(1))
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Sgmn-Event"] == "1"
    assert "X-Sgmn-Signature" not in headers and "Authorization" not in headers


@pytest.mark.parametrize("fault", [500, 503, 429, 0])
def test_a_server_that_fails_twice_receives_all_events_in_order(
    serve: Callable[..., WebhookServer], fault: int
) -> None:
    server = serve(200, fault, fault)
    report = send_all(Webhook(server.url, settings=QUICK), 4)
    assert server.event_ids() == [1, 2, 2, 2, 3, 4]
    assert (report.delivered, report.refused, report.dropped) == (4, {}, 0)
    assert report.last_error == (f"status {fault}" if fault else "RemoteDisconnected")


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302, 307])
def test_refused_events_are_not_sent_again(
    serve: Callable[..., WebhookServer], status: int
) -> None:
    server = serve(status, 200, status)
    report = send_all(Webhook(server.url, settings=QUICK), 4)
    assert server.event_ids() == [1, 2, 3, 4]
    assert (report.delivered, report.refused, report.dropped) == (2, {status: 2}, 0)
    assert f"2 with status {status} refused" in str(report)


def test_refusals_are_counted_by_status(serve: Callable[..., WebhookServer]) -> None:
    report = send_all(Webhook(serve(400, 404, 400).url, settings=QUICK), 3)
    assert report.refused == {400: 2, 404: 1}


def test_events_are_dropped_after_the_last_attempt() -> None:
    webhook = Webhook(f"http://{unused_host()}/", settings=QUICK)
    report = send_all(webhook, 3)
    assert report == DeliveryReport(0, {}, 3, "ConnectionRefusedError")


def test_attempts_are_counted_for_each_event(serve: Callable[..., WebhookServer]) -> None:
    server = serve(*[500] * 3, 500, 200)
    settings = WebhookSettings(initial_backoff_s=0.01, max_backoff_s=0.01, attempts=3)
    report = send_all(Webhook(server.url, settings=settings), 2)
    assert server.event_ids() == [1, 1, 1, 2, 2]
    assert (report.delivered, report.dropped) == (1, 1)


def test_closing_drops_events_that_cannot_be_sent_in_time() -> None:
    """The waits between attempts would take days; closing ends them."""
    settings = WebhookSettings(initial_backoff_s=1e5, max_backoff_s=1e5)
    webhook = Webhook(f"http://{unused_host()}/", settings=settings)
    for event_id in (1, 2, 3):
        webhook.send(build_event(event_id))
    report = webhook.close(0.1)
    assert (report.delivered, report.dropped) == (0, 3)
    assert webhook.close(LONG_S) == report
    assert not webhook.send(build_event(4))


def test_the_caller_is_not_blocked_by_a_server_that_hangs(
    serve: Callable[..., WebhookServer],
) -> None:
    """The server answers only after the last event was queued: blocking would hang."""
    server = serve(is_held=True)
    settings = WebhookSettings(
        timeout_s=LONG_S, initial_backoff_s=0.01, max_backoff_s=0.01, queue_size=3
    )
    webhook = Webhook(server.url, settings=settings)
    queued = [webhook.send(build_event(1))]
    assert server.arrived.acquire(timeout=LONG_S)
    queued += [webhook.send(build_event(event_id)) for event_id in (2, 3, 4, 5)]
    assert queued == [True, True, True, False, False]
    server.gate.set()
    assert webhook.close(LONG_S) == DeliveryReport(3, {}, 2)
    assert server.event_ids() == [1, 2, 3]


def test_an_event_that_arrives_after_closing_counts_once(
    serve: Callable[..., WebhookServer],
) -> None:
    server = serve(is_held=True)
    webhook = Webhook(server.url, settings=QUICK)
    webhook.send(build_event(1))
    assert server.arrived.acquire(timeout=LONG_S)
    assert webhook.close(0.0) == DeliveryReport(0, {}, 1)
    server.gate.set()
    assert webhook.close(LONG_S) == DeliveryReport(0, {}, 1)


def test_a_slow_server_times_out(serve: Callable[..., WebhookServer]) -> None:
    server = serve(is_held=True)
    settings = WebhookSettings(
        timeout_s=0.05, initial_backoff_s=0.01, max_backoff_s=0.01, attempts=1
    )
    report = send_all(Webhook(server.url, settings=settings), 1)
    assert report == DeliveryReport(0, {}, 1, "TimeoutError")


def test_later_changes_of_an_event_are_not_sent(
    serve: Callable[..., WebhookServer],
) -> None:
    server = serve(is_held=True)
    webhook, event = Webhook(server.url, settings=QUICK), build_event(2)
    webhook.send(build_event(1))
    webhook.send(event)
    event["product_id"] = "another"
    server.gate.set()
    webhook.close(LONG_S)
    assert json.loads(server.requests[1][1])["product_id"] == "Löwe"


@pytest.mark.parametrize("bad", [{}, {"id": "1\r\nX: y"}, {"id": True}, {"id": 1, "x": {2}}])
def test_an_invalid_event_is_rejected(bad: dict[str, object]) -> None:
    webhook = Webhook(f"http://{unused_host()}/", settings=QUICK)
    with pytest.raises(SgmnError, match="webhook event"):
        webhook.send(bad)
    with pytest.raises(SgmnError, match="event 1 cannot be represented as JSON"):
        webhook.send({"id": 1, "confidence": float("nan")})
    assert webhook.close(LONG_S) == DeliveryReport(0, {}, 0)
