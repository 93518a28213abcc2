"""A small internet on loopback: 127.0.0.1 counts as public, 127.0.0.2 as a private address.

Names are resolved by a resolver of the tests, which may change its answers from one question to
the next, as in DNS rebinding.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

from sgmn.catalogue.fetch import addresses

_ANN = f"Basic {b64encode(b'ann:s3cret').decode()}"
PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"


class Resolver:
    """Answers for names: each question takes the next answer, and the last one stays.

    Attributes:
        answers: The addresses of each name.
        questions: The names that were asked for, without IP addresses.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {
            "shop.example": [PUBLIC],
            "cdn.example": [PUBLIC],
            "inside.example": [PRIVATE],
        }
        self.questions: list[str] = []
        self._original = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self.answers:
            return self._original(host, port, *args, **kwargs)
        self.questions.append(name)
        answers = self.answers[name]
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return self._original(address, port, *args, **kwargs)


@contextmanager
def run_resolver() -> Iterator[Resolver]:
    """Resolve the names of the tests, and take 127.0.0.1 for a public address."""
    resolver, original = Resolver(), addresses.is_public
    with (
        mock.patch.object(socket, "getaddrinfo", resolver),
        mock.patch.object(addresses, "is_public", lambda ip: ip == PUBLIC or original(ip)),
    ):
        yield resolver


class WebServer(ThreadingHTTPServer):
    """Serves files from memory and redirects, and records its requests.

    Attributes:
        files: Content by path.
        redirects: Targets by path.
        requests: The paths that were requested.
        protected: Paths that need the user ann with the password s3cret.
    """

    def __init__(self, address: str, certificate: Path | None = None) -> None:
        super().__init__((address, 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.requests: list[str] = []
        self.protected: set[str] = set()
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def add_folder(self, folder: Path) -> None:
        """Serve the files of a folder."""
        self.files.update({f"/{path.name}": path.read_bytes() for path in folder.iterdir()})

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect, and failed handshakes."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append(self.path)
        if path in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.server.files.get(path)
        status = 404 if content is None else 200
        if path in self.server.protected and self.headers.get("Authorization") != _ANN:
            status, content = 401, b""
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="shop"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("Set-Cookie", "visitor=1")
        self.end_headers()
        self.wfile.write(content or b"")


@contextmanager
def run_web(address: str, certificate: Path | None = None) -> Iterator[WebServer]:
    """Run a web server on a free port of an address."""
    with WebServer(address, certificate) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def make_certificate(folder: Path, *names: str) -> Path:
    """A self-signed certificate of some names, and its key in the same file."""
    path = folder / f"{names[0]}.pem"
    key, public = path.with_suffix(".key"), path.with_suffix(".crt")
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={names[0]} -addext"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    arguments = [f"subjectAltName={alternatives}", "-keyout", str(key), "-out", str(public)]
    subprocess.run([*command.split(), *arguments], check=True, capture_output=True, timeout=60)
    path.write_bytes(key.read_bytes() + public.read_bytes())
    return path
