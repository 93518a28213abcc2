"""Sound to words, of a recording or of a stream that is running.

Speech recognition hears one stretch of sound at a time, and mishears words that its edges
cut. So stretches overlap, and each gives the words of its own part alone, which ends in the
middle of the overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from sgmn.errors import CheckpointError, SettingsError, SgmnError
from sgmn.media.audio import SAMPLE_RATE_HZ, Samples, read_audio
from sgmn.media.container import describe_error
from sgmn.media.live_transcript import LiveTranscript
from sgmn.records import Utterance

__all__ = ["SpeechEngine", "SpeechRecognizer", "Word", "load_whisper"]

_RECORDING_S = (30.0, 24.0)  # Whisper looks at 30 s, however few it is given
_PAUSE_S = 0.6  # of silence parts two utterances
_GAP_S = 0.3  # of missing sound begins a new stretch; less is the time stamps' jitter
_SEAM_S = 0.5  # by which two stretches may disagree when a word was said


class Word(NamedTuple):
    """A word, with the space before it where its language writes one, and its seconds."""

    start: float
    end: float
    text: str

    @property
    def middle(self) -> float:
        """Where it counts as said."""
        return (self.start + self.end) / 2


class SpeechEngine(Protocol):
    """What recognises speech."""

    def recognize(self, samples: Samples) -> Iterable[Word]:
        """The words in `samples` (N,), in order; times are seconds from the first sample."""


class SpeechRecognizer:
    """Recognises speech by Whisper (optional extra `asr`).

    `model` is a folder with a Whisper model for CTranslate2, or a name such as "small",
    which is downloaded once. `language` is a code such as "en"; without one it is guessed
    for each stretch of sound anew. `vad` leaves out what holds no voice, where Whisper would
    make words up. `device` is "auto", "cpu" or "cuda". Raises SgmnError where
    faster-whisper is not installed, CheckpointError where the model cannot be loaded.
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
        """Yield what is said in a recording, in order; nothing where it has no sound.

        Raises MediaError if the source cannot be opened.
        """
        return self._heard(read_audio(source), *_RECORDING_S)

    def transcribe_stream(
        self,
        chunks: Iterable[tuple[float, Samples]],
        hearing: LiveTranscript,
        window_s: float = 12.0,
        hop_s: float = 6.0,
    ) -> None:
        """Add what is said to `hearing` until `chunks` end.

        `chunks` are pieces of any length, float32 (N,), mono, 16 kHz, each with the stream's
        time of its first sample in seconds. A word comes between (window_s - hop_s) / 2 and
        (window_s + hop_s) / 2 seconds after it was said, and later by what recognising takes.
        """
        if not 0 < hop_s <= window_s < inf:
            what = f"window_s {window_s} and hop_s {hop_s} leave holes"
            raise SettingsError(what, "speech", "give 0 < hop_s <= window_s, such as 6.0 and 12.0")
        for utterance in self._heard(chunks, window_s, hop_s):
            hearing.add(utterance)

    def _heard(
        self, chunks: Iterable[tuple[float, Samples]], window_s: float, hop_s: float
    ) -> Iterator[Utterance]:
        last: Word | None = None
        for stretch in _stretches(chunks, window_s, hop_s):
            found = self._engine.recognize(stretch.samples)
            placed = (
                Word(start + stretch.start_s, end + stretch.start_s, text)
                for start, end, text in found
            )
            kept = [word for word in placed if stretch.owns(word, last)]
            yield from _utterances(kept)
            last = kept[-1] if kept else last


class _Stretch(NamedTuple):
    """Sound to recognise in one go, and the part whose words count: from before to."""

    start_s: float
    samples: Samples
    from_s: float
    to_s: float

    def owns(self, word: Word, last: Word | None) -> bool:
        """Whether `word` is to be taken, `last` being what the stretch before took last.

        Two stretches place one word a little differently. So near the seam it counts where
        the words of the stretch before have ended, not where they should have.
        """
        if last is None:
            return self.from_s <= word.middle < self.to_s
        seam_s = min(max(last.end, self.from_s - _SEAM_S), self.from_s + _SEAM_S)
        return word.middle > last.middle and seam_s <= word.middle < self.to_s


def _stretches(
    chunks: Iterable[tuple[float, Samples]], window_s: float, hop_s: float
) -> Iterator[_Stretch]:
    """Cut sound into stretches of `window_s`, one every `hop_s`; the last are shorter.

    Their own parts join without gap or overlap. Where sound is missing, they begin anew.
    """
    held: _Held | None = None
    for time_s, samples in chunks:
        if held is not None and abs(time_s - held.end_s) > _GAP_S:
            yield from held.rest()
            held = None
        held = held or _Held(time_s, window_s, hop_s)
        held.put(samples)
        while held.is_full:
            yield held.next()
    if held is not None:
        yield from held.rest()


class _Held:
    """Sound without a gap that is still needed. Counts samples, so that no seam drifts."""

    def __init__(self, start_s: float, window_s: float, hop_s: float) -> None:
        self._start_s = start_s
        self._window, self._hop = (round(s * SAMPLE_RATE_HZ) for s in (window_s, hop_s))
        self._first, self._own = 0, 0  # of the sound held, and of the part not yet given
        self._pieces: list[Samples] = []
        self._count = 0

    @property
    def end_s(self) -> float:
        return self._second(self._first + self._count)

    @property
    def is_full(self) -> bool:
        return self._count >= self._window

    def put(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._count += len(samples)

    def next(self) -> _Stretch:
        """The first whole window; what the following one needs is kept."""
        together = np.concatenate(self._pieces)
        own_to = self._first + (self._window + self._hop) // 2
        stretch = self._stretch(together[: self._window], own_to)
        self._pieces, self._count = [together[self._hop :]], len(together) - self._hop
        self._first, self._own = self._first + self._hop, own_to
        return stretch

    def rest(self) -> Iterator[_Stretch]:
        end = self._first + self._count
        if end > self._own:
            yield self._stretch(np.concatenate(self._pieces), end)

    def _stretch(self, samples: Samples, own_to: int) -> _Stretch:
        from_s, to_s = self._second(self._own), self._second(own_to)
        return _Stretch(self._second(self._first), samples, from_s, to_s)

    def _second(self, sample: int) -> float:
        return self._start_s + sample / SAMPLE_RATE_HZ


def _utterances(words: Iterable[Word]) -> Iterator[Utterance]:
    """Words without a pause between them are one utterance."""
    group: list[Word] = []
    for word in words:
        if group and word.start - group[-1].end > _PAUSE_S:
            yield _utterance(group)
            group = []
        group.append(word)
    if group:
        yield _utterance(group)


def _utterance(words: list[Word]) -> Utterance:
    start = max(0.0, words[0].start)
    end = max(start, words[-1].end)
    return Utterance(start, end, "".join(word.text for word in words).strip())


def load_whisper(model: str | Path, language: str, vad: bool, device: str) -> SpeechEngine:
    """The engine of faster-whisper, which is imported here and no earlier."""
    try:
        package: Any = import_module("faster_whisper")
    except ImportError as error:
        raise SgmnError(
            "recognising speech needs the package faster-whisper",
            remedy='run: pip install "sgmn[asr]"',
        ) from error
    try:
        loaded = package.WhisperModel(str(model), device=device)
    except (OSError, RuntimeError, ValueError) as error:
        remedy = 'give a folder with a Whisper model for CTranslate2, or a name such as "small"'
        raise CheckpointError(
            f"cannot be loaded ({describe_error(error)})", model, remedy
        ) from error
    return _Whisper(loaded, language, vad)


class _Whisper:
    def __init__(self, model: Any, language: str, vad: bool) -> None:
        self._model, self._language, self._vad = model, language, vad

    def recognize(self, samples: Samples) -> Iterator[Word]:
        segments, _ = self._model.transcribe(
            samples,
            language=self._language or None,
            word_timestamps=True,
            vad_filter=self._vad,
            condition_on_previous_text=False,  # else a repetition goes on repeating itself
        )
        for segment in segments:
            for word in segment.words or ():
                yield Word(float(word.start), float(word.end), word.word)
