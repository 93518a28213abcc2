"""The audio of recordings: pitch, loudness, times and damage."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgmn.media.audio import SAMPLE_RATE_HZ, AudioChunk, Samples, read_audio
from tests.media.footage import frame_times, write_video
from tests.media.tones import duration_s, write_tone


def pitch_hz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * SAMPLE_RATE_HZ / len(samples))


def join(chunks: Iterable[AudioChunk]) -> AudioChunk:
    """Join chunks, after a check that each starts where the previous one ended."""
    chunks = list(chunks)
    for (previous_s, samples), (time_s, _) in pairwise(chunks):
        assert time_s == pytest.approx(previous_s + len(samples) / SAMPLE_RATE_HZ, abs=1e-3)
    return chunks[0][0], np.concatenate([samples for _, samples in chunks])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {"codec": "pcm_s16le"}),
        ("a.wav", {"codec": "pcm_s16le", "rate": 8_000, "layout": "mono"}),
        ("a.wav", {"codec": "pcm_s16le", "rate": 16_000, "layout": "mono"}),
        ("a.mp4", {"codec": "aac"}),
        ("a.ts", {"codec": "aac", "rate": 48_000}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.get("rate", "")),
)
def test_a_tone_keeps_its_pitch_loudness_and_time(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    source = write_tone(tmp_path / name, 3.0, spans=[(1.0, 2.0)], **options)
    start_s, samples = join(read_audio(source))
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert start_s + len(samples) / SAMPLE_RATE_HZ == pytest.approx(3.0, abs=0.06)
    inside = samples[round((1.2 - start_s) * SAMPLE_RATE_HZ) : round(1.8 * SAMPLE_RATE_HZ)]
    assert pitch_hz(inside) == pytest.approx(440, abs=3)
    assert np.abs(inside).max() == pytest.approx(0.5, rel=0.1)
    loud = np.flatnonzero(np.abs(samples) > 0.25) / SAMPLE_RATE_HZ + start_s
    assert (loud[0], loud[-1]) == pytest.approx((1.0, 2.0), abs=0.05)


def test_audio_starts_at_a_given_time(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "a.wav", 3.0, codec="pcm_s16le", spans=[(2.0, 2.5)])
    start_s, whole = join(read_audio(source))
    later_s, later = join(read_audio(source, 1.2345))
    assert start_s == 0.0 and later_s == pytest.approx(1.2345, abs=1e-4)
    assert np.array_equal(later, whole[len(whole) - len(later) :])
    assert len(whole) - len(later) == round(1.2345 * SAMPLE_RATE_HZ)
    assert list(read_audio(source, 5.0)) == []


@pytest.mark.parametrize("audio_start_s", [0.0, 0.5])
def test_audio_and_video_share_time_zero(tmp_path: Path, audio_start_s: float) -> None:
    source = write_video(tmp_path / "a.mkv", frame_times(2), audio_start_s=audio_start_s)
    assert next(read_audio(source))[0] == pytest.approx(audio_start_s, abs=0.13)  # AAC priming
    source = write_video(tmp_path / "b.mkv", frame_times(2, start_s=5.0), audio_start_s=4.5)
    assert next(read_audio(source))[0] == pytest.approx(0.0, abs=0.13)


def test_the_sample_rate_may_change_within_a_track(tmp_path: Path) -> None:
    parts = [
        write_tone(tmp_path / f"{rate}.aac", 1.0, codec="aac", rate=rate, layout=layout)
        for rate, layout in ((44_100, "stereo"), (22_050, "mono"))
    ]
    joined = tmp_path / "both.aac"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    samples = np.concatenate([samples for _, samples in read_audio(joined)])
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE_HZ, rel=0.1)
    assert pitch_hz(samples[4_000:12_000]) == pytest.approx(440, abs=5)
    assert pitch_hz(samples[-10_000:-4_000]) == pytest.approx(440, abs=5)


def test_a_source_without_audio_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_video(tmp_path / "a.mp4", frame_times(1))
    damage: list[str] = []
    assert list(read_audio(source, damage=damage)) == []
    assert damage == [f"{source}: has no audio that can be decoded; only its video is used"]
    assert list(read_audio(source)) == []
    assert [record.getMessage() for record in caplog.records] == damage
    assert list(read_audio(tmp_path, damage=damage)) == []  # a folder of images
    assert len(damage) == 2


def test_damage_is_reported_and_the_rest_is_decoded(tmp_path: Path) -> None:
    source = write_tone(tmp_path / "a.ts", 3.0, codec="aac", rate=48_000)
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = b"\xaa" * 2000
    source.write_bytes(data)
    damage: list[str] = []
    assert 2.0 < duration_s(read_audio(source, damage=damage)) < 3.1
    assert len(damage) == 1 and str(source) in damage[0]
