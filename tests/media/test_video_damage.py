"""Damaged videos yield what can be read and report the rest; unreadable ones are refused."""

import av
import numpy as np
import pytest

from sgmn.errors import MediaError
from sgmn.media import video
from tests.media.footage import (
    add_audio_stream,
    frame_times,
    read_frame_number,
    read_numbers,
    write_video,
)

FASTSTART = {"movflags": "faststart"}


def test_a_truncated_file_yields_its_beginning_and_is_reported(tmp_path):
    path = write_video(
        tmp_path / "whole.mp4", frame_times(12), container_options=FASTSTART, with_noise=True
    )
    data = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.7)])
    damage: list[str] = []
    frames = read_numbers(cut, damage=damage)
    assert 3 <= len(frames) < 12
    assert frames == read_numbers(path)[: len(frames)]
    assert len(damage) == 1 and "cut.mp4" in damage[0] and "12.0 s" in damage[0]


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_truncated_file_loses_no_frame_to_threads(video_folder, tmp_path, share):
    path = video_folder / "noisy.mp4"
    if not path.exists():
        write_video(path, frame_times(3), container_options=FASTSTART, with_noise=True)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with av.open(cut) as container:  # one thread, packet by packet
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        numbers = []
        for packet in container.demux(stream):
            try:
                numbers += [
                    read_frame_number(f.to_ndarray(format="rgb24")) for f in packet.decode()
                ]
            except av.FFmpegError:
                continue
    assert [n for n, _ in read_numbers(cut, rate_hz=100.0, damage=[])] == numbers
    assert len(numbers) > 5


def test_a_hole_in_a_file_loses_only_its_own_frames(tmp_path):
    path = write_video(
        tmp_path / "whole.ts", frame_times(12), codec_options={"g": "10"}, with_noise=True
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 188 * 20] = bytes(188 * 20)
    holed = tmp_path / "holed.ts"
    holed.write_bytes(data)
    damage: list[str] = []
    frames = read_numbers(holed, damage=damage)
    assert frames[0] == (0, 0.0) and frames[-1] == (110, 11.0)
    assert len(damage) == 1 and "holed.ts" in damage[0]


def test_damage_is_logged_without_a_list(tmp_path, caplog):
    path = write_video(tmp_path / "whole.mkv", frame_times(6), with_noise=True)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert list(video.read_frames(cut))
    assert [r.name for r in caplog.records] == ["sgmn.media"] and "cut.mkv" in caplog.text


def test_an_intact_file_is_not_reported(video_path):
    damage: list[str] = []
    assert list(video.read_frames(video_path, damage=damage)) and damage == []


def test_damage_is_reported_if_reading_stops_early(tmp_path):
    path = write_video(
        tmp_path / "whole.ts", frame_times(12), codec_options={"g": "10"}, with_noise=True
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 4 + 188 * 20] = bytes(188 * 20)
    path.write_bytes(data)
    damage: list[str] = []
    for frame in (reader := video.read_frames(path, damage=damage)):
        if frame.time_s > 8:
            break
    reader.close()
    assert len(damage) == 1


def write_unreadable_sources(folder):
    (folder / "text.mp4").write_text("this is no video")
    (folder / "empty.mp4").touch()
    (folder / "nothing").mkdir()
    (folder / "nothing" / "notes.txt").write_text("not an image")
    with av.open(folder / "audio.mp4", "w") as audio:
        stream = add_audio_stream(audio, 8000)
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        block.sample_rate, block.pts = 8000, 0
        audio.mux(stream.encode(block))
        audio.mux(stream.encode(None))
    whole = write_video(folder / "whole.mp4", frame_times(3)).read_bytes()
    (folder / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.mp4", "does not exist"),
        ("text.mp4", "cannot be opened"),
        ("empty.mp4", "is empty"),
        ("nothing", "without images"),
        ("audio.mp4", "no video stream, only audio"),
        ("headless.mp4", "cannot be opened"),
        ("null\0byte.mp4", "cannot be opened"),
        ("long" * 100 + ".mp4", "cannot be opened"),
    ],
)
def test_unreadable_sources_are_refused_by_name(tmp_path, name, message):
    source = write_unreadable_sources(tmp_path) / name
    with pytest.raises(MediaError, match=message) as raised:
        list(video.read_frames(source))
    assert str(source) in str(raised.value) and raised.value.remedy


def test_a_time_span_without_frames_is_refused(video_path):
    with pytest.raises(MediaError, match=r"no frame at or after 50.* last one read is at 11\.90"):
        list(video.read_frames(video_path, start_s=50.0))
    with pytest.raises(MediaError, match=r"no frame from 1\.01 to 1\.05"):
        list(video.read_frames(video_path, start_s=1.01, end_s=1.05))


@pytest.mark.parametrize(
    "invalid", [{"rate_hz": 0.0}, {"rate_hz": float("nan")}, {"start_s": -1.0}, {"max_side": 0}]
)
def test_invalid_arguments_are_value_errors(video_path, invalid):
    with pytest.raises(ValueError, match="pass"):
        video.read_frames(video_path, **invalid)
