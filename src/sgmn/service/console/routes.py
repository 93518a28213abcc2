"""The pages of the console: one shell for all addresses, its files, login and logout."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from sgmn import __version__
from sgmn.service import audit, auth
from sgmn.service.auth import LOGIN_COOKIE, Caller, Role
from sgmn.service.console.assets import SHELL, Asset, find_asset
from sgmn.service.console.logins import delete_login, insert_login, set_cookie
from sgmn.service.context import Context
from sgmn.service.problems import ApiError, not_found
from sgmn.service.rate_limits import rate_limits_of

router = APIRouter(include_in_schema=False)
_HOME = "/console/"
# Blobs are pictures that a person has dropped on a page.
POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


class Login(BaseModel):
    """The key to log in with."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=1000)


class KeyOfLogin(BaseModel):
    """The key of a login, as far as its owner may see it."""

    id: str
    name: str
    role: Role
    shops: list[str] | None


class LoginState(BaseModel):
    """Who is logged in; null for nobody."""

    key: KeyOfLogin | None
    version: str = __version__


@router.get("/")
def home() -> RedirectResponse:
    """The console is what people look for."""
    return RedirectResponse(_HOME)


@router.get("/console/login")
def get_login(request: Request, response: Response, context: Context) -> LoginState:
    """Who is logged in. An answer to nobody is no error, so that browsers do not report one."""
    response.headers["Cache-Control"] = "no-store"
    secret = request.cookies.get(LOGIN_COOKIE)
    return _state(None if secret is None else auth.find_login(context, secret))


@router.post("/console/login")
def log_in(request: Request, response: Response, context: Context, login: Login) -> LoginState:
    """Begin a login with a key."""
    auth.require_same_origin(request)
    limits = rate_limits_of(context)
    limits.count_login(request)
    caller = auth.find_caller(context, login.key.strip())
    if caller is None:
        raise ApiError(401, "This key is unknown or revoked.")
    limits.allow_login(request, caller.key_id)
    with context.database.write() as connection:
        secret = insert_login(connection, caller.key_id)
        audit.record(connection, request, caller, "login.create", caller.key_id)
    set_cookie(request, response, secret)
    return _state(caller)


@router.post("/console/logout", status_code=204)
def log_out(request: Request, context: Context) -> Response:
    """End the login of the browser."""
    auth.require_same_origin(request)
    secret = request.cookies.get(LOGIN_COOKIE)
    if secret is not None:
        with context.database.write() as connection:
            delete_login(connection, secret)
    response = Response(status_code=204)
    response.delete_cookie(LOGIN_COOKIE, path="/", httponly=True, samesite="lax")
    return response


@router.get("/console/static/{name:path}")
def get_asset(request: Request, name: str) -> Response:
    """A file of the console. Browsers ask each time whether theirs is still the newest."""
    asset = find_asset(name)
    if asset is None:
        raise not_found("file")
    return _answer(request, asset)


@router.get("/console")
@router.get("/console/{page:path}")
def get_page(request: Request, page: str = "") -> Response:
    """The shell, which shows the page of the address."""
    asset = find_asset(SHELL)
    assert asset is not None
    response = _answer(request, asset)
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _answer(request: Request, asset: Asset) -> Response:
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = asset.compressed, "gzip"
    return Response(body, media_type=asset.media_type, headers=headers)


def _state(caller: Caller | None) -> LoginState:
    if caller is None:
        return LoginState(key=None)
    shops = None if caller.shops is None else sorted(caller.shops)
    return LoginState(
        key=KeyOfLogin(id=caller.key_id, name=caller.name, role=caller.role, shops=shops)
    )
