"""A service on SQLite and on a real PostgreSQL server, with keys of two shops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.model import checkpoint
from sgmn.service import auth
from sgmn.service.app import create_app, open_context
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.settings import ServiceSettings
from tests.service.postgresql import run_server

Headers = dict[str, str]
MakeKey = Callable[..., Headers]
SHOP, OTHER_SHOP = "shop-a", "shop-b"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage once where a test runs on both databases, because it slows tests down."""
    for item in items:
        databases = getattr(item, "callspec", None)
        if databases is not None and databases.params.get("module_database") == "postgresql":
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a PostgreSQL server of this test process."""
    with run_server() as address:
        yield address


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """ "" for SQLite, or the address of an empty PostgreSQL database of this test module."""
    if request.param == "sqlite":
        yield ""
        return
    server = sa.make_url(request.getfixturevalue("postgresql_server"))
    name = "t_" + request.module.__name__.rpartition(".")[2]
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


@pytest.fixture(scope="session")
def model_folder(tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with random weights."""
    folder = tmp_path_factory.mktemp("service-model")
    checkpoint.save(tiny(), folder)
    return folder


@pytest.fixture
def settings(module_database: str, tmp_path: Path, model_folder: Path) -> ServiceSettings:
    """Settings of a service with an empty data folder and a tiny model."""
    return ServiceSettings(
        model=str(model_folder),
        data=tmp_path / "data",
        database_url=module_database,
        port=0,
        secret="the secret of the tests",
        allow_private_addresses=True,
        max_requests_per_s=0,  # tests ask more often than people
        max_failed_logins_per_minute=0,
    )


@pytest.fixture
def context(settings: ServiceSettings) -> Iterator[ServiceContext]:
    """An open service without background work, and with empty tables."""
    context = open_context(settings)
    yield context
    if not context.database.is_sqlite:
        with context.database.write() as connection:
            names = ", ".join(f'"{table.name}"' for table in tables.metadata.sorted_tables)
            connection.execute(sa.text(f"TRUNCATE {names}"))
    context.database.close()


@pytest.fixture
def client(context: ServiceContext) -> Iterator[TestClient]:
    """A client of the service; it has no key of its own."""
    with TestClient(create_app(context, components=()), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def make_key(context: ServiceContext) -> MakeKey:
    """Makes a key and returns the headers of a request with it."""

    def make(role: Any = "editor", shops: list[str] | None = None) -> Headers:
        with context.database.write() as connection:
            _, secret = auth.insert_key(connection, "test", role, shops)
        return {"Authorization": f"Bearer {secret}"}

    return make


@pytest.fixture
def admin(make_key: MakeKey) -> Headers:
    """Headers of an admin of all shops."""
    return make_key("admin")


@pytest.fixture
def editor(make_key: MakeKey) -> Headers:
    """Headers of an editor of SHOP."""
    return make_key("editor", [SHOP])


@pytest.fixture
def viewer(make_key: MakeKey) -> Headers:
    """Headers of a viewer of SHOP."""
    return make_key("viewer", [SHOP])


@pytest.fixture
def other_editor(make_key: MakeKey) -> Headers:
    """Headers of an editor of OTHER_SHOP."""
    return make_key("editor", [OTHER_SHOP])
