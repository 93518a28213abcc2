"""Fixtures of the tests in this folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.live.webhook_server import WebhookServer


@pytest.fixture
def serve() -> Iterator[Callable[..., WebhookServer]]:
    """Start servers with a list of statuses; `is_held` makes one wait before it answers."""
    servers: list[WebhookServer] = []

    def start(*statuses: int, is_held: bool = False) -> WebhookServer:
        gate = threading.Event()
        if not is_held:
            gate.set()
        servers.append(WebhookServer(list(statuses), gate))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
