"""A loopback HTTP server with images, and with every kind of failure that feeds meet."""

from __future__ import annotations

import asyncio
import gzip
import io
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from unittest import mock

from PIL import Image

from sgmn.catalogue.fetch import addresses
from sgmn.catalogue.fetch.options import FetchOptions

# Path prefixes whose image cannot be fetched, and what the error says.
FAILURES = {
    "missing": "answers with status 404",
    "error": "answers with status 500",
    "hang": "did not answer completely within",
    "drip": "did not answer completely within",
    "endless": "is larger than",
    "html": "is text/html, not an image",
    "broken": "cannot be read",
    "text": "is not a readable image",
    "bomb": "megapixels; the maximum is",
    "gzipped": "is larger than",
    "encoded": "content encoding 'br', which was not requested",
    "loopback": "is not public",
    "metadata": "169.254.169.254, which is not public",
    "network": "10.0.0.1, which is not public",
    "mapped": "is not public",
    "file": "redirects to 'file:///etc/passwd', which is neither an http nor",
    "circle": "redirects more than",
    "cut": "was interrupted",
    "nonsense": "was interrupted",
}
REDIRECTS = {
    "loopback": "http://127.0.0.2/a.png",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "network": "http://10.0.0.1/a.png",
    "mapped": "http://[::ffff:10.0.0.1]/a.png",
    "file": "file:///etc/passwd",
    "circle": "/circle/1",
    "moved": "/image/moved",
}


def make_png(seed: str) -> bytes:
    """A small image whose color depends on `seed`."""
    number = zlib.crc32(seed.encode())
    file = io.BytesIO()
    color = (number & 255, number >> 8 & 255, number >> 16 & 255)
    Image.new("RGB", (24, 16), color).save(file, "PNG")
    return file.getvalue()


def make_bomb() -> bytes:
    """A PNG of a few bytes that claims 9,000 x 9,000 pixels."""
    header = struct.pack(">IIBBBBB", 9_000, 9_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


BODIES = {
    "html": (b"<html>not found</html>", "content-type: text/html; charset=utf-8"),
    "broken": (make_png("broken")[:60], "content-type: image/png"),
    "text": (b"no image at all", "content-type: image/png"),
    "bomb": (make_bomb(), "content-type: image/png"),
    "gzipped": (gzip.compress(bytes(3_000_000)), "content-encoding: gzip"),
    "encoded": (b"?", "content-encoding: br"),
}


class ImageServer:
    """Answers by the first part of the path. `requests` counts them, `content` are other files."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.not_modified = 0
        self.content: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.failing: set[str] = set()  # paths that answer with status 503
        self.address = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ", 2)[1]
                self.requests[path] += 1
                if not await self._answer(path, head.lower(), writer):
                    break
        writer.close()

    async def _answer(self, path: str, head: str, writer: asyncio.StreamWriter) -> bool:
        kind = path.split("/")[1]
        if path in self.failing or (kind == "flaky" and self.requests[path] == 1):
            return await _send(writer, b"", "503 Busy", "retry-after: 0")
        if kind in REDIRECTS:
            return await _send(writer, b"", "302 Found", f"location: {REDIRECTS[kind]}")
        if kind in BODIES:
            body, header = BODIES[kind]
            return await _send(writer, body, "200 OK", header)
        if kind in ("missing", "error"):
            return await _send(writer, b"", "404 Gone" if kind == "missing" else "500 Oh")
        if kind in ("hang", "drip", "endless", "cut", "nonsense"):
            await _misbehave(kind, writer)
            return False
        if kind == "slow":
            await asyncio.sleep(0.2)
        return await self._send_content(path, head, writer)

    async def _send_content(self, path: str, head: str, writer: asyncio.StreamWriter) -> bool:
        body = self.content.get(path) or make_png(path)
        etag = f'"{zlib.crc32(body)}"'
        headers = [f"etag: {etag}"]
        if path in self.headers:
            headers.append(self.headers[path])
        if f"if-none-match: {etag}" in head:
            self.not_modified += 1
            return await _send(writer, b"", "304 Not Modified", *headers)
        return await _send(writer, body, "200 OK", *headers)


async def _send(writer: asyncio.StreamWriter, body: bytes, status: str, *headers: str) -> bool:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    return True


async def _misbehave(kind: str, writer: asyncio.StreamWriter) -> None:
    if kind == "hang":
        await asyncio.sleep(30)
    elif kind == "nonsense":
        writer.write(b"\x00\xff nonsense\r\n\r\n")
    elif kind == "cut":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nonly this")
    else:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n")
        part, pause_s = (b"x", 0.05) if kind == "drip" else (bytes(65_536), 0.0)
        for _ in range(10_000):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
    with suppress(ConnectionError):
        await writer.drain()


@contextmanager
def run_server() -> Iterator[ImageServer]:
    """Serve on a free port of 127.0.0.1 in another thread."""
    server, loop, started = ImageServer(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        host, port = listener.sockets[0].getsockname()[:2]
        server.address = f"http://{host}:{port}"
        started.set()
        with suppress(asyncio.CancelledError):
            await listener.serve_forever()

    stop: list[Callable[[], object]] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(serve())
        stop.append(task.cancel)
        loop.run_until_complete(task)
        connections = asyncio.all_tasks(loop)
        for connection in connections:
            connection.cancel()
        loop.run_until_complete(asyncio.gather(*connections, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop[0])
        thread.join(timeout=10)


def trust_server() -> mock._patch[Callable[[str], bool]]:
    """Take only 127.0.0.1 for a public address, besides those that are."""
    original = addresses.is_public
    return mock.patch.object(
        addresses, "is_public", lambda address: address == "127.0.0.1" or original(address)
    )


def make_options(folder: Path, **settings: float) -> FetchOptions:
    """Short limits, so that tests are fast."""
    limits = {"timeout_s": 1.0, "max_image_bytes": 1_000_000, "attempts": 2, "retry_delay_s": 0.01}
    return replace(FetchOptions(folder), **{**limits, **settings})  # type: ignore[arg-type]
