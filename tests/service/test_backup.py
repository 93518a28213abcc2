"""A backup of a service that writes, restored: the same answers, nothing torn."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.catalogue.index import Index
from sgmn.errors import SgmnError
from sgmn.records import Product
from sgmn.service.app import create_app, open_context
from sgmn.service.backup.backup import MANIFEST, back_up
from sgmn.service.backup.restore import restore
from sgmn.service.catalogues import change_catalogue, index_location, insert_catalogue
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.indexes import load_embedder
from sgmn.service.log import EVENT, log_transaction
from sgmn.service.settings import ServiceSettings
from tests.service.conftest import SHOP, Headers
from tests.service.rows import insert_row
from tests.service.webhooks.conftest import add_webhook

SESSION_ID = "ses_" + "a" * 26


@pytest.fixture(scope="module")
def module_database() -> str:
    """SQLite; PostgreSQL has backups of its own."""
    return ""


@pytest.fixture
def catalogue_id(context: ServiceContext) -> str:
    """A catalogue with an index of two products, and a session with a frame and a log."""
    with context.database.write() as connection:
        catalogue_id: str = insert_catalogue(connection, SHOP, "mugs")["id"]
        change_catalogue(connection, catalogue_id, product_count=2, index_version=1)
    index = Index.open_or_create(
        index_location(context.settings, catalogue_id), load_embedder(context.settings.model)
    )
    index.add([Product(f"mug-{number}", f"Mug {number}", shop_id=SHOP) for number in (1, 2)])
    insert_row(context.database, tables.sessions, id=SESSION_ID, shop_id=SHOP, state="ended")
    frame = context.settings.data / "sessions" / SESSION_ID / "frames" / "1.jpg"
    frame.parent.mkdir(parents=True)
    frame.write_bytes(b"a frame")
    return catalogue_id


def append(context: ServiceContext, count: int) -> None:
    with log_transaction(context.database) as transaction:
        for _ in range(count):
            transaction.append(SESSION_ID, EVENT, {"text": "x" * 200})


@pytest.fixture
def writer(context: ServiceContext, catalogue_id: str) -> Iterator[None]:
    """Writes to the log, the index and a journal until the test ends."""
    stop = threading.Event()
    location = index_location(context.settings, catalogue_id)

    def write() -> None:
        index = Index.open(location, load_embedder(context.settings.model))
        journal = context.settings.data / "sessions" / SESSION_ID / "journal"
        number = 0
        while not stop.is_set():
            number += 1
            append(context, 5)
            index.add([Product(f"new-{number}", f"New {number}", shop_id=SHOP)])
            with journal.open("ab") as file:
                file.write(b"record" * 1000)

    thread = threading.Thread(target=write)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_restored_service_gives_the_same_answers(
    context: ServiceContext, client: TestClient, admin: Headers, catalogue_id: str, tmp_path: Path
) -> None:
    append(context, 3)
    client.get("/v1/keys", headers=admin)  # so that the key has been used before
    webhook_id, _ = add_webhook(context, "https://ann:s3cret@shop.example/")
    report = back_up(context.settings, tmp_path / "backup")
    assert report.catalogues == 1
    assert restore(tmp_path / "backup", tmp_path / "new") == report
    assert (
        tmp_path / "new" / "sessions" / SESSION_ID / "frames" / "1.jpg"
    ).read_bytes() == b"a frame"
    restored = open_context(replace(context.settings, data=tmp_path / "new"))
    paths = ["/v1/keys", "/v1/catalogues", f"/v1/catalogues/{catalogue_id}/products"]
    paths += ["/v1/sessions", f"/v1/sessions/{SESSION_ID}/log", "/v1/webhooks"]
    with TestClient(create_app(restored, components=())) as other:
        for path in paths:
            answer = other.get(path, headers=admin)
            assert answer.status_code == 200, path
            assert answer.json() == client.get(path, headers=admin).json(), path
        body = {"text": "mug"}
        search = f"/v1/catalogues/{catalogue_id}/search"
        hits = [c.post(search, json=body, headers=admin).json() for c in (client, other)]
        assert hits[0] == hits[1] and len(hits[0]["items"]) == 2
    query = sa.select(tables.webhooks.c.url_sealed).where(tables.webhooks.c.id == webhook_id)
    with restored.database.read() as connection:
        sealed = connection.execute(query).scalar_one()
    assert restored.sealer.open(sealed) == "https://ann:s3cret@shop.example/"
    restored.database.close()


@pytest.mark.usefixtures("writer")
def test_a_backup_of_a_service_that_writes_is_consistent(
    context: ServiceContext, catalogue_id: str, tmp_path: Path
) -> None:
    for number in range(4):
        back_up(context.settings, tmp_path / f"backup-{number}")
        restore(tmp_path / f"backup-{number}", tmp_path / f"new-{number}")
        settings = replace(context.settings, data=tmp_path / f"new-{number}")
        restored = open_context(settings)
        with restored.database.read() as connection:
            seqs = connection.execute(sa.select(tables.log.c.seq)).scalars().all()
            last_seq = connection.execute(sa.select(tables.sessions.c.last_seq)).scalar_one()
        assert sorted(seqs) == list(range(1, last_seq + 1))
        index = Index.open(index_location(settings, catalogue_id), load_embedder(settings.model))
        found = {hit.product.product_id for hit in index.search(text="mug", k=500, shop_id=SHOP)}
        assert {"mug-1", "mug-2"} <= found
        restored.database.close()
    assert not list(tmp_path.glob("*.partial"))


def test_a_secret_of_the_folder_is_restored_for_its_owner_only(
    tmp_path: Path, model_folder: Path
) -> None:
    settings = ServiceSettings(data=tmp_path / "data", model=str(model_folder))
    context = open_context(settings)
    sealed = context.sealer.seal("secret address")
    context.database.close()
    back_up(settings, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new")
    assert (tmp_path / "new" / "secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    restored = open_context(replace(settings, data=tmp_path / "new"))
    assert restored.sealer.open(sealed) == "secret address"
    restored.database.close()


def test_a_damaged_backup_is_not_restored(
    context: ServiceContext, catalogue_id: str, tmp_path: Path
) -> None:
    out, new = tmp_path / "backup", tmp_path / "new"
    back_up(context.settings, out)
    manifest = json.loads((out / MANIFEST).read_text())
    frame = next(out.glob("sessions/*/frames/1.jpg"))
    frame.write_bytes(b"b frame")
    with pytest.raises(SgmnError, match="its checksum differs"):
        restore(out, new)
    frame.unlink()
    with pytest.raises(SgmnError, match="is missing in the backup"):
        restore(out, new)
    manifest["files"][0]["path"] = "../../escape"
    (out / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(SgmnError, match="names a file outside of it"):
        restore(out, new)
    (out / MANIFEST).write_text("{}")
    with pytest.raises(SgmnError, match=r"format sgmn\.backup/1"):
        restore(out, new)
    assert not new.exists()


def test_wrong_folders_and_postgresql_are_named(context: ServiceContext, tmp_path: Path) -> None:
    settings = context.settings
    with pytest.raises(SgmnError, match="is not a data folder"):
        back_up(replace(settings, data=tmp_path / "none"), tmp_path / "out")
    with pytest.raises(SgmnError, match="exists already"):
        back_up(settings, tmp_path)
    with pytest.raises(SgmnError, match="is not empty"):
        back_up(settings, tmp_path / "out")
        restore(tmp_path / "out", settings.data)
    postgresql = replace(settings, database_url="postgresql://sgmn@localhost/sgmn")
    with pytest.raises(SgmnError, match="run pg_dump first"):
        back_up(postgresql, tmp_path / "files")
    back_up(postgresql, tmp_path / "files", files_only=True)
    assert not (tmp_path / "files" / "service.sqlite3").exists()


def test_a_backup_of_a_newer_version_is_refused(context: ServiceContext, tmp_path: Path) -> None:
    with context.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    back_up(context.settings, tmp_path / "backup")
    with pytest.raises(SgmnError, match="tables of version 9999"):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()
