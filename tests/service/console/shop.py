"""A service with a shop, a session that has ended and one that runs, for a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sgmn.service.app import open_context
from sgmn.service.settings import ServiceSettings
from tests.service.conftest import SHOP
from tests.service.process import ServiceProcess, wait_for
from tests.service.streams.api import TERMINAL, add_catalogue
from tests.service.streams.shop import build_index
from tests.service.streams.world import make_video

SECRET = "the secret of the tests"
SETTINGS: dict[str, Any] = {
    "source_schemes": "file,https",
    "allow_private_addresses": "true",
    "secret": SECRET,
    "max_load": 1,  # a busy machine is no reason to wait
    "max_requests_per_s": 0,
    "log_level": "warning",
}


@dataclass
class ConsoleService:
    """A running service.

    Attributes:
        process: `sgmn serve`.
        client: Requests of an admin.
        catalogue: The catalogue of the shop.
        ended: A session of 40 s that has ended, with its recording.
        running: A session that runs in real time.
    """

    process: ServiceProcess
    client: httpx.Client
    catalogue: str
    ended: str = ""
    running: str = ""

    @property
    def address(self) -> str:
        """The address of the service, without a slash at its end."""
        return str(self.client.base_url).rstrip("/")

    def start_session(self, source: str, **options: Any) -> str:
        """Start a session and return its id."""
        body = {"catalogue_id": self.catalogue, "source": source, **options}
        response = self.client.post("/v1/sessions", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def get(self, path: str, **query: Any) -> Any:
        """The document at a path."""
        response = self.client.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def make_key(self, name: str, role: str = "editor") -> str:
        """Make a key of the shop and return its secret."""
        body = {"name": name, "role": role, "shops": [SHOP]}
        response = self.client.post("/v1/keys", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["secret"])

    def reviews(self, session: str) -> dict[str, dict[str, Any]]:
        """The reviews of a session by their id."""
        return {one["id"]: one for one in self.get(f"/v1/sessions/{session}/reviews")["items"]}

    def forget_reviews(self) -> None:
        """Delete all reviews."""
        for session in (self.ended, self.running):
            for review in self.reviews(session):
                self.client.delete(f"/v1/sessions/{session}/reviews/{review}").raise_for_status()

    def restart(self) -> None:
        """Kill the service and start it again at the same address."""
        self.process.environment["SGMN_PORT"] = str(self.client.base_url.port)
        self.process.kill()
        self.client.close()
        self.client = self.process.start()


@contextmanager
def run_console(folder: Path) -> Iterator[ConsoleService]:
    """Run the service; both sessions have windows."""
    media = folder / "media"
    media.mkdir()
    make_video(media / "ended.mp4", 40)
    make_video(media / "running.mp4", 900)
    index = build_index(folder / "shop")
    process = ServiceProcess(
        folder / "data", model=index.parent / "model", media_folder=media, **SETTINGS
    )
    context = open_context(ServiceSettings(data=folder / "data", secret=SECRET))
    catalogue = add_catalogue(context, index)
    context.database.close()
    service = ConsoleService(process, process.start(), catalogue)
    try:
        service.running = service.start_session("running.mp4", realtime=True)
        service.ended = service.start_session("ended.mp4", record=True)
        _wait_until_ready(service)
        yield service
    finally:
        service.process.stop()


def _wait_until_ready(service: ConsoleService) -> None:
    ended, running = (f"/v1/sessions/{one}" for one in (service.ended, service.running))
    wait_for(lambda: service.get(ended)["state"] in TERMINAL, "the end of a session")
    wait_for(lambda: service.get(f"{running}/now")["now"], "the first window")
