"""Webhooks arrive signed, in order and at least once; failures are retried, then given up."""

from __future__ import annotations

import time
from math import inf

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.webhooks import outbox
from sgmn.service.webhooks.outbox import RETRY_DELAYS_S, Claim
from tests.media.streaming import wait_until
from tests.service.conftest import OTHER_SHOP, Headers
from tests.service.webhooks.conftest import (
    RunSender,
    add_row,
    add_session,
    add_webhook,
    deliveries,
)
from tests.service.webhooks.endpoint import Endpoint, run_endpoint


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "RETRY_DELAYS_S", (0.01,) * 4)


def states(context: ServiceContext) -> list[str]:
    return [row["state"] for row in deliveries(context)]


def test_rows_arrive_signed_and_in_order(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender
) -> None:
    _, secret = add_webhook(context, endpoint.url.replace("//", "//ann:pw@"))
    session = add_session(context)
    for seq in range(1, 21):
        assert add_row(context, session, seq) == 1
    with run_sender():
        wait_until(lambda: states(context) == ["delivered"] * 20)
    assert endpoint.seqs == list(range(1, 21))
    endpoint.verify_all(secret)
    assert [id_ for id_, _ in endpoint.messages] == [row["id"] for row in deliveries(context)]
    _, body = endpoint.messages[0]
    assert list(body) == ["seq", "session", "type", "wall_s", "data"]
    assert (body["session"], body["data"]) == (session, {"text": "rot 红"})
    assert endpoint.headers[0]["content-type"] == "application/json"
    assert endpoint.headers[0]["authorization"].startswith("Basic ")


def test_the_verb_after_an_id_is_not_taken_for_part_of_it(
    client: TestClient, editor: Headers, context: ServiceContext, endpoint: Endpoint
) -> None:
    webhook_id, _ = add_webhook(context, endpoint.url)
    refused = client.put(f"/v1/webhooks/{webhook_id}:rotate-secret", json={}, headers=editor)
    assert refused.status_code == 405


def test_the_secret_before_a_rotation_signs_for_a_stated_time(
    client: TestClient,
    editor: Headers,
    context: ServiceContext,
    endpoint: Endpoint,
    run_sender: RunSender,
) -> None:
    webhook_id, old = add_webhook(context, endpoint.url)
    path, session = f"/v1/webhooks/{webhook_id}:rotate-secret", add_session(context)
    once = editor | {"Idempotency-Key": "rotation"}
    answers = [client.post(path, json={"keep_hours": 2}, headers=once) for _ in range(2)]
    assert answers[0].json() == answers[1].json()  # it does not replace the secret twice
    new, until_s = (answers[0].json()[name] for name in ("secret", "previous_secret_until_s"))
    assert 7100 < until_s - time.time() < 7300
    with run_sender():
        add_row(context, session, 1)
        wait_until(lambda: states(context) == ["delivered"])
        with context.database.write() as connection:
            over = sa.update(tables.webhooks).values(previous_secret_until_s=time.time() - 1)
            connection.execute(over)
        add_row(context, session, 2)
        wait_until(lambda: states(context) == ["delivered"] * 2)
    endpoint.verify_all(new)
    body, headers = endpoint.bodies[0], endpoint.headers[0]
    Webhook(old).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(endpoint.bodies[1], endpoint.headers[1])
    shown = client.get(f"/v1/webhooks/{webhook_id}", headers=editor).json()
    assert shown["previous_secret_until_s"] is None
    at_once = client.post(path, json={"keep_hours": 0}, headers=editor).json()
    assert at_once["secret"] != new and at_once["previous_secret_until_s"] is None


def test_only_the_wanted_rows_of_the_shop_are_enqueued(
    context: ServiceContext, endpoint: Endpoint
) -> None:
    webhook_id, _ = add_webhook(context, endpoint.url, ("sgmn.review/1",))
    add_webhook(context, endpoint.url, ("sgmn.review/1",), shop=OTHER_SHOP)
    session = add_session(context)
    assert add_row(context, session, 1, "sgmn.event/1") == 0
    assert add_row(context, session, 2, "sgmn.review/1") == 1
    with context.database.write() as connection:
        connection.execute(sa.update(tables.webhooks).values(state="disabled"))
    assert add_row(context, session, 3, "sgmn.review/1") == 0
    assert [(row["webhook_id"], row["seq"]) for row in deliveries(context)] == [(webhook_id, 2)]


def test_a_rolled_back_row_has_no_delivery(context: ServiceContext, endpoint: Endpoint) -> None:
    add_webhook(context, endpoint.url)
    session = add_session(context)
    with pytest.raises(ZeroDivisionError), context.database.write() as connection:
        assert outbox.enqueue(connection, session, 1, "sgmn.event/1") == 1
        _ = 1 / 0
    assert deliveries(context) == []


@pytest.mark.parametrize("failure", [500, 404, 302, 0])
def test_a_failure_is_retried_as_the_same_message_before_the_next_one(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender, failure: int
) -> None:
    endpoint.answers.extend([failure, failure])
    _, secret = add_webhook(context, endpoint.url)
    session = add_session(context)
    add_row(context, session, 1)
    add_row(context, session, 2)
    with run_sender():
        wait_until(lambda: states(context) == ["delivered"] * 2)
    assert endpoint.seqs == [1, 1, 1, 2]
    assert len({id_ for id_, body in endpoint.messages if body["seq"] == 1}) == 1
    assert [row["attempts"] for row in deliveries(context)] == [3, 1]
    endpoint.verify_all(secret)


def test_a_message_that_always_fails_steps_aside_and_is_given_up(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender
) -> None:
    endpoint.answers.extend([500] * 3)
    add_webhook(context, endpoint.url)
    session = add_session(context)
    add_row(context, session, 1)
    add_row(context, session, 2)
    outbox.RETRY_DELAYS_S = (0.01, 0.01, 600, 0.01)  # type: ignore[assignment]
    with run_sender():
        wait_until(lambda: states(context) == ["pending", "delivered"])
        assert endpoint.seqs == [1, 1, 1, 2]
        endpoint.answers.extend([500] * 2)
        with context.database.write() as connection:
            connection.execute(
                sa.update(tables.deliveries)
                .where(tables.deliveries.c.seq == 1)
                .values(next_attempt_s=0.0)
            )
        wait_until(lambda: states(context) == ["dead", "delivered"])
    [dead, _] = deliveries(context)
    assert (dead["attempts"], dead["last_status"]) == (5, 500)
    assert dead["last_error"] == "answers 500"


def test_gone_disables_the_webhook(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender
) -> None:
    endpoint.answers.append(410)
    add_webhook(context, endpoint.url)
    session = add_session(context)
    add_row(context, session, 1)
    add_row(context, session, 2)
    with run_sender():
        wait_until(lambda: states(context) == ["dead", "pending"])
        with context.database.read() as connection:
            assert connection.execute(sa.select(tables.webhooks.c.state)).scalar() == "disabled"
        with context.database.write() as connection:
            connection.execute(sa.update(tables.webhooks).values(state="active"))
            outbox.retry(connection, deliveries(context)[0]["id"])
        wait_until(lambda: states(context) == ["delivered"] * 2)
    assert endpoint.seqs == [1, 1, 2]


def test_a_deleted_session_and_a_sealed_secret_of_another_instance(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender
) -> None:
    add_webhook(context, endpoint.url)
    session = add_session(context)
    add_row(context, session, 1)
    with context.database.write() as connection:
        connection.execute(sa.delete(tables.log))
    with run_sender():
        wait_until(lambda: states(context) == ["dead"])
        assert deliveries(context)[0]["last_error"] == "belongs to a session that was deleted"
        with context.database.write() as connection:
            connection.execute(sa.update(tables.webhooks).values(secret_sealed="other"))
        add_row(context, session, 2)
        wait_until(lambda: states(context) == ["dead", "dead"])
    assert "another secret" in deliveries(context)[1]["last_error"]
    assert endpoint.messages == []


def test_sending_is_bounded_and_a_slow_consumer_delays_no_other(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender
) -> None:
    endpoint.hold.clear()
    slow_id, _ = add_webhook(context, endpoint.url)
    for _ in range(6):
        session = add_session(context)
        add_row(context, session, 1)
        add_row(context, session, 2)
    with run_endpoint() as other, run_sender(max_per_webhook=2):
        wait_until(lambda: len(endpoint.messages) == 2)
        add_webhook(context, other.url)
        add_row(context, session, 3)
        wait_until(lambda: other.seqs == [3])
        endpoint.hold.set()
        wait_until(lambda: states(context) == ["delivered"] * 14)
    assert endpoint.most_at_once == 2
    for session in {body["session"] for _, body in endpoint.messages}:
        assert (
            sorted(seqs := [b["seq"] for _, b in endpoint.messages if b["session"] == session])
            == seqs
        )
    assert len([row for row in deliveries(context) if row["webhook_id"] == slow_id]) == 13


def test_the_consumer_may_ask_for_a_pause(
    context: ServiceContext, endpoint: Endpoint, run_sender: RunSender
) -> None:
    endpoint.answers.append(429)
    endpoint.answer_headers["Retry-After"] = "3600"
    add_webhook(context, endpoint.url)
    add_row(context, add_session(context), 1)
    with run_sender():
        wait_until(lambda: deliveries(context)[0]["last_status"] == 429)
    assert deliveries(context)[0]["next_attempt_s"] > time.time() + 3000


def test_retries_span_days_and_old_deliveries_are_forgotten(context: ServiceContext) -> None:
    assert 3 * 86_400 < sum(RETRY_DELAYS_S) < 4 * 86_400
    assert list(RETRY_DELAYS_S) == sorted(RETRY_DELAYS_S)
    add_webhook(context, "http://127.0.0.1:1/")
    session = add_session(context)
    add_row(context, session, 1)
    claim = Claim(deliveries(context)[0]["id"], "", session, 1, 0, "", "")
    with context.database.write() as connection:
        assert outbox.record_failure(connection, claim, "x", retry_after_s=inf) == "dead"
        assert outbox.forget_old(connection, time.time() - 60) == 0
        assert outbox.forget_old(connection, time.time() + 60) == 1
