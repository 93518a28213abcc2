"""The audio track of a generated video: none, a hum, or speech."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgmn.records import Utterance
from sgmn.synth.plan.videos import VideoPlan
from sgmn.synth.settings import WorldSettings
from sgmn.synth.speech.soundtrack import synthesize_soundtrack
from sgmn.synth.video.writer import AUDIO_HZ, AudioTrack


def build_audio_track(
    plan: VideoPlan, settings: WorldSettings, duration_s: float
) -> AudioTrack | None:
    """Synthesize the audio track of a planned video; None if it has none."""
    if settings.speech:
        rng = np.random.default_rng((*plan.seed, 6))
        snr_db = float(rng.uniform(*settings.speech_snr_db))
        return synthesize_soundtrack(plan.transcript, duration_s, AUDIO_HZ, snr_db, (*plan.seed, 7))
    return synthesize_hum(plan.transcript, duration_s) if settings.audio else None


def synthesize_hum(transcript: Sequence[Utterance], duration_s: float) -> AudioTrack:
    """Synthesize a voice-like hum during utterances and silence between them.

    Returns mono samples at AUDIO_HZ.
    """
    time = np.arange(round(duration_s * AUDIO_HZ)) / AUDIO_HZ
    volume = np.zeros(len(time))
    for utterance in transcript:
        volume[round(utterance.start * AUDIO_HZ) : round(utterance.end * AUDIO_HZ)] = 1.0
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4.1 * time)
    pitch = 2 * np.pi * np.cumsum(150 + 20 * np.sin(2 * np.pi * 0.9 * time)) / AUDIO_HZ
    voice = sum(np.sin(k * pitch) / k for k in range(1, 5))
    return np.asarray(volume * syllables * voice * 4000, np.int16)
