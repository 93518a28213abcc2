"""Overlay videos: each frame is shown for its duration, and no partial file remains."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from sgmn.report import overlay_video
from tests.report.illustrations import (
    BLUE,
    GREEN,
    RED,
    illustrate,
    unusual_illustrations,
    without_guidance,
)


@pytest.mark.parametrize("name", list(unusual_illustrations()))
def test_unusual_explanations_become_videos(name: str) -> None:
    image, duration_s = next(iter(overlay_video.draw_frames(unusual_illustrations()[name])))
    assert image.size == overlay_video.VIDEO_SIZE and duration_s > 0


def test_each_frame_is_shown_for_its_duration(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    overlay_video.write_overlay_video(without_guidance(illustrate()), path)
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
    with av.open(path) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        frames = [
            (frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
        ]
    assert frames[-1][0] == pytest.approx(6.0, abs=0.3)
    for time, rgb in frames:
        assert rgb.shape == (720, 1280, 3)
        color = (RED, GREEN, BLUE)[int(time // 2)]
        assert np.abs(rgb[360, 200].astype(int) - color).max() < 25, time


def test_a_failed_write_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(OSError, match=r"out\.mp4"):
        overlay_video.write_overlay_video(
            without_guidance(illustrate((1.0,), 1)), tmp_path / "out.mp4"
        )
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
