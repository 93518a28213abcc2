"""Whether the service is alive, and whether it can answer requests."""

from __future__ import annotations

import os
from typing import Literal

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from sgmn import __version__
from sgmn.service.context import Context, ServiceContext
from sgmn.service.database.migrate import current_version, newest_version

router = APIRouter(tags=["health"])
_LOG = structlog.get_logger("sgmn.service")


class Health(BaseModel):
    """That the process answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


class Readiness(BaseModel):
    """Whether each part of the service works: "ok", or what is wrong."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


@router.get("/healthz", summary="Liveness")
def healthz() -> Health:
    """Answer if the process is alive."""
    return Health()


@router.get(
    "/readyz",
    summary="Readiness",
    responses={503: {"model": Readiness, "description": "Service Unavailable"}},
)
def readyz(context: Context, response: Response) -> Readiness:
    """Check the database and the data folder; 503 if one of them does not work."""
    checks = {"database": _check_database(context), "data": _check_data(context)}
    is_ready = all(result == "ok" for result in checks.values())
    if not is_ready:
        response.status_code = 503
    return Readiness(status="ok" if is_ready else "unavailable", checks=checks)


def _check_database(context: ServiceContext) -> str:
    try:
        version = current_version(context.database)
    except SQLAlchemyError as error:
        _LOG.error("database cannot be read", exc_info=error)
        return "cannot be read"
    return "ok" if version == newest_version() else f"has tables of version {version}"


def _check_data(context: ServiceContext) -> str:
    return "ok" if os.access(context.settings.data, os.W_OK) else "cannot be written"
