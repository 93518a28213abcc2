"""The console's page *Live* in a browser, beside `service_soak.py`: what it takes over time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.service_shop import read_pss_mb
from tests.service.console.browser import NAMES, open_browser
from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor
from tests.service.process import ServiceProcess

PICTURES = "() => [...document.querySelectorAll('.wall img')].map((image) => image.src)"


@dataclass(frozen=True, slots=True)
class WallSample:
    """What the page holds: memory in MB, elements and listeners.

    Attributes:
        heap: Objects of JavaScript, after garbage collection.
        pss: All processes of the browser.
        nodes: Elements and texts, also those that are no longer in the page.
        listeners: Listeners of events.
        changed: Pictures that differ from those of the sample before.
        errors: What the page has reported so far.
    """

    heap: float
    pss: float
    nodes: int
    listeners: int
    changed: int
    errors: int


class Wall:
    """The page, with all sessions that run."""

    def __init__(self, browser: Any, service: ConsoleService) -> None:
        self.visitor = Visitor(browser, service)
        self.visitor.log_in(service.process.admin_key)
        self.visitor.open("/console/live")
        self._protocol = self.visitor.context.new_cdp_session(self.visitor.page)
        self._protocol.send("Performance.enable")
        self._pictures: set[str] = set()

    def sleep(self, seconds: float) -> None:
        """Let the page run."""
        self.visitor.page.wait_for_timeout(1000 * seconds)

    def take_sample(self) -> WallSample:
        """Look at the page and at the processes of the browser."""
        self._protocol.send("HeapProfiler.collectGarbage")
        metrics = self._protocol.send("Performance.getMetrics")["metrics"]
        values = {metric["name"]: metric["value"] for metric in metrics}
        before, self._pictures = self._pictures, set(self.visitor.page.evaluate(PICTURES))
        return WallSample(
            heap=round(values["JSHeapUsedSize"] / 1e6, 2),
            pss=round(sum(map(read_pss_mb, find_browsers())), 1),
            nodes=int(values["Nodes"]),
            listeners=int(values["JSEventListeners"]),
            changed=len(self._pictures - before),
            errors=len(self.visitor.errors),
        )


@contextmanager
def open_wall(process: ServiceProcess, client: httpx.Client, catalogue: str) -> Iterator[Wall]:
    """Open the page in a browser."""
    with open_browser() as browser:
        yield Wall(browser, ConsoleService(process, client, catalogue))


def find_browsers() -> Iterator[int]:
    """The ids of the processes of all browsers on this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "exe").readlink().name
            (folder / "smaps_rollup").read_bytes()
        except OSError:  # it has ended meanwhile, or its memory is gone
            continue
        if name in NAMES:
            yield int(folder.name)
