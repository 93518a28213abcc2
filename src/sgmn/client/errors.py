"""Errors of the clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sgmn.errors import SgmnError


class ApiError(SgmnError):
    """An answer of the service that reports an error (application/problem+json).

    Args:
        status: The HTTP status, such as 404.
        problem: The problem document, as far as there is one.
        where: The request.

    Attributes:
        status: The HTTP status.
        detail: What is wrong, for people.
        errors: Invalid values: (where, message).
        request_id: Finds the request in the log of the service.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], where: str) -> None:
        self.status = status
        self.detail = str(problem.get("detail") or f"The service answered {status}.")
        self.request_id = str(problem.get("request_id", ""))
        self.errors: Sequence[tuple[str, str]] = [
            (str(error.get("where", "")), str(error.get("message", "")))
            for error in problem.get("errors", [])
        ]
        values = "".join(f"; {place} {message}" for place, message in self.errors)
        super().__init__(f"{status} {self.detail.rstrip('.')}{values}", where)


class UnreachableError(SgmnError):
    """A service that does not answer."""
