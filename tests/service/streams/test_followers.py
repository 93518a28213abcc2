"""Followers of a log over real connections: resuming, reading slowly, and a service that stops."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from structlog.testing import capture_logs

from sgmn.service.app import create_app
from sgmn.service.context import ServiceContext
from sgmn.service.log import REVIEW, log_transaction
from sgmn.service.streams.hub import KEPT_ROWS, LogHub
from sgmn.service.streams.service import run_streams, streams_of
from sgmn.service.streams.store import insert_session
from tests.service.conftest import SHOP, Headers
from tests.service.process import wait_for

SESSION = "ses_" + "b" * 26
SQLITE_ONLY = pytest.mark.parametrize("module_database", ["sqlite"], indirect=True)


def append_rows(context: ServiceContext, count: int, size: int = 10) -> None:
    """Append rows to the log of the session, each in a transaction of its own."""
    for number in range(count):
        with log_transaction(context.database, streams_of(context).hub) as transaction:
            transaction.append(SESSION, REVIEW, {"number": number, "text": "x" * size})


@pytest.fixture
def address(context: ServiceContext) -> Iterator[str]:
    """The address of a service with a session that has ended."""
    values = dict.fromkeys(("source_redacted", "source_sealed"), "")
    values |= {"id": SESSION, "shop_id": SHOP, "catalogue_id": "cat", "state": "ended"}
    with log_transaction(context.database) as transaction:
        insert_session(transaction, {**values, "index_version": 1, "options": {}})
    config = uvicorn.Config(create_app(context, components=(run_streams,)), log_config=None, port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started, "the service")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    context.stopping.set()
    server.should_exit = True
    thread.join()


def read_seqs(address: str, headers: Headers, after: int, count: int) -> list[int]:
    """The numbers of the next rows of the stream."""
    found: list[int] = []
    url, resume = f"{address}/v1/sessions/{SESSION}/stream", {"Last-Event-ID": str(after)}
    with httpx.stream("GET", url, headers={**headers, **resume}, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:])["seq"])
            if len(found) == count:
                return found
    return found


@SQLITE_ONLY
def test_a_follower_resumes_after_its_last_row(
    address: str, context: ServiceContext, viewer: Headers
) -> None:
    append_rows(context, KEPT_ROWS + 50)  # more than are kept in memory
    last = KEPT_ROWS + 51
    assert read_seqs(address, viewer, 0, last) == list(range(1, last + 1))
    assert read_seqs(address, viewer, last - 5, 5) == list(range(last - 4, last + 1))
    writer = threading.Thread(target=append_rows, args=(context, 20))
    writer.start()
    assert read_seqs(address, viewer, last, 20) == list(range(last + 1, last + 21))
    writer.join()


@SQLITE_ONLY
def test_a_slow_follower_delays_nobody_and_misses_nothing(
    address: str, context: ServiceContext, viewer: Headers
) -> None:
    url = httpx.URL(address)
    with socket.create_connection((url.host, url.port or 80)) as slow:
        request = f"GET /v1/sessions/{SESSION}/stream HTTP/1.1\r\nHost: x\r\nAuthorization: "
        slow.sendall(f"{request}{viewer['Authorization']}\r\n\r\n".encode())
        append_rows(context, 500, size=20_000)  # more than all buffers on the way hold
        assert read_seqs(address, viewer, 0, 501) == list(range(1, 502))
        received = slow.makefile("rb")
        seqs: list[int] = []
        while len(seqs) < 501:
            line = received.readline()
            if line.startswith(b"id: "):
                seqs.append(int(line[4:]))
    assert seqs == list(range(1, 502))


@SQLITE_ONLY
def test_followers_that_do_not_read_delay_nobody_and_may_go_away(
    address: str, context: ServiceContext, viewer: Headers
) -> None:
    followers, rows, size = 10, 200, 40_000
    append_rows(context, rows, size)
    last = rows + 1
    with capture_logs() as entries, ExitStack() as stack:
        for _ in range(followers):
            stack.enter_context(open_without_reading(address, viewer))
        append_rows(context, rows, size)
        assert read_seqs(address, viewer, last, rows) == list(range(last + 1, last + rows + 1))
        stack.close()  # they go away while rows wait for them
        wait_for(lambda: count(entries, "request") > followers, "the end of all requests")
    assert count(entries, "request failed") == 0


def count(entries: list[Any], event: str) -> int:
    """How many entries of a log are about an event."""
    return sum(entry["event"] == event for entry in entries)


@contextmanager
def open_without_reading(address: str, headers: Headers) -> Iterator[socket.socket]:
    """Ask for the stream from its first row on, and read nothing of it."""
    url = httpx.URL(address)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((url.host, url.port or 80))
        request = f"GET /v1/sessions/{SESSION}/stream HTTP/1.1\r\nHost: x\r\nAuthorization: "
        connection.sendall(f"{request}{headers['Authorization']}\r\n\r\n".encode())
        yield connection


@SQLITE_ONLY
def test_followers_end_when_the_service_stops(
    address: str, context: ServiceContext, viewer: Headers
) -> None:
    url = f"{address}/v1/sessions/{SESSION}/stream"
    with httpx.stream("GET", url, headers=viewer, timeout=60) as response:
        lines = response.iter_lines()
        wait_for(lambda: next(lines).startswith("data: "), "the first row")
        context.stopping.set()
        assert all(not line.startswith("data: ") for line in lines)  # up to the end


def test_a_long_poll_sees_rows_of_other_processes(address: str, context: ServiceContext) -> None:
    hub = streams_of(context).hub

    def append_elsewhere() -> None:
        with log_transaction(context.database) as transaction:  # without the followers here
            transaction.append(SESSION, REVIEW, {"number": 0})

    async def poll() -> list[int]:
        other = LogHub(context.database)
        watcher = asyncio.create_task(other.watch_other_processes())
        waiting = asyncio.create_task(other.rows_after(SESSION, 1, 60.0))
        await asyncio.sleep(0)
        await asyncio.to_thread(append_elsewhere)
        rows = await waiting
        watcher.cancel()
        return [row.seq for row in rows]

    assert asyncio.run(poll()) == [2]
    assert not hub.is_closing


def test_a_worker_does_not_import_pytorch() -> None:
    code = "import sys, sgmn.service.streams.worker; print('torch' in sys.modules)"
    folder = Path(__file__).parents[3]
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert output.stdout == "False\n"
