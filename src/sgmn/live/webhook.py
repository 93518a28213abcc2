"""Sends events to a web address: signed, in order, with retries, without blocking the caller.

A thread posts one event at a time. While an event fails, those behind it wait. Events that find
the queue full are dropped and counted. An event may arrive twice, because a response can be lost.
"""

from __future__ import annotations

import hmac
import json
import random
import threading
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from math import inf
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from sgmn.errors import SettingsError, SgmnError

SIGNATURE_HEADER = "X-Sgmn-Signature"
EVENT_ID_HEADER = "X-Sgmn-Event"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Settings for sending events.

    Attributes:
        timeout_s: Limit for connecting, and for waiting for a piece of the response, in seconds.
        attempts: Maximum number of attempts per event.
        initial_backoff_s: Wait before the second attempt, in seconds. Each further wait is twice
            as long as the previous one, up to `max_backoff_s`. A random part of up to a half is
            subtracted, so that many senders do not retry at the same time.
        max_backoff_s: The longest wait between attempts, in seconds.
        queue_size: Maximum number of waiting events, including the one being sent.
    """

    timeout_s: float = 5.0
    attempts: int = 10
    initial_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    queue_size: int = 1000

    def __post_init__(self) -> None:
        is_valid = {
            "timeout_s": 0 < self.timeout_s < inf,
            "attempts": self.attempts >= 1,
            "initial_backoff_s": 0 < self.initial_backoff_s < inf,
            "max_backoff_s": self.initial_backoff_s <= self.max_backoff_s < inf,
            "queue_size": self.queue_size >= 1,
        }
        for field in fields(self):
            if not is_valid[field.name]:
                raise SettingsError(
                    f"{field.name} is {getattr(self, field.name)}",
                    where="webhook settings",
                    remedy=f"pass a number such as {field.default}",
                )

    def backoff_s(self, failures: int, jitter: float) -> float:
        """Return the seconds to wait after `failures` (1 or more) failed attempts.

        `jitter` 0..1 is random: 1 gives the full wait, 0 half of it.
        """
        full_s = min(self.max_backoff_s, self.initial_backoff_s * 2.0 ** min(failures - 1, 60))
        return full_s * (1 + jitter) / 2


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """The numbers of events that were delivered, refused and dropped.

    Attributes:
        delivered: Events with a response of 2xx.
        refused: Number of refused events by HTTP status.
        dropped: Events that were given up.
        last_error: The last reason why an attempt failed; "" if none failed.
    """

    delivered: int
    refused: Mapping[int, int]
    dropped: int
    last_error: str = ""

    def __str__(self) -> str:
        counts = [f"{count} with status {status}" for status, count in sorted(self.refused.items())]
        refused = ", ".join(counts) or "none"
        line = f"{self.delivered} delivered, {refused} refused, {self.dropped} dropped"
        return f"{line}; last error: {self.last_error}" if self.last_error else line


class Webhook:
    """Posts events to a URL from a thread of its own; `close` ends the thread.

    A user and password in the URL become basic authentication. Messages never contain the URL.
    Redirects are not followed and proxies are not used.

    Args:
        url: An http or https URL.
        secret: Key of the signature; without one events are not signed.
        settings: Time-outs, retries and queue; the defaults if None.

    Raises:
        SettingsError: The URL is not a valid http or https URL.
    """

    def __init__(self, url: str, secret: str = "", settings: WebhookSettings | None = None) -> None:
        self._settings = settings or WebhookSettings()
        self._endpoint = _Endpoint(url)
        self._secret = secret.encode()
        self._delivered, self._dropped, self._refused = 0, 0, Counter[int]()
        self._last_error = ""
        self._queue: deque[tuple[str, bytes]] = deque()  # the first one is being sent
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._send_queue, name="webhook", daemon=True)
        self._thread.start()

    def send(self, event: Mapping[str, Any]) -> bool:
        """Queue one event, as `events.to_json` returns it, without waiting.

        Returns:
            Whether the event was queued. False means that it was dropped.

        Raises:
            SgmnError: The event has no integer `id`, or cannot be represented as JSON.
        """
        if type(event_id := event.get("id")) is not int:
            raise SgmnError(f"id is {event_id!r}", "webhook event", "pass an integer")
        try:
            body = json.dumps(event, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            message = f"event {event_id} cannot be represented as JSON ({error})"
            raise SgmnError(message, "webhook event", "pass the output of to_json") from error
        with self._changed:
            has_room = not self._is_closing and len(self._queue) < self._settings.queue_size
            if has_room:
                self._queue.append((str(event_id), body))
                self._changed.notify()
            else:
                self._dropped += 1
        return has_room

    def close(self, timeout_s: float = 10.0) -> DeliveryReport:
        """Send the queued events for at most `timeout_s` seconds, and report on all events.

        Events that are still queued after that are dropped. The one being sent also counts as
        dropped, although it may still arrive. Closing again returns the same report.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        with self._changed:
            self._stopped.set()
            self._dropped += len(self._queue)
            self._queue.clear()
            refused = dict(self._refused)
            return DeliveryReport(self._delivered, refused, self._dropped, self._last_error)

    def _send_queue(self) -> None:
        while (first := self._wait_for_first()) is not None:
            status = self._post_with_retries(*first)
            with self._changed:
                if self._stopped.is_set():
                    return
                self._queue.popleft()
                self._count(status)

    def _wait_for_first(self) -> tuple[str, bytes] | None:
        """Wait for the first queued event and return it; None if there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing)
            return self._queue[0] if self._queue else None

    def _count(self, status: int | None) -> None:
        if status is None:
            self._dropped += 1
        elif _is_success(status):
            self._delivered += 1
        else:
            self._refused[status] += 1

    def _post_with_retries(self, event_id: str, body: bytes) -> int | None:
        """Return the status that settles an event; None if all attempts failed."""
        for attempt in range(1, self._settings.attempts + 1):
            try:
                status = self._endpoint.post(body, self._headers(event_id, body), self._settings)
            except (OSError, HTTPException) as error:
                self._last_error = type(error).__name__  # its message may contain the URL
            else:
                if _is_success(status):
                    return status
                self._last_error = f"status {status}"
                if status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS:
                    return status
            is_last = attempt == self._settings.attempts
            if is_last or self._stopped.wait(self._settings.backoff_s(attempt, random.random())):
                break
        return None

    def _headers(self, event_id: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", EVENT_ID_HEADER: event_id}
        if self._secret:
            headers[SIGNATURE_HEADER] = compute_signature(self._secret, body)
        return headers


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def compute_signature(secret: bytes, body: bytes) -> str:
    """Return the value of the signature header: the HMAC-SHA256 (RFC 2104) of the body."""
    return f"sha256={hmac.new(secret, body, sha256).hexdigest()}"


class _Endpoint:
    """Host, path and credentials of a URL. It has no representation that shows them."""

    def __init__(self, url: str) -> None:
        parts = _parse_url(url)
        self._connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {}
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            encoded = b64encode(credentials.encode()).decode()
            self._headers["Authorization"] = f"Basic {encoded}"

    def post(self, body: bytes, headers: Mapping[str, str], settings: WebhookSettings) -> int:
        """Post the body and return the status. Raises OSError or HTTPException without one."""
        connection = self._connection_class(self._host, self._port, timeout=settings.timeout_s)
        with closing(connection):
            connection.request("POST", self._target, body, {**headers, **self._headers})
            return connection.getresponse().status


def _parse_url(url: str) -> SplitResult:
    """Split a URL into its parts. The error message contains nothing of the URL."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # connecting would fail later, in the thread
    except ValueError:
        is_valid = False
    if not is_valid or not url.isascii() or any(sign <= " " or sign == "\x7f" for sign in url):
        remedy = "pass an http:// or https:// URL in ASCII"
        raise SettingsError("is not a valid URL", "webhook URL", remedy)
    return parts
