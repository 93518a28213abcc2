"""`sgmn serve` as a process of its own, to be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

DEADLINE_S = 120.0


def wait_for(condition: Callable[[], Any], what: str, longest_pause_s: float = 0.2) -> Any:
    """The first true value of a condition, with a generous deadline.

    The pauses grow, so that asking takes no time from the processes that are waited for.
    """
    deadline, pause_s = time.monotonic() + DEADLINE_S, 0.02
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, longest_pause_s)
    raise AssertionError(f"waited {DEADLINE_S:.0f} s for {what}")


class ServiceProcess:
    """A service on a data folder that survives it.

    Args:
        data: The data folder.
        module: What runs: the command line of the service, or what behaves like it.
        settings: Settings, which become environment variables.
    """

    def __init__(self, data: Path, module: str = "sgmn.cli", **settings: object) -> None:
        self.module = module
        self.data, self.admin_key = data, "sgmn_" + "k" * 43
        variables = {f"SGMN_{name.upper()}": str(value) for name, value in settings.items()}
        self.environment = {
            **os.environ,
            **variables,
            "SGMN_DATA": str(data),
            "SGMN_PORT": "0",
            "SGMN_ADMIN_KEY": self.admin_key,
        }
        self.starts = 0

    def start(self) -> httpx.Client:
        """Start the process, wait until it listens, and return a client with an admin's key."""
        self.starts += 1
        self.log = self.data.parent / f"{self.data.name}-{self.starts}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, "serve"],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Listening on "), line + self.log.read_text()
        address = line.split()[2].rstrip(",")
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        client = httpx.Client(base_url=address, headers=headers, timeout=60)
        wait_for(lambda: _is_ready(client), "readiness")
        return client

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log about an event, since the last start."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]
        return [line for line in lines if line["event"] == name]

    def kill(self) -> None:
        """Kill the process at once, as a crash does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask the process to stop; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
