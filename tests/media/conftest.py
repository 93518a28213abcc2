"""Videos that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.footage import frame_times, write_video


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for videos that the tests of a module share."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def short_stream(video_folder: Path) -> bytes:
    """Three seconds of MPEG-TS, with a key frame per second."""
    path = video_folder / "short.ts"
    return write_video(path, frame_times(3), codec_options={"g": "10"}).read_bytes()


@pytest.fixture(scope="module")
def video_path(video_folder: Path) -> Path:
    """Twelve seconds at ten frames per second, with B-frames and a key frame every two seconds."""
    return write_video(video_folder / "plain.mp4", frame_times(12))
