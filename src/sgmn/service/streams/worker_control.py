"""The connection of a worker process to the service: reports, heartbeats, and the end of both."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from sgmn.service.streams.messages import ConnectionLost, MessageSocket
from sgmn.service.streams.worker_config import WorkerConfig

HEARTBEAT_S = 1.0
LAST_MESSAGES = ("finished", "failed")
_SERVICE_GONE = 3  # exit status


class WorkerControl:
    """Reports to the service. If the service is gone, the process exits at once.

    The journal is on disk before anything is reported, so nothing is lost.

    Args:
        connection: Connected to the service.

    Attributes:
        stop_event: Set when the service wants the session to end.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._lock = MessageSocket(connection), Lock()
        self.stop_event = Event()
        self._describe: Callable[[], dict[str, Any]] = dict
        self._on_stop: Callable[[], None] = lambda: None

    def receive_config(self) -> WorkerConfig:
        """Wait for the configuration, which is the first message."""
        return WorkerConfig.from_json(self._socket.receive().content["config"])

    def start(self, describe: Callable[[], dict[str, Any]]) -> None:
        """Start threads that wait for orders, and that report each second that this one lives."""
        self._describe = describe
        Thread(target=self._read_orders, name="orders", daemon=True).start()
        Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def on_stop(self, action: Callable[[], None]) -> None:
        """Run an action when the service wants the session to end, or now if it does already."""
        self._on_stop = action
        if self.stop_event.is_set():
            action()

    def report(self, kind: str, **content: Any) -> None:
        """Send a message to the service; before the last one, a heartbeat with all damage."""
        if kind in LAST_MESSAGES:
            self._report_alive()
        try:
            with self._lock:
                self._socket.send({"type": kind, **content})
        except ConnectionLost:
            os._exit(_SERVICE_GONE)

    def _read_orders(self) -> None:
        while True:
            try:
                order = self._socket.receive()
            except ConnectionLost:
                os._exit(_SERVICE_GONE)
            if order.type == "stop":
                self.stop_event.set()
                self._on_stop()

    def _beat(self) -> None:
        while True:
            self._report_alive()
            time.sleep(HEARTBEAT_S)

    def _report_alive(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        self.report("alive", cpu_s=cpu_s, rss_kb=usage.ru_maxrss, **self._describe())
