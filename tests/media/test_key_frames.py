"""Key frames are listed where a header lists them, and decoded alone like among all frames."""

from __future__ import annotations

from itertools import accumulate, cycle, islice
from pathlib import Path

import pytest

from sgmn.media import video
from sgmn.media.key_frames import read_key_frame_index
from tests.media.footage import frame_times, read_numbers, write_video


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_headers_list_the_key_frames(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, frame_times(12))
    index = read_key_frame_index(path)
    assert index.spacing_s == pytest.approx(2.0, abs=0.02)
    assert index.video_s == pytest.approx(12.0, abs=0.1) == index.container_s


@pytest.mark.parametrize("name", ["a.ts", "a.flv"])
def test_streams_without_a_list_have_no_spacing(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, frame_times(12), with_noise=True)
    assert read_key_frame_index(path).spacing_s is None


def test_the_end_counts_as_a_key_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frame_times(5), codec_options={"g": "250"})
    assert read_key_frame_index(path).spacing_s == pytest.approx(5.0)


def test_key_frames_have_the_pixels_and_times_that_they_have_among_all(video_path: Path) -> None:
    numbers = read_numbers(video_path, key_frames_only=True)
    assert numbers == [(20 * k, 2.0 * k) for k in range(6)]
    assert set(numbers) <= set(read_numbers(video_path, rate_hz=10.0))


def test_key_frames_are_sampled_at_the_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frame_times(4), codec_options={"g": "2"})
    assert read_numbers(path, key_frames_only=True) == [(0, 0.0), (10, 1.0), (20, 2.0), (30, 3.0)]


def test_key_frames_of_a_variable_frame_rate_have_their_own_times(tmp_path: Path) -> None:
    times_s = [0.0, *accumulate(islice(cycle([0.05, 0.4, 0.15]), 39))]
    path = write_video(tmp_path / "a.mkv", times_s, codec_options={"g": "10"})
    numbers, key_times_s = zip(*read_numbers(path, key_frames_only=True), strict=True)
    assert numbers == (0, 10, 20, 30)
    assert key_times_s == pytest.approx([times_s[n] for n in numbers], abs=2e-3)


def test_a_span_without_frames_has_an_error_of_its_own(video_path: Path) -> None:
    with pytest.raises(video.NoFramesError, match=r"has no frame from 1\.01 to 1\.05 s"):
        list(video.read_frames(video_path, start_s=1.01, end_s=1.05))
