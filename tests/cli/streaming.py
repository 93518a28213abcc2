"""Senders of live streams over TCP, and the events that a run has written."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def serve_stream(data: bytes, closes: bool = True) -> Iterator[str]:
    """Serve `data` once over TCP, then close the connection or stay silent until it is closed."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            connection = server.accept()[0]
            server.close()
            with connection:
                connection.sendall(data)
                if not closes:
                    select.select([connection], [], [], 60)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
        thread.join(5)


def closed_address() -> str:
    """Return an address with a password at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://ann:s3cret@127.0.0.1:{server.getsockname()[1]}"


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
