"""The recording of a session on disk."""

from __future__ import annotations

from pathlib import Path

from sgmn.media.recorder import RecordedPart, delete_part, list_parts, part_path

RECORDING_FOLDER = "recording"  # in the folder of a session


def find_part(folder: Path, time_s: float) -> RecordedPart | None:
    """Return the newest part that holds a time of the stream; None if it was not recorded."""
    holding = [part for part in list_parts(folder) if part.start_s <= time_s < part.end_s]
    return holding[-1] if holding else None


def delete_older_than(folder: Path, wall_s: float) -> int:
    """Delete the parts that were last written before a wall-clock time; count them."""
    old = [path for path in folder.glob("*.mp4") if path.stat().st_mtime < wall_s]
    for path in old:
        delete_part(folder, int(path.stem))
    return len(old)


__all__ = [
    "RECORDING_FOLDER",
    "RecordedPart",
    "delete_older_than",
    "find_part",
    "list_parts",
    "part_path",
]
