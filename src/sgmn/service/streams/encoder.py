"""The encoder process: one model for all streams of the service.

    python -m sgmn.service.streams.encoder SOCKET [--threads N] [--runtime NAME]

It listens on a local socket. Each connection is one stream: `open` names its products, and each
`window` brings the new frames of a window and is answered with `scores`. The windows that wait at
the same time are encoded together. It exits when standard input ends, that is with the service,
and writes a line of JSON about its load to standard output each second.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import selectors
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from sgmn.model.runtimes import TORCH
from sgmn.service.streams.encoder_jobs import EncoderJobs
from sgmn.service.streams.messages import ConnectionLost, Message, MessageBuffer, pack

REPORT_INTERVAL_S = 1.0
MAX_BATCH = 16  # windows that are encoded together
_READ_BYTES = 1 << 20
_SEND_TIMEOUT_S = 30.0
_LOG = logging.getLogger("sgmn.service.encoder")


class _Client:
    """A connection of a worker, or of the API for a heatmap."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.connection, self.number = connection, number
        self.buffer = MessageBuffer()

    def read(self) -> list[Message]:
        data = self.connection.recv(_READ_BYTES)
        if not data:
            raise ConnectionLost("the connection was closed")
        return self.buffer.feed(data)


class EncoderServer:
    """Reads requests from all connections and answers them in batches.

    Args:
        listener: A listening local socket.
        jobs: Does the work.
        report: Called each second with the load.
    """

    def __init__(
        self,
        listener: socket.socket,
        jobs: EncoderJobs,
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        self._jobs, self._report = jobs, report
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._clients: dict[int, _Client] = {}
        self._waiting: list[tuple[_Client, Message]] = []
        self._count, self._busy_s, self._windows = 0, 0.0, 0
        self._reported_s = monotonic()

    def watch_parent(self, descriptor: int) -> None:
        """Exit as soon as `descriptor` ends."""
        self._selector.register(descriptor, selectors.EVENT_READ, "parent")

    def serve(self) -> None:
        """Serve until the parent is gone."""
        while self._step():
            if monotonic() - self._reported_s >= REPORT_INTERVAL_S:
                self._send_report()

    def _step(self) -> bool:
        for key, _ in self._selector.select(0 if self._waiting else REPORT_INTERVAL_S):
            if key.data == "parent":
                if not os.read(key.fd, 1024):
                    return False
            elif key.data is None:
                self._accept(key.fileobj)
            else:
                self._read(key.data)
        started_s = monotonic()
        if self._waiting:
            size = 1 if self._jobs.is_careful else MAX_BATCH
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            self._answer(batch)
            self._busy_s += monotonic() - started_s
            self._windows += sum(message.type == "window" for _, message in batch)
        return True

    def _accept(self, listener: Any) -> None:
        connection, _ = listener.accept()
        connection.settimeout(_SEND_TIMEOUT_S)
        self._count += 1
        client = _Client(connection, self._count)
        self._clients[client.number] = client
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _read(self, client: _Client) -> None:
        try:
            self._waiting.extend((client, message) for message in client.read())
        except (OSError, ConnectionLost):
            self._drop(client)

    def _answer(self, batch: list[tuple[_Client, Message]]) -> None:
        requests = [(client.number, message) for client, message in batch]
        for (client, _), (content, parts) in zip(batch, self._jobs.run(requests), strict=True):
            if client.number not in self._clients:
                continue
            try:
                client.connection.sendall(pack(content, parts))
            except OSError:  # the worker is gone
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        client.connection.close()
        del self._clients[client.number]
        self._waiting = [pair for pair in self._waiting if pair[0] is not client]
        self._jobs.forget(client.number)

    def _send_report(self) -> None:
        now_s = monotonic()
        self._report(
            {
                "busy": self._busy_s / (now_s - self._reported_s),
                "windows": self._windows,
                "streams": self._jobs.stream_count,
                "waiting": len(self._waiting),
            }
        )
        self._reported_s, self._busy_s, self._windows = now_s, 0.0, 0


def _write_report(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the encoder process."""
    parser = argparse.ArgumentParser(description="Encoder process of sgmn serve.")
    parser.add_argument("socket", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runtime", default=TORCH)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    import torch

    torch.set_num_threads(arguments.threads)
    with socket.socket(socket.AF_UNIX) as listener:
        arguments.socket.unlink(missing_ok=True)
        listener.bind(str(arguments.socket))
        arguments.socket.chmod(0o600)
        listener.listen(128)
        server = EncoderServer(listener, EncoderJobs(arguments.runtime), _write_report)
        server.watch_parent(sys.stdin.fileno())
        _write_report({"ready": True})
        server.serve()


if __name__ == "__main__":
    main()
