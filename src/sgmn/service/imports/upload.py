"""Receives the bodies of requests in pieces, within limits of size and time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from sgmn.service.problems import ApiError


@dataclass(frozen=True, slots=True)
class Upload:
    """A received body: its file, size in bytes and SHA-256."""

    path: Path
    size: int
    sha256: str


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request in memory. Raises ApiError, 413, if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise ApiError(413, f"The body is larger than {max_bytes:,} bytes.")
    return bytes(body)


async def receive(request: Request, path: Path, max_bytes: int, timeout_s: float) -> Upload:
    """Write the body of a request to a file, which is on disk when this returns.

    Nothing is left of a body that does not arrive completely.

    Raises:
        ApiError: 413 if it is too large, 408 if it takes too long, 422 if it is empty.
    """
    _check_declared_size(request, max_bytes)
    path.parent.mkdir(parents=True)
    try:
        async with asyncio.timeout(timeout_s):
            upload = await _write(request, path, max_bytes)
        if not upload.size:
            raise ApiError(422, "The request has no body; send the catalogue.")
        return upload
    except BaseException as error:
        await run_in_threadpool(shutil.rmtree, path.parent, ignore_errors=True)
        if isinstance(error, TimeoutError):
            raise ApiError(408, f"The upload did not end within {timeout_s:g} s.") from error
        if isinstance(error, ClientDisconnect):
            raise ApiError(400, "The upload was interrupted.") from error
        raise


async def _write(request: Request, path: Path, max_bytes: int) -> Upload:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            digest.update(chunk)
            await run_in_threadpool(file.write, chunk)
        file.flush()
        await run_in_threadpool(_sync, file.fileno(), path.parent)
    return Upload(path, size, digest.hexdigest())


def _sync(descriptor: int, folder: Path) -> None:
    """Make sure that a file survives a power failure, and its name in its folder."""
    os.fsync(descriptor)
    for parent in (folder, folder.parent):
        handle = os.open(parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _check_declared_size(request: Request, max_bytes: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"The upload is larger than {max_bytes:,} bytes; split the catalogue.")
