"""What a speech recognition model is to the rest of the package: its settings, its words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from sgmn.media.audio import Samples

__all__ = ["SpeechEngine", "SpeechSettings", "Word"]


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How speech is recognized.

    Attributes:
        model: A folder with a Whisper model for CTranslate2; a name such as "small", which is
            downloaded once; or "auto", which chooses by the hardware.
        language: Spoken language, such as "en". Without it, each window of audio detects its
            own.
        vad: Whether to skip audio without speech, for which Whisper may invent words.
        device: "auto", "cpu" or "cuda".
        hot_words: Words to expect, such as names of products, separated by commas.
        cpu_threads: Number of threads on a CPU; 0 for all cores.
    """

    model: str | Path = "auto"
    language: str = ""
    vad: bool = True
    device: str = "auto"
    hot_words: str = ""
    cpu_threads: int = 0


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

    @property
    def model_id(self) -> str:
        """Identifies the weights, so that a cached transcript is of the same model."""

    def recognize(self, samples: Samples) -> Iterable[Word]:
        """Return the words of `samples` (N,), in order; times start at the first sample."""
