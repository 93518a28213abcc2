"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sgmn.errors import SettingsError, SgmnError, error_reason
from sgmn.scale.ray_engine import RayEngine

LOCAL = "local"  # a cluster of this machine only, which ends with the job
CONNECT_TIMEOUT_S = 10.0
OBJECT_STORE_BYTES = 512 << 20  # of a cluster of this machine; batches of rows are small
# RFC 9113: a client begins with these bytes and its settings, a server with its settings.
_HTTP2_SETTINGS, _HTTP2_HEADER_BYTES = b"\x04", 9
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _HTTP2_SETTINGS + b"\0" * 5
_REMEDY = (
    "check --address, that `ray status` on the head node lists the cluster, and that"
    " this machine has the token of the head node (~/.ray/auth_token) if the cluster requires one"
)


@contextmanager
def connect_ray(address: str | None = None) -> Iterator[RayEngine]:
    """Connect to a cluster, and disconnect at the end of the `with` block.

    Args:
        address: `HOST:PORT` of the head node, `ray://HOST:PORT` for Ray Client, "auto" for the
            cluster that runs on this machine, or "local" to start one for this job only. None
            is the environment variable RAY_ADDRESS, which Ray sets for submitted jobs, or
            "local". If this process is already connected, the connection is used and kept.

    Raises:
        SgmnError: Ray is not installed, or there is no cluster at the address.
        SettingsError: `address` is not an address.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield RayEngine(ray)
        return
    _initialize(ray, address or os.environ.get("RAY_ADDRESS") or LOCAL)
    try:
        yield RayEngine(ray)
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """Import Ray with its settings; raises SgmnError if it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise Ray reports to its makers
    # Ray starts workers at the lowest priority but four, where other programs starve them.
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its default warns
    # Otherwise a late call starts a cluster after the connection was closed.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    # A cluster may require a token, which Ray does not send by itself to an address. Once Ray has
    # been imported, it does not read this variable again.
    if "ray" not in sys.modules and _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        return import_module("ray")
    except ImportError as error:
        raise SgmnError(
            "the engine ray requires the package Ray", remedy='run: pip install "sgmn[ray]"'
        ) from error


def _has_token() -> bool:
    """Whether Ray would find a token for clusters that require one."""
    variables = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    path = os.path.expanduser("~/.ray/auth_token")  # noqa: PTH111 - Path raises without a home
    return any(map(os.environ.get, variables)) or os.path.isfile(path)  # noqa: PTH113


def _initialize(ray: Any, address: str) -> None:
    options: dict[str, Any] = {
        "address": address,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if address == LOCAL:
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    elif address != "auto":
        require_reachable(address)
    try:
        ray.init(**options)
    except Exception as error:  # Ray raises this very class if a node does not start in time
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SgmnError(f"no Ray cluster can be used there ({reason})", address, _REMEDY) from error


def require_reachable(address: str) -> None:
    """Raise SgmnError unless a server of Ray answers at the address within seconds.

    Ray itself tries for minutes.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        remedy = "pass HOST:PORT such as 10.0.0.5:6379, ray://HOST:10001, auto or local"
        raise SettingsError("is not the address of a Ray cluster", f"--address {address}", remedy)
    try:
        with socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_grpc(connection):
                raise ConnectionError("what answers there is not Ray")
    except OSError as error:
        reason = error_reason(error)
        raise SgmnError(f"cannot be reached ({reason})", f"Ray at {address}", _REMEDY) from error


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side greets as a server of HTTP/2 does, on which gRPC is based."""
    connection.sendall(_HTTP2_GREETING)
    answer = b""
    while len(answer) < _HTTP2_HEADER_BYTES and (received := connection.recv(64)):
        answer += received
    return answer[3:4] == _HTTP2_SETTINGS
