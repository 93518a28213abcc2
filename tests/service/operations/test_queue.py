"""The queue: claims, dead workers, cancellation, deadlines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.operations import handlers, queue, worker
from sgmn.service.operations.heart import Heart
from sgmn.service.operations.outcome import Outcome
from sgmn.service.operations.queue import Job
from tests.service.conftest import Headers
from tests.service.imports.shop import TITLES, Shop, run_waiting


def claim(context: ServiceContext, name: str = "w") -> Job:
    job = queue.claim(context.database, name)
    assert job is not None
    return job


def state(shop: Shop, job_id: str) -> str:
    place = f"/v1/operations/{job_id}"
    return str(shop.client.get(place, headers=shop.editor).json()["state"])


def lose_heartbeat(context: ServiceContext) -> None:
    update = sa.update(tables.operations).values(heartbeat_s=tables.operations.c.heartbeat_s - 60)
    with context.database.write() as connection:
        connection.execute(update)


def test_operations_of_a_catalogue_run_one_after_another(shop: Shop) -> None:
    first, second = (shop.upload(TITLES).json()["id"] for _ in range(2))
    assert claim(shop.context).id == first
    assert queue.claim(shop.context.database, "other") is None
    assert state(shop, second) == "queued"


def test_an_operation_whose_worker_died_is_done_by_another(shop: Shop) -> None:
    shop.upload(TITLES)
    lost = claim(shop.context)
    assert not queue.has_waiting(shop.context.database)
    lose_heartbeat(shop.context)
    assert queue.has_waiting(shop.context.database)
    taken = claim(shop.context, "other")
    assert (taken.id, taken.attempt) == (lost.id, 2)
    assert not queue.beat(shop.context.database, lost, {})  # it was not dead after all
    assert not worker.store_outcome(shop.context, lost, Outcome(problem="late"))
    assert state(shop, lost.id) == "running"
    worker.run_job(shop.context, taken)
    assert state(shop, lost.id) == "succeeded"


def test_an_operation_that_kills_its_workers_fails(shop: Shop) -> None:
    operation = shop.upload(TITLES).json()
    for _ in range(queue.MAX_ATTEMPTS):
        claim(shop.context)
        assert queue.requeue_of_worker(shop.context.database, "w") <= 1
    assert queue.claim(shop.context.database, "w") is None
    place = f"/v1/operations/{operation['id']}"
    ended = shop.client.get(place, headers=shop.editor).json()
    assert (ended["state"], ended["problem"]["title"]) == ("failed", "Worker died")


def test_a_waiting_operation_is_cancelled(shop: Shop) -> None:
    answer = shop.upload(TITLES)
    place = f"{answer.headers['Location']}:cancel"
    for _ in range(2):
        cancelled = shop.client.post(place, headers=shop.editor)
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert run_waiting(shop.context) == 0
    assert shop.products() == []


def test_an_operation_that_has_ended_is_not_cancelled(shop: Shop, viewer: Headers) -> None:
    answer = shop.upload(TITLES)
    shop.finish(answer)
    place = f"{answer.headers['Location']}:cancel"
    assert shop.client.post(place, headers=shop.editor).status_code == 409
    assert shop.client.post(place, headers=viewer).status_code == 403


def wait_until_stopped(_context: ServiceContext, _job: Job, heart: Heart) -> Outcome:
    while True:
        heart.report(phase="waiting")


def test_a_running_operation_stops_when_cancelled(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "HEARTBEAT_S", 0.01)
    monkeypatch.setitem(handlers.HANDLERS, "import", wait_until_stopped)
    operation = shop.upload(TITLES).json()["id"]
    job = claim(shop.context)
    with shop.context.database.write() as connection:
        assert queue.cancel(connection, operation)
    worker.run_job(shop.context, job)  # ends, or the test times out
    assert state(shop, operation) == "cancelled"


def test_an_operation_that_takes_too_long_fails(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "HEARTBEAT_S", 0.01)
    monkeypatch.setitem(handlers.HANDLERS, "import", wait_until_stopped)
    shop.context.settings = replace(shop.context.settings, import_timeout_s=0.05)
    operation = shop.upload(TITLES).json()["id"]
    worker.run_job(shop.context, claim(shop.context))
    place = f"/v1/operations/{operation}"
    ended = shop.client.get(place, headers=shop.editor).json()
    assert (ended["state"], ended["problem"]["title"]) == ("failed", "Timeout")


def test_a_bug_in_an_operation_is_not_told_to_the_caller(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_context: ServiceContext, _job: Job, _heart: Heart) -> Outcome:
        raise ZeroDivisionError("a detail of the code")

    monkeypatch.setitem(handlers.HANDLERS, "import", fail)
    operation = shop.finish(shop.upload(TITLES))
    assert operation["state"] == "failed"
    assert operation["problem"]["detail"] == "The service failed; its log has the details."


def test_the_operations_of_a_deleted_catalogue_are_cancelled(shop: Shop) -> None:
    operation = shop.upload(TITLES).json()["id"]
    shop.client.delete(shop.place, headers=shop.editor)
    assert state(shop, operation) == "cancelled"


def test_lists_are_filtered_and_newest_first(shop: Shop) -> None:
    ids = [shop.upload(TITLES).json()["id"] for _ in range(3)]
    run_waiting(shop.context)
    query = {"catalogue_id": shop.id, "state": "succeeded", "limit": 2}
    page = shop.client.get("/v1/operations", params=query, headers=shop.editor).json()
    rest = {**query, "cursor": page["next_cursor"]}
    more = shop.client.get("/v1/operations", params=rest, headers=shop.editor).json()
    assert [item["id"] for item in page["items"] + more["items"]] == ids[::-1]
    failed = shop.client.get("/v1/operations", params={"state": "failed"}, headers=shop.editor)
    assert failed.json()["items"] == []
