"""Frames of a video are those of the definition, for every container and codec."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sgmn.errors import MediaError
from sgmn.media import video
from tests.media.footage import (
    frame_times,
    read_frame_number,
    read_numbers,
    write_video,
)
from tests.media.streaming import serve_folder


def select_by_definition(path, rate_hz, start_s=0.0, end_s=float("inf")):
    """Apply the definition in a loop over all frames that PyAV decodes."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.time_base and stream.start_time is not None
        tick_s = float(stream.time_base)
        decoded = [
            ((f.pts - stream.start_time) * tick_s, read_frame_number(f.to_ndarray(format="rgb24")))
            for f in container.decode(stream)
        ]
    selected: list[tuple[float, int]] = []
    for k in range(10_000):
        due = start_s + k / rate_hz
        first = next(((t, n) for t, n in decoded if t >= due - 1e-3 and t < end_s - 1e-3), None)
        if first is None:
            return [(n, round(t, 3)) for t, n in selected]
        if first not in selected:
            selected.append(first)
    raise AssertionError("the video does not end")


def test_one_frame_per_second_is_the_first_of_each_second(video_path):
    assert read_numbers(video_path) == [(10 * k, float(k)) for k in range(12)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv", "a.mov"])
@pytest.mark.parametrize("rate_hz", [0.3, 1.0, 3.0, 25.0])
def test_frames_are_those_of_the_definition(video_folder, name, rate_hz):
    path = video_folder / name
    if not path.exists():
        write_video(path, frame_times(6))
    frames = read_numbers(path, rate_hz=rate_hz)
    assert frames == select_by_definition(path, rate_hz)
    assert frames[0] == (0, 0.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv"])
@pytest.mark.parametrize(("rate", "base"), [(30, 1), (30000, 1001), (60, 1)])
def test_the_last_frame_is_read_in_every_container(tmp_path, name, rate, base):
    """Also where the container rounds its time down, below that of the sample."""
    fps = Fraction(rate, base)
    times = [float(n / fps) for n in range(11)]
    path = write_video(tmp_path / name, times, rate=round(fps), time_base=1 / fps)
    assert [n for n, _ in read_numbers(path, rate_hz=float(fps))] == [*range(11)]
    assert [n for n, _ in read_numbers(path, rate_hz=float(fps / 5))] == [0, 5, 10]
    assert [n for n, _ in read_numbers(path, rate_hz=float(fps), end_s=times[10])] == [*range(10)]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video", "libvpx-vp9", "libx265"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_skipping_frames_changes_no_pixel(tmp_path, codec, b_frames):
    """Frames that no other frame references are not decoded; the others must stay the same."""
    options = {"bf": b_frames, "g": "17"}
    time_base = Fraction(1, 25)  # the only one that MPEG-2 accepts
    path = write_video(
        tmp_path / "a.mkv",
        frame_times(3, 25),
        codec=codec,
        rate=25,
        time_base=time_base,
        codec_options=options,
    )
    with av.open(path) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    for frame in video.read_frames(path, rate_hz=2.0):
        assert np.array_equal(frame.rgb, frames[round(frame.time_s * 25)])


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(0.0, 3.0), (0.25, 3.3), (1.0, 1.1), (5.0, 9.05), (8.72, None), (11.9, 99)],
)
def test_start_and_end_select_the_frames_of_the_definition(video_path, start_s, end_s):
    expected = select_by_definition(
        video_path, 1.0, start_s, float("inf") if end_s is None else end_s
    )
    assert read_numbers(video_path, start_s=start_s, end_s=end_s) == expected


@pytest.mark.parametrize("name", ["s.ts", "s.mkv", "s.flv"])
def test_a_late_start_yields_the_same_frames_in_every_container(video_folder, name):
    path = write_video(
        video_folder / name, frame_times(12), codec_options={"g": "45", "keyint_min": "45"}
    )
    for start_s in (2.5, 4.5, 9.3):
        assert read_numbers(path, start_s=start_s) == select_by_definition(path, 1.0, start_s)


def test_end_is_exclusive(video_path):
    assert read_numbers(video_path, start_s=2.0, end_s=3.0) == [(20, 2.0)]


def test_a_variable_frame_rate_keeps_its_times_and_a_gap_repeats_no_frame(tmp_path):
    times = [0, 0.4, 1.3, 1.4, 4.7, 4.9, 5.0, 5.1, 6.5]
    path = write_video(tmp_path / "variable.mp4", times)
    assert read_numbers(path) == [(0, 0.0), (2, 1.3), (4, 4.7), (6, 5.0), (8, 6.5)]


def test_time_starts_with_the_file(tmp_path):
    path = write_video(tmp_path / "late.ts", frame_times(3, start_s=50.0))
    assert read_numbers(path) == [(0, 0.0), (10, 1.0), (20, 2.0)]


def test_video_that_starts_after_audio_keeps_its_delay(tmp_path):
    path = write_video(
        tmp_path / "delayed.mkv",
        frame_times(2, start_s=1.5),
        audio_start_s=0.0,
        audio_duration_s=3.5,
    )
    assert [t for _, t in read_numbers(path)] == pytest.approx([1.5, 2.0, 3.0], abs=0.03)


def test_without_timestamps_the_frame_rate_counts(tmp_path):
    path = write_video(
        tmp_path / "bare.h264", frame_times(3, 25), rate=25, time_base=Fraction(1, 25)
    )
    assert read_numbers(path) == [(0, 0.0), (25, 1.0), (50, 2.0)]


def test_a_restarted_clock_continues(tmp_path):
    parts = [write_video(tmp_path / f"{i}.ts", frame_times(3)).read_bytes() for i in range(2)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    damage: list[str] = []
    frames = list(video.read_frames(path, damage=damage))
    times = [f.time_s for f in frames]
    assert times == sorted(times) and times[-1] == pytest.approx(5.0, abs=0.3)
    assert len(damage) == 1 and "clock restarts, later times continue from there;" in damage[0]


@pytest.fixture
def web_address(video_path):
    """The address of a web server for the folder of `video_path`."""
    with serve_folder(video_path.parent) as address:
        yield address


def test_a_url_is_read_like_a_file(video_path, web_address):
    url = f"{web_address}/{video_path.name}"
    assert read_numbers(url, end_s=3.0) == [(0, 0.0), (10, 1.0), (20, 2.0)]
    with pytest.raises(MediaError, match=r"http://.*/none\.mp4: cannot be opened"):
        list(video.read_frames(f"{web_address}/none.mp4"))


def test_the_duration_is_that_of_the_container(video_path):
    assert video.read_duration(video_path) == pytest.approx(12.0, abs=0.05)
    with pytest.raises(MediaError, match="does not exist"):
        video.read_duration(Path("none.mp4"))
