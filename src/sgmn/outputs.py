"""Files that a user asked for: refused before the work when they could not be written after it."""

from __future__ import annotations

import os
from pathlib import Path

from sgmn.errors import SgmnError


def require_writable(*paths: Path | None) -> None:
    """Refuse, before the work is done, an output that could not be written after it."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise SgmnError("is a folder", path, "give a file to write")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SgmnError(
                f"cannot be written ({error.strerror})", path, "give another place"
            ) from error
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise SgmnError("cannot be written", path, "give a file in a folder of yours")


def write_text(path: Path, text: str) -> None:
    """Write a file that a user asked for. Raises SgmnError naming it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SgmnError(f"cannot be written ({error.strerror})", path) from error
