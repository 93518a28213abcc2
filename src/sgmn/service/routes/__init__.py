"""The routes of the API, one module for each resource."""

from __future__ import annotations

from fastapi import APIRouter

from sgmn.service.routes import catalogues, health, keys

ROUTERS: tuple[APIRouter, ...] = (health.router, keys.router, catalogues.router)
