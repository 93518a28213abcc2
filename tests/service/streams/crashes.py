"""Kills processes of a running service at random moments, and checks that nothing is lost.

`tools/service_crashes.py` runs many rounds, the tests one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from sgmn.service.app import open_context
from sgmn.service.settings import ServiceSettings
from sgmn.service.streams.journal import FILE_NAME, WindowRecord, read_journal
from tests.service.process import ServiceProcess, wait_for
from tests.service.streams.api import TERMINAL, add_catalogue
from tests.service.streams.world import comparable
from tests.service.webhooks.endpoint import Endpoint, run_endpoint

ROOT = Path(__file__).parents[3]
TARGETS = ("service", "worker", "encoder", "consumer", "importer")
SECRET = "the secret of the tests"
MODULES = {
    "worker": "sgmn.service.streams.worker",
    "encoder": "sgmn.service.streams.encoder",
    "importer": "multiprocessing.spawn",
}


@dataclass
class CrashRound:
    """One session, one import, one webhook and one consumer, while processes are killed.

    Attributes:
        folder: An empty folder.
        index: An index of six products of SHOP.
        model: The folder of its model.
        video: A recording, long enough that `last_window` is not its last one.
        rng: Chooses what is killed, and when.
        import_rows: Products that are imported meanwhile.
        last_window: Everything is killed before it.
        database_url: An empty PostgreSQL database; SQLite if there is none.
        kills: What was killed, and at which window.
    """

    folder: Path
    index: Path
    model: Path
    video: Path
    rng: Random
    import_rows: int = 300
    last_window: int = 280
    database_url: str = ""
    kills: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service = ServiceProcess(
            self.folder / "data",
            model=self.model,
            media_folder=self.video.parent,
            source_schemes="file,https",
            webhook_schemes="http,https",
            allow_private_addresses="true",
            secret=SECRET,
            database_url=self.database_url,
        )
        settings = ServiceSettings(
            data=self.folder / "data", secret=SECRET, database_url=self.database_url
        )
        context = open_context(settings)
        self.catalogue = add_catalogue(context, self.index)
        context.database.close()
        self.address_file = self.folder / "address"

    def run(self, targets: Sequence[str] = TARGETS) -> list[dict[str, Any]]:
        """Run the round and return the log of the session; asserts that nothing was lost.

        Each of the targets is killed once, in any order.
        """
        with run_endpoint() as endpoint:
            client = self._start_service()
            self._post(client, "/v1/webhooks", {"shop_id": "shop-a", "url": endpoint.url})
            operation = self._start_import(client)
            body = {"catalogue_id": self.catalogue, "source": self.video.name}
            session = self._post(client, "/v1/sessions", body)["id"]
            with self._consume(session) as restart_consumer:
                moments = sorted(self.rng.sample(range(3, self.last_window), len(targets)))
                for moment, target in zip(moments, self._shuffle(targets), strict=True):
                    self._wait_for_window(session, moment)
                    self.kills.append((target, self._windows(session)))
                    if target == "service":
                        self.service.kill()
                        client = self._start_service()
                    elif target == "consumer":
                        restart_consumer()
                    else:
                        kill_children(self.service.process.pid, MODULES[target])
                rows = self._wait_for_end(client, session)
                wait_for(lambda: len(self._consumed()) >= len(rows), "the last row")
            self._check_import(client, operation)
            check_deliveries(endpoint, session, rows)
            assert self._consumed() == rows  # each row once, in order
            self.service.stop()
        return rows

    def _start_service(self) -> httpx.Client:
        client = self.service.start()
        self.address_file.write_text(str(client.base_url))
        return client

    def _post(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = client.post(path, json=body)
        assert response.status_code in (201, 202), response.text
        document: dict[str, Any] = response.json()
        return document

    def _start_import(self, client: httpx.Client) -> str:
        new = {"shop_id": "shop-a", "name": "import"}
        place = self._post(client, "/v1/catalogues", new)["id"]
        rows = "".join(f"n{number},red milk {number}\n" for number in range(self.import_rows))
        answer = client.post(
            f"/v1/catalogues/{place}/imports",
            content="product_id,title\n" + rows,
            headers={"Content-Type": "text/csv"},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.headers["Location"])

    def _check_import(self, client: httpx.Client, operation: str) -> None:
        def ended() -> Any:
            document = client.get(operation).json()
            return document if document["ended_s"] else None

        document = wait_for(ended, "the end of the import")
        assert document["state"] == "succeeded", document
        catalogue = client.get(f"/v1/catalogues/{document['catalogue_id']}").json()
        assert catalogue["product_count"] == self.import_rows

    def _shuffle(self, targets: Sequence[str]) -> list[str]:
        return self.rng.sample(list(targets), len(targets))

    def _wait_for_window(self, session: str, count: int) -> None:
        wait_for(lambda: self._windows(session) >= count, f"window {count}")

    def _windows(self, session: str) -> int:
        path = self.folder / "data" / "sessions" / session / FILE_NAME
        return sum(isinstance(record, WindowRecord) for record in read_journal(path))

    def _wait_for_end(self, client: httpx.Client, session: str) -> list[dict[str, Any]]:
        def ended() -> bool:
            return client.get(f"/v1/sessions/{session}").json()["state"] in TERMINAL

        wait_for(ended, "the end of the session")
        rows: list[dict[str, Any]] = []
        while True:
            query = {"after": len(rows)}
            page = client.get(f"/v1/sessions/{session}/log", params=query).json()["rows"]
            if not page:
                return rows
            rows += page

    def _consumed(self) -> list[dict[str, Any]]:
        path = self.folder / "rows"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    @contextmanager
    def _consume(self, session: str) -> Iterator[Any]:
        """Run a consumer; yields what kills it and starts it again."""
        arguments = [str(self.address_file), self.service.admin_key, session]
        command = [sys.executable, "-m", "tests.service.streams.consumer", *arguments]
        command.append(str(self.folder / "rows"))
        processes = [subprocess.Popen(command, cwd=ROOT)]

        def restart() -> None:
            processes[-1].kill()
            processes[-1].wait()
            processes.append(subprocess.Popen(command, cwd=ROOT))

        try:
            yield restart
        finally:
            processes[-1].kill()
            processes[-1].wait()


def check_deliveries(endpoint: Endpoint, session: str, rows: list[dict[str, Any]]) -> None:
    """Check that a webhook got each row at least once, and each time the same."""
    wanted = {row["seq"]: row for row in rows}

    def delivered() -> bool:
        return {body["seq"] for _, body in endpoint.messages} >= set(wanted)

    wait_for(delivered, "the last delivery")
    ids: dict[int, set[str]] = {}
    for message_id, body in list(endpoint.messages):
        assert body["session"] == session and body["data"] == wanted[body["seq"]]["data"]
        ids.setdefault(body["seq"], set()).add(message_id)
    assert all(len(found) == 1 for found in ids.values())


def check_events(rows: list[dict[str, Any]], expected: list[tuple[Any, ...]]) -> None:
    """Check that a log holds the events of an uninterrupted run, and that none stays open."""
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    events = [row["data"] for row in rows if row["type"] == "sgmn.event/1"]
    assert comparable(events) == expected
    assert events[-1]["kind"] == "ended"
    states = [row["data"]["state"] for row in rows if row["data"].get("change") == "state"]
    assert states[0] == "queued" and states[-1] == "ended", states


def kill_children(parent: int, module: str) -> int:
    """Kill the processes of a module that a process has started; return how many."""
    killed = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent and any(module.encode() in part for part in command):
                os.kill(int(folder.name), signal.SIGKILL)
                killed += 1
    return killed
