"""The soundtrack of a generated video: its transcript spoken in time, over music and noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from sgmn.records import Utterance
from sgmn.synth.speech.background import synthesize_background
from sgmn.synth.speech.voice import VOICE_RATE_HZ, Voice

_PITCHES = (0.92, 1.1)  # relative to the voice
_RATE_STEP_HZ = 50  # keeps the factors of the resampling small
_SPEECH_RMS = 0.08  # of full scale, which leaves room for peaks
_GAP_S = 0.05  # of silence before the next utterance


def synthesize_soundtrack(
    transcript: Sequence[Utterance],
    duration_s: float,
    rate_hz: int,
    snr_db: float,
    seed: tuple[int, ...],
) -> NDArray[np.int16]:
    """Speak each utterance from its start on, over music and noise.

    Args:
        transcript: What is said, in order.
        duration_s: Length of the soundtrack in seconds.
        rate_hz: Sample rate of the result.
        snr_db: Level of the speech above music and noise, in decibels.
        seed: Draws the pitch of the voice, its variation, the music and the noise.

    Returns:
        Mono samples (N,).

    Raises:
        SgmnError: A part of the voice is not installed.
    """
    rng = np.random.default_rng(seed)
    count = round(duration_s * rate_hz)
    speech = _speak_transcript(transcript, duration_s, count, rate_hz, rng)
    background = synthesize_background(count, rate_hz, rng)
    is_loud = np.abs(speech) > 1e-4
    power = float(np.mean(speech[is_loud] ** 2)) if is_loud.any() else 1.0
    speech *= _SPEECH_RMS / np.sqrt(power)
    mixed = speech + background * _SPEECH_RMS * 10 ** (-snr_db / 20)
    return np.asarray(np.clip(mixed, -1, 1) * 32_767, np.int16)


def _speak_transcript(
    transcript: Sequence[Utterance],
    duration_s: float,
    count: int,
    rate_hz: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    voice = Voice(int(rng.integers(2**31)))
    pitch = float(rng.uniform(*_PITCHES))
    voice_rate_hz = _RATE_STEP_HZ * round(VOICE_RATE_HZ * pitch / _RATE_STEP_HZ)
    stretch = voice_rate_hz / VOICE_RATE_HZ  # a higher pitch shortens what the voice says
    speech = np.zeros(count)
    ends = [*(after.start for _, after in pairwise(transcript)), duration_s]
    for utterance, end in zip(transcript, ends, strict=True):
        length_s = utterance.end - utterance.start
        max_length_s = max(_GAP_S, end - _GAP_S - utterance.start)
        spoken = voice.speak(utterance.text, length_s * stretch, max_length_s * stretch)
        start = round(utterance.start * rate_hz)
        samples = resample_poly(spoken, rate_hz, voice_rate_hz)[: max(0, count - start)]
        speech[start : start + len(samples)] += samples
    return speech
