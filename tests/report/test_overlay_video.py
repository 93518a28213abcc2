"""An explanation as a film: it plays each frame for its time, or is not there at all."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from sgmn.report import overlay_video
from tests.live.scenes import BLUE, GREEN, RED, alike, odd_scenes, scene


@pytest.mark.parametrize("name", list(odd_scenes()))
def test_odd_scenes_are_filmed(name: str) -> None:
    moment, lasts_s = next(iter(overlay_video.film(odd_scenes()[name])))
    assert moment.size == overlay_video.FILM and lasts_s > 0


def test_a_film_shows_each_frame_for_its_time(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    overlay_video.write(alike(scene()), path)
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
    with av.open(path) as played:
        assert played.streams.video[0].codec_context.name == "h264"
        frames = [
            (frame.time, frame.to_ndarray(format="rgb24")) for frame in played.decode(video=0)
        ]
    assert frames[-1][0] == pytest.approx(6.0, abs=0.3)
    for time, rgb in frames:
        assert rgb.shape == (720, 1280, 3)
        shown = (RED, GREEN, BLUE)[int(time // 2)]
        assert np.abs(rgb[360, 200].astype(int) - shown).max() < 25, time


def test_a_film_that_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(OSError, match=r"out\.mp4"):
        overlay_video.write(alike(scene((1.0,), 1)), tmp_path / "out.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
