"""Errors of the API as application/problem+json (RFC 9457)."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from sgmn.errors import SgmnError

MEDIA_TYPE = "application/problem+json"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_SQLITE_FULL, _POSTGRESQL_DISK_FULL = "database or disk is full", "53100"
_LOG = structlog.get_logger("sgmn.service")


class FieldError(BaseModel):
    """One invalid value of a request."""

    where: str = Field(description="The place of the value, such as body.name.")
    message: str


class ProblemDocument(BaseModel):
    """An error of the API."""

    type: str = Field(description="Identifies the kind of the problem.", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such catalogue."])
    errors: list[FieldError] = Field(default_factory=list, description="Invalid values, if any.")
    request_id: str = Field(default="", description="Find the request in the log by this id.")


class ApiError(Exception):
    """An error that the caller of the API gets as a problem document.

    Args:
        status: The HTTP status.
        detail: One sentence that says what is wrong, and how to correct it.
        errors: Invalid values: (where, message).
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, tuple(errors)
        self.headers = dict(headers or {})


def not_found(what: str) -> ApiError:
    """The 404 of an unknown id, which is also that of an id of another shop."""
    return ApiError(404, f"There is no such {what}.")


def from_sgmn_error(error: SgmnError, status: int = 422) -> ApiError:
    """The problem that an error of this package describes."""
    detail = error.message if error.remedy is None else f"{error.message}; {error.remedy}"
    where = "" if error.where is None else str(error.where)
    return ApiError(status, f"{where}: {detail}" if where else detail)


def invalid_body(error: ValidationError) -> ApiError:
    """The 422 of a body that a route parses by itself."""
    errors = [(".".join(["body", *map(str, e["loc"])]), e["msg"]) for e in error.errors()]
    return ApiError(422, "The request has an invalid body.", errors)


def to_response(request: Request, problem: ApiError) -> JSONResponse:
    """The answer to a request that failed."""
    document = ProblemDocument(
        type="about:blank",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=[FieldError(where=where, message=text) for where, text in problem.errors],
        request_id=getattr(request.state, "request_id", ""),
    )
    return JSONResponse(
        document.model_dump(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of problems with these statuses, for `responses=` of a route."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Answer every exception with a problem document."""
    app.add_exception_handler(ApiError, _handle_problem)
    app.add_exception_handler(SgmnError, _handle_sgmn_error)
    app.add_exception_handler(RequestValidationError, _handle_validation)
    app.add_exception_handler(HTTPException, _handle_http)
    app.add_exception_handler(OSError, _handle_os_error)
    app.add_exception_handler(OperationalError, _handle_database_error)
    app.add_exception_handler(Exception, _handle_bug)


async def _handle_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return to_response(request, error)


async def _handle_sgmn_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SgmnError)
    return to_response(request, from_sgmn_error(error))


async def _handle_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
    detail = f"The request has {len(errors)} invalid value{'s' if len(errors) > 1 else ''}."
    return to_response(request, ApiError(422, detail, errors))


async def _handle_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    details = {404: "There is nothing at this address.", 413: "The request body is too large."}
    detail = details.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
    return to_response(request, ApiError(error.status_code, detail, headers=headers))


def _allowed_methods(request: Request) -> set[str]:
    """The methods of all routes of a path; Starlette names only those of the first one."""
    found: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match != Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return found


async def _handle_os_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    if error.errno not in _NO_SPACE:
        return await _handle_bug(request, error)
    _LOG.error("no space is left", exc_info=error)
    return to_response(request, ApiError(507, "The disk of the service is full."))


async def _handle_database_error(request: Request, error: Exception) -> JSONResponse:
    """A full disk, or a database that does not answer: the request may be sent again later."""
    _LOG.error("database failed", exc_info=error)
    if _is_full(error):
        return to_response(request, ApiError(507, "The disk of the service is full."))
    headers = {"Retry-After": "5"}
    return to_response(request, ApiError(503, "The database does not answer.", headers=headers))


def _is_full(error: Exception) -> bool:
    """Whether a database has no space. The error's own text also has the values of the request."""
    cause = error.orig if isinstance(error, OperationalError) else error
    is_postgresql_full = getattr(cause, "sqlstate", None) == _POSTGRESQL_DISK_FULL
    return is_postgresql_full or str(cause) == _SQLITE_FULL


async def _handle_bug(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("request failed", exc_info=error)
    return to_response(request, ApiError(500, "The service failed; its log has the details."))
