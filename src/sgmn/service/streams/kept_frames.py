"""The frames of a session as JPEG files, for a while."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

FRAMES_FOLDER = "frames"  # in the folder of a session
_FOLDER_S = 60  # the frames of a minute are in one folder, and are deleted together
_SUFFIX = ".jpg"
_SPAN_GAP_S = 30.0  # as old as a frame may be that `find` returns


class KeptFrames:
    """The frames in a folder: `{minute}/{milliseconds}.jpg`, in time of the stream."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, time_s: float, jpeg: bytes) -> None:
        """Save a frame. Raises OSError if it cannot be written."""
        path = self._minute(time_s) / f"{round(1000 * time_s):010d}{_SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_bytes(jpeg)
        temporary.replace(path)

    def find(self, time_s: float, max_age_s: float = _SPAN_GAP_S) -> tuple[float, Path] | None:
        """Return time and file of the newest frame at or before `time_s`; None without one."""
        limit = round(1000 * time_s)
        earliest_s = max(0.0, time_s - max_age_s)
        for minute in range(int(time_s // _FOLDER_S), int(earliest_s // _FOLDER_S) - 1, -1):
            for path in reversed(_frames_in(self._minute(minute * _FOLDER_S))):
                milliseconds = int(path.stem)
                if milliseconds <= limit:
                    return (
                        (milliseconds / 1000, path) if milliseconds / 1000 >= earliest_s else None
                    )
        return None

    def between(self, start_s: float, end_s: float) -> Iterator[tuple[float, Path]]:
        """Yield time and file of each frame from `start_s` to before `end_s`, in order."""
        for minute in range(int(start_s // _FOLDER_S), int(end_s // _FOLDER_S) + 1):
            for path in _frames_in(self._minute(minute * _FOLDER_S)):
                time_s = int(path.stem) / 1000
                if start_s <= time_s < end_s:
                    yield time_s, path

    def spans(self) -> list[tuple[float, float]]:
        """Return from when to when there are frames, in order."""
        spans: list[tuple[float, float]] = []
        for folder in sorted(self.folder.glob("*/")):
            frames = _frames_in(folder)
            if not frames:
                continue
            start_s, end_s = int(frames[0].stem) / 1000, int(frames[-1].stem) / 1000
            if spans and start_s - spans[-1][1] <= _SPAN_GAP_S:
                start_s = spans.pop()[0]
            spans.append((start_s, end_s))
        return spans

    def delete_older_than(self, wall_s: float) -> int:
        """Delete the minutes whose last frame was saved before a wall-clock time; count them."""
        deleted = 0
        for folder in self.folder.glob("*/"):
            if folder.stat().st_mtime < wall_s:
                shutil.rmtree(folder, ignore_errors=True)
                deleted += 1
        return deleted

    def _minute(self, time_s: float) -> Path:
        return self.folder / f"{int(time_s // _FOLDER_S):06d}"


def _frames_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))
