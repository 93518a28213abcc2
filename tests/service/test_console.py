"""The console by HTTP: its files, login and logout, and the stream of its pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.service.auth import LOGIN_COOKIE
from sgmn.service.console.assets import FOLDER
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from tests.service.conftest import Headers, MakeKey

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
SQLITE_ONLY = pytest.mark.parametrize("module_database", ["sqlite"], indirect=True)


def log_in(client: TestClient, headers: Headers) -> None:
    key = headers["Authorization"].split()[1]
    response = client.post("/console/login", json={"key": f" {key}\n"}, headers=SAME_ORIGIN)
    assert response.status_code == 200, response.text


def test_a_login_acts_as_its_key_until_it_ends(
    client: TestClient, context: ServiceContext, make_key: MakeKey, admin: Headers
) -> None:
    assert client.get("/console/login").json()["key"] is None
    log_in(client, make_key("editor", ["shop-a"]))
    key = client.get("/console/login").json()["key"]
    assert (key["role"], key["shops"]) == ("editor", ["shop-a"])
    assert client.get("/v1/catalogues").status_code == 200
    assert client.get("/v1/keys").status_code == 403
    with context.database.read() as connection:
        [stored] = connection.execute(sa.select(tables.logins.c.secret_sha256)).scalars()
    assert stored not in client.cookies.values()

    cookie = {"Cookie": f"{LOGIN_COOKIE}={client.cookies[LOGIN_COOKIE]}"}
    assert client.get("/v1/catalogues", headers=cookie).status_code == 200
    assert client.post("/console/logout", headers=SAME_ORIGIN).status_code == 204
    assert LOGIN_COOKIE not in client.cookies
    assert client.get("/v1/catalogues", headers=cookie).status_code == 401

    log_in(client, make_key("editor", ["shop-a"]))
    [key_id] = {client.get("/console/login").json()["key"]["id"]}
    assert client.delete(f"/v1/keys/{key_id}", headers=admin).status_code == 204
    assert client.get("/v1/catalogues").status_code == 401


@SQLITE_ONLY
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver"}, 201),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_pages_of_other_sites_cannot_use_a_login(
    client: TestClient, editor: Headers, headers: Headers, status: int
) -> None:
    log_in(client, editor)
    new = {"shop_id": "shop-a", "name": "Spring"}
    assert client.post("/v1/catalogues", json=new, headers=headers).status_code == status


@SQLITE_ONLY
def test_what_a_page_sends_again_is_done_once(client: TestClient, editor: Headers) -> None:
    log_in(client, editor)
    new, headers = {"shop_id": "shop-a", "name": "Once"}, SAME_ORIGIN | {"Idempotency-Key": "page"}
    first, again = (client.post("/v1/catalogues", json=new, headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true" and again.json() == first.json()


@SQLITE_ONLY
def test_a_cookie_is_for_this_service_and_not_for_scripts(
    client: TestClient, editor: Headers
) -> None:
    body = {"key": editor["Authorization"].split()[1]}
    plain = client.post("/console/login", json=body, headers=SAME_ORIGIN).headers["set-cookie"]
    assert {"httponly", "samesite=lax", "path=/"} <= {
        part.strip().lower() for part in plain.split(";")
    }
    assert "secure" not in plain.lower()
    headers = {**SAME_ORIGIN, "Origin": "https://sgmn.example"}
    secure = client.post("/console/login", json=body, headers=headers).headers["set-cookie"]
    assert "; secure" in secure.lower()
    wrong = client.post("/console/login", json={"key": "sgmn_wrong"}, headers=SAME_ORIGIN)
    assert wrong.status_code == 401 and "set-cookie" not in wrong.headers


@SQLITE_ONLY
def test_every_file_that_a_page_names_is_there(client: TestClient) -> None:
    home = client.get("/")
    assert home.url.path == "/console/" and home.status_code == 200
    policy = home.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    names = set(re.findall(r'"/console/static/([^"]+)"', home.text))
    modules = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.js")}
    for module in modules:
        for name in re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', (FOLDER / module).read_text()):
            names.add(str((FOLDER / module).parent.joinpath(name).resolve().relative_to(FOLDER)))
    assert "pages/live.js" in names
    for name in names:
        response = client.get(f"/console/static/{name}")
        assert response.status_code == 200, name
        again = {"If-None-Match": response.headers["etag"]}
        assert client.get(f"/console/static/{name}", headers=again).status_code == 304
    for outside in ("..%2Froutes.py", "%2e%2e%2froutes.py", "nothing.js", "style"):
        assert client.get(f"/console/static/{outside}").status_code == 404


def test_the_page_needs_no_inline_script_or_style() -> None:
    page = Path(FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    for module in FOLDER.rglob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(", module.read_text())


@SQLITE_ONLY
def test_a_stream_needs_a_login_and_sessions_that_it_may_see(
    client: TestClient, editor: Headers
) -> None:
    path, unknown = "/console/stream", f"ses_{'a' * 26}"
    assert client.get(path, params={"session": unknown}).status_code == 401
    log_in(client, editor)
    assert client.get(path).status_code == 422
    assert client.get(path, params={"session": unknown}).status_code == 404
    two = {"session": unknown, "after": "1.2"}
    assert client.get(path, params=two).status_code == 422
