"""A model is trained from reviews, compared on others, adopted, and left again."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from sgmn.catalogue.shelf import Shelf
from sgmn.catalogue.stamp import ModelStamp
from sgmn.data.dataset import read_dataset
from sgmn.data.inspection import inspect_dataset
from sgmn.records import Segment
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.indexes import open_table
from sgmn.service.streams.layers import LayeredSegment
from sgmn.service.streams.pairs import split_segments
from sgmn.service.streams.pinned_shelf import read_pinned
from sgmn.service.streams.service import streams_of
from tests.service.conftest import SHOP, Headers
from tests.service.improvements.conftest import run_jobs
from tests.service.streams.api import SessionApi

SQLITE_ONLY = pytest.mark.parametrize("module_database", ["sqlite"], indirect=True)


class Loop:
    """Requests about the improvements of a catalogue."""

    def __init__(self, api: SessionApi, admin: Headers) -> None:
        self.api, self.admin = api, admin
        self.place = f"/v1/catalogues/{api.catalogue_id}"

    def post(self, path: str, headers: Headers, **options: Any) -> Any:
        return self.api.client.post(f"{self.place}{path}", headers=headers, **options)

    def get(self, path: str = "") -> Any:
        response = self.api.client.get(f"{self.place}{path}", headers=self.api.headers)
        assert response.status_code == 200, response.text
        return response.json()


def read_shelf(context: ServiceContext, api: SessionApi, session: str) -> tuple[Shelf, ModelStamp]:
    """The products of a session as its encoder reads them."""
    row = {
        "catalogue_id": api.catalogue_id,
        "index_version": api.get(f"/{session}")["index_version"],
    }
    return read_pinned(streams_of(context).shelf(row))


def check_training(loop: Loop, context: ServiceContext, held_out: int) -> None:
    """The training ends with a comparison, and nothing changes by itself."""
    [operation] = run_jobs(context)
    assert operation["state"] == "succeeded", operation["problem"]
    [shown] = loop.get("/improvements")["items"]
    assert not shown["is_adopted"] and shown["result"]["clips"]["val"] == held_out
    overall = shown["result"]["comparison"]
    assert overall["count"] == held_out
    assert 0 <= overall["recall_1"]["a"] <= 1 and 0 <= overall["recall_1"]["p"] <= 1
    assert loop.get()["model_id"] is None  # nothing changes by itself


def check_audit(context: ServiceContext) -> None:
    with context.database.read() as connection:
        query = sa.select(tables.audit.c.action).where(tables.audit.c.shop_id == SHOP)
        actions = connection.execute(query.order_by(tables.audit.c.wall_s)).scalars().all()
    changes = [action for action in actions if action.startswith("catalogue.")]
    assert changes == ["catalogue.improve", "catalogue.adopt", "catalogue.revert"]


@SQLITE_ONLY
def test_the_loop_from_reviews_to_a_new_model_and_back(
    idle_api: SessionApi, session: str, context: ServiceContext, admin: Headers
) -> None:
    api, loop = idle_api, Loop(idle_api, admin)
    before = loop.get("/improvements")
    assert before["model_id"] is None and before["items"] == []
    counts = before["reviewed"]
    assert (counts["training"], counts["held_out"], counts["shortage"]) == (18, 6, None)
    old_shelf, old_stamp = read_shelf(context, api, session)

    started = loop.post("/improvements", api.headers, json={"steps": 3})
    assert started.status_code == 202, started.text
    improvement = started.json()["id"]
    assert loop.post(f"/improvements/{improvement}:adopt", admin).status_code == 409  # not yet
    check_training(loop, context, counts["held_out"])

    assert loop.post(f"/improvements/{improvement}:adopt", api.headers).status_code == 403
    adopted = loop.post(f"/improvements/{improvement}:adopt", admin)
    assert adopted.status_code == 202, adopted.text
    assert loop.post(f"/improvements/{improvement}:adopt", admin).status_code == 409  # running
    assert run_jobs(context)[-1]["result"] == {"indexed": 6, "rejected": 0}
    assert loop.get()["model_id"] == improvement and loop.get()["product_count"] == 6
    assert loop.post(f"/improvements/{improvement}:adopt", admin).status_code == 409

    new_shelf, new_stamp = read_shelf(context, api, api.start("stream.mp4"))
    same_shelf, same_stamp = read_shelf(context, api, session)  # keeps what it began with
    assert new_stamp.fingerprint != old_stamp.fingerprint == same_stamp.fingerprint
    assert new_shelf.product_ids == old_shelf.product_ids
    assert np.array_equal(same_shelf.vectors.image.numpy(), old_shelf.vectors.image.numpy())
    assert loop.post("/search", api.headers, json={"text": "red milk"}).json()["items"]

    assert loop.post(f"/improvements/{improvement}:revert", api.headers).status_code == 403
    assert loop.post(f"/improvements/{improvement}:revert", admin).status_code == 202
    assert run_jobs(context)[-1]["state"] == "succeeded"
    assert loop.get()["model_id"] is None
    assert loop.post(f"/improvements/{improvement}:revert", admin).status_code == 409
    table = open_table(context, api.catalogue_id)
    assert table is not None and table.stamp == old_stamp
    check_audit(context)


@SQLITE_ONLY
def test_pairs_are_a_dataset_that_can_be_checked(
    idle_api: SessionApi, session: str, tmp_path: Path
) -> None:
    response = idle_api.request("GET", f"/{session}/export", params={"format": "pairs"})
    assert response.status_code == 200, response.text
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        archive.extractall(tmp_path / "pairs")
    data = read_dataset(tmp_path / "pairs")
    assert not inspect_dataset(tmp_path / "pairs", deep=True).findings
    assert len(data.products) == 6 and all(product.image for product in data.products)
    assert {clip.split for clip in data.clips} == {"train", "val"} and len(data.clips) == 24
    assert all(len(clip.frames) == 3 for clip in data.clips)


@SQLITE_ONLY
def test_too_few_reviews_train_nothing(idle_api: SessionApi, admin: Headers) -> None:
    loop = Loop(idle_api, admin)
    answer = loop.post("/improvements", idle_api.headers, json={})
    assert answer.status_code == 409 and "8 and 3 are needed" in answer.json()["detail"]
    unknown = f"/improvements/op_{'a' * 26}"
    for verb in ("adopt", "revert"):
        assert loop.post(f"{unknown}:{verb}", admin).status_code == 404


def test_a_segment_is_never_on_both_sides() -> None:
    segments = []
    for number in range(400):
        start_s = 10.0 * number
        product_id = f"p{number // 4}"  # four in a row are of one product
        segment = Segment(start_s, start_s + 10, product_id)
        segments.append(LayeredSegment(segment, False, f"r{number // 2}", "confirmed"))
    sides = split_segments("ses", segments[::-1])
    by_product: dict[str | None, set[str]] = {}
    for layered, split in sides:
        by_product.setdefault(layered.segment.product_id, set()).add(split)
    assert all(len(splits) == 1 for splits in by_product.values())
    share = sum(split == "val" for _, split in sides) / len(sides)
    assert 0.1 < share < 0.4
    assert split_segments("ses", segments) == sides
    assert [s for _, s in split_segments("other", segments)] != [s for _, s in sides]
