"""Downloads over TLS: HTTP/2 by negotiation, and certificates checked by the name of the host."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from sgmn.catalogue.fetch.fetcher import fetch_images
from tests.catalogue.fetch.image_server import make_options, make_png

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of localhost, and its key in the same file."""
    path = tmp_path / "localhost.pem"
    key, public = path.with_suffix(".key"), path.with_suffix(".crt")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    arguments = ["subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(public)]
    subprocess.run([*command.split(), *arguments], check=True, capture_output=True, timeout=60)
    path.write_bytes(key.read_bytes() + public.read_bytes())
    return path


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every HTTP/2 request with an image."""
    connection = H2Connection(H2Configuration(client_side=False))
    connection.initiate_connection()
    with suppress(ConnectionError, ssl.SSLError):
        while True:
            writer.write(connection.data_to_send())
            await writer.drain()
            data = await reader.read(65_536)
            if not data:
                break
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    headers = [(":status", "200"), ("content-type", "image/png")]
                    connection.send_headers(event.stream_id, headers)
                    connection.send_data(event.stream_id, make_png("h2"), end_stream=True)
    writer.close()


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """The port of a server that speaks only HTTP/2."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2"])
    ports: list[int] = []
    stop: list[Callable[[], object]] = []
    loop, started = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        listener = await asyncio.start_server(serve_connection, "127.0.0.1", 0, ssl=context)
        ports.append(listener.sockets[0].getsockname()[1])
        started.set()
        with suppress(asyncio.CancelledError):
            await listener.serve_forever()

    def run() -> None:
        task = loop.create_task(serve())
        stop.append(task.cancel)
        loop.run_until_complete(task)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    yield ports[0]
    loop.call_soon_threadsafe(stop[0])
    thread.join(timeout=10)


def test_images_over_http2_with_a_checked_certificate(
    certificate: Path, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = make_options(tmp_path / "cache", allow_private=True)
    urls = [f"https://{host}:{port}/a.png" for host in ("localhost", "127.0.0.1")]
    unknown = fetch_images(urls, options)
    assert all("certificate verify failed" in str(unknown[url].error) for url in urls)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    images = fetch_images(urls, options)
    path = images[urls[0]].path
    assert path is not None and path.read_bytes() == make_png("h2"), images[urls[0]].error
    assert "certificate verify failed" in str(images[urls[1]].error)  # another name
