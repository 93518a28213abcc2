"""Serves the demo: a shop with its catalogue, and its recording as a stream that starts anew.

    python tools/serve_demo.py WORLD/streams/NAME [--data build/serve] [--port 8080]

NAME.mp4 is the recording and NAME.json what is said in it; products.jsonl is in the folder WORLD.
Ctrl-C stops it. What was imported and recognized stays in the data folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx

from sgmn.client import Client
from sgmn.client.models import Catalogue

CATALOGUE = "Demo"
KEY_FILE = "demo-key"
Service = subprocess.Popen[bytes]
POLL_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream", type=Path, help="the recording, without .mp4")
    parser.add_argument("--data", type=Path, default=Path("build/serve"))
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    key = read_key(arguments.data)
    process = start_service(arguments, key)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            run_demo(f"http://127.0.0.1:{arguments.port}", key, arguments.stream, process)
    finally:
        process.terminate()
        process.wait()


def run_demo(address: str, key: str, stream: Path, process: Service) -> None:
    """Import the catalogue, and play the recording again and again while the service runs."""
    while not is_ready(address) and process.poll() is None:
        time.sleep(POLL_S)
    with Client(address, key) as client:
        catalogue = ensure_catalogue(client, stream)
        print(f"{catalogue.product_count} products of shop {catalogue.shop_id}")
        print(f"Console: {address}/console\nKey to log in with: {key}", flush=True)
        while process.poll() is None:
            play(client, catalogue, stream, process)


def is_ready(address: str) -> bool:
    """Whether the service answers."""
    try:
        return httpx.get(f"{address}/readyz", timeout=30).is_success
    except httpx.TransportError:
        return False


def read_key(data: Path) -> str:
    """The key of the demo's admin, which is made at the first start."""
    path = data / KEY_FILE
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(f"sgmn_{os.urandom(24).hex()}")
    return path.read_text()


def start_service(arguments: argparse.Namespace, key: str) -> Service:
    """Start `sgmn serve`, which may read the folder of the recording."""
    environment = {
        **os.environ,
        "SGMN_ADMIN_KEY": key,
        "SGMN_SOURCE_SCHEMES": "https,rtmps,rtmp,file",
        "SGMN_MEDIA_FOLDER": str(arguments.stream.parent.absolute()),
        "SGMN_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "sgmn.cli", "serve", "--port", str(arguments.port)]
    return subprocess.Popen([*command, "--data", str(arguments.data)], env=environment)


def ensure_catalogue(client: Client, stream: Path) -> Catalogue:
    """The catalogue of the demo shop; its products are imported at the first start."""
    shop_id = json.loads(stream.with_suffix(".json").read_text())["shop_id"]
    found = [c for c in client.list_catalogues(shop_id) if c.name == CATALOGUE]
    catalogue = found[0] if found else client.make_catalogue(shop_id, CATALOGUE)
    if not catalogue.product_count:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "demo.zip"
            pack_shop(stream.parents[1], shop_id, archive)
            operation = client.import_file(catalogue.id, archive)
        client.wait_for_operation(operation.id)
    return client.get_catalogue(catalogue.id)


def pack_shop(world: Path, shop_id: str, archive: Path) -> None:
    """Pack the products of one shop with their images."""
    rows = [json.loads(line) for line in (world / "products.jsonl").read_text().splitlines()]
    rows = [_with_price(row) for row in rows if row["shop_id"] == shop_id]
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("products.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        for name in dict.fromkeys(image for row in rows for image in _images(row)):
            packed.write(world / name, name)


def _with_price(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "attributes": {**row["attributes"], "price": row["price"]}}


def _images(row: dict[str, Any]) -> list[str]:
    return [row["image"], *row.get("images", [])]


def play(client: Client, catalogue: Catalogue, stream: Path, process: Service) -> None:
    """Recognize the recording once, in real time, and wait until it has ended."""
    words = json.loads(stream.with_suffix(".json").read_text())["transcript"]
    transcript = {"kind": "utterances"}
    session = client.start_session(
        catalogue.id, f"{stream.name}.mp4", transcript=transcript, realtime=True
    )
    client.add_utterances(session.id, words)
    print(f"session {session.id}", flush=True)
    while process.poll() is None and not client.get_session(session.id).is_over:
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
