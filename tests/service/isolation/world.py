"""A shop with something of every kind, and one request for each route of the API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.live.events import Event, to_json
from sgmn.media.image import encode_jpeg
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.ids import new_id
from sgmn.service.indexes import open_table
from sgmn.service.streams.journal import FILE_NAME, Header, JournalWriter, WindowRecord
from sgmn.service.streams.kept_frames import FRAMES_FOLDER, KeptFrames
from sgmn.service.streams.pinned_shelf import pin_shelf
from sgmn.service.streams.recordings import RECORDING_FOLDER
from sgmn.service.streams.service import streams_of
from tests.service.conftest import SHOP, Headers
from tests.service.imports.shop import Shop
from tests.service.rows import insert_row

MARK = "zebra"  # in every text of the shop
TITLES = f"product_id,title\n{MARK}-1,red milk\n{MARK}-2,green milk\n,no id\n"
_IMPROVEMENT = "/v1/catalogues/{catalogue_id}/improvements/{improvement_id}"

# What a request needs: (kind, role). The kinds are
#   public:   answers without a key, and says nothing about a shop
#   admin:    keys, which have no shop
#   list:     lists what the shops of the key have
#   resource: the path names something of a shop
#   create:   the body names a shop, or something of one
ROUTES: dict[str, tuple[str, str]] = {
    "GET /healthz": ("public", ""),
    "GET /readyz": ("public", ""),
    "GET /metrics": ("public", ""),
    "GET /v1/keys": ("admin", "admin"),
    "POST /v1/keys": ("admin", "admin"),
    "GET /v1/keys/{key_id}": ("admin", "admin"),
    "DELETE /v1/keys/{key_id}": ("admin", "admin"),
    "GET /v1/catalogues": ("list", "viewer"),
    "POST /v1/catalogues": ("create", "editor"),
    "GET /v1/catalogues/{catalogue_id}": ("resource", "viewer"),
    "PUT /v1/catalogues/{catalogue_id}": ("resource", "editor"),
    "DELETE /v1/catalogues/{catalogue_id}": ("resource", "editor"),
    "GET /v1/catalogues/{catalogue_id}/products": ("resource", "viewer"),
    "GET /v1/catalogues/{catalogue_id}/products/{product_id}": ("resource", "viewer"),
    "GET /v1/catalogues/{catalogue_id}/images/{product_id}.jpg": ("resource", "viewer"),
    "PUT /v1/catalogues/{catalogue_id}/products/{product_id}": ("resource", "editor"),
    "DELETE /v1/catalogues/{catalogue_id}/products/{product_id}": ("resource", "editor"),
    "POST /v1/catalogues/{catalogue_id}:purge": ("resource", "editor"),
    "POST /v1/catalogues/{catalogue_id}/imports": ("resource", "editor"),
    "POST /v1/catalogues/{catalogue_id}/search": ("resource", "viewer"),
    "GET /v1/catalogues/{catalogue_id}/segments": ("resource", "viewer"),
    "GET /v1/catalogues/{catalogue_id}/improvements": ("resource", "viewer"),
    "POST /v1/catalogues/{catalogue_id}/improvements": ("resource", "editor"),
    "POST /v1/catalogues/{catalogue_id}/improvements/{improvement_id}:adopt": ("resource", "admin"),
    "POST /v1/catalogues/{catalogue_id}/improvements/{improvement_id}:revert": (
        "resource",
        "admin",
    ),
    "GET /v1/operations": ("list", "viewer"),
    "GET /v1/operations/{operation_id}": ("resource", "viewer"),
    "GET /v1/operations/{operation_id}/rows": ("resource", "viewer"),
    "POST /v1/operations/{operation_id}:cancel": ("resource", "editor"),
    "GET /v1/sessions": ("list", "viewer"),
    "POST /v1/sessions": ("create", "editor"),
    "GET /v1/sessions/{session_id}": ("resource", "viewer"),
    "DELETE /v1/sessions/{session_id}": ("resource", "editor"),
    "POST /v1/sessions/{session_id}:stop": ("resource", "editor"),
    "GET /v1/sessions/{session_id}/now": ("resource", "viewer"),
    "POST /v1/sessions/{session_id}/utterances": ("resource", "editor"),
    "GET /v1/sessions/{session_id}/log": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/stream": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/timeline": ("resource", "viewer"),
    "GET /v1/review-queue": ("list", "viewer"),
    "GET /v1/sessions/{session_id}/reviews": ("resource", "viewer"),
    "PUT /v1/sessions/{session_id}/reviews/{review_id}": ("resource", "editor"),
    "DELETE /v1/sessions/{session_id}/reviews/{review_id}": ("resource", "editor"),
    "GET /v1/sessions/{session_id}/frames": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/frames/{time_s}.jpg": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/heatmaps/{time_s}.png": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/windows/{time_s}": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/recordings": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/recording": ("resource", "viewer"),
    "GET /v1/sessions/{session_id}/export": ("resource", "viewer"),
    "GET /console/stream": ("resource", "viewer"),
    "GET /v1/webhooks": ("list", "editor"),
    "POST /v1/webhooks": ("create", "editor"),
    "GET /v1/webhooks/{webhook_id}": ("resource", "editor"),
    "PUT /v1/webhooks/{webhook_id}": ("resource", "editor"),
    "DELETE /v1/webhooks/{webhook_id}": ("resource", "editor"),
    "POST /v1/webhooks/{webhook_id}:rotate-secret": ("resource", "editor"),
    "GET /v1/webhooks/{webhook_id}/deliveries": ("resource", "editor"),
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}:retry": ("resource", "editor"),
}

# Pages and their files, which are the same for everybody, and logins.
PAGES = {
    "GET /",
    "GET /docs",
    "GET /docs/style.css",
    "GET /console",
    "GET /console/{page}",
    "GET /console/static/{name}",
    "GET /console/login",
    "POST /console/login",
    "POST /console/logout",
}
QUERIES = {
    "GET /console/stream": "?session={session_id}",
    "GET /v1/catalogues/{catalogue_id}/segments": "?product_id={product_id}",
}


@dataclass(frozen=True)
class Target:
    """What requests name: the ids in their paths, and a shop."""

    ids: dict[str, str]
    shop_id: str = SHOP

    def unknown(self) -> Target:
        """The same with ids that nothing has."""
        random = {k: v[:-26] + "a" * 26 if "_" in v else v for k, v in self.ids.items()}
        return Target(random, "shop-unknown")

    def request(self, client: TestClient, route: str, headers: Headers) -> Any:
        """The answer to a valid request of a route."""
        method, path = (route + QUERIES.get(route, "")).split(" ")
        if body := self._bodies().get(route):
            return client.request(method, path.format(**self.ids), json=body, headers=headers)
        return client.request(method, path.format(**self.ids), headers=headers)

    def _bodies(self) -> dict[str, Any]:
        catalogue, session = "/v1/catalogues/{catalogue_id}", "/v1/sessions/{session_id}"
        webhook = {"url": "https://127.0.0.1/hook"}
        review = {"start": 1.0, "end": 2.0, "product_id": f"{MARK}-2", "verdict": "corrected"}
        return {
            "POST /v1/keys": {"name": "new", "role": "viewer", "shops": [self.shop_id]},
            "POST /v1/catalogues": {"shop_id": self.shop_id, "name": "new"},
            f"PUT {catalogue}": {"name": f"{MARK} renamed"},
            f"PUT {catalogue}/products/{{product_id}}": {"title": f"{MARK} changed"},
            f"POST {catalogue}:purge": {"force": True},
            f"POST {catalogue}/imports": {"url": "http://127.0.0.1:9/feed.csv"},
            f"POST {catalogue}/improvements": {"steps": 10},
            f"POST {catalogue}/search": {"text": "red milk"},
            "POST /v1/sessions": {
                "catalogue_id": self.ids["catalogue_id"],
                "source": "https://127.0.0.1/live.m3u8",
            },
            f"POST {session}/utterances": {
                "utterances": [{"start": 0.0, "end": 1.0, "text": "red milk"}]
            },
            f"PUT {session}/reviews/{{review_id}}": review,
            "POST /v1/webhooks": {"shop_id": self.shop_id, **webhook},
            "PUT /v1/webhooks/{webhook_id}": webhook,
            "POST /v1/webhooks/{webhook_id}:rotate-secret": {"keep_hours": 1},
        }


def build_target(shop: Shop) -> Target:
    """Something of every kind in the catalogue of a shop."""
    shop.client.put(shop.place, json={"name": f"{MARK} catalogue"}, headers=shop.editor)
    operation = shop.finish(shop.upload(TITLES))
    ids = {"catalogue_id": shop.id, "operation_id": operation["id"], "product_id": f"{MARK}-1"}
    add_image(shop)
    ids |= add_session(shop.context, shop.id) | add_webhook(shop.context)
    ids |= add_improvement(shop.context, shop.id)
    with shop.context.database.read() as connection:
        key = connection.execute(sa.select(tables.keys.c.id).limit(1)).scalar_one()
    return Target(ids | {"key_id": key})


def add_image(shop: Shop) -> None:
    """Give the first product an image."""
    table = open_table(shop.context, shop.id)
    assert table is not None
    table._table.update(where=f"product_id = '{MARK}-1'", values={"thumbnail": b"\xff\xd8jpeg"})


def add_session(context: ServiceContext, catalogue_id: str) -> dict[str, str]:
    """A session that has ended, with events, a review, frames and its products."""
    streams, session = streams_of(context), new_id("ses")
    table = open_table(context, catalogue_id)
    assert table is not None
    version = pin_shelf(table, SHOP, streams.shelves, catalogue_id)
    common = {"id": session, "shop_id": SHOP, "catalogue_id": catalogue_id, "state": "ended"}
    values = {"index_version": version, "source_redacted": f"https://{MARK}/", "last_seq": 3}
    sealed = context.sealer.seal('{"source": "https://x/", "subtitles": null}')
    options = {"transcript": {"kind": "utterances"}}
    insert_row(
        context.database,
        tables.sessions,
        **common,
        **values,
        source_sealed=sealed,
        options=options,
    )
    data = {"change": "state", "state": "ended", "previous": None, "detail": MARK}
    insert_row(
        *(context.database, tables.log),
        session_id=session,
        seq=1,
        type="sgmn.session/1",
        data=data,
    )
    add_events(context, session)
    insert_row(
        *(context.database, tables.reviews),
        session_id=session,
        review_id="r1",
        end_s=5.0,
        product_id=f"{MARK}-1",
        verdict="confirmed",
        version=1,
    )
    add_files(streams.folder(session), session)
    return {"session_id": session, "review_id": "r1", "time_s": "3.0"}


def add_files(folder: Path, session: str) -> None:
    """The journal, a frame and a recording of a session."""
    ids = (f"{MARK}-1", f"{MARK}-2")
    with JournalWriter(folder / FILE_NAME) as journal:
        journal.append(Header(session, ids, {"hop_s": 2.0}, 6.0))
        logits = np.array([2.0, 1.0], np.float32)
        journal.append(WindowRecord(3.0, 8.0, 0.0, 8.0, 8, logits, MARK))
    frames = KeptFrames(folder / FRAMES_FOLDER)
    frames.save(3.0, encode_jpeg(np.zeros((32, 24, 3), np.uint8)))
    recording = folder / RECORDING_FOLDER
    recording.mkdir()
    (recording / "0001.mp4").write_bytes(MARK.encode())
    part = {"start_s": 0.0, "end_s": 2.0, "is_complete": True}
    (recording / "0001.json").write_text(json.dumps(part))


def add_events(context: ServiceContext, session: str) -> None:
    """A product is on sale for twenty seconds."""
    begin = Event(1, "started", 0.0, 1.0, f"{MARK}-1", None, 0.7, ((f"{MARK}-2", 0.2),))
    end = Event(2, "ended", 20.0, 20.0, None, f"{MARK}-1", 0.9)
    for event in (begin, end):
        insert_row(
            *(context.database, tables.log),
            session_id=session,
            seq=event.id + 1,
            type="sgmn.event/1",
            data=to_json(event),
        )


def add_improvement(context: ServiceContext, catalogue_id: str) -> dict[str, str]:
    """A training that has succeeded."""
    improvement = new_id("op")
    insert_row(
        *(context.database, tables.operations),
        id=improvement,
        shop_id=SHOP,
        catalogue_id=catalogue_id,
        kind="improve",
        state="succeeded",
        request={"base_id": None, "base_model": MARK},
        progress={},
    )
    return {"improvement_id": improvement}


def add_webhook(context: ServiceContext) -> dict[str, str]:
    """A webhook with a delivery that has failed for good."""
    webhook, delivery = new_id("whk"), new_id("dlv")
    sealed = context.sealer.seal("https://127.0.0.1/")
    insert_row(
        *(context.database, tables.webhooks),
        id=webhook,
        shop_id=SHOP,
        url_redacted=f"https://{MARK}/",
        version=1,
        url_sealed=sealed,
        secret_sealed=sealed,
        types=["sgmn.event/1"],
        state="disabled",
    )
    insert_row(
        *(context.database, tables.deliveries),
        id=delivery,
        webhook_id=webhook,
        state="dead",
        last_error=MARK,
    )
    return {"webhook_id": webhook, "delivery_id": delivery}
