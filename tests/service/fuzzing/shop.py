"""A data folder with something of every kind, of which each part of a run gets a copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from sgmn.service import auth, logs
from sgmn.service.app import create_app, open_context
from sgmn.service.context import ServiceContext
from sgmn.service.settings import ServiceSettings
from tests.service.conftest import SHOP
from tests.service.imports.shop import Shop
from tests.service.isolation.world import build_target
from tests.service.streams.shop import build_index

_IDS, _DOCUMENT = "ids.json", "openapi.json"


@dataclass(frozen=True, slots=True)
class FuzzShop:
    """A copy of the shop.

    Attributes:
        context: The open service.
        key: The secret of an admin's key.
        ids: An id of something that exists for each parameter of a path.
    """

    context: ServiceContext
    key: str
    ids: dict[str, str]


def build_shop(folder: Path) -> None:
    """Build a tiny model and a shop with its catalogue, session, webhook and so on."""
    folder.mkdir()
    build_index(folder / "tiny")
    with _open(folder) as context:
        app = create_app(context, components=())
        (folder / _DOCUMENT).write_text(json.dumps(app.openapi()))
        headers = {"Authorization": f"Bearer {_make_key(context, 'editor', [SHOP])}"}
        with TestClient(app) as client:
            target = build_target(Shop(client, context, headers))
    (folder / _IDS).write_text(json.dumps(target.ids))


def read_document(shop: Path) -> dict[str, Any]:
    """The OpenAPI document of the service."""
    document: dict[str, Any] = json.loads((shop / _DOCUMENT).read_text())
    return document


@contextmanager
def open_copy(shop: Path, folder: Path) -> Iterator[FuzzShop]:
    """Copy the data of a shop that `build_shop` has built, and open it."""
    shutil.copytree(shop / "data", folder / "data")
    with _open(folder, model=shop / "tiny" / "model") as context:
        ids = json.loads((shop / _IDS).read_text())
        yield FuzzShop(context, _make_key(context, "admin", None), ids)


@contextmanager
def _open(folder: Path, model: Path | None = None) -> Iterator[ServiceContext]:
    settings = ServiceSettings(
        data=folder / "data",
        model=str(model or folder / "tiny" / "model"),
        secret="the secret of the tests",
        log_level="error",
        max_requests_per_s=0,
        max_failed_logins_per_minute=0,
    )
    logs.configure(settings)
    context = open_context(settings)
    try:
        yield context
    finally:
        context.database.close()


def _make_key(context: ServiceContext, role: auth.Role, shops: list[str] | None) -> str:
    with context.database.write() as connection:
        return auth.insert_key(connection, f"fuzz {role}", role, shops)[1]
