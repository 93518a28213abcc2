"""The audio of a live stream has the times of its video, over all connections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from sgmn.media.audio import AudioChunk
from sgmn.media.live_source import LiveSource
from tests.media.footage import frame_times, write_video
from tests.media.streaming import QUICK, send_all, serve_tcp, wait_until
from tests.media.tones import duration_s, find_tones, write_tone_video


class AudioCollector:
    """Collects the audio of a source in a thread."""

    def __init__(self, source: LiveSource) -> None:
        self.chunks: list[AudioChunk] = []
        self._thread = Thread(target=self._collect, args=(source,))
        self._thread.start()

    def _collect(self, source: LiveSource) -> None:
        for chunk in source.audio_chunks():
            self.chunks.append(chunk)

    def wait_for(self, seconds: float) -> None:
        """Wait until a length of audio has been collected."""
        wait_until(lambda: duration_s(list(self.chunks)) >= seconds)

    def finish(self) -> list[AudioChunk]:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.chunks


def read_all_audio(source: LiveSource) -> list[AudioChunk]:
    """Read all audio of a source, while its frames are consumed."""
    collector = AudioCollector(source)
    for _ in source:
        pass
    return collector.finish()


def test_audio_and_video_share_their_times(tmp_path: Path) -> None:
    spans = [(1.0, 1.5), (3.2, 3.6)]
    data = write_tone_video(tmp_path / "a.ts", 5, spans, start_s=7.0)
    with (
        serve_tcp(send_all(data)) as address,
        LiveSource(address, settings=QUICK, with_audio=True) as source,
    ):
        chunks = read_all_audio(source)
        assert source.origin_s is not None and source.dropped_audio_s == 0.0
    assert np.array(find_tones(chunks)) == pytest.approx(np.array(spans), abs=0.12)
    assert chunks[-1][0] == pytest.approx(5.0, abs=0.2)


def test_audio_and_video_continue_together_after_a_reconnect(tmp_path: Path) -> None:
    """The clock of the second sender starts again; audio and video follow the wall clock."""
    data = write_tone_video(tmp_path / "a.ts", 3, [(1.0, 1.5)])
    settings = replace(QUICK, max_attempts=2)
    with (
        serve_tcp(send_all(data), send_all(data)) as address,
        LiveSource(address, rate_hz=10.0, settings=settings, with_audio=True) as source,
    ):
        collector = AudioCollector(source)
        times = [frame.time_s for frame in source]
        chunks = collector.finish()
        assert source.reconnects == 1
    second_s = times[30]  # the first frame of the second connection
    starts = [start for start, _ in find_tones(chunks)]
    assert starts == pytest.approx([1.0, second_s + 1.0], abs=0.12)


def test_audio_is_decoded_only_on_request(tmp_path: Path) -> None:
    data = write_tone_video(tmp_path / "a.ts", 2, [(0.5, 1.0)])
    with serve_tcp(send_all(data)) as address, LiveSource(address, settings=QUICK) as source:
        assert read_all_audio(source) == []


def test_a_stream_without_audio_is_reported_and_continues(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.ts", frame_times(2)).read_bytes()
    with (
        serve_tcp(send_all(data)) as address,
        LiveSource(address, settings=QUICK, with_audio=True) as source,
    ):
        assert read_all_audio(source) == []
        assert ["it has no audio" in line for line in source.damage] == [True]


@pytest.mark.parametrize("is_file", [True, False])
def test_audio_that_is_not_consumed_is_dropped_and_counted(tmp_path: Path, is_file: bool) -> None:
    data = write_tone_video(tmp_path / "a.ts", 5, [(4.5, 4.8)])
    settings = replace(QUICK, queue_audio_s=1.0)
    with serve_tcp(send_all(data)) as tcp_address:
        address = str(tmp_path / "a.ts") if is_file else tcp_address
        with LiveSource(address, settings=settings, with_audio=True) as source:
            assert len(list(source)) == 5
            assert source.dropped_audio_s == pytest.approx(4.0, abs=0.3)
            assert "4 s of audio were dropped" in source.damage[-1]
            rest = list(source.audio_chunks())
    assert duration_s(rest) <= 1.0
    assert np.array(find_tones(rest)) == pytest.approx(np.array([(4.5, 4.8)]), abs=0.12)


def test_a_file_loses_no_audio_if_its_consumers_keep_pace(tmp_path: Path) -> None:
    """The file is longer than the audio queue; waiting frames keep the reader from running on."""
    write_tone_video(tmp_path / "a.ts", 12, [(1.0, 1.5), (9.0, 9.5)])
    settings = replace(QUICK, queue_frames=1, queue_audio_s=6.0)
    with LiveSource(str(tmp_path / "a.ts"), settings=settings, with_audio=True) as source:
        collector = AudioCollector(source)
        for frame in source:
            collector.wait_for(min(frame.time_s, 10.0) - 1.0)
        chunks = collector.finish()
        assert source.dropped_audio_s == 0.0
    assert len(find_tones(chunks)) == 2
    assert duration_s(chunks) == pytest.approx(12, abs=0.2)
