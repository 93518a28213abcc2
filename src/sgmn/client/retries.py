"""When a request is sent again: after failures that may be temporary, and only if that is safe."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import httpx

from sgmn.client.calls import Call
from sgmn.client.errors import ApiError

ATTEMPTS = 5
_FIRST_DELAY_S, _MAX_DELAY_S, _MAX_RETRY_AFTER_S = 0.25, 8.0, 60.0
TEMPORARY = frozenset({429, 502, 503, 504})
_SAFE_METHODS = frozenset({"GET", "PUT", "DELETE"})  # of this API: the same again does no harm


def may_repeat(call: Call[Any], attempt: int) -> bool:
    """Whether a request may be sent again after its `attempt`-th failure, counted from 1."""
    is_safe = call.method in _SAFE_METHODS or "Idempotency-Key" in call.headers
    return attempt < ATTEMPTS and is_safe


def is_temporary(response: httpx.Response) -> bool:
    """Whether an answer asks to come back later."""
    # A request that is sent again, while the service still works on it, is a conflict for now.
    is_going_on = response.status_code == 409 and "retry-after" in response.headers
    return response.status_code in TEMPORARY or is_going_on


def delay_s(attempt: int, headers: Mapping[str, str] | None = None) -> float:
    """The seconds to wait after the `attempt`-th failure, as the service asks if it does."""
    text = "" if headers is None else headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return min(float(text), _MAX_RETRY_AFTER_S)
    return min(_FIRST_DELAY_S * 2.0 ** (attempt - 1), _MAX_DELAY_S) * random.uniform(0.5, 1.0)


def to_error(response: httpx.Response) -> ApiError:
    """The error of an answer that was read."""
    request = response.request
    try:
        problem = response.json()
    except ValueError:  # such as the page of a proxy
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(response.status_code, problem, f"{request.method} {request.url.path}")
