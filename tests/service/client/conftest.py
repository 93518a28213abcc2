"""A service on a real socket, and clients of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

import pytest
import uvicorn

from sgmn.client import Client
from sgmn.service import auth
from sgmn.service.app import create_app
from sgmn.service.components import Component
from sgmn.service.context import ServiceContext
from sgmn.service.streams.service import streams_of

RunService = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def module_database() -> str:
    """SQLite: what a client sees does not depend on the database."""
    return ""


@asynccontextmanager
async def open_hub(context: ServiceContext) -> AsyncIterator[None]:
    """Lets readers follow logs, without running streams."""
    hub = streams_of(context).hub
    hub.open()
    yield


@pytest.fixture
def run_service(context: ServiceContext) -> RunService:
    """Serves on a free port, or on a given one, while its block runs."""

    @contextmanager
    def run(port: int = 0, components: Sequence[Component] = (open_hub,)) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", port)) as listener:
            app = create_app(context, components)
            config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                streams_of(context).hub.close()
                thread.join()
                context.parts.clear()  # as in a new process

    return run


@pytest.fixture
def secret(context: ServiceContext) -> str:
    """The secret of an admin's key."""
    with context.database.write() as connection:
        return auth.insert_key(connection, "test", "admin", None)[1]


@pytest.fixture
def service(run_service: RunService) -> Iterator[str]:
    """The address of a service that runs no streams."""
    with run_service() as address:
        yield address


@pytest.fixture
def sgmn(service: str, secret: str) -> Iterator[Client]:
    """A client with an admin's key."""
    with Client(service, secret) as client:
        yield client
