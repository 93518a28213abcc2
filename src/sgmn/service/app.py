"""The ASGI application: routes, errors, request ids, and what runs in the background."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.routing import APIRoute

from sgmn import __version__
from sgmn.errors import SgmnError
from sgmn.service import auth, problems
from sgmn.service.components import COMPONENTS, Component
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.database.engine import Database
from sgmn.service.database.migrate import upgrade
from sgmn.service.headers import SecurityHeaders
from sgmn.service.logs import RequestLog
from sgmn.service.metrics import RequestMetrics
from sgmn.service.openapi import build_document
from sgmn.service.routes import ROUTERS
from sgmn.service.sealing import load_sealer
from sgmn.service.settings import ServiceSettings

DESCRIPTION = (
    "Which product is being sold, moment by moment: catalogues of shops, streams, and the "
    "events that the service recognizes in them."
)


def open_context(settings: ServiceSettings) -> ServiceContext:
    """Open the data folder and the database, and bring its tables up to date."""
    settings.data.mkdir(parents=True, exist_ok=True)
    database = Database(settings)
    upgrade(database)
    return ServiceContext(settings, database, load_sealer(settings))


def ensure_admin_key(context: ServiceContext) -> str | None:
    """Create the first admin key if there is no key at all; return its secret, else None."""
    with context.database.write() as connection:
        if connection.execute(sa.select(tables.keys.c.id).limit(1)).first() is not None:
            return None
        given = context.settings.admin_key or None
        return auth.insert_key(connection, "first admin key", "admin", None, given)[1]


def create_app(context: ServiceContext, components: Sequence[Component] = COMPONENTS) -> FastAPI:
    """The application of an open service.

    Args:
        context: See `open_context`.
        components: What runs in the background while the application does.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                for component in components:
                    await stack.enter_async_context(component(context))
            except SgmnError as error:
                context.startup_error = error
                raise
            yield

    app = FastAPI(
        title="sgmn",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=_operation_id,
        max_body_size=context.settings.max_request_bytes,
    )
    app.state.context = context
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app)
    app.add_middleware(RequestMetrics)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = build_document(app)
    return app.openapi_schema
