"""Sends the deliveries of the outbox while the service runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf

import httpcore
import httpx
import sqlalchemy as sa
import structlog

from sgmn.errors import FetchError, SgmnError
from sgmn.service import metrics
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.log import LogRow
from sgmn.service.outbound.client import open_outbound_client
from sgmn.service.outbound.policy import OutboundPolicy
from sgmn.service.webhooks import outbox
from sgmn.service.webhooks.outbox import Claim
from sgmn.service.webhooks.signature import signed_headers

_LOG = structlog.get_logger("sgmn.service")
_CLEANING_INTERVAL_S = 3600.0
_PAUSE_AFTER_ERROR_S = 2.0


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """Limits of sending.

    Attributes:
        timeout_s: Maximum duration of one attempt.
        lease_s: How long after a crash until another process repeats an attempt; longer than
            `timeout_s`.
        poll_s: How often the outbox is read.
        max_sending: Maximum number of attempts at the same time.
        max_per_webhook: Maximum number of attempts at the same time for one webhook. Those of
            one session follow each other.
        keep_days: How long settled deliveries are listed.
    """

    timeout_s: float = 15.0
    lease_s: float = 30.0
    poll_s: float = 0.25
    max_sending: int = 64
    max_per_webhook: int = 4
    keep_days: float = 30.0


class _DeletedError(SgmnError):
    """A delivery whose log row is gone."""


class WebhookSender:
    """Sends what is due, each message at least once. Run it by `run` until it is cancelled."""

    def __init__(self, context: ServiceContext, options: SenderOptions) -> None:
        self._context, self._options = context, options
        policy = OutboundPolicy.from_settings(context.settings)
        self._client = open_outbound_client(policy.rules, policy.webhook_schemes, options.timeout_s)
        self._sending: dict[asyncio.Task[None], Claim] = {}
        self._cleaned_s = 0.0

    async def run(self) -> None:
        """Send until cancelled. Errors are logged and do not end it."""
        try:
            while True:
                try:
                    await self._send_due()
                except Exception as error:  # noqa: BLE001 - such as a database that restarts
                    _LOG.error("the outbox of webhooks cannot be read", exc_info=error)
                    await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
                await asyncio.sleep(self._options.poll_s)
        finally:
            tasks = list(self._sending)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.aclose()

    async def _send_due(self) -> None:
        free = self._options.max_sending - len(self._sending)
        for claim in await asyncio.to_thread(self._claim, free) if free else ():
            task = asyncio.create_task(self._send(claim))
            self._sending[task] = claim
            task.add_done_callback(self._sending.pop)

    def _claim(self, limit: int) -> list[Claim]:
        database, options = self._context.database, self._options
        with database.read() as connection:  # SQLite lets everybody read, but one write
            sending = list(self._sending.values())
            due = outbox.find_due(connection, limit, sending, options.max_per_webhook)
        must_clean = time.time() - self._cleaned_s > _CLEANING_INTERVAL_S
        if not due and not must_clean:
            return []
        with database.write() as connection:
            if must_clean:
                self._cleaned_s = time.time()
                outbox.forget_old(connection, self._cleaned_s - 86_400 * options.keep_days)
            return outbox.claim(connection, due, options.lease_s)

    async def _send(self, claim: Claim) -> None:
        try:
            status, failure, retry_after_s = await self._attempt(claim)
            await asyncio.to_thread(self._record, claim, status, failure, retry_after_s)
        except Exception as error:  # noqa: BLE001 - it is sent again when its lease ends
            _LOG.error("a delivery was interrupted", delivery=claim.id, exc_info=error)

    async def _attempt(self, claim: Claim) -> tuple[int | None, str, float]:
        """Send a message once; return the status, what went wrong, and when to try again."""
        try:
            body = await asyncio.to_thread(self._read_body, claim)
            sealer = self._context.sealer
            sealed = (claim.secret_sealed, claim.previous_secret_sealed)
            secrets = [sealer.open(secret) for secret in sealed if secret is not None]
            url = sealer.open(claim.url_sealed)
            headers = signed_headers(secrets, claim.id, int(time.time()), body)
            headers = {**headers, "content-type": "application/json"}
            async with (
                asyncio.timeout(self._options.timeout_s),
                self._client.stream("POST", url, content=body, headers=headers) as response,
            ):
                self._client.cookies.clear()  # another webhook may have the same host
                retry_after_s = _parse_retry_after(response.headers.get("retry-after", ""))
                return response.status_code, f"answers {response.status_code}", retry_after_s
        except TimeoutError:
            return None, f"did not answer within {self._options.timeout_s:g} s", 0.0
        except FetchError as error:
            return None, error.message, 0.0
        except _DeletedError as error:
            return None, error.message, inf
        except SgmnError as error:
            return None, str(error), 0.0
        except (httpcore.TimeoutException, httpx.TimeoutException):
            return None, "did not answer in time", 0.0
        except (httpcore.ConnectError, OSError) as error:
            return None, f"cannot be reached ({type(error).__name__})", 0.0
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError) as error:
            return None, f"was interrupted ({type(error).__name__})", 0.0

    def _read_body(self, claim: Claim) -> bytes:
        log = tables.log
        query = sa.select(log).where(log.c.session_id == claim.session_id, log.c.seq == claim.seq)
        with self._context.database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise _DeletedError("belongs to a session that was deleted")
        return LogRow(**row).json.encode()

    def _record(self, claim: Claim, status: int | None, error: str, retry_after_s: float) -> None:
        with self._context.database.write() as connection:
            if status is not None and 200 <= status < 300:
                outbox.record_delivered(connection, claim, status)
                outcome = "delivered"
            elif status == 410:
                outbox.record_gone(connection, claim)
                outcome = "gone"
            else:
                outbox.record_failure(connection, claim, error, status, retry_after_s)
                outcome = "failed"
        metrics.ATTEMPTS.labels(outcome).inc()


def _parse_retry_after(text: str) -> float:
    """The seconds of a Retry-After header; 0 for a date or none."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


@asynccontextmanager
async def run_sender(context: ServiceContext) -> AsyncIterator[None]:
    """Send webhooks while the block runs. Raises SettingsError for a policy that is invalid."""
    sender = asyncio.create_task(WebhookSender(context, SenderOptions()).run())
    try:
        yield
    finally:
        sender.cancel()
        await asyncio.wait([sender])
