"""Running streams on a machine that is too slow for them."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.video.frame import PictureType

from sgmn.media import overload
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.media.overload import OverloadGuard
from tests.media.footage import (
    add_video_stream,
    frame_times,
    numbers_and_times,
    video_frame,
    write_video,
)
from tests.media.streaming import QUICK, send_all, serve_tcp, wait_until

RATE_HZ, KEY_EVERY = 10, 10  # a key frame every second


@dataclass
class Reader:
    """Reads a stream with a guard: how long each packet takes and waits is up to the test."""

    guard: OverloadGuard
    now_s: float = 0.0
    number: int = 0
    decoded: list[int] = field(default_factory=list)

    def read(self, seconds: float, busy_s: float, key_every: int = KEY_EVERY) -> list[int]:
        """Read seconds of the stream and return the numbers of the packets that are decoded.

        busy_s: how long a packet that is decoded keeps the reader busy.
        """
        first = len(self.decoded)
        for _ in range(round(seconds * RATE_HZ)):
            time_s = self.number / RATE_HZ
            waited_s = max(0.0, time_s - self.now_s)
            self.now_s += waited_s
            self.guard.add_wait(waited_s)
            if self.guard.is_needed(self.number % key_every == 0, time_s, self.now_s):
                self.decoded.append(self.number)
                self.now_s += busy_s
            self.number += 1
        return self.decoded[first:]


def make_reader(is_sure: bool = True, queue_s: float = 0.0) -> Reader:
    return Reader(OverloadGuard(queue_s=lambda: queue_s, is_sure=is_sure))


def keys(start: int, stop: int) -> list[int]:
    return list(range(start, stop, KEY_EVERY))


def test_a_reader_that_keeps_up_decodes_everything() -> None:
    reader = make_reader()
    assert reader.read(120, busy_s=0.05) == list(range(1200))
    assert reader.guard.skipped_s == 0


def test_a_reader_that_falls_behind_decodes_key_frames_and_catches_up() -> None:
    reader = make_reader()
    reader.read(20, busy_s=0.15)  # 1.5 times as long as the stream
    assert reader.read(20, busy_s=0.15) == keys(200, 400)
    assert reader.now_s - 40 < 0.5, "it is behind no more"
    assert reader.guard.skipped_s == pytest.approx(30, abs=8)


def test_all_frames_are_decoded_again_once_the_machine_has_time() -> None:
    reader = make_reader()
    reader.read(20, busy_s=0.15)
    reader.read(60, busy_s=0.02)
    assert not reader.guard.skips
    assert reader.read(20, busy_s=0.02) == list(range(800, 1000))


def test_in_doubt_all_frames_are_decoded_for_longer() -> None:
    sure, unsure = make_reader(is_sure=True), make_reader(is_sure=False)
    sure.read(15, busy_s=0.15)
    unsure.read(15, busy_s=0.15)
    assert sure.guard.skips and not unsure.guard.skips
    unsure.read(30, busy_s=0.15)
    assert unsure.guard.skips


@pytest.mark.parametrize(("queue_s", "skips"), [(5.0, False), (7.0, True)])
def test_frames_that_wait_for_the_encoder_count(queue_s: float, skips: bool) -> None:
    reader = make_reader(queue_s=queue_s)
    reader.read(20, busy_s=0.01)
    assert reader.guard.skips == skips


def test_a_recording_at_full_speed_is_no_overload() -> None:
    guard = OverloadGuard(queue_s=lambda: 0.0, is_sure=True)
    decoded = [guard.is_needed(n % KEY_EVERY == 0, n / RATE_HZ, n / 1000) for n in range(60_000)]
    assert all(decoded)


def test_a_queue_of_a_stream_that_is_ahead_of_the_clock_is_no_overload() -> None:
    guard = OverloadGuard(queue_s=lambda: 20.0, is_sure=True)
    decoded = [guard.is_needed(n % KEY_EVERY == 0, n / RATE_HZ, n / 20) for n in range(6000)]
    assert all(decoded)


def test_frames_without_a_time_stay_out_too() -> None:
    reader = make_reader()
    reader.read(20, busy_s=0.15)
    assert reader.guard.is_needed(True, None, reader.now_s)
    assert not reader.guard.is_needed(False, None, reader.now_s)


def test_a_new_connection_begins_with_all_frames() -> None:
    reader = make_reader()
    reader.read(20, busy_s=0.15)
    skipped_s = reader.guard.skipped_s
    reader.guard.begin_connection()
    reader.number += 600  # a minute later
    assert reader.read(1, busy_s=0.15) == list(range(800, 810))
    reader.read(1, busy_s=0.15)
    assert reader.guard.skips and reader.guard.skipped_s == skipped_s


def test_where_every_frame_is_a_key_frame_nothing_is_left_out() -> None:
    reader = make_reader()
    reader.read(30, busy_s=0.15, key_every=1)
    assert reader.decoded == list(range(300)) and not reader.guard.skips


def test_key_frames_that_are_too_rare_are_not_enough() -> None:
    reader = make_reader()
    reader.read(60, busy_s=0.15, key_every=50)
    assert reader.decoded == list(range(600))


def test_frames_that_need_a_skipped_one_stay_out_after_the_key_frame() -> None:
    reader = make_reader()
    reader.read(20, busy_s=0.15)
    while reader.guard.skips:
        reader.read(0.1, busy_s=0.02)
    resumed_s = reader.decoded[-1] / RATE_HZ
    times_s = (resumed_s - 0.1, resumed_s + 0.1)
    assert [reader.guard.is_needed(False, t, reader.now_s) for t in times_s] == [False, True]


@pytest.fixture
def overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every guard finds the machine too slow from the start."""
    init = OverloadGuard.__post_init__

    def begin(guard: OverloadGuard) -> None:
        init(guard)
        guard._is_overloaded = True

    monkeypatch.setattr(OverloadGuard, "__post_init__", begin)


@pytest.mark.usefixtures("overloaded")
def test_only_key_frames_of_a_live_stream_are_decoded(video_folder: Path) -> None:
    """From the second one on, because their distance must be known; each without delay."""
    path = write_video(video_folder / "keys.ts", frame_times(8), codec_options={"g": "10"})
    frames, source = read_live(path, may_skip=True)
    assert numbers_and_times(frames)[-6:] == [(n, n / RATE_HZ) for n in keys(20, 80)]
    assert source.damage == [
        f"{source.name}: only key frames were decoded for 5 s, because this machine was too slow"
    ]


@pytest.mark.usefixtures("overloaded")
def test_a_late_key_frame_is_neither_a_broken_connection_nor_a_jump(video_folder: Path) -> None:
    """Key frames at 0, 1, 2, 14 and 15 s: the fourth is further away than the others promised."""
    path = write_sparse(video_folder)
    frames, source = read_live(path, may_skip=True)
    late = [(n, time_s) for n, time_s in numbers_and_times(frames) if n > 20]
    assert late == [(n, n / RATE_HZ) for n in range(140, 151)]
    assert source.reconnects == 0
    assert [line for line in source.damage if "jumps" in line or "no frame" in line] == []


def write_sparse(folder: Path) -> Path:
    """Write a stream of 16 s with few key frames, and return its path."""
    times = frame_times(16)
    path = folder / "sparse.ts"
    with av.open(path, "w") as container:
        stream = add_video_stream(container, "libx264", RATE_HZ)
        stream.options = {"bf": "2", "g": "300", "sc_threshold": "0"}
        base = Fraction(1, 1000)
        stream.codec_context.time_base = base
        for number, time_s in enumerate(times):
            frame = video_frame(number, time_s, base)
            if number in (0, 10, 20, 140, 150):
                frame.pict_type = PictureType.I
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.usefixtures("overloaded")
def test_with_all_frames_nothing_is_skipped(video_folder: Path) -> None:
    path = write_video(video_folder / "all.ts", frame_times(8), codec_options={"g": "10"})
    frames, source = read_live(path, may_skip=False)
    assert [number for number, _ in numbers_and_times(frames)] == list(range(80))
    assert source.damage == []


def read_live(path: Path, may_skip: bool) -> tuple[list[LiveFrame], LiveSource]:
    with (
        serve_tcp(send_all(path.read_bytes())) as address,
        LiveSource(address, rate_hz=float(RATE_HZ), settings=QUICK, may_skip=may_skip) as source,
    ):
        return list(source), source


def test_a_slow_consumer_makes_a_live_source_skip(
    video_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing takes the frames of a stream that is sent in real time."""
    monkeypatch.setattr(overload, "QUEUE_S", 0.5)
    path = write_video(video_folder / "slow.ts", frame_times(10), codec_options={"g": "5"})
    data = path.read_bytes()

    def send(connection: socket.socket, over: threading.Event) -> None:
        for tenth in range(100):
            connection.sendall(data[len(data) * tenth // 100 : len(data) * (tenth + 1) // 100])
            over.wait(0.1)

    settings = replace(QUICK, queue_frames=1000)
    with serve_tcp(send) as address:
        source = LiveSource(address, rate_hz=10.0, settings=settings, may_skip=True)
        assert source._guard is not None
        source._guard.period_s = 0.5
        with source:
            wait_until(lambda: source.is_reduced)
