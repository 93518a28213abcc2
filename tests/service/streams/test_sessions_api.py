"""Sessions by the API, from the first request to the export, on both databases."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sgmn.data.dataset import read_dataset
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.streams.score_terms import EXPLAINED_PRODUCTS
from sgmn.service.streams.service import streams_of
from tests.service.conftest import SHOP, Headers
from tests.service.process import wait_for
from tests.service.streams.api import SESSION_TABLES, SessionApi, count_rows
from tests.world import COLORS

# These do not depend on the database.
SQLITE_ONLY = pytest.mark.parametrize("module_database", ["sqlite"], indirect=True)


def test_a_session_is_recognized_reviewed_and_exported(api: SessionApi, tmp_path: Path) -> None:
    session = api.start("stream.mp4")
    ended = api.wait_for_end(session)
    assert (ended["state"], ended["state_detail"]) == ("ended", "the stream has ended")
    assert ended["shop_id"] == SHOP and ended["source"] == "stream.mp4"

    rows = api.log(session)
    assert [row["seq"] for row in rows] == list(range(1, ended["last_seq"] + 1))
    assert rows[0]["data"] == {"change": "state", "state": "queued", "previous": None}
    assert rows[-1]["data"]["state"] == "ended"

    machine = api.get(f"/{session}/timeline")["segments"]
    assert machine[0]["start"] == 0 and machine[-1]["end"] == 40.0 and len(machine) > 1
    assert all(a["end"] == b["start"] for a, b in pairwise(machine))

    body = {"start": 5.0, "end": 25.0, "product_id": "p2", "verdict": "corrected"}
    assert api.request("PUT", f"/{session}/reviews/r1", json=body).status_code == 200
    assert api.get(f"/{session}/timeline", layer="machine")["segments"] == machine
    reviewed = api.get(f"/{session}/timeline", layer="reviewed")["segments"]
    [one] = [segment for segment in reviewed if segment["review_id"] == "r1"]
    assert (one["start"], one["end"], one["product_id"], one["title"]) == (5, 25, "p2", "blue milk")
    assert api.log(session)[-1]["type"] == "sgmn.review/1"

    check_queue(api, session, machine)
    check_exports(api, session, tmp_path)
    check_pictures(api, session)
    check_window(api, session)


@SQLITE_ONLY
@pytest.mark.parametrize(("options", "may_skip"), [({}, True), ({"effort": "exact"}, False)])
def test_a_session_says_whether_frames_may_be_skipped(
    api: SessionApi, context: ServiceContext, options: dict[str, Any], may_skip: bool
) -> None:
    session = api.start("stream.mp4", **options)
    streams = streams_of(context)
    row = streams.store.find(session)
    assert row is not None
    assert streams.worker_config(row).may_skip == may_skip
    api.wait_for_end(session)


def check_queue(api: SessionApi, session: str, machine: list[dict[str, Any]]) -> None:
    """What nobody has reviewed waits, least certain first, with what it may be instead."""
    response = api.client.get("/v1/review-queue", headers=api.headers)
    assert response.status_code == 200, response.text
    queue = response.json()
    waiting = [item["segment"] for item in queue["items"] if item["session_id"] == session]
    assert queue["total"] == len(queue["items"]) == len(waiting) > 0
    shares = [segment["confidence"] for segment in waiting]
    assert shares == sorted(shares)
    assert all(one["end"] <= 5.0 or one["start"] >= 25.0 for one in waiting)  # not what r1 covers
    assert any(segment["alternatives"] for segment in machine)
    for segment in machine:
        others = segment["alternatives"]
        assert segment["product_id"] not in [other["product_id"] for other in others]
        assert all((other["title"] is None) == (other["product_id"] is None) for other in others)


def check_exports(api: SessionApi, session: str, folder: Path) -> None:
    def export(kind: str) -> bytes:
        response = api.request("GET", f"/{session}/export", params={"format": kind})
        assert response.status_code == 200, response.text
        return bytes(response.content)

    assert any(
        segment["title"] == "blue milk" for segment in json.loads(export("json"))["segments"]
    )
    assert b"00:00:05.000 --> 00:00:25.000\nblue milk" in export("chapters")
    assert b'"review_id": "r1"' in export("vtt")
    table = list(csv.DictReader(io.StringIO(export("csv").decode())))
    assert [row["product_id"] for row in table if row["review_id"] == "r1"] == ["p2"]
    with zipfile.ZipFile(io.BytesIO(export("pairs"))) as archive:
        archive.extractall(folder / "pairs")
    dataset = read_dataset(folder / "pairs")
    clips, products = dataset.clips, dataset.products
    [split] = {clip.split for clip in clips}  # one segment is on one side
    assert [clip.product_ids for clip in clips] == [("p2",)] * (1 if split == "val" else 2)
    assert all(len(clip.frames) == 10 and clip.frames[0].is_file() for clip in clips)
    assert len(products) == 6 and all(product.image for product in products)


def check_pictures(api: SessionApi, session: str) -> None:
    assert api.get(f"/{session}/frames")["items"] == [{"start": 0.0, "end": 39.0}]
    response = api.request("GET", f"/{session}/frames/12.3.jpg")
    assert response.headers["content-type"] == "image/jpeg"
    assert float(response.headers["x-frame-time"]) == 12.0
    assert Image.open(io.BytesIO(response.content)).size == (48, 64)  # the model sees 24x32
    assert api.request("GET", f"/{session}/frames/4000.jpg").status_code == 404
    assert api.request("GET", f"/{session}/heatmaps/4000.png").status_code == 404
    answer = api.request("GET", f"/{session}/heatmaps/12.3.png", params={"text": "the red milk"})
    assert answer.status_code == 409 and "no heatmaps" in answer.json()["detail"]


def check_window(api: SessionApi, session: str) -> None:
    window = api.get(f"/{session}/windows/12.3")
    assert abs(window["center"] - 12.3) <= 1.0 and window["center"] < window["end"]
    scores = [one["score"] for one in window["scores"]]
    assert len(scores) == 5 and scores == sorted(scores, reverse=True)
    kept = [one for one in window["scores"] if one["terms"]]
    assert kept == window["scores"][:EXPLAINED_PRODUCTS]
    for one in kept:
        assert one["score"] == pytest.approx(sum(t["value"] for t in one["terms"]))
    titles = {one["product_id"]: one["title"] for one in window["scores"]}
    assert set(titles.values()) <= set(COLORS)


def test_reviews_keep_versions_and_can_be_undone(idle_api: SessionApi) -> None:
    api = idle_api
    session = api.start("stream.mp4")
    body = {"start": 5.0, "end": 25.0, "verdict": "nothing"}
    first = api.request("PUT", f"/{session}/reviews/r1", json=body)
    assert first.status_code == 200 and first.headers["etag"] == '"1"'
    stale = api.request("PUT", f"/{session}/reviews/r1", json=body, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    body["verdict"] = "unsure"
    second = api.request("PUT", f"/{session}/reviews/r1", json=body, headers={"If-Match": '"1"'})
    assert second.json()["version"] == 2
    assert len(api.get(f"/{session}/reviews")["items"]) == 1
    assert api.request("DELETE", f"/{session}/reviews/r1").status_code == 204
    assert api.request("DELETE", f"/{session}/reviews/r1").status_code == 404
    machine, reviewed = (
        api.get(f"/{session}/timeline", layer=layer)["segments"]
        for layer in ("machine", "reviewed")
    )
    assert reviewed == machine
    kinds = [row["data"].get("verdict", "deleted") for row in api.log(session)[-3:]]
    assert kinds == ["nothing", "unsure", "deleted"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"product_id": "unknown", "verdict": "corrected"}, "product_id"),
        ({"verdict": "corrected"}, "body"),
        ({"product_id": "p1", "verdict": "nothing"}, "body"),
        ({"end": 1.0, "verdict": "nothing"}, "body"),
    ],
)
def test_impossible_reviews_are_refused(
    idle_api: SessionApi, change: dict[str, object], where: str
) -> None:
    api = idle_api
    session = api.start("stream.mp4")
    body = {"start": 5.0, "end": 25.0, **change}
    response = api.request("PUT", f"/{session}/reviews/r1", json=body)
    assert response.status_code == 422 and where in response.json()["errors"][0]["where"]


def test_a_stream_is_stopped_and_deleted_as_often_as_one_likes(
    api: SessionApi, context: ServiceContext
) -> None:
    session = api.start("stream.mp4", realtime=True)
    while api.get(f"/{session}")["state"] != "running":
        api.get(f"/{session}/log", after=api.get(f"/{session}")["last_seq"], wait=5)
    wait_for(lambda: (api.get(f"/{session}/now")["stream"] or {}).get("frame_wall_s"), "a frame")
    now = api.get(f"/{session}/now")
    assert now["state"] == "running" and now["stream"]["frame_s"] >= 0
    assert api.request("GET", f"/{session}/frames/{now['stream']['frame_s']}.jpg").is_success
    key = {"Idempotency-Key": "stop-it"}
    answers = [api.request("POST", f"/{session}:stop", headers=key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[2].headers["idempotent-replayed"] == "true"
    assert api.wait_for_end(session)["state"] == "ended"
    assert api.request("POST", f"/{session}:stop").json()["state"] == "ended"
    events = [row["data"] for row in api.log(session) if row["type"] == "sgmn.event/1"]
    assert not events or events[-1]["kind"] == "ended"
    assert api.request("DELETE", f"/{session}").status_code == 204
    assert api.request("DELETE", f"/{session}").status_code == 404
    assert [count_rows(context, table) for table in SESSION_TABLES] == [0, 0, 0]
    assert not (context.settings.data / "sessions" / session).exists()


@SQLITE_ONLY
def test_a_running_session_can_be_deleted(api: SessionApi, context: ServiceContext) -> None:
    session = api.start("stream.mp4", realtime=True)
    api.get(f"/{session}/log", after=2, wait=20)
    assert api.request("DELETE", f"/{session}").status_code == 204
    assert count_rows(context, tables.sessions) == 0
    assert not (context.settings.data / "sessions" / session).exists()


@SQLITE_ONLY
def test_posted_utterances_reach_the_windows(api: SessionApi, media: Path) -> None:
    session = api.start("stream.mp4", realtime=True, transcript={"kind": "utterances"})
    said = [{"start": 0.0, "end": 6.0, "text": "this is the red milk"}]
    response = api.request("POST", f"/{session}/utterances", json={"utterances": said})
    assert response.status_code == 202 and response.json() == {"accepted": 1}
    last = 0
    while not ((now := api.get(f"/{session}/now")["now"]) and now["text"]):
        last = api.get(f"/{session}/log", after=last, wait=1)["last_seq"]
    assert now["text"].startswith("this is")
    other = api.start("stream.mp4")
    refused = api.request("POST", f"/{other}/utterances", json={"utterances": said})
    assert refused.status_code == 409


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"source": "/etc/passwd"}, "body.source"),
        ({"source": "../data/service.sqlite3"}, "body.source"),
        ({"source": "-"}, "body.source"),
        ({"source": "webcam:0"}, "body.source"),
        ({"source": "udp://127.0.0.1:5000"}, "body.source"),
        ({"transcript": {"kind": "asr", "model": "/models/own"}}, "body.transcript.model"),
        ({"transcript": {"kind": "subtitles"}}, "body.transcript.url"),
        ({"transcript": {"kind": "subtitles", "url": "ftp://a/b"}}, "body.transcript.url"),
        ({"lag_s": -1}, "body.lag_s"),
        ({"volume": 11}, "body.volume"),
    ],
)
def test_what_a_session_may_not_be_is_refused(
    idle_api: SessionApi, change: dict[str, object], where: str, context: ServiceContext
) -> None:
    body = {"catalogue_id": idle_api.catalogue_id, "source": "stream.mp4", **change}
    response = idle_api.request("POST", "", json=body)
    assert response.status_code == 422 and response.json()["errors"][0]["where"] == where
    assert count_rows(context, tables.sessions) == 0


@SQLITE_ONLY
def test_secrets_of_a_source_are_sealed(api: SessionApi, context: ServiceContext) -> None:
    session = api.start("http://ann:pw1@127.0.0.1:9/a.m3u8?token=pw2", attempts=1)
    assert api.get(f"/{session}")["source"] == "http://***@127.0.0.1:9/a.m3u8?token=***"
    ended = api.wait_for_end(session)
    assert ended["state"] == "failed" and "delivered no frame" in ended["state_detail"]
    stored = context.settings.data.rglob("*")
    files = b"".join(path.read_bytes() for path in stored if path.is_file())
    assert b"pw1" not in files and b"pw2" not in files
    assert "pw1" not in json.dumps(api.log(session)) and "pw2" not in json.dumps(api.log(session))


def test_another_shop_sees_nothing_of_a_session(
    idle_api: SessionApi, other_editor: Headers
) -> None:
    api = idle_api
    session = api.start("stream.mp4")
    other = SessionApi(api.client, other_editor, api.catalogue_id)
    unknown = "ses_" + "a" * 26
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", ":stop"),
        ("GET", "/now"),
        ("GET", "/log"),
        ("GET", "/stream"),
        ("GET", "/timeline"),
        ("GET", "/reviews"),
        ("DELETE", "/reviews/r1"),
        ("GET", "/frames/1.jpg"),
        ("GET", "/heatmaps/1.png"),
        ("GET", "/export"),
    ]:
        answers = [other.request(method, f"/{name}{path}") for name in (session, unknown)]
        documents = [{**a.json(), "request_id": ""} for a in answers]
        assert [a.status_code for a in answers] == [404, 404] and documents[0] == documents[1], path
    assert other.get("")["items"] == []
    body = {"catalogue_id": api.catalogue_id, "source": "stream.mp4"}
    assert other.request("POST", "", json=body).status_code == 404
