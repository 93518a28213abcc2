"""Uploaded zip archives: unpacked within limits, without leaving their folder."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from sgmn.errors import RecordError
from sgmn.service.imports.media_types import FEED_SUFFIXES

_CHUNK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


def unpack(archive: Path, folder: Path, max_files: int, max_bytes: int) -> None:
    """Unpack the files of an archive into a folder.

    Raises RecordError for a damaged or encrypted archive, for one beyond the limits, and for
    names that lead out of the folder.
    """
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir() and not _is_clutter(m)]
            if len(members) > max_files:
                message = f"has {len(members)} files; the maximum is {max_files}"
                raise RecordError(message, archive.name, "split the archive")
            left = max_bytes
            for member in members:
                left -= _unpack_member(opened, member, folder, archive.name, left)
    except _DAMAGED as error:
        message = f"is not a readable zip archive ({error})"
        raise RecordError(message, archive.name, "pack it again") from error


def _unpack_member(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, name: str, max_bytes: int
) -> int:
    """Write one file and return its size; sizes in the archive's index are not trusted."""
    if member.flag_bits & 1:
        raise RecordError("is encrypted", f"{name}/{member.filename}", "pack it without a password")
    target = folder / _safe_path(member.filename, name)
    size = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(member) as source, target.open("xb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    message = "is too large when unpacked"
                    raise RecordError(message, name, "split the archive")
                file.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        message = "has the same name as another file"
        raise RecordError(message, f"{name}/{member.filename}", "rename one") from error
    return size


def _safe_path(filename: str, archive: str) -> PurePosixPath:
    path = PurePosixPath(filename.replace("\\", "/"))
    long_part = any(len(part.encode("utf-8", "surrogatepass")) > 200 for part in path.parts)
    leads_out = path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
    if leads_out or long_part or len(path.parts) > 20:
        remedy = "use short relative paths"
        raise RecordError("is not an acceptable name", f"{archive}/{filename[:200]!r}", remedy)
    return path


def _is_clutter(member: zipfile.ZipInfo) -> bool:
    """Whether a file is one that operating systems add."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    return not parts or parts[0] == "__MACOSX" or parts[-1].startswith(".")


def find_feed(folder: Path, archive: str) -> Path:
    """The feed in an unpacked archive: a file, or the folder itself if it holds images only.

    Raises RecordError if there are several feeds, or nothing at all.
    """
    entries = sorted(folder.iterdir())
    while len(entries) == 1 and entries[0].is_dir():  # everything is packed in one folder
        folder = entries[0]
        entries = sorted(folder.iterdir())
    if not entries:
        raise RecordError("is empty", archive, "pack a catalogue and its images")
    if (folder / "products.jsonl").is_file():
        return folder / "products.jsonl"
    feeds = [path for path in entries if path.suffix.lower() in FEED_SUFFIXES and path.is_file()]
    if len(feeds) > 1:
        names = ", ".join(path.name for path in feeds[:5])
        remedy = "name the one to import products.jsonl, or pack only one"
        raise RecordError(f"has {len(feeds)} catalogues ({names})", archive, remedy)
    return feeds[0] if feeds else folder
