"""The download cache: files named by the sha256 of their content, and a table of addresses.

A file appears under its name only when it is complete, and its address is recorded afterwards. A
process that is killed therefore never leaves a partial file that a later run would use. Several
processes may share a cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from sgmn.errors import SgmnError, error_reason

MAX_FRESH_S = 30 * 24 * 3600.0  # an image is revalidated at least once in this time
_SCHEMA = """CREATE TABLE IF NOT EXISTS responses (
    url TEXT PRIMARY KEY, sha256 TEXT NOT NULL, etag TEXT NOT NULL,
    last_modified TEXT NOT NULL, fresh_until REAL NOT NULL) WITHOUT ROWID"""
_Result = TypeVar("_Result")


class CacheError(SgmnError):
    """A cache folder that cannot be used."""


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """What the cache holds for an address."""

    path: Path
    etag: str
    last_modified: str
    fresh_until: float  # seconds since 1970; no request is needed before

    @property
    def is_fresh(self) -> bool:
        """Whether the server allows use without asking again."""
        return time.time() < self.fresh_until

    @property
    def conditional_headers(self) -> dict[str, str]:
        """Request headers that make the server answer 304 if nothing has changed."""
        headers = {"if-none-match": self.etag, "if-modified-since": self.last_modified}
        return {name: value for name, value in headers.items() if value}


class DownloadCache:
    """A cache folder. Use it as a context manager, and in one thread only."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def __enter__(self) -> DownloadCache:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self.folder / "responses.sqlite", timeout=30.0, isolation_level=None
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", _SCHEMA):
                self._guard(partial(self._database.execute, statement))
        except CacheError:
            self._database.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def get(self, url: str) -> CachedResponse | None:
        """The cached response of an address; None without one, or if its file is gone."""
        query = "SELECT sha256, etag, last_modified, fresh_until FROM responses WHERE url = ?"
        row = self._guard(lambda: self._database.execute(query, (url,)).fetchone())
        if row is None:
            return None
        path = self._content_path(row[0])
        return CachedResponse(path, *row[1:]) if path.is_file() else None

    def write(self, content: bytes) -> Path:
        """Write a file under the name of its content, unless it is there already."""
        path = self._content_path(hashlib.sha256(content).hexdigest())
        if path.is_file() and path.stat().st_size == len(content):
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=path.parent, prefix=".partial-", delete=False
            ) as file:
                file.write(content)
            Path(file.name).replace(path)
        except OSError as error:
            raise self._unusable(error) from error
        return path

    def remember(self, url: str, path: Path, headers: Mapping[str, str]) -> None:
        """Record that an address has the content of `path`, and how to revalidate it."""
        values = (
            *(url, path.name, headers.get("etag", ""), headers.get("last-modified", "")),
            time.time() + parse_freshness_s(headers),
        )
        statement = "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?)"
        self._guard(lambda: self._database.execute(statement, values))

    def renew(self, url: str, cached: CachedResponse, headers: Mapping[str, str]) -> None:
        """Record that the server confirmed a cached response (status 304)."""
        kept = {"etag": cached.etag, "last-modified": cached.last_modified}
        self.remember(url, cached.path, kept | dict(headers))

    def _content_path(self, sha256: str) -> Path:
        return self.folder / "content" / sha256[:2] / sha256

    def _guard(self, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError | sqlite3.Error) -> CacheError:
        message = f"cannot be used as a cache ({error_reason(error)})"
        return CacheError(message, self.folder, "delete the folder, or choose another --cache")


def parse_freshness_s(headers: Mapping[str, str]) -> float:
    """How long a response may be used without asking again, in seconds.

    >>> parse_freshness_s({"cache-control": "public, max-age=600", "age": "100"})
    500.0
    >>> parse_freshness_s({"cache-control": "no-cache, max-age=600"})
    0.0
    """
    control = headers.get("cache-control", "").lower()
    match = re.search(r"max-age\s*=\s*\"?(\d{1,12})", control, re.ASCII)
    if match is None or "no-cache" in control or "no-store" in control:
        return 0.0
    age_s = 0.0
    with contextlib.suppress(ValueError):
        age_s = max(0.0, float(headers.get("age", "0")))
    return min(max(0.0, float(match[1]) - age_s), MAX_FRESH_S)
