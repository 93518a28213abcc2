"""The sound of a running stream lies where its pictures lie, over all connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest

from sgmn.media.audio import SAMPLE_RATE_HZ, Samples
from sgmn.media.live_source import LiveSource
from tests.media.footage import frame_times, write_video
from tests.media.test_live_source import QUICK, sender, sends
from tests.media.test_speech_recognition import tone

Span = tuple[float, float]


def talking(path: Path, seconds: int, on: Sequence[Span], from_s: float = 0.0) -> bytes:
    """MPEG-TS with a frame every tenth of a second, and a tone at some times from its start."""
    rate = 16_000
    wave = tone(np.arange(seconds * rate) / rate, rate, on=on)
    with av.open(path, "w") as out:
        video = out.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"bf": "2", "g": "10"}
        sound = out.add_stream("aac", rate=rate, layout="mono")
        for at in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], "fltp", "mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = at + round(from_s * rate)
            out.mux(sound.encode(frame))
        for number in range(10 * seconds):
            grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 250, np.uint8))
            grey.pts, grey.time_base = number + round(from_s * 10), Fraction(1, 10)
            out.mux(video.encode(grey))
        for stream in (sound, video):
            out.mux(stream.encode(None))
    return path.read_bytes()


def heard(source: LiveSource) -> list[tuple[float, Samples]]:
    """All its sound, while its frames are taken."""
    found: list[tuple[float, Samples]] = []
    thread = Thread(target=lambda: found.extend(source.audio_chunks()))
    thread.start()
    for _ in source:
        pass
    thread.join(10)
    assert not thread.is_alive()
    return found


def loud(chunks: Sequence[tuple[float, Samples]]) -> list[Span]:
    """From when to when there is a tone."""
    spans: list[Span] = []
    for time_s, samples in chunks:
        for place in np.flatnonzero(np.abs(samples) > 0.2):
            at = time_s + place / SAMPLE_RATE_HZ
            if spans and at - spans[-1][1] < 0.1:
                spans[-1] = (spans[-1][0], at)
            else:
                spans.append((at, at))
    return spans


def test_sound_is_where_its_pictures_are(tmp_path: Path) -> None:
    on = [(1.0, 1.5), (3.2, 3.6)]
    data = talking(tmp_path / "a.ts", 5, on, from_s=7.0)
    with (
        sender(sends(data)) as address,
        LiveSource(address, settings=QUICK, with_audio=True) as source,
    ):
        found = heard(source)
        assert source.origin_s is not None and source.dropped_audio_s == 0.0
    assert np.array(loud(found)) == pytest.approx(np.array(on), abs=0.12)
    assert found[-1][0] == pytest.approx(5.0, abs=0.2)


def test_after_a_reconnect_it_goes_on_with_the_pictures(tmp_path: Path) -> None:
    """The second sender's clock starts anew; sound and pictures follow the wall together."""
    data = talking(tmp_path / "a.ts", 3, [(1.0, 1.5)])
    twice = replace(QUICK, max_attempts=2)
    with (
        sender(sends(data), sends(data)) as address,
        LiveSource(address, rate_hz=10.0, settings=twice, with_audio=True) as source,
    ):
        times: list[float] = []
        found: list[tuple[float, Samples]] = []
        thread = Thread(target=lambda: found.extend(source.audio_chunks()))
        thread.start()
        times += [frame.time_s for frame in source]
        thread.join(10)
        assert source.reconnects == 1
    second_s = times[30]  # the first frame of the second connection
    spans = [start for start, _ in loud(found)]
    assert spans == pytest.approx([1.0, second_s + 1.0], abs=0.12)


def test_nobody_listens_unless_it_is_asked_for(tmp_path: Path) -> None:
    data = talking(tmp_path / "a.ts", 2, [(0.5, 1.0)])
    with sender(sends(data)) as address, LiveSource(address, settings=QUICK) as source:
        assert heard(source) == []


def test_a_stream_without_sound_goes_on_with_pictures_and_says_so(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.ts", frame_times(2)).read_bytes()
    with (
        sender(sends(data)) as address,
        LiveSource(address, settings=QUICK, with_audio=True) as source,
    ):
        assert heard(source) == []
        assert ["it has no sound" in line for line in source.damage] == [True]


def test_sound_that_nobody_takes_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sgmn.media.live_source._HEARD_S", 1.0)
    data = talking(tmp_path / "a.ts", 5, [(4.5, 4.8)])
    with (
        sender(sends(data)) as address,
        LiveSource(address, settings=QUICK, with_audio=True) as source,
    ):
        assert len(list(source)) == 5
        assert source.dropped_audio_s == pytest.approx(4.0, abs=0.3)
        assert "nobody had time to hear 4 s of sound" in source.damage[-1]
        left = list(source.audio_chunks())
    assert sum(len(samples) for _, samples in left) / SAMPLE_RATE_HZ <= 1.0
    assert np.array(loud(left)) == pytest.approx(np.array([(4.5, 4.8)]), abs=0.12)


def test_a_file_waits_for_whoever_hears_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgmn.media.live_source._HEARD_S", 0.5)
    talking(tmp_path / "a.ts", 4, [(1.0, 1.5), (3.0, 3.5)])
    with LiveSource(str(tmp_path / "a.ts"), settings=QUICK, with_audio=True) as source:
        found = heard(source)
        assert source.dropped_audio_s == 0.0
    assert len(loud(found)) == 2
    assert sum(len(samples) for _, samples in found) / SAMPLE_RATE_HZ == pytest.approx(4, abs=0.2)
