"""What the routes and the background work of the service share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from sgmn.errors import SgmnError
from sgmn.service.database.engine import Database
from sgmn.service.sealing import Sealer
from sgmn.service.settings import ServiceSettings


@dataclass(slots=True)
class ServiceContext:
    """The settings, the database and the secret of one running service.

    `parts` holds what one part of the service shares among its own routes, by name. `stopping` is
    set as soon as the service is asked to stop: answers that go on for long, such as streams of
    events, watch it and end by themselves. `startup_error` is why its background work could not
    start.
    """

    settings: ServiceSettings
    database: Database
    sealer: Sealer
    parts: dict[str, Any] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    startup_error: SgmnError | None = None


def get_context(request: Request) -> ServiceContext:
    """The context of the service that answers a request."""
    context: ServiceContext = request.app.state.context
    return context


Context = Annotated[ServiceContext, Depends(get_context)]
