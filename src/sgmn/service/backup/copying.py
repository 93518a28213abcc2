"""Copies of files that may change, grow or vanish while they are copied."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20
_MANIFESTS = "_versions"  # of Lance: each file names the immutable files of one version


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file of a backup: its path in the data folder, its size and its checksum."""

    path: str
    bytes: int
    sha256: str


def copy_folder(source: Path, target: Path, name: str) -> Iterator[CopiedFile]:
    """Copy the folder `name` with everything in it.

    The versions of Lance tables are copied before the files that they name. Files of later
    versions may be there as well, and harm nothing. What vanishes in the meantime, such as old
    frames, is left out.
    """
    copied: set[str] = set()
    for only_manifests in (True, False):
        for path in sorted((source / name).rglob("*")):
            relative = path.relative_to(source).as_posix()
            is_wanted = not only_manifests or path.parent.name == _MANIFESTS
            if not is_wanted or relative in copied or path.is_symlink() or not path.is_file():
                continue
            if not only_manifests and path.parent.name == _MANIFESTS:
                continue  # a version that is newer than the first pass
            file = copy_file(source, target, relative)
            if file is not None:
                copied.add(relative)
                yield file


def copy_file(source: Path, target: Path, relative: str) -> CopiedFile | None:
    """Copy a file, and force it to the disk; None if it has vanished.

    Its permissions are kept, as the secret of the service needs it.
    """
    digest, size = hashlib.sha256(), 0
    place = target / relative
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (source / relative).open("rb") as reader:
            mode = os.fstat(reader.fileno()).st_mode & 0o777
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as writer:
                while chunk := reader.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    writer.write(chunk)
                writer.flush()
                os.fsync(writer.fileno())
    except FileNotFoundError:
        return None
    return CopiedFile(relative, size, digest.hexdigest())


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
