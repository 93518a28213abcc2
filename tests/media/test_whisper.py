"""The Whisper engine: how faster-whisper is loaded and called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sgmn.errors import CheckpointError, SgmnError
from sgmn.media.audio import SAMPLE_RATE_HZ
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.speech_recognition import SpeechRecognizer


class FakePackage:
    """The part of faster-whisper that is used, by its own names."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[Any, dict[str, Any]]] = []

    def WhisperModel(self, model: str, **options: Any) -> FakePackage:  # noqa: N802 - its name
        if self.error is not None:
            raise self.error
        self.calls.append((model, options))
        return self

    def transcribe(self, samples: Any, **options: Any) -> tuple[Iterator[Any], Any]:
        self.calls.append((samples, options))
        words = [SimpleNamespace(start=np.float64(0.5), end=np.float64(0.9), word=" lime")]
        segments = [SimpleNamespace(words=words), SimpleNamespace(words=None)]
        return iter(segments), SimpleNamespace(language="en")


def test_without_faster_whisper_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(SgmnError, match=r'pip install "sgmn\[asr\]"'):
        SpeechRecognizer("small")


@pytest.mark.parametrize(("language", "expected"), [("", None), ("zh", "zh")])
def test_whisper_returns_word_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language: str, expected: str | None
) -> None:
    package = FakePackage()
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    transcript = LiveTranscript()
    recognizer = SpeechRecognizer(tmp_path, language, vad=False, device="cpu")
    recognizer.transcribe_stream([(2.0, np.zeros(2 * SAMPLE_RATE_HZ, np.float32))], transcript)
    assert [(u.start, u.end, u.text) for u in transcript] == [(2.5, 2.9, "lime")]
    (model, load_options), (samples, options) = package.calls
    assert (model, load_options) == (str(tmp_path), {"device": "cpu"}) and len(samples) == 32_000
    assert options["language"] == expected and options["vad_filter"] is False
    assert options["word_timestamps"] is True
    assert options["condition_on_previous_text"] is False


@pytest.mark.parametrize("error", [RuntimeError("no model.bin"), ValueError("size"), OSError("x")])
def test_a_model_that_cannot_be_loaded_is_refused(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", FakePackage(error))
    with pytest.raises(CheckpointError, match="models/none: cannot be loaded"):
        SpeechRecognizer("models/none")
