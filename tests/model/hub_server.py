"""A model hub on loopback that speaks what the client needs to push and pull models."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "c" * 40


class Hub(ThreadingHTTPServer):
    """Attributes: `files` of each model by path, `private` models, and the `token` to write."""

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token = token
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()

    @property
    def address(self) -> str:
        """The value of HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Requests of `huggingface_hub`; everything else is answered with 404."""

    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def do_HEAD(self) -> None:
        self.send_file(body=False)

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self.send_info("/".join(parts[2:4]), tree="tree" in parts)
        else:
            self.send_file(body=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return self.send_json({"error": "Invalid username or password."}, 401)
        parts = self.path.strip("/").split("/")
        if self.path == "/api/repos/create":
            return self.create(json.loads(body))
        if self.path == "/api/validate-yaml":
            return self.send_json({"errors": [], "warnings": []})
        name = "/".join(parts[2:4])
        if "preupload" in parts:
            files = json.loads(body)["files"]
            mode = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self.send_json({"files": [mode | {"path": f["path"]} for f in files]})
        if "commit" in parts:
            return self.commit(name, body)
        return self.send_json({"error": "unknown"}, 404)

    def create(self, request: dict[str, Any]) -> None:
        """Create a model."""
        owner = request.get("organization") or "user"
        name = request["name"] if "/" in request["name"] else f"{owner}/{request['name']}"
        self.server.files.setdefault(name, {})
        if request.get("private") or request.get("visibility") == "private":
            self.server.private.add(name)
        self.send_json({"url": f"{self.server.address}/{name}", "name": name})

    def commit(self, name: str, body: bytes) -> None:
        """Store the files of a commit."""
        for line in body.decode().splitlines():
            operation = json.loads(line)
            if operation["key"] == "file":
                value = operation["value"]
                self.server.files[name][value["path"]] = base64.b64decode(value["content"])
        address = f"{self.server.address}/{name}/commit/{COMMIT}"
        self.send_json({"success": True, "commitUrl": address, "commitOid": COMMIT})

    def send_info(self, name: str, tree: bool) -> None:
        """Describe a model, or list its files."""
        files = self.server.files.get(name)
        if files is None:
            return self.send_missing("RepoNotFound")
        if tree:
            oid = {name: hashlib.sha1(data).hexdigest() for name, data in files.items()}
            entries = [{"path": p, "size": len(d), "oid": oid[p]} for p, d in files.items()]
            return self.send_json([{"type": "file"} | entry for entry in entries])
        siblings = [{"rfilename": path, "size": len(data)} for path, data in files.items()]
        self.send_json({"id": name, "sha": COMMIT, "siblings": siblings, "private": False})
        return None

    def send_file(self, body: bool) -> None:
        """Send a file at /USER/MODEL/resolve/REVISION/PATH."""
        parts = self.path.split("?")[0].strip("/").split("/")
        files = self.server.files.get("/".join(parts[:2]))
        if files is None or len(parts) < 5:
            return self.send_missing("RepoNotFound")
        data = files.get("/".join(parts[4:]))
        if data is None:
            return self.send_missing("EntryNotFound")
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)
        return None

    def send_missing(self, code: str) -> None:
        """Send the error code that the client turns into an exception."""
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_json(self, value: Any, status: int = 200) -> None:
        """Send a JSON value."""
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def run_hub(token: str) -> Iterator[Hub]:
    """Run a hub until the context ends."""
    hub = Hub(token)
    thread = Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join(60)
        hub.server_close()
