"""Followers that do not read, on a service in its own process: memory and lost rows."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from sgmn.service.database.engine import Database
from sgmn.service.log import REVIEW, log_transaction
from sgmn.service.settings import ServiceSettings
from sgmn.service.streams.store import insert_session
from tests.service.conftest import SHOP
from tests.service.process import ServiceProcess

SESSION = "ses_" + "b" * 26
FOLLOWERS, ROWS, ROW_BYTES = 40, 1000, 10_000
# Of each follower, with its task, the buffer of its connection, and the memory of the threads that
# read for it. Where followers hold up to 500 rows, as they once did, it is 9 MB.
MAX_GROWTH_BYTES = 2 << 20


def read_resident_bytes(service: ServiceProcess) -> int:
    """The resident memory of a service."""
    pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def append_rows(database: Database, count: int) -> None:
    """Append large rows, a hundred in a transaction."""
    for _ in range(count // 100):
        with log_transaction(database) as transaction:
            for _ in range(100):
                transaction.append(SESSION, REVIEW, {"text": "x" * ROW_BYTES})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that has not been started."""
    service = ServiceProcess(tmp_path / "data", max_requests_per_s=0)
    yield service
    service.kill()


@contextmanager
def open_database(service: ServiceProcess) -> Iterator[Database]:
    """The database of a running service, with a session that has ended."""
    database = Database(ServiceSettings(data=service.data))
    values = dict.fromkeys(("source_redacted", "source_sealed"), "")
    values |= {"id": SESSION, "shop_id": SHOP, "catalogue_id": "cat", "state": "ended"}
    with log_transaction(database) as transaction:
        insert_session(transaction, {**values, "index_version": 1, "options": {}})
    yield database
    database.close()


def open_follower(client: httpx.Client, last_seq: int = 0) -> socket.socket:
    """Ask for the stream of rows, and read nothing yet."""
    url, key = client.base_url, client.headers["Authorization"]
    connection = socket.socket()
    connection.settimeout(60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((url.host, url.port))
    path = f"/v1/sessions/{SESSION}/stream"
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
    connection.sendall(f"{request}Last-Event-ID: {last_seq}\r\n\r\n".encode())
    return connection


def read_seqs(connection: socket.socket, last_seq: int) -> list[int]:
    """The numbers of all rows from here up to one."""
    found: list[int] = []
    with connection.makefile("rb") as lines:
        while not found or found[-1] < last_seq:
            line = lines.readline()
            assert line, f"the stream ended after rows {found[-1:]}"
            if line.startswith(b"data: "):
                found.append(json.loads(line[6:])["seq"])
    return found


@pytest.mark.slow
def test_followers_that_do_not_read_take_little_memory_and_miss_nothing(
    service: ServiceProcess,
) -> None:
    client, last = service.start(), ROWS + 1
    with open_database(service) as database, ExitStack() as stack:
        before = read_resident_bytes(service)
        followers = [stack.enter_context(open_follower(client)) for _ in range(FOLLOWERS)]
        append_rows(database, ROWS)
        with open_follower(client) as quick:  # all rows are there, and the others wait for nobody
            assert read_seqs(quick, last) == list(range(1, last + 1))
        growth = (read_resident_bytes(service) - before) / FOLLOWERS
        assert read_seqs(followers[0], last) == list(range(1, last + 1))
        first = read_seqs(followers[1], 100)
        followers[1].close()  # in the middle of what it has been sent
        with open_follower(client, last_seq=first[-1]) as again:
            assert first + read_seqs(again, last) == list(range(1, last + 1))
    assert growth < MAX_GROWTH_BYTES
