"""Live sources: reading, queues, damage and settings."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgmn.errors import MediaError, SettingsError
from sgmn.media.address import parse_address
from sgmn.media.live_source import LiveSource, SourceSettings
from tests.media import footage
from tests.media.footage import frame_times, numbers_and_times, read_frame_number, write_video
from tests.media.streaming import (
    QUICK,
    StateRecorder,
    send_all,
    serve_tcp,
    wait_until,
)


def test_read_a_tcp_stream(short_stream: bytes) -> None:
    recorder = StateRecorder()
    started = time.time()
    with (
        serve_tcp(send_all(short_stream)) as address,
        LiveSource(address, settings=QUICK, on_state=recorder) as source,
    ):
        frames = list(source)
        assert numbers_and_times(frames) == [(0, 0.0), (10, 1.0), (20, 2.0)]
        assert source.state == "ended" and source.reconnects == source.dropped_frames == 0
    assert frames[0].rgb.shape == (48, 64, 3) and frames[0].rgb.dtype == np.uint8
    assert recorder.states == ["connecting", "running", "connecting", "ended"]
    times = [started, *recorder.times[:2], frames[0].wall_s, recorder.times[-1], time.time()]
    assert times == sorted(times)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_a_file_waits_for_a_slow_consumer_of_frames(video_folder: Path, name: str) -> None:
    path = write_video(video_folder / name, frame_times(4))
    recorder = StateRecorder()
    settings = replace(QUICK, queue_frames=2, max_attempts=None)
    with LiveSource(
        str(path), rate_hz=5.0, max_side=32, settings=settings, on_state=recorder
    ) as source:
        frames = []
        for frame in source:
            time.sleep(0.02)  # a slow consumer
            frames.append(frame)
    assert numbers_and_times(frames) == [(2 * k, k / 5) for k in range(20)]
    assert frames[0].rgb.shape == (24, 32, 3)
    assert (source.dropped_frames, source.damage) == (0, [])
    assert recorder.states == ["connecting", "running", "ended"]


def test_a_live_stream_drops_the_oldest_frames_for_a_slow_consumer(video_folder: Path) -> None:
    data = write_video(video_folder / "six.ts", frame_times(6)).read_bytes()
    settings = replace(QUICK, queue_frames=3)
    with (
        serve_tcp(send_all(data)) as address,
        LiveSource(address, rate_hz=10.0, settings=settings) as source,
    ):
        wait_until(lambda: source.state == "ended")
        assert [read_frame_number(f.rgb) for f in source] == [57, 58, 59]
        assert source.dropped_frames == 57


def test_damage_is_counted(video_folder: Path) -> None:
    path = video_folder / "noisy.ts"
    write_video(path, frame_times(6), codec_options={"g": "10"}, with_noise=True)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 188 * 20] = bytes(188 * 20)
    with serve_tcp(send_all(data)) as address, LiveSource(address, settings=QUICK) as source:
        frames = numbers_and_times(source)
    assert frames[0] == (0, 0.0) and frames[-1] == (50, 5.0)
    assert source.damage and all(line.startswith(f"{address}: ") for line in source.damage)


def test_joining_a_running_stream_is_not_damage(video_folder: Path) -> None:
    """The next key frame is so far away that libav opens the stream without knowing its size."""
    options = {"g": "60", "sc_threshold": "0"}
    path = video_folder / "sparse.ts"
    write_video(path, frame_times(8), codec_options=options, with_noise=True)
    data = path.read_bytes()
    tables, middle = 3 * 188, len(data) // 8 // 188 * 188
    with (
        serve_tcp(send_all(data[:tables] + data[middle:])) as address,
        LiveSource(address, settings=QUICK) as source,
    ):
        frames = numbers_and_times(source)
    assert frames == [(60, 0.0), (70, 1.0)] and source.damage == []


@pytest.mark.parametrize(("name", "message"), [("none", "does not exist"), ("text", "be opened")])
def test_an_unreadable_file_is_refused_at_once(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text.mp4").write_text("this is no video")
    path = str(tmp_path / f"{name}.mp4")
    with (
        LiveSource(path, settings=replace(QUICK, max_attempts=None)) as source,
        pytest.raises(MediaError, match=message),
    ):
        list(source)


@pytest.mark.parametrize(("first_s", "second_s"), [(0.0, 50.0), (50.0, 0.0), (1000.0, 0.0)])
def test_a_jump_of_timestamps_continues_after_one_frame(
    tmp_path: Path, first_s: float, second_s: float
) -> None:
    parts = [
        write_video(
            tmp_path / f"{i}.ts", frame_times(3, start_s=start_s), codec_options={"g": "10"}
        ).read_bytes()
        for i, start_s in enumerate((first_s, second_s))
    ]
    with (
        serve_tcp(send_all(b"".join(parts))) as address,
        LiveSource(address, rate_hz=10.0, settings=QUICK) as source,
    ):
        frames = list(source)
    steps = [b.time_s - a.time_s for a, b in pairwise(frames)]
    assert min(steps) > 0 and max(steps) < 0.35 and source.reconnects == 0
    assert frames[-1].time_s == pytest.approx(5.9, abs=0.4)
    assert read_frame_number(frames[-1].rgb) == 29
    assert len([line for line in source.damage if "its clock" in line]) == 1


def test_the_size_may_change_within_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_stream: bytes
) -> None:
    monkeypatch.setattr(footage, "WIDTH", 96)
    monkeypatch.setattr(footage, "HEIGHT", 80)
    larger = write_video(
        tmp_path / "larger.ts", frame_times(3, start_s=3.0), codec_options={"g": "10"}
    ).read_bytes()
    with (
        serve_tcp(send_all(short_stream + larger)) as address,
        LiveSource(address, settings=QUICK) as source,
    ):
        shapes = [f.rgb.shape for f in source]
    assert shapes[:3] == [(48, 64, 3)] * 3
    assert len(shapes) >= 5 and set(shapes[3:]) == {(80, 96, 3)}


def test_hls_timeouts_exceed_two_segments() -> None:
    hls, tcp = (
        SourceSettings.for_address(parse_address(a), 3) for a in ("https://h/a.m3u8", "tcp://h:1")
    )
    assert tcp == SourceSettings(max_attempts=3) and hls.max_attempts == 3
    assert min(hls.stall_timeout_s, hls.read_timeout_s) > 20 > tcp.read_timeout_s


def test_invalid_settings_and_arguments_are_refused() -> None:
    invalid: tuple[dict[str, Any], ...] = (
        {"stall_timeout_s": 0},
        {"max_attempts": 0},
        {"max_jump_s": -1.0},
        {"queue_frames": 0},
        {"queue_audio_s": 0.0},
    )
    for settings in invalid:
        with pytest.raises(SettingsError, match="pass a number above 0"):
            SourceSettings(**settings)
    with pytest.raises(ValueError, match="rate_hz"):
        LiveSource("a.mp4", rate_hz=0.0)
    with pytest.raises(MediaError, match="gopher:// is not supported"):
        LiveSource("gopher://host/1")


def test_frames_come_as_files_of_another_size_too(video_folder: Path) -> None:
    path = write_video(video_folder / "files.ts", frame_times(2))
    with LiveSource(str(path), max_side=32, jpeg_side=50) as source:
        frames = list(source)
    assert len(frames) == 2 and frames[0].rgb.shape == (24, 32, 3)
    assert [read_frame_number(f.rgb) for f in frames] == [0, 10]
    for frame in frames:
        assert frame.jpeg is not None
        file = Image.open(io.BytesIO(frame.jpeg))
        assert (file.format, file.size) == ("JPEG", (50, 38))
        assert read_frame_number(np.asarray(file)) == read_frame_number(frame.rgb)
    with LiveSource(str(path), jpeg_side=1000) as source:
        jpeg = next(source).jpeg
    assert jpeg is not None and Image.open(io.BytesIO(jpeg)).size == (64, 48)  # not enlarged
