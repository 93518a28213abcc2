"""Background sound of a generated video: soft music and room noise."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]  # (N,), mono

_CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))  # semitones above the key
_NOTE_DECAY_S = 0.7
_NOISE_FRACTION = 0.3  # of the power; the rest is music


def synthesize_background(count: int, rate_hz: int, rng: np.random.Generator) -> Signal:
    """Synthesize `count` samples of music and noise with a power of 1."""
    music, noise = _synthesize_music(count, rate_hz, rng), _synthesize_noise(count, rng)
    return sqrt(1 - _NOISE_FRACTION) * music + sqrt(_NOISE_FRACTION) * noise


def _synthesize_music(count: int, rate_hz: int, rng: np.random.Generator) -> Signal:
    """Synthesize broken chords of plucked notes."""
    key_hz, note_s = 220.0 * 2 ** (rng.integers(12) / 12), float(rng.uniform(0.22, 0.4))
    signal, length = np.zeros(count), round(3 * _NOTE_DECAY_S * rate_hz)
    time = np.arange(length) / rate_hz
    envelope = np.minimum(time / 0.01, 1) * np.exp(-time / _NOTE_DECAY_S)
    for number, start in enumerate(range(0, count, round(note_s * rate_hz))):
        chord = _CHORDS[number // 8 % len(_CHORDS)]
        pitch = 2 * np.pi * key_hz * 2 ** (rng.choice(chord) / 12) * time
        note = envelope * sum(np.sin(k * pitch) / k**2 for k in (1, 2, 3))
        signal[start : start + length] += note[: count - start]
    return _normalize(signal)


def _synthesize_noise(count: int, rng: np.random.Generator) -> Signal:
    """Synthesize pink noise."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return _normalize(np.fft.irfft(spectrum, count))


def _normalize(signal: Signal) -> Signal:
    power = float(np.mean(signal**2)) if len(signal) else 0.0
    return signal / sqrt(power) if power > 0 else signal
