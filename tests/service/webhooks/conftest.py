"""A service that may post to loopback, a consumer, and rows to deliver."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.ids import new_id
from sgmn.service.settings import ServiceSettings
from sgmn.service.webhooks import outbox
from sgmn.service.webhooks.sender import SenderOptions, WebhookSender
from sgmn.service.webhooks.signature import new_secret
from tests.service.conftest import SHOP
from tests.service.rows import insert_row
from tests.service.webhooks.endpoint import Endpoint, run_endpoint

QUICK = SenderOptions(timeout_s=10.0, lease_s=20.0, poll_s=0.01)
RunSender = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def settings(module_database: str, tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        data=tmp_path / "data",
        database_url=module_database,
        secret="the secret of the tests",
        allow_private_addresses=True,
        webhook_schemes=("https", "http"),
    )


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with run_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def run_sender(context: ServiceContext) -> RunSender:
    """Sends in a thread while its block runs."""

    @contextmanager
    def run(**options: Any) -> Iterator[None]:
        loop, tasks = asyncio.new_event_loop(), list[asyncio.Task[None]]()
        started = threading.Event()

        async def send() -> None:
            sender = WebhookSender(context, replace(QUICK, **options))
            tasks.append(asyncio.create_task(sender.run()))
            started.set()
            await asyncio.wait(tasks)

        thread = threading.Thread(target=loop.run_until_complete, args=(send(),))
        thread.start()
        started.wait(60)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(tasks[0].cancel)
            thread.join()
            loop.close()

    return run


def add_webhook(
    context: ServiceContext, url: str, types: tuple[str, ...] = ("sgmn.event/1",), shop: str = SHOP
) -> tuple[str, str]:
    """Insert a webhook; return its id and its secret."""
    webhook_id, secret = new_id("whk"), new_secret()
    insert_row(
        context.database,
        tables.webhooks,
        id=webhook_id,
        shop_id=shop,
        url_sealed=context.sealer.seal(url),
        secret_sealed=context.sealer.seal(secret),
        types=list(types),
        state="active",
    )
    return webhook_id, secret


def add_session(context: ServiceContext, shop: str = SHOP) -> str:
    """Insert a session."""
    session_id = new_id("ses")
    insert_row(context.database, tables.sessions, id=session_id, shop_id=shop)
    return session_id


def add_row(
    context: ServiceContext, session_id: str, seq: int, row_type: str = "sgmn.event/1"
) -> int:
    """Insert a row of the log with its deliveries; return their number."""
    row = {"session_id": session_id, "seq": seq, "type": row_type, "wall_s": time.time()}
    with context.database.write() as connection:
        connection.execute(sa.insert(tables.log).values(**row, data={"text": "rot 红"}))
        return outbox.enqueue(connection, session_id, seq, row_type)


def deliveries(context: ServiceContext) -> list[Any]:
    """All deliveries, by number of their row."""
    query = sa.select(tables.deliveries).order_by(tables.deliveries.c.seq)
    with context.database.read() as connection:
        return list(connection.execute(query).mappings())
