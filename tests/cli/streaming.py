"""An address without a sender, and the events that a run has written."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


def closed_address() -> str:
    """Return an address with a password at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://ann:s3cret@127.0.0.1:{server.getsockname()[1]}"


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
