"""Files inside tar shards, read in place.

A path such as `shards/00000.tar/000000012.jpg@1536+20480` names the member, the offset of its
bytes in the tar file, and their number. A read needs neither a scan nor an unpacked copy.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"(?P<name>[^/]+)@(?P<offset>\d+)\+(?P<size>\d+)")


class TarMember(NamedTuple):
    """A file inside a tar file that is not compressed, and where its bytes are."""

    tar: Path
    name: str
    offset: int
    size: int

    @property
    def path(self) -> Path:
        """The path that names the member."""
        return self.tar / f"{self.name}@{self.offset}+{self.size}"

    def exists(self) -> bool:
        """Whether the tar file exists and is long enough."""
        try:
            return self.tar.stat().st_size >= self.offset + self.size
        except FileNotFoundError:
            return False

    def read(self) -> bytes:
        """Return the bytes. Raises OSError if the tar file cannot be read or is too short."""
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise OSError("the tar file is too short")
        return content


def parse_path(path: Path) -> TarMember | None:
    """Return the member that a path names, or None for any other path.

    >>> parse_path(Path("a/00000.tar/7.jpg@512+90")).size
    90
    >>> parse_path(Path("a/7.jpg")) is None
    True
    """
    if "@" not in path.name or path.parent.suffix != ".tar":
        return None
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    return TarMember(path.parent, match["name"], int(match["offset"]), int(match["size"]))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file or of a member of a tar shard. Raises OSError if it fails."""
    member = parse_path(path)
    return path.read_bytes() if member is None else member.read()


def list_members(tar: Path) -> Iterator[TarMember]:
    """Yield the files of a tar file in order. Raises tarfile.TarError for a damaged file."""
    with tarfile.open(tar, "r:") as archive:
        for info in archive:
            if info.isfile():
                name = info.name.rpartition("/")[2]
                yield TarMember(tar, name, info.offset_data, info.size)
            archive.members = []  # type: ignore[attr-defined]  # or it keeps every header
