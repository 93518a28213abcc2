"""A recording is transcribed once; an interrupted or damaged cache entry is made again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.errors import MediaError
from sgmn.media.audio import Samples
from sgmn.media.speech_engine import SpeechSettings, Word
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.media.transcript_cache import TranscriptCache
from tests.media.footage import frame_times, write_video
from tests.media.tones import ToneEngine, write_tone

SETTINGS = SpeechSettings("small", "en")


class CountingEngine(ToneEngine):
    """Counts the windows that it has recognized."""

    def __init__(self, model_id: str = "fake") -> None:
        self.model_id, self.windows = model_id, 0

    def recognize(self, samples: Samples) -> Iterator[Word]:
        self.windows += 1
        return super().recognize(samples)


def create_recognizer(
    engine: CountingEngine, settings: SpeechSettings = SETTINGS
) -> SpeechRecognizer:
    return SpeechRecognizer(settings, load=lambda settings: engine)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    spans = [(1.0, 1.5), (4.0, 4.4)]
    return write_tone(tmp_path / "a.wav", 6.0, codec="pcm_s16le", rate=8_000, spans=spans)


@pytest.fixture
def cache(tmp_path: Path) -> TranscriptCache:
    return TranscriptCache(tmp_path / "cache" / "transcripts")


def test_a_recording_is_transcribed_once_even_if_it_is_renamed(
    recording: Path, cache: TranscriptCache
) -> None:
    engine, progress = CountingEngine(), list[float]()
    first = cache.transcribe(create_recognizer(engine), recording, progress.append)
    assert [u.text for u in first] == ["tone", "tone"] and progress[-1] == pytest.approx(6, abs=0.1)
    renamed = recording.rename(recording.with_name("b.wav"))
    assert cache.transcribe(create_recognizer(engine), renamed) == first
    assert engine.windows == 1


def test_another_model_or_setting_transcribes_again(
    recording: Path, cache: TranscriptCache
) -> None:
    engines = [CountingEngine(), CountingEngine("other")]
    variants = [SETTINGS, replace(SETTINGS, language="sv"), replace(SETTINGS, hot_words="Lime")]
    for engine in engines:
        for settings in variants:
            cache.transcribe(create_recognizer(engine, settings), recording)
        assert engine.windows == len(variants)


def test_another_recording_of_the_same_name_is_transcribed(
    recording: Path, cache: TranscriptCache
) -> None:
    engine = CountingEngine()
    cache.transcribe(create_recognizer(engine), recording)
    write_tone(recording, 3.0, codec="pcm_s16le", rate=8_000, spans=[(1.0, 1.5)])
    assert len(cache.transcribe(create_recognizer(engine), recording)) == 1


@pytest.mark.parametrize("content", ["", "[{", '[{"start": 3}]', "7", '{"a": 1}', "null"])
def test_an_entry_that_cannot_be_read_is_made_again(
    recording: Path, cache: TranscriptCache, tmp_path: Path, content: str
) -> None:
    engine = CountingEngine()
    first = cache.transcribe(create_recognizer(engine), recording)
    (entry,) = (tmp_path / "cache" / "transcripts").iterdir()
    entry.write_text(content)
    assert cache.transcribe(create_recognizer(engine), recording) == first
    assert cache.transcribe(create_recognizer(engine), recording) == first
    assert engine.windows == 2


def test_a_failed_recognition_leaves_no_entry(
    recording: Path, cache: TranscriptCache, tmp_path: Path
) -> None:
    class FailingEngine(CountingEngine):
        def recognize(self, samples: Samples) -> Iterator[Word]:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cache.transcribe(create_recognizer(FailingEngine()), recording)
    assert not list(tmp_path.glob("cache/**/*.json"))
    assert len(cache.transcribe(create_recognizer(CountingEngine()), recording)) == 2


def test_a_recording_without_audio_warns_each_time(
    tmp_path: Path, cache: TranscriptCache, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_video(tmp_path / "a.mp4", frame_times(1))
    for _ in range(2):
        assert cache.transcribe(create_recognizer(CountingEngine()), source) == ()
    assert len(caplog.records) == 2


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = TranscriptCache(tmp_path / "file")
    assert len(cache.transcribe(create_recognizer(CountingEngine()), recording)) == 2
    assert "the transcript is not cached" in caplog.text


def test_a_missing_recording_is_refused(tmp_path: Path, cache: TranscriptCache) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        cache.transcribe(create_recognizer(CountingEngine()), tmp_path / "missing.mp4")
