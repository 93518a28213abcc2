"""The routes of the API, one module for each resource."""

from __future__ import annotations

from fastapi import APIRouter

from sgmn.service.routes import (
    catalogues,
    health,
    imports,
    keys,
    operations,
    products,
    search,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    keys.router,
    catalogues.router,
    products.router,
    imports.router,
    search.router,
    operations.router,
)
