"""Running streams on a machine that is too slow for them."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.media.overload import OverloadGuard
from tests.media.footage import frame_times, numbers_and_times, write_video
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


def test_key_frames_that_are_too_rare_are_not_enough() -> None:
    reader = make_reader()
    reader.read(60, busy_s=0.15, key_every=50)
    assert reader.decoded == list(range(600))


def test_frames_that_need_a_skipped_one_stay_out_after_the_key_frame() -> None:
    reader = make_reader()
    reader.read(20, busy_s=0.15)
    reader.read(60, busy_s=0.02)
    resumed_s = next(a for a, b in pairwise(reader.decoded) if a > 200 and b == a + 1) / RATE_HZ
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
    assert source.skipped_s == pytest.approx(5, abs=0.1)
    assert source.damage == [
        f"{source.name}: only key frames were decoded for 5 s, because this machine was too slow"
    ]


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


def test_a_slow_consumer_makes_a_live_source_skip(video_folder: Path) -> None:
    path = write_video(video_folder / "slow.ts", frame_times(100), codec_options={"g": "10"})
    data = path.read_bytes()

    def send(connection: socket.socket, over: threading.Event) -> None:
        for start in range(0, len(data), 188 * 20):
            connection.sendall(data[start : start + 188 * 20])
            over.wait(0.05)

    settings = replace(QUICK, queue_frames=1000)
    with (
        serve_tcp(send) as address,
        LiveSource(address, rate_hz=10.0, settings=settings, may_skip=True) as source,
    ):
        assert source._guard is not None
        source._guard.period_s = 0.1
        wait_until(lambda: source.skipped_s > 0)
