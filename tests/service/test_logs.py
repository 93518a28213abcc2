"""Logs: one JSON object a line, with the id of the request and without secrets."""

from __future__ import annotations

import json
from pathlib import Path

from tests.service.process import ServiceProcess


def test_each_line_is_an_object_and_names_the_request(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data")
    client = service.start()
    client.get("/v1/catalogues?cursor=secret-in-a-query", headers={"X-Request-Id": "r-1"})
    client.get("/v1/catalogues", headers={"Authorization": "Bearer sgmn_wrong-secret"})
    assert service.stop() == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert all({"event", "level", "timestamp", "logger"} <= set(line) for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    [named] = [line for line in requests if line["request_id"] == "r-1"]
    assert (named["method"], named["path"], named["status"]) == ("GET", "/v1/catalogues", 400)
    assert named["key_id"].startswith("key_")
    assert not any(line["path"] == "/readyz" for line in requests)
    text = service.log.read_text()
    for secret in ("secret-in-a-query", "wrong-secret", service.admin_key):
        assert secret not in text
