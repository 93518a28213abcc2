"""Logs that are followed: each row once, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sgmn.client import ApiError, AsyncClient, Client
from sgmn.client.sse import RowParser
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.log import EVENT, SESSION, log_transaction
from sgmn.service.streams.service import streams_of
from tests.media.streaming import wait_until
from tests.service.client.conftest import RunService
from tests.service.conftest import SHOP
from tests.service.rows import insert_row

SESSION_ID = "ses_" + "a" * 26


@pytest.fixture(autouse=True)
def session(context: ServiceContext) -> None:
    row = {"id": SESSION_ID, "shop_id": SHOP, "state": "running"}
    insert_row(context.database, tables.sessions, **row)


def append(context: ServiceContext, count: int, end: bool = False) -> None:
    with log_transaction(context.database, streams_of(context).hub) as transaction:
        for _ in range(count):
            transaction.append(SESSION_ID, EVENT, {"text": "红\n"})
        if end:
            transaction.append(SESSION_ID, SESSION, {"change": "state", "state": "ended"})


def test_rows_continue_after_the_service_was_restarted(
    run_service: RunService, secret: str, context: ServiceContext
) -> None:
    append(context, 3)
    seqs: list[int] = []

    def follow(address: str) -> None:
        with Client(address, secret) as client:
            for row in client.follow(SESSION_ID, after=1, until_end=True):
                assert row.type == SESSION or row.data == {"text": "红\n"}
                seqs.append(row.seq)

    with run_service() as address:
        reader = threading.Thread(target=follow, args=(address,))
        reader.start()
        wait_until(lambda: seqs == [2, 3])
    append(context, 2)
    with run_service(port=int(address.rpartition(":")[2])):
        wait_until(lambda: seqs == [2, 3, 4, 5], timeout_s=60)
        append(context, 2, end=True)
        reader.join(60)
    assert seqs == [2, 3, 4, 5, 6, 7, 8]


def test_the_asynchronous_client_follows(
    service: str, secret: str, context: ServiceContext
) -> None:
    append(context, 2, end=True)

    async def read() -> tuple[list[int], list[int]]:
        async with AsyncClient(service, secret) as client:
            followed = [row.seq async for row in client.follow(SESSION_ID, until_end=True)]
            return followed, [row.seq for row in await client.read_log(SESSION_ID, after=1)]

    assert asyncio.run(read()) == ([1, 2, 3], [2, 3])


def test_an_unknown_session_is_an_error(service: str, secret: str) -> None:
    with Client(service, secret) as client, pytest.raises(ApiError, match="404"):
        next(client.follow("ses_" + "b" * 26))


def test_a_row_that_was_cut_off_is_not_half_read() -> None:
    parser = RowParser()
    parser.feed('data: {"seq":1,')
    parser.reset()
    lines = ["data: " + '{"seq":1,"session":"s","type":"t","wall_s":0,"data":{}}', ""]
    rows = [parser.feed(line) for line in [": ping", "", *lines, *lines]]
    assert [row.seq for row in rows if row is not None] == [1]
