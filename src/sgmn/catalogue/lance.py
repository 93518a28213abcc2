"""LanceDB access: connections, error messages, and retries after commit conflicts.

LanceDB takes a second to import, which only those who open an index should pay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sgmn.errors import IndexingError

RETRY_DELAYS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
LANCE_ERRORS = (RuntimeError, ValueError, OSError)  # LanceDB defines no error classes of its own
TABLE_NAME = "products"
Location = Path | str  # a folder, or an address in object storage such as s3://bucket/folder
_Result = TypeVar("_Result")


def to_location(path: Location) -> Location:
    """A folder as a path; an address in object storage as it is."""
    return path if isinstance(path, str) and "://" in path else Path(path)


def connect(location: Location) -> Any:
    """Connect to a database; every read sees all commits of other processes."""
    import lancedb

    return lancedb.connect(location, read_consistency_interval=timedelta(0))


class LazyTable:
    """A table that LanceDB opens when it is first used; it has the attributes of LanceDB's.

    Raises IndexingError when it is first used and cannot be opened.
    """

    def __init__(self, location: Location, name: str) -> None:
        self._location, self._name = location, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    @cached_property
    def _table(self) -> Any:
        try:
            table = connect(self._location).open_table(self._name)
            table.schema.metadata  # noqa: B018 - a damaged table fails here
        except LANCE_ERRORS as error:
            message = f"cannot be opened ({error_message(error)})"
            remedy = "index again into a new folder"
            raise IndexingError(message, self._location, remedy) from error
        return table


def vector_index_config() -> Any:
    """The config of the approximate index of vectors that are compared by cosine."""
    from lancedb.index import IvfRq

    return IvfRq(distance_type="cosine")


def bitmap_index_config() -> Any:
    """The config of the index of a column with few different values."""
    from lancedb.index import Bitmap

    return Bitmap()


def has_table(location: Location, name: str) -> bool:
    """Whether a database has a table, which is not opened."""
    location = to_location(location)
    if isinstance(location, str):
        try:
            connect(location).open_table(name)
        except ValueError:  # LanceDB's "was not found"
            return False
        return True
    try:
        return (location / f"{name}.lance").is_dir()
    except OSError:  # a name that is too long, or a folder without permission to enter
        return False


def require_no_file(location: Location) -> None:
    """Raise IndexingError if there is a file in the place of a database."""
    try:
        is_file = isinstance(location, Path) and location.exists() and not location.is_dir()
    except OSError:  # a path that cannot be looked up is reported when it is opened
        return
    if is_file:
        raise IndexingError("is a file", location, "pass the folder of an index")


def error_message(error: BaseException) -> str:
    """The message of a LanceDB error, without the position in LanceDB's source code."""
    return str(error).split(", /")[0]


def retry_on_conflict(action: Callable[[], _Result], path: Location, failure: str) -> _Result:
    """Run `action` and return its result; retry if another writer committed in between.

    LanceDB raises "Retryable commit conflict" in that case and changes nothing.

    Args:
        action: The write to run.
        path: The index, for error messages.
        failure: What to report if the action fails, such as "cannot be written".

    Raises:
        IndexingError: Every attempt met a conflict, or the write failed for another reason
            such as a full disk, missing permissions or a damaged table.
    """
    for delay_s in RETRY_DELAYS_S:
        try:
            return action()
        except (RuntimeError, OSError) as error:
            if "conflict" not in str(error).lower():
                remedy = "check its permissions and the free disk space, then run the command again"
                raise IndexingError(f"{failure} ({error_message(error)})", path, remedy) from error
            conflict = error
        time.sleep(delay_s)
    raise IndexingError(
        "is constantly being written by other processes", path, "run the command again later"
    ) from conflict
