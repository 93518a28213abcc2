"""A sender of streams over TCP on loopback."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import av

_CHUNK_BYTES = 188 * 7


def to_mpeg_ts(path: Path) -> bytes:
    """A video as MPEG-TS, not encoded again."""
    output = io.BytesIO()
    with av.open(str(path)) as source, av.open(output, "w", format="mpegts") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    return output.getvalue()


class Sender:
    """Sends one content to each reader that connects, then hangs up; afterwards refuses readers.

    Args:
        contents: What the first, the second and each further reader get.
        pause_s: Pause between two packets of a content.
    """

    def __init__(self, contents: Sequence[bytes], pause_s: float = 0.0) -> None:
        self._contents, self._pause_s = list(contents), pause_s
        self._server = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        for content in self._contents:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                for start in range(0, len(content), _CHUNK_BYTES):
                    if self._stopped.wait(self._pause_s):
                        return
                    connection.sendall(content[start : start + _CHUNK_BYTES])
        self._server.close()
