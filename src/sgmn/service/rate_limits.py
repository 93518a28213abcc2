"""Limits of how often somebody may ask: token buckets in the memory of the process."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

from fastapi import Request

from sgmn.service.context import ServiceContext
from sgmn.service.problems import ApiError
from sgmn.service.settings import ServiceSettings

_PART = "rate-limits"
_MAX_BUCKETS = 100_000


class TokenBuckets:
    """A bucket of tokens for each name. It is full at first, and is refilled steadily.

    Args:
        rate_per_s: Tokens that a bucket gets in a second; 0 for no limit.
        size: Tokens that a bucket holds.
        max_buckets: Beyond it the bucket that was used least recently is forgotten, and so is full.
        clock: Seconds that never jump.
    """

    def __init__(
        self,
        rate_per_s: float,
        size: float,
        max_buckets: int = _MAX_BUCKETS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._rate_per_s, self._size, self._max_buckets = rate_per_s, size, max_buckets
        self._clock, self._lock = clock, Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def take(self, name: str) -> float:
        """Take a token out of a bucket; return 0, or the seconds until there is one again."""
        if not self._rate_per_s:
            return 0.0
        with self._lock:
            now_s = self._clock()
            tokens, then_s = self._buckets.pop(name, (self._size, now_s))
            tokens = min(self._size, tokens + (now_s - then_s) * self._rate_per_s)
            is_empty = tokens < 1
            self._buckets[name] = (tokens if is_empty else tokens - 1, now_s)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
        return (1 - tokens) / self._rate_per_s if is_empty else 0.0

    def give_back(self, name: str) -> None:
        """Put back a token that was taken out of a bucket."""
        with self._lock:
            if name in self._buckets:  # if it was forgotten, it is full
                tokens, then_s = self._buckets[name]
                self._buckets[name] = (min(self._size, tokens + 1), then_s)


class RateLimits:
    """The limits of one running service."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._requests = TokenBuckets(settings.max_requests_per_s, settings.max_requests_at_once)
        per_minute = settings.max_failed_logins_per_minute
        self._failures = TokenBuckets(per_minute / 60, max(1.0, per_minute))

    def count_request(self, key_id: str) -> None:
        """Count a request of a key. Raises ApiError: 429 if there were too many."""
        _require(self._requests.take(key_id), "The key has sent too many requests")

    def count_invalid_key(self, request: Request) -> None:
        """Count a request without a valid key, by its address. Raises ApiError, as above.

        Valid keys are accepted all the same: they may come by the same proxy.
        """
        _require(self._failures.take(f"key {_address(request)}"), "Too many requests had no key")

    def count_login(self, request: Request) -> None:
        """Count a login as failed, before its key is looked at. Raises ApiError, as above.

        So guesses that arrive together are counted, too. See `allow_login`.
        """
        wait_s = self._failures.take(f"login {_address(request)}")
        _require(wait_s, "There were too many failed logins")

    def allow_login(self, request: Request, key_id: str) -> None:
        """Count a login as a request of its valid key instead. Raises ApiError, as above."""
        self._failures.give_back(f"login {_address(request)}")
        self.count_request(key_id)


def rate_limits_of(context: ServiceContext) -> RateLimits:
    """The limits of a service."""
    if _PART not in context.parts:
        context.parts.setdefault(_PART, RateLimits(context.settings))  # atomic
    limits: RateLimits = context.parts[_PART]
    return limits


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _require(wait_s: float, what: str) -> None:
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        headers = {"Retry-After": str(seconds)}
        raise ApiError(429, f"{what}; try again in {seconds} s.", headers=headers)
