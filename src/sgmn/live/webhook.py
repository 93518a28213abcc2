"""Events to a web address: signed, in order, again when it fails, never in the caller's way.

A thread posts one event at a time. While one fails, those behind it wait; what finds the
queue full is dropped and counted. An event may arrive twice, as an answer can be lost.
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
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from math import inf
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from sgmn.errors import SettingsError, SgmnError

SIGNATURE = "X-Sgmn-Signature"
EVENT = "X-Sgmn-Event"
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How events are sent.

    `timeout_s`: how long connecting, or waiting for a piece of the answer, may take. An event
    is tried `attempts` times at most; the first wait is `wait_s`, each is twice the one
    before up to `longest_wait_s`, and all are cut by up to a half, at random, so that many
    senders do not come back together. `queue`: how many events may wait, the one that is
    being sent included.
    """

    timeout_s: float = 5.0
    attempts: int = 10
    wait_s: float = 0.5
    longest_wait_s: float = 30.0
    queue: int = 1000

    def __post_init__(self) -> None:
        holds = {
            "timeout_s": 0 < self.timeout_s < inf,
            "attempts": self.attempts >= 1,
            "wait_s": 0 < self.wait_s < inf,
            "longest_wait_s": self.wait_s <= self.longest_wait_s < inf,
            "queue": self.queue >= 1,
        }
        for field in fields(self):
            if not holds[field.name]:
                raise SettingsError(
                    f"{field.name} is {getattr(self, field.name)}",
                    where="webhook settings",
                    remedy=f"give a number such as {field.default}",
                )

    def backoff_s(self, failures: int, share: float) -> float:
        """Seconds to wait after some failures, 1 or more; `share` 0..1 is chance's part."""
        whole = min(self.longest_wait_s, self.wait_s * 2.0 ** min(failures - 1, 60))
        return whole * (1 + share) / 2


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What became of the events: `refused` by how many for each HTTP status.

    `trouble` is the last reason why one was not delivered at once, "" if there was none.
    """

    delivered: int
    refused: Mapping[int, int]
    dropped: int
    trouble: str = ""

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} with status {s}" for s, count in sorted(self.refused.items()))
        line = f"{self.delivered} delivered, {kinds or 'none'} refused, {self.dropped} dropped"
        return f"{line}; last trouble: {self.trouble}" if self.trouble else line


class Webhook:
    """Posts events to `url`; each is signed if there is a `secret`.

    A user and password in the URL become basic authentication. No message names more of the
    URL than its scheme and host. Redirects are not followed, and proxies not used.
    Raises SettingsError for what is no http or https URL.
    """

    def __init__(self, url: str, secret: str = "", settings: WebhookSettings | None = None) -> None:
        self._settings = settings or WebhookSettings()
        self._address = _Address(url)
        self._secret = secret.encode()
        self._delivered, self._dropped, self._refused = 0, 0, Counter[int]()
        self._trouble = ""
        self._waiting: deque[tuple[str, bytes]] = deque()  # the first is being sent
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def send(self, event: Mapping[str, Any]) -> bool:
        """Queue one event, as `events.to_json` gives it; at once. False if it was dropped.

        Raises SgmnError for an event without a whole number as `id`, or that JSON cannot hold.
        """
        if type(key := event.get("id")) is not int:
            raise SgmnError(f"its id is {key!r}", "webhook event", "give a whole number")
        try:
            body = json.dumps(event, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise SgmnError(f"{key} is no JSON ({error})", "webhook event") from error
        with self._changed:
            has_room = not self._is_closing and len(self._waiting) < self._settings.queue
            if has_room:
                self._waiting.append((str(key), body))
                self._changed.notify()
            else:
                self._dropped += 1
        return has_room

    def close(self, wait_s: float = 10.0) -> Deliveries:
        """Send what waits, for `wait_s` seconds at most, and say what became of all events.

        What is still waiting then is dropped; the one being sent counts as dropped too, though
        it may yet arrive. Closing again says the same.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(wait_s)
        with self._changed:
            self._stopped.set()
            self._dropped += len(self._waiting)
            self._waiting.clear()
            refused = dict(self._refused)
            return Deliveries(self._delivered, refused, self._dropped, self._trouble)

    def _work(self) -> None:
        while (first := self._first()) is not None:
            status = self._answer(*first)
            with self._changed:
                if self._stopped.is_set():
                    return
                self._waiting.popleft()
                self._count(status)

    def _first(self) -> tuple[str, bytes] | None:
        """The event whose turn it is; waits for one, None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            return self._waiting[0] if self._waiting else None

    def _count(self, status: int | None) -> None:
        if status is None:
            self._dropped += 1
        elif 200 <= status < 300:
            self._delivered += 1
        else:
            self._refused[status] += 1

    def _answer(self, key: str, body: bytes) -> int | None:
        """The status that settles an event; None if it was given up."""
        for failures in range(1, self._settings.attempts + 1):
            try:
                status = self._address.post(body, self._headers(key, body), self._settings)
            except (OSError, HTTPException) as error:
                self._trouble = type(error).__name__  # its words may hold the URL
            else:
                if 200 <= status < 300:
                    return status
                self._trouble = f"status {status}"
                if status < 500 and status != TOO_MANY:
                    return status
            is_last = failures == self._settings.attempts
            if is_last or self._stopped.wait(self._settings.backoff_s(failures, random.random())):
                break
        return None

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", EVENT: key}
        if self._secret:
            headers[SIGNATURE] = signature(self._secret, body)
        return headers


def signature(secret: bytes, body: bytes) -> str:
    """What the signature header says: the HMAC (RFC 2104) of the body's bytes by SHA-256."""
    return f"sha256={hmac.new(secret, body, sha256).hexdigest()}"


class _Address:
    """Where a URL leads; it keeps the credentials to itself."""

    def __init__(self, url: str) -> None:
        parts = _parsed(url)
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"

    def post(self, body: bytes, headers: Mapping[str, str], settings: WebhookSettings) -> int:
        """The status of the answer. Raises OSError and HTTPException where there is none."""
        connection = self._kind(self._host, self._port, timeout=settings.timeout_s)
        with closing(connection):
            connection.request("POST", self._target, body, {**headers, **self._headers})
            return connection.getresponse().status


def _parsed(url: str) -> SplitResult:
    """The URL's parts; a refusal shows nothing of it."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # as connecting will, where no one would hear it
    except ValueError:
        is_whole = False
    if not is_whole or not url.isascii() or any(sign <= " " or sign == "\x7f" for sign in url):
        raise SettingsError("is no address", "webhook URL", "give http:// or https://, in ASCII")
    return parts
