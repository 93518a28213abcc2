"""Speech recognition in overlapping windows: no word is lost, repeated or misplaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import MediaError, SettingsError
from sgmn.media.audio import SAMPLE_RATE_HZ, AudioChunk, Samples
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.speech_engine import SpeechEngine, SpeechSettings, Word
from sgmn.media.speech_recognition import SpeechRecognizer
from tests.media.footage import frame_times, write_video
from tests.media.tones import ToneEngine, write_tone


class ScriptedEngine:
    """Recognizes given words by their times; the value of each sample is its time in seconds.

    A word that the edge of the audio cuts off is misrecognized. `jitter_s` are added to the
    times, another one for each window.
    """

    model_id = "fake"

    def __init__(self, words: Sequence[Word], jitter_s: Sequence[float] = (0.0,)) -> None:
        self.words, self.jitter_s = words, jitter_s
        self.windows: list[tuple[float, float]] = []

    def recognize(self, samples: Samples) -> Iterator[Word]:
        start_s, end_s = float(samples[0]), float(samples[-1]) + 1 / SAMPLE_RATE_HZ
        shift_s = self.jitter_s[len(self.windows) % len(self.jitter_s)]
        self.windows.append((start_s, end_s))
        for start, end, text in self.words:
            is_whole = start_s - 0.01 <= start and end <= end_s + 0.01
            start, end = max(start, start_s), min(end, end_s)
            if start < end:
                times = (start - start_s + shift_s, end - start_s + shift_s)
                yield Word(*times, text if is_whole else " ???")


def create_recognizer(engine: SpeechEngine) -> SpeechRecognizer:
    return SpeechRecognizer(SpeechSettings("small"), load=lambda settings: engine)


def time_audio(start_s: float, end_s: float, chunk_s: float = 0.5) -> Iterator[AudioChunk]:
    """Chunks whose samples are their times, rounded to float32."""
    first, last = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
    chunk = round(chunk_s * SAMPLE_RATE_HZ)
    for at in range(first, last, chunk):
        numbers = np.arange(at, min(at + chunk, last))
        yield at / SAMPLE_RATE_HZ, (numbers / SAMPLE_RATE_HZ).astype(np.float32)


def transcribe(
    engine: SpeechEngine, chunks: Iterable[AudioChunk], **windows: float
) -> LiveTranscript:
    transcript = LiveTranscript()
    create_recognizer(engine).transcribe_stream(chunks, transcript, **windows)
    return transcript


def words_of(transcript: LiveTranscript) -> list[str]:
    return " ".join(u.text for u in transcript).split()


def word_sequence(
    pauses_s: Sequence[float], lengths_s: Sequence[float], start_s: float = 0.0
) -> list[Word]:
    words, at = [], start_s
    for i, (pause_s, length_s) in enumerate(zip(pauses_s, lengths_s, strict=True)):
        words.append(Word(at + pause_s, at + pause_s + length_s, f" w{i}"))
        at += pause_s + length_s
    return words


COUNT = 16
PAUSES = st.lists(st.sampled_from([0.0, 0.02, 0.1, 0.5, 2.0]), min_size=COUNT, max_size=COUNT)
LENGTHS = st.lists(st.sampled_from([0.05, 0.2, 0.3, 0.45, 0.7]), min_size=COUNT, max_size=COUNT)


@settings(max_examples=12, deadline=None)
@given(
    PAUSES,
    LENGTHS,
    st.sampled_from([0.064, 0.5, 7.0, 50.0]),
    st.sampled_from([(12.0, 6.0), (8.0, 2.0), (5.0, 4.0)]),
    st.sampled_from([0.0, 3.21]),
)
def test_no_word_is_repeated_or_lost_between_windows(
    pauses: list[float],
    lengths: list[float],
    chunk_s: float,
    windows: tuple[float, float],
    start_s: float,
) -> None:
    words = word_sequence(pauses, lengths, start_s)
    chunks = time_audio(start_s, words[-1].end + 0.5, chunk_s)
    transcript = transcribe(ScriptedEngine(words), chunks, window_s=windows[0], hop_s=windows[1])
    assert words_of(transcript) == [f"w{i}" for i in range(COUNT)]
    for utterance in transcript:
        first, *_, last = [words[int(w[1:])] for w in utterance.text.split()] * 2
        assert utterance.start == pytest.approx(first.start, abs=1e-3)
        assert utterance.end == pytest.approx(last.end, abs=1e-3)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from([0.1, 0.15, 0.3]), min_size=COUNT, max_size=COUNT),
    st.lists(st.sampled_from([0.5, 0.6]), min_size=COUNT, max_size=COUNT),
    st.lists(st.sampled_from([-0.1, 0.0, 0.1]), min_size=1, max_size=5),
)
def test_no_word_is_repeated_or_lost_if_windows_disagree_about_times(
    pauses: list[float], lengths: list[float], jitter_s: list[float]
) -> None:
    words = word_sequence(pauses, lengths, start_s=0.2)
    transcript = transcribe(ScriptedEngine(words, jitter_s), time_audio(0.0, words[-1].end + 0.5))
    assert words_of(transcript) == [f"w{i}" for i in range(COUNT)]


def test_a_word_spoken_twice_between_windows_stays_twice() -> None:
    words = [Word(8.5, 8.95, " very"), Word(8.97, 9.3, " very"), Word(9.35, 9.6, " red")]
    transcript = transcribe(ScriptedEngine(words), time_audio(0.0, 20.0))
    assert words_of(transcript) == ["very", "very", "red"]


def test_a_word_without_duration_occurs_once() -> None:
    class InstantEngine:
        model_id = "fake"

        def recognize(self, samples: Samples) -> Iterator[Word]:
            for second, text in ((8.9, " so"), (9.2, " red")):
                yield Word(second - float(samples[0]), second - float(samples[0]), text)

    assert words_of(transcribe(InstantEngine(), time_audio(0.0, 14.0))) == ["so", "red"]


@pytest.mark.parametrize("length_s", [0.02, 0.5, 9.0, 11.99, 12.0, 12.5, 18.0, 24.01])
def test_the_end_is_recognized_for_any_length(length_s: float) -> None:
    words = [Word(0.0, 0.02, " first"), Word(length_s - 0.02, length_s, " last")]
    words = words[: 1 if length_s < 0.1 else 2]
    transcript = transcribe(ScriptedEngine(words), time_audio(0.0, length_s))
    assert words_of(transcript) == [w.text.strip() for w in words]


def test_windows_overlap_as_requested_and_hours_of_audio_are_not_kept() -> None:
    engine = ScriptedEngine([])
    transcribe(engine, time_audio(0.0, 60.0, chunk_s=0.3), window_s=10.0, hop_s=4.0)
    starts, lengths = zip(*((s, e - s) for s, e in engine.windows), strict=True)
    assert starts == pytest.approx([4.0 * i for i in range(len(starts))])
    assert lengths[:-1] == pytest.approx([10.0] * (len(starts) - 1)) and lengths[-1] <= 10.0
    assert engine.windows[-1][1] == pytest.approx(60.0)


def test_words_arrive_within_the_documented_delay() -> None:
    words = word_sequence([0.2] * 80, [0.3] * 80)
    transcript = LiveTranscript()
    delays_s: list[float] = []

    def chunks() -> Iterator[AudioChunk]:
        for time_s, samples in time_audio(0.0, 42.0, chunk_s=0.1):
            delays_s.append(time_s - max((u.end for u in transcript), default=0.0))
            yield time_s, samples

    recognizer = create_recognizer(ScriptedEngine(words))
    recognizer.transcribe_stream(chunks(), transcript, window_s=8.0, hop_s=2.0)
    assert max(delays_s[80:-20]) <= (8.0 + 2.0) / 2 + 0.5 + 0.2
    assert min(delays_s[80:-20]) >= (8.0 - 2.0) / 2 - 0.5


def test_words_after_a_gap_keep_their_times() -> None:
    words = word_sequence([0.3] * 60, [0.4] * 60)
    engine = ScriptedEngine(words)
    chunks = [*time_audio(0.0, 16.0), *time_audio(30.2, 42.2)]
    transcript = transcribe(engine, chunks)
    assert all(not (start < 16.0 and end > 30.2) for start, end in engine.windows)
    recognized = {text for u in transcript for text in u.text.split()} - {"???"}
    assert recognized == {
        w.text.strip() for w in words if w.end <= 16.0 or (w.start >= 30.2 and w.end < 42.2)
    }
    first = next(u for u in transcript if u.start > 20)
    assert first.start == pytest.approx(words[43].start)


def test_jitter_of_timestamps_is_not_a_gap() -> None:
    engine = ScriptedEngine([])
    jitter_s = (-0.05, 0.05)
    transcribe(engine, ((t + jitter_s[i % 2], s) for i, (t, s) in enumerate(time_audio(0, 30))))
    starts = [start for start, _ in engine.windows]
    assert starts == pytest.approx([0.0, 6.0, 12.0, 18.0, 24.0])


def test_pauses_separate_utterances_and_scripts_without_spaces_get_none() -> None:
    words = [
        Word(1.0, 1.3, " this"),
        Word(1.4, 1.8, " lime"),
        Word(1.8, 1.9, "-green,"),
        Word(3.0, 3.2, "这"),
        Word(3.2, 3.4, "件"),
    ]
    transcript = transcribe(ScriptedEngine(words), time_audio(0.0, 8.0))
    assert [u.text for u in transcript] == ["this lime-green,", "这件"]
    times = [time_s for u in transcript for time_s in (u.start, u.end)]
    assert times == pytest.approx([1.0, 1.9, 3.0, 3.4])


def test_no_audio_gives_no_words() -> None:
    assert list(transcribe(ScriptedEngine([]), [])) == []


@pytest.mark.parametrize("windows", [(6.0, 12.0), (6.0, 0.0), (float("inf"), 1.0)])
def test_windows_that_leave_gaps_are_refused(windows: tuple[float, float]) -> None:
    with pytest.raises(SettingsError, match="leave gaps"):
        transcribe(ScriptedEngine([]), [], window_s=windows[0], hop_s=windows[1])


def test_a_recording_is_transcribed_with_times(tmp_path: Path) -> None:
    spans = [(t, t + 0.5) for t in (0.5, 11.0, 26.6, 27.4, 29.8, 50.7, 69.0)]
    path = tmp_path / "a.wav"
    options: dict[str, Any] = {"codec": "pcm_s16le", "rate": 8_000, "layout": "mono"}
    source = write_tone(path, 70.0, spans=spans, **options)
    utterances = list(create_recognizer(ToneEngine()).transcribe(source))
    words = [text for u in utterances for text in u.text.split()]
    assert words == ["tone"] * len(spans)
    for utterance in utterances:
        assert min(abs(utterance.start - start) for start, _ in spans) < 0.02
        assert min(abs(utterance.end - end) for _, end in spans) < 0.02


def test_a_recording_without_audio_has_no_utterances(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_video(tmp_path / "a.mp4", frame_times(1))
    assert list(create_recognizer(ScriptedEngine([])).transcribe(source)) == []
    assert "has no audio that can be decoded" in caplog.text


def test_a_source_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        list(create_recognizer(ScriptedEngine([])).transcribe(tmp_path / "gone.mp4"))
