"""Transcribe the speech of a recording or a live stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import inf
from pathlib import Path

from sgmn.errors import SettingsError
from sgmn.media.audio import AudioChunk, read_audio
from sgmn.media.audio_windows import AudioWindow, cut_audio_windows
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.speech_engine import SpeechEngine, SpeechSettings, Word
from sgmn.media.whisper import load_whisper
from sgmn.records import Utterance

__all__ = ["SpeechRecognizer"]

_RECORDING_WINDOW_S, _RECORDING_HOP_S = 30.0, 24.0  # Whisper always processes 30 s
_PAUSE_S = 0.6  # of silence between two utterances
_SEAM_S = 0.5  # maximum difference between the times of one word in two windows


class SpeechRecognizer:
    """Recognizes speech with Whisper (optional extra `asr`).

    Args:
        settings: The model, the language, and how to run it.
        load: Loads the engine. The default is `load_whisper`.

    Raises:
        SgmnError: If faster-whisper is not installed.
        CheckpointError: If the model cannot be loaded.
    """

    def __init__(
        self,
        settings: SpeechSettings,
        load: Callable[[SpeechSettings], SpeechEngine] | None = None,
    ) -> None:
        self.settings = settings
        self._engine = (load or load_whisper)(settings)

    @property
    def model_id(self) -> str:
        """Identifies the weights of the model."""
        return self._engine.model_id

    def transcribe(
        self, source: Path | str, progress: Callable[[float], None] | None = None
    ) -> Iterator[Utterance]:
        """Yield the utterances of a recording, in order; none if it has no audio.

        Args:
            source: A path or URL.
            progress: Called with the seconds that are transcribed, after each window of audio.

        Raises:
            MediaError: If the source cannot be opened.
        """
        chunks = read_audio(source)
        return self._recognize(chunks, _RECORDING_WINDOW_S, _RECORDING_HOP_S, progress)

    def transcribe_stream(
        self,
        chunks: Iterable[AudioChunk],
        transcript: LiveTranscript,
        window_s: float = 12.0,
        hop_s: float = 6.0,
    ) -> None:
        """Add utterances to `transcript` until `chunks` end.

        A word arrives between (window_s - hop_s) / 2 and (window_s + hop_s) / 2 seconds after it
        was spoken, plus the time of the recognition.

        Args:
            chunks: Audio of any length, with the stream time of its first sample in seconds.
            transcript: Receives the utterances.
            window_s: Length of the recognized windows.
            hop_s: Distance between the windows.

        Raises:
            SettingsError: Unless 0 < hop_s <= window_s.
        """
        if not 0 < hop_s <= window_s < inf:
            message = f"window_s {window_s} and hop_s {hop_s} leave gaps"
            remedy = "pass 0 < hop_s <= window_s, such as 6.0 and 12.0"
            raise SettingsError(message, "speech recognition", remedy)
        for utterance in self._recognize(chunks, window_s, hop_s):
            transcript.add(utterance)

    def _recognize(
        self,
        chunks: Iterable[AudioChunk],
        window_s: float,
        hop_s: float,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[Utterance]:
        last_word: Word | None = None
        for window in cut_audio_windows(chunks, window_s, hop_s):
            recognized = (
                Word(start + window.start_s, end + window.start_s, text)
                for start, end, text in self._engine.recognize(window.samples)
            )
            words = [word for word in recognized if _belongs_to(word, window, last_word)]
            yield from _group_words(words)
            last_word = words[-1] if words else last_word
            if progress is not None:
                progress(window.own_end_s)


def _belongs_to(word: Word, window: AudioWindow, last_word: Word | None) -> bool:
    """Whether a word counts for this window; `last_word` is the last of the previous windows.

    Two windows give one word slightly different times. Therefore, near the seam, a word counts
    from where the words of the previous window have actually ended.
    """
    if last_word is None:
        return window.own_start_s <= word.middle_s < window.own_end_s
    earliest_s, latest_s = window.own_start_s - _SEAM_S, window.own_start_s + _SEAM_S
    seam_s = min(max(last_word.end, earliest_s), latest_s)
    return word.middle_s > last_word.middle_s and seam_s <= word.middle_s < window.own_end_s


def _group_words(words: Iterable[Word]) -> Iterator[Utterance]:
    """Join words without a pause between them to utterances."""
    group: list[Word] = []
    for word in words:
        if group and word.start - group[-1].end > _PAUSE_S:
            yield _join_words(group)
            group = []
        group.append(word)
    if group:
        yield _join_words(group)


def _join_words(words: list[Word]) -> Utterance:
    start = max(0.0, words[0].start)
    end = max(start, words[-1].end)
    return Utterance(start, end, "".join(word.text for word in words).strip())
