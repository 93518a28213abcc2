"""Metrics: what is counted, and that the dashboard asks for nothing else."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.log import EVENT, log_transaction
from sgmn.service.metrics import ErrorCounter
from tests.service.conftest import SHOP, Headers
from tests.service.rows import insert_row

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "sgmn.json"
Samples = Mapping[tuple[str, ...], float]


def scrape(client: TestClient) -> Samples:
    """The samples: name and the values of labels, to the value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_sessions_operations_and_deliveries_by_state(
    client: TestClient, context: ServiceContext
) -> None:
    database = context.database
    for number, state in enumerate(["queued", "running", "running", "failed"]):
        insert_row(database, tables.sessions, id=f"ses_{number}", shop_id=SHOP, state=state)
    insert_row(database, tables.operations, id="op_1", state="queued")
    for number, state in enumerate(["pending", "pending", "dead", "delivered"]):
        row = {"id": f"dlv_{number}", "seq": number, "state": state, "created_s": 1e9}
        insert_row(database, tables.deliveries, **row)
    found = scrape(client)
    states = {key[1]: found[key] for key in found if key[0] == "sgmn_sessions"}
    assert (states["queued"], states["running"], states["failed"], states["ended"]) == (1, 2, 1, 0)
    assert found["sgmn_operations", "queued"] == 1
    assert (found["sgmn_deliveries", "pending"], found["sgmn_deliveries", "dead"]) == (2, 1)
    assert found["sgmn_delivery_oldest_pending_seconds",] > 3e8
    assert found["sgmn_database_up",] == 1
    assert found["sgmn_streams",] == 0


def test_requests_are_counted_by_pattern_and_hold_no_ids(
    client: TestClient, editor: Headers, context: ServiceContext
) -> None:
    path = "/v1/catalogues/cat_" + "a" * 26
    place = ("sgmn_http_requests_total", "GET", "/v1/catalogues/{catalogue_id}", "404")
    duration = ("sgmn_http_request_duration_seconds_count", *place[1:3])
    before = scrape(client)
    client.get(path, headers=editor)
    client.get("/nowhere/secret", headers=editor)
    client.post("/v1/catalogues", json={"shop_id": SHOP, "name": "spring"}, headers=editor)
    found = scrape(client)
    for name in (place, duration):  # which count for all tests of this process
        assert found[name] == before.get(name, 0.0) + 1
    text = client.get("/metrics").text
    assert not [word for word in ("aaaa", SHOP, "spring", "nowhere") if word in text]
    assert re.findall(r"[a-z]{2,3}_[a-z2-7]{26}", text) == []  # ids


def test_log_rows_and_errors_are_counted(client: TestClient, context: ServiceContext) -> None:
    insert_row(context.database, tables.sessions, id="ses_1", shop_id=SHOP)
    before = scrape(client)
    with log_transaction(context.database) as transaction:
        transaction.append("ses_1", EVENT, {})
        transaction.append("ses_1", EVENT, {})
    with pytest.raises(ZeroDivisionError), log_transaction(context.database) as transaction:
        transaction.append("ses_1", EVENT, {})
        _ = 1 / 0
    ErrorCounter().handle(logging.makeLogRecord({"name": "x", "levelno": logging.ERROR}))
    after = scrape(client)
    rows, errors = ("sgmn_log_rows_total", EVENT), ("sgmn_errors_total", "x")
    assert after[rows] - before.get(rows, 0.0) == 2
    assert after[errors] - before.get(errors, 0.0) == 1


def test_without_a_database_the_other_metrics_remain(
    client: TestClient, context: ServiceContext
) -> None:
    with context.database.write() as connection:
        tables.deliveries.drop(connection)
    try:
        found = scrape(client)
    finally:
        with context.database.write() as connection:
            tables.deliveries.create(connection)
    assert found["sgmn_database_up",] == 0
    assert ("sgmn_deliveries", "pending") not in found
    assert "sgmn_streams" in {name for name, *_ in found}


def test_the_dashboard_asks_for_metrics_that_exist(
    client: TestClient, editor: Headers, context: ServiceContext
) -> None:
    if not DASHBOARD.exists():
        pytest.skip("the dashboard is not part of this distribution")
    client.get("/v1/catalogues", headers=editor)
    text = client.get("/metrics").text
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    asked = {name for query in queries for name in re.findall(r"\b(?:sgmn|process)_\w+", query)}
    assert len(asked) >= 15
    assert asked <= known, f"unknown: {sorted(asked - known)}"
