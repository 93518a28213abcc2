"""A consumer of a session's log that survives kill -9: it stores each row, which is its cursor.

    python -m tests.service.streams.consumer ADDRESS_FILE KEY SESSION ROWS_FILE

It follows the server-sent events from the row after the last whole line of ROWS_FILE on, and reads
the address of the service from ADDRESS_FILE before each connection.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx

RETRY_S = 0.1


def follow(address_file: Path, key: str, session: str, rows_file: Path) -> None:
    """Append rows until killed."""
    last_seq = discard_torn_line(rows_file)
    while True:
        try:
            url = f"{address_file.read_text().strip()}/v1/sessions/{session}/stream"
            headers = {"Authorization": f"Bearer {key}", "Last-Event-ID": str(last_seq)}
            with httpx.stream("GET", url, headers=headers, timeout=30) as response:
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        with rows_file.open("a") as file:
                            file.write(line.removeprefix("data: ") + "\n")
                        last_seq += 1
        except (httpx.HTTPError, OSError):
            time.sleep(RETRY_S)


def discard_torn_line(path: Path) -> int:
    """Discard a last line that a kill has cut short; return the number of whole lines."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)
    return whole.count(b"\n")


if __name__ == "__main__":
    follow(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
