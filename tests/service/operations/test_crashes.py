"""The service as a process: killed in an import, stopped with a request that waits."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.process import ServiceProcess, wait_for

COUNT = 1500


def start_import(client: httpx.Client, count: int = COUNT) -> str:
    """Import titles into a new catalogue; the address of the operation."""
    new = {"shop_id": "shop", "name": "test"}
    place = client.post("/v1/catalogues", json=new).json()["id"]
    rows = "".join(f"p{number},red milk {number}\n" for number in range(count))
    answer = client.post(
        f"/v1/catalogues/{place}/imports",
        content="product_id,title\n" + rows,
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def is_indexing(client: httpx.Client, operation: str, attempt: int) -> bool:
    """Whether an attempt has written products that the next one need not write."""
    document = client.get(operation).json()
    return bool(document["attempt"] == attempt and document["progress"].get("done", 0) > 0)


def ended(client: httpx.Client, operation: str) -> Any:
    document = client.get(operation).json()
    return document if document["ended_s"] else None


@pytest.mark.slow
def test_an_import_survives_its_worker_and_the_service(tmp_path: Path, model_folder: Path) -> None:
    service = ServiceProcess(tmp_path / "data", model=model_folder)
    client = service.start()
    operation = start_import(client)
    wait_for(lambda: is_indexing(client, operation, 1), "indexing", 0.05)
    os.kill(service.events("worker starts")[-1]["pid"], signal.SIGKILL)
    wait_for(lambda: is_indexing(client, operation, 2), "indexing again", 0.05)
    service.kill()
    client = service.start()
    result = wait_for(lambda: ended(client, operation), "the end of the import")
    assert result["state"] == "succeeded", result
    assert result["attempt"] >= 3
    counts = result["result"]
    assert counts["added"] + counts["unchanged"] == COUNT
    assert counts["unchanged"] > 0  # what the killed attempts had written
    catalogue = client.get(f"/v1/catalogues/{result['catalogue_id']}").json()
    assert catalogue["product_count"] == COUNT
    assert service.stop() == 0


def test_a_used_port_is_one_clear_line(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service.environment["SGMN_PORT"] = str(listener.getsockname()[1])
        with pytest.raises(AssertionError, match=r"cannot be listened on .*; pass another --port"):
            service.start()
    assert service.process.wait() == 2
