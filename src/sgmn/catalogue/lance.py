"""LanceDB's ways: how to connect, what its errors say, and commits beside other writers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import lancedb

from sgmn.errors import IndexingError

PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
ERRORS = (RuntimeError, ValueError, OSError)  # what LanceDB raises; it has no errors of its own
_Result = TypeVar("_Result")


def connect(path: Path) -> Any:
    """The database in a folder; every read sees what other processes have committed by then."""
    return lancedb.connect(path, read_consistency_interval=timedelta(0))


def said(error: BaseException) -> str:
    """An error's own words, without the place in LanceDB's source that follows them."""
    return str(error).split(", /")[0]


def retried(action: Callable[[], _Result], path: Path, fault: str) -> _Result:
    """The action's result; tried again when another writer's commit came between.

    LanceDB then raises "Retryable commit conflict" and has changed nothing. Raises
    IndexingError when every try met a conflict, and, saying `fault` of the index at `path`
    ("cannot be written"), for what else goes wrong: a full disk, rights, a damaged table.
    """
    for pause in PAUSES_S:
        try:
            return action()
        except (RuntimeError, OSError) as error:
            if "conflict" not in str(error).lower():
                remedy = "check its rights and the room on its disk, and run it again"
                raise IndexingError(f"{fault} ({said(error)})", path, remedy) from error
            conflict = error
        time.sleep(pause)
    raise IndexingError(
        "is being written by others all the time", path, "run it again later"
    ) from conflict
