"""The files of the console: read once for each version, with an ETag and compressed."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
SHELL = "index.html"
_MEDIA_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".json": "application/json"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file for browsers."""

    body: bytes
    compressed: bytes
    etag: str
    media_type: str


def find_asset(name: str) -> Asset | None:
    """The file with a relative name; None if there is none, or the name leaves the folder."""
    path = (FOLDER / name).resolve()
    if not path.is_relative_to(FOLDER) or not path.is_file():
        return None
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _read(path: Path, _modified_ns: int) -> Asset:
    body = path.read_bytes()
    media_type = _MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return Asset(
        body=body,
        compressed=gzip.compress(body, mtime=0),
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        media_type=media_type or "application/octet-stream",
    )
