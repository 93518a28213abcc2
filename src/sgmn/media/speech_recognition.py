"""Transcribe the speech of a recording or a live stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sgmn.errors import CheckpointError, SettingsError, SgmnError
from sgmn.media.audio import AudioChunk, Samples, read_audio
from sgmn.media.audio_windows import AudioWindow, cut_audio_windows
from sgmn.media.container import describe_error
from sgmn.media.live_transcript import LiveTranscript
from sgmn.records import Utterance

__all__ = ["SpeechEngine", "SpeechRecognizer", "Word", "load_whisper"]

_RECORDING_WINDOW_S, _RECORDING_HOP_S = 30.0, 24.0  # Whisper always processes 30 s
_PAUSE_S = 0.6  # of silence between two utterances
_SEAM_S = 0.5  # maximum difference between the times of one word in two windows


class Word(NamedTuple):
    """A recognized word; `text` starts with a space in languages that separate words.

    Attributes:
        start: Start in seconds.
        end: End in seconds.
        text: The word.
    """

    start: float
    end: float
    text: str

    @property
    def middle_s(self) -> float:
        """The time at which the word counts as spoken."""
        return (self.start + self.end) / 2


class SpeechEngine(Protocol):
    """A speech recognition model."""

    def recognize(self, samples: Samples) -> Iterable[Word]:
        """Return the words of `samples` (N,), in order; times start at the first sample."""


class SpeechRecognizer:
    """Recognizes speech with Whisper (optional extra `asr`).

    Args:
        model: A folder with a Whisper model for CTranslate2, or a name such as "small", which
            is downloaded once.
        language: Spoken language, such as "en". Without it, each window of audio detects its
            own.
        vad: Whether to skip audio without speech, for which Whisper may invent words.
        device: "auto", "cpu" or "cuda".
        load: Loads the engine. The default is `load_whisper`.

    Raises:
        SgmnError: If faster-whisper is not installed.
        CheckpointError: If the model cannot be loaded.
    """

    def __init__(
        self,
        model: str | Path,
        language: str = "",
        vad: bool = True,
        device: str = "auto",
        load: Callable[[str | Path, str, bool, str], SpeechEngine] | None = None,
    ) -> None:
        self._engine = (load or load_whisper)(model, language, vad, device)

    def transcribe(self, source: Path | str) -> Iterator[Utterance]:
        """Yield the utterances of a recording, in order; none if it has no audio.

        Raises MediaError if the source cannot be opened.
        """
        return self._recognize(read_audio(source), _RECORDING_WINDOW_S, _RECORDING_HOP_S)

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
        self, chunks: Iterable[AudioChunk], window_s: float, hop_s: float
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


def load_whisper(model: str | Path, language: str, vad: bool, device: str) -> SpeechEngine:
    """Load faster-whisper, which is imported only here. Errors as for `SpeechRecognizer`."""
    try:
        package: Any = import_module("faster_whisper")
    except ImportError as error:
        raise SgmnError(
            "speech recognition needs the package faster-whisper",
            remedy='run: pip install "sgmn[asr]"',
        ) from error
    try:
        whisper_model = package.WhisperModel(str(model), device=device)
    except (OSError, RuntimeError, ValueError) as error:
        message = f"cannot be loaded ({describe_error(error)})"
        remedy = 'pass a folder with a Whisper model for CTranslate2, or a name such as "small"'
        raise CheckpointError(message, model, remedy) from error
    return _WhisperEngine(whisper_model, language, vad)


class _WhisperEngine:
    def __init__(self, model: Any, language: str, vad: bool) -> None:
        self._model, self._language, self._vad = model, language, vad

    def recognize(self, samples: Samples) -> Iterator[Word]:
        segments, _ = self._model.transcribe(
            samples,
            language=self._language or None,
            word_timestamps=True,
            vad_filter=self._vad,
            condition_on_previous_text=False,  # otherwise a repetition continues to repeat itself
        )
        for segment in segments:
            for word in segment.words or ():
                yield Word(float(word.start), float(word.end), word.word)
