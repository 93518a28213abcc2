"""The routes of the API, one module for each resource."""

from __future__ import annotations

from fastapi import APIRouter

from sgmn.service.console import routes as console
from sgmn.service.console import stream as console_stream
from sgmn.service.routes import (
    catalogues,
    deliveries,
    docs,
    exports,
    health,
    imports,
    improvements,
    keys,
    log,
    media,
    metrics,
    operations,
    product_history,
    products,
    recordings,
    review_queue,
    reviews,
    search,
    sessions,
    webhooks,
    windows,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    docs.router,
    metrics.router,
    keys.router,
    catalogues.router,
    products.router,
    product_history.router,
    imports.router,
    improvements.router,
    search.router,
    operations.router,
    sessions.router,
    log.router,
    reviews.router,
    review_queue.router,
    media.router,
    windows.router,
    recordings.router,
    exports.router,
    webhooks.router,
    deliveries.router,
    console_stream.router,
    console.router,
)
