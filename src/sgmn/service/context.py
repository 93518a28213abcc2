"""What the routes and the background work of the service share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from sgmn.service.database.engine import Database
from sgmn.service.sealing import Sealer
from sgmn.service.settings import ServiceSettings


@dataclass(slots=True)
class ServiceContext:
    """The settings, the database and the secret of one running service."""

    settings: ServiceSettings
    database: Database
    sealer: Sealer


def get_context(request: Request) -> ServiceContext:
    """The context of the service that answers a request."""
    context: ServiceContext = request.app.state.context
    return context


Context = Annotated[ServiceContext, Depends(get_context)]
