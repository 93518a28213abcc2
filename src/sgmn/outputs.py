"""Output files that the user requested, checked before the work starts."""

from __future__ import annotations

import os
from pathlib import Path

from sgmn.errors import SgmnError


def require_writable(*paths: Path | None) -> None:
    """Raise SgmnError unless every path can be written as a file; None is ignored.

    Creates the parent folders. Call it before long work, so that no result is lost.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise SgmnError("is a folder", path, "pass a file path")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot be written ({error.strerror})"
            raise SgmnError(message, path, "choose another folder") from error
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise SgmnError("cannot be written", path, "choose a folder that you may write to")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, creating its parent folders. Raises SgmnError if it fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SgmnError(f"cannot be written ({error.strerror})", path) from error
