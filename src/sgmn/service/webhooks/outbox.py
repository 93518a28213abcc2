"""The outbox: deliveries that are due, claimed by one sender at a time, and their results.

A delivery is written in the transaction of its log row, so that neither exists without the other.
Deliveries of one session to one webhook are sent in the order of its log. One that fails is
tried `ORDERED_ATTEMPTS` times before those behind it overtake it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

import sqlalchemy as sa

from sgmn.service.database import tables
from sgmn.service.ids import new_id

State = Literal["pending", "delivered", "dead"]

# The wait after each failed attempt, in seconds; a message is given up 3.2 days after its event.
RETRY_DELAYS_S = (5, 30, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_RETRY_AFTER_S = 86_400.0
ORDERED_ATTEMPTS = 3
_JITTER = 0.1
_MAX_FOUND = 500
_DELIVERIES, _WEBHOOKS = tables.deliveries, tables.webhooks


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery, and what sending it takes.

    Attributes:
        id: Of the delivery; also the `webhook-id` of its message.
        webhook_id: Where it goes.
        session_id: The session of its log row.
        seq: Number of the log row in the session.
        attempts: Attempts so far; with the present one once it is claimed.
        url_sealed: The address.
        secret_sealed: The signing secret.
        previous_secret_sealed: The secret before, if it still counts.
    """

    id: str
    webhook_id: str
    session_id: str
    seq: int
    attempts: int
    url_sealed: str
    secret_sealed: str
    previous_secret_sealed: str | None = None


def enqueue(connection: sa.Connection, session_id: str, seq: int, row_type: str) -> int:
    """Write a delivery for each active webhook of the session's shop that wants such rows.

    Call it in the transaction that writes the log row. Returns the number of deliveries.
    """
    sessions = tables.sessions
    shop = sa.select(sessions.c.shop_id).where(sessions.c.id == session_id).scalar_subquery()
    query = sa.select(_WEBHOOKS.c.id, _WEBHOOKS.c.types).where(
        _WEBHOOKS.c.shop_id == shop, _WEBHOOKS.c.state == "active"
    )
    now = time.time()
    rows = [
        {
            "id": new_id("dlv"),
            "webhook_id": webhook_id,
            "session_id": session_id,
            "seq": seq,
            "state": "pending",
            "attempts": 0,
            "next_attempt_s": now,
            "created_s": now,
            "updated_s": now,
        }
        for webhook_id, types in connection.execute(query)
        if row_type in types
    ]
    if rows:
        connection.execute(sa.insert(_DELIVERIES), rows)
    return len(rows)


def find_due(
    connection: sa.Connection, limit: int, sending: Collection[Claim], max_per_webhook: int
) -> list[Claim]:
    """Find deliveries that are due, oldest first.

    Args:
        connection: A transaction.
        limit: Maximum number.
        sending: What is being sent. Of one session, a webhook gets one message at a time.
        max_per_webhook: Maximum number of messages at the same time for one webhook.
    """
    busy = {(claim.webhook_id, claim.session_id) for claim in sending}
    counts = Counter(webhook_id for webhook_id, _ in busy)
    full = [webhook_id for webhook_id, count in counts.items() if count >= max_per_webhook]
    found: list[Claim] = []
    for row in connection.execute(_due(time.time(), full)).mappings():
        place = (row["webhook_id"], row["session_id"])
        if len(found) < limit and place not in busy and counts[place[0]] < max_per_webhook:
            busy.add(place)
            counts[place[0]] += 1
            found.append(Claim(**row))
    return found


def claim(connection: sa.Connection, due: Collection[Claim], lease_s: float) -> list[Claim]:
    """Claim deliveries that were found to be due, unless another process was faster.

    Args:
        connection: A transaction that writes.
        due: See `find_due`.
        lease_s: After this time others may send them, because this process has crashed.
    """
    now, claims = time.time(), list[Claim]()
    for found in due:
        update = sa.update(_DELIVERIES).where(_is_unchanged(found))
        values = {"attempts": found.attempts + 1, "next_attempt_s": now + lease_s}
        if connection.execute(update.values(**values, updated_s=now)).rowcount == 1:
            claims.append(replace(found, attempts=found.attempts + 1))
    return claims


def _due(
    now: float, full: Collection[str]
) -> sa.Select[tuple[str, str, str, int, int, str, str, str]]:
    """The first due delivery of each pair of webhook and session, and those that step aside."""
    pending = _DELIVERIES.c.state == "pending"
    heads = (
        sa.select(
            _DELIVERIES.c.webhook_id, _DELIVERIES.c.session_id, sa.func.min(_DELIVERIES.c.seq)
        )
        .where(pending, _DELIVERIES.c.attempts < ORDERED_ATTEMPTS)
        .group_by(_DELIVERIES.c.webhook_id, _DELIVERIES.c.session_id)
    )
    place = sa.tuple_(_DELIVERIES.c.webhook_id, _DELIVERIES.c.session_id, _DELIVERIES.c.seq)
    steps_aside = _DELIVERIES.c.attempts >= ORDERED_ATTEMPTS
    return (
        sa.select(
            _DELIVERIES.c.id,
            _DELIVERIES.c.webhook_id,
            _DELIVERIES.c.session_id,
            _DELIVERIES.c.seq,
            _DELIVERIES.c.attempts,
            _WEBHOOKS.c.url_sealed,
            _WEBHOOKS.c.secret_sealed,
            sa.case(
                (_WEBHOOKS.c.previous_secret_until_s > now, _WEBHOOKS.c.previous_secret_sealed)
            ).label("previous_secret_sealed"),
        )
        .join(_WEBHOOKS, _WEBHOOKS.c.id == _DELIVERIES.c.webhook_id)
        .where(
            pending,
            _DELIVERIES.c.next_attempt_s <= now,
            _WEBHOOKS.c.state == "active",
            sa.or_(steps_aside, place.in_(heads)),
            _DELIVERIES.c.webhook_id.not_in(full),
        )
        .order_by(_DELIVERIES.c.next_attempt_s, _DELIVERIES.c.seq)
        .limit(_MAX_FOUND)
    )


def record_delivered(connection: sa.Connection, claim: Claim, status: int) -> None:
    """Record that the consumer has accepted a message."""
    _update(connection, claim, state="delivered", last_status=status, last_error=None)


def record_failure(
    connection: sa.Connection,
    claim: Claim,
    error: str,
    status: int | None = None,
    retry_after_s: float = 0.0,
) -> State:
    """Record a failed attempt, and when the next one is due; return the new state.

    An infinite `retry_after_s` means never.
    """
    failed = {"last_status": status, "last_error": error}
    if claim.attempts > len(RETRY_DELAYS_S) or retry_after_s == inf:
        _update(connection, claim, state="dead", **failed)
        return "dead"
    delay_s = RETRY_DELAYS_S[claim.attempts - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)
    delay_s = max(delay_s, min(retry_after_s, MAX_RETRY_AFTER_S))
    _update(connection, claim, next_attempt_s=time.time() + delay_s, **failed)
    return "pending"


def record_gone(connection: sa.Connection, claim: Claim) -> None:
    """Record that the consumer answered 410 Gone: give up, and disable the webhook."""
    error = "answers 410 Gone; the webhook is disabled"
    _update(connection, claim, state="dead", last_status=410, last_error=error)
    disable = (
        sa.update(_WEBHOOKS)
        .where(_WEBHOOKS.c.id == claim.webhook_id, _WEBHOOKS.c.state == "active")
        .values(state="disabled", version=_WEBHOOKS.c.version + 1)
    )
    connection.execute(disable)


def retry(connection: sa.Connection, delivery_id: str) -> None:
    """Make a delivery due at once, as if it had never been tried."""
    now = time.time()
    values = {"state": "pending", "attempts": 0, "next_attempt_s": now, "updated_s": now}
    connection.execute(sa.update(_DELIVERIES).where(_DELIVERIES.c.id == delivery_id).values(values))


def forget_old(connection: sa.Connection, older_than_s: float) -> int:
    """Remove deliveries that are settled and older than a time; return their number."""
    settled = _DELIVERIES.c.state.in_(("delivered", "dead"))
    delete = sa.delete(_DELIVERIES).where(settled, _DELIVERIES.c.updated_s < older_than_s)
    return connection.execute(delete).rowcount


def _update(connection: sa.Connection, claim: Claim, **values: object) -> None:
    """Change a delivery unless it was claimed again, or settled, in the meantime."""
    update = sa.update(_DELIVERIES).where(_is_unchanged(claim))
    connection.execute(update.values(updated_s=time.time(), **values))


def _is_unchanged(claim: Claim) -> sa.ColumnElement[bool]:
    return sa.and_(
        _DELIVERIES.c.id == claim.id,
        _DELIVERIES.c.state == "pending",
        _DELIVERIES.c.attempts == claim.attempts,
    )
