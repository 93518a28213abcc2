"""Live speech recognition that fails or is too slow never delays the frames of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from sgmn.media.audio import Samples
from sgmn.media.live_source import LiveSource
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.speech_engine import SpeechEngine, SpeechSettings, Word
from sgmn.media.speech_follower import follow_speech
from sgmn.media.speech_recognition import SpeechRecognizer
from tests.media.streaming import QUICK, send_all, serve_folder, serve_tcp, wait_until
from tests.media.tones import ToneEngine, write_tone_video

DURATION_S = 40
WINDOW_S = 12.0  # the first audio that is recognized
SPANS = [(float(s), s + 0.5) for s in range(1, DURATION_S, 4)]
SETTINGS = replace(QUICK, queue_audio_s=2.0)


class FailingEngine:
    """Fails at its first window."""

    model_id = "fake"

    def recognize(self, samples: Samples) -> Iterator[Word]:
        raise RuntimeError("out of memory")


class BlockedEngine:
    """Never returns from its first window until it is released."""

    model_id = "fake"

    def __init__(self) -> None:
        self.started, self.released = Event(), Event()

    def recognize(self, samples: Samples) -> list[Word]:
        self.started.set()
        assert self.released.wait(60)
        return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tones as a file, as a transport stream and as HLS."""
    folder = tmp_path_factory.mktemp("tones")
    write_tone_video(folder / "a.mp4", DURATION_S, SPANS)
    write_tone_video(folder / "a.ts", DURATION_S, SPANS)
    hls = {"hls_time": "2", "hls_list_size": "0"}
    write_tone_video(folder / "a.m3u8", DURATION_S, SPANS, options=hls)
    return folder


@contextmanager
def serve(transport: str, folder: Path) -> Iterator[str]:
    if transport == "file":
        yield str(folder / "a.mp4")
    elif transport == "hls":
        with serve_folder(folder) as address:
            yield f"{address}/a.m3u8"
    else:
        with serve_tcp(send_all((folder / "a.ts").read_bytes())) as address:
            yield address


def create_recognizer(engine: SpeechEngine) -> SpeechRecognizer:
    return SpeechRecognizer(SpeechSettings("small"), load=lambda settings: engine)


TRANSPORTS = pytest.mark.parametrize("transport", ["file", "hls", "tcp"])


@TRANSPORTS
def test_failed_recognition_is_reported_once_and_frames_continue(
    transport: str, folder: Path
) -> None:
    damage: list[str] = []
    recognizer, transcript = create_recognizer(FailingEngine()), LiveTranscript()
    with (
        serve(transport, folder) as address,
        LiveSource(address, settings=SETTINGS, with_audio=True) as source,
        follow_speech(source, recognizer, transcript, damage) as follower,
    ):
        assert len(list(source)) == DURATION_S
        follower.wait_until_finished(10)
        assert not follower.is_running and follower.errors == 1
        assert damage == [f"{source.name}: speech recognition stopped early (out of memory)"]
        assert DURATION_S - WINDOW_S - 1 < source.dropped_audio_s <= DURATION_S
        assert ["of audio were dropped" in line for line in source.damage] == [True]
        assert list(source.audio_chunks()) == []
    assert len(transcript) == 0


@TRANSPORTS
def test_blocked_recognition_does_not_delay_frames(transport: str, folder: Path) -> None:
    damage: list[str] = []
    engine = BlockedEngine()
    recognizer, transcript = create_recognizer(engine), LiveTranscript()
    with (
        serve(transport, folder) as address,
        LiveSource(address, settings=SETTINGS, with_audio=True) as source,
        follow_speech(source, recognizer, transcript, damage) as follower,
    ):
        assert len(list(source)) == DURATION_S
        wait_until(engine.started.is_set)
        assert follower.is_running and damage == []
        wait_until(lambda: source.dropped_audio_s > 0)
        assert ["of audio were dropped" in line for line in source.damage] == [True]
        engine.released.set()
        follower.wait_until_finished(10)
        assert not follower.is_running


@TRANSPORTS
def test_working_recognition_transcribes_the_stream(transport: str, folder: Path) -> None:
    damage: list[str] = []
    recognizer, transcript = create_recognizer(ToneEngine()), LiveTranscript()
    settings = replace(SETTINGS, queue_audio_s=float(2 * DURATION_S))
    with (
        serve(transport, folder) as address,
        LiveSource(address, settings=settings, with_audio=True) as source,
        follow_speech(source, recognizer, transcript, damage) as follower,
    ):
        assert len(list(source)) == DURATION_S
        follower.wait_until_finished(30)
        assert source.dropped_audio_s == 0.0 and source.damage == damage == []
    starts = [u.start for u in transcript]
    assert starts == pytest.approx([start for start, _ in SPANS], abs=0.15)
