"""Recordings and streams with tones as speech, and an engine that recognizes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sgmn.media.audio import SAMPLE_RATE_HZ, AudioChunk, Samples
from sgmn.media.speech_engine import Word
from tests.media.footage import HEIGHT, WIDTH, add_audio_stream, add_video_stream

Span = tuple[float, float]  # start and end, in seconds
FRAME_SAMPLES, VIDEO_RATE = 1024, 10


def tone(
    times_s: NDArray[np.float64], hertz: float = 440.0, spans: Sequence[Span] | None = None
) -> NDArray[np.float32]:
    """A sine wave at the given times, silent outside of `spans`."""
    wave = 0.5 * np.sin(2 * np.pi * hertz * times_s)
    if spans is not None:
        wave *= sum(((times_s >= start) & (times_s < end)) for start, end in spans)
    return wave.astype(np.float32)


def write_tone(
    path: Path,
    duration_s: float,
    *,
    codec: str,
    rate: int = 44_100,
    layout: str = "stereo",
    spans: Sequence[Span] | None = None,
) -> Path:
    """Write a recording without video."""
    channels = av.AudioLayout(layout).nb_channels
    wave = tone(np.arange(round(duration_s * rate)) / rate, spans=spans)
    with av.open(path, "w") as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        for at in range(0, len(wave), FRAME_SAMPLES):
            block = wave[at : at + FRAME_SAMPLES]
            if codec.startswith("pcm"):
                pcm = np.repeat((block * 32767).astype(np.int16), channels)[None]
                frame = av.AudioFrame.from_ndarray(pcm, "s16", layout)
            else:
                frame = av.AudioFrame.from_ndarray(np.tile(block, (channels, 1)), "fltp", layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_tone_video(
    path: Path,
    duration_s: int,
    spans: Sequence[Span],
    start_s: float = 0.0,
    options: dict[str, str] | None = None,
) -> bytes:
    """Write a video with ten frames per second and a tone at some times from its start.

    The container follows from the suffix; `options` are those of its muxer. Returns the bytes
    of the file.
    """
    wave = tone(np.arange(duration_s * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ, spans=spans)
    with av.open(path, "w", options=options or {}) as out:
        video = add_video_stream(out, "libx264", VIDEO_RATE)
        video.options = {"bf": "2", "g": "10"}
        audio = add_audio_stream(out, SAMPLE_RATE_HZ)
        audio_blocks = range(0, len(wave), FRAME_SAMPLES)
        for number in range(VIDEO_RATE * duration_s):
            first, last = (n * SAMPLE_RATE_HZ // VIDEO_RATE for n in (number, number + 1))
            for at in (at for at in audio_blocks if first <= at < last):
                out.mux(audio.encode(_audio_block(wave, at, start_s)))
            out.mux(video.encode(_gray_frame(number, start_s)))
        out.mux(audio.encode(None))
        out.mux(video.encode(None))
    return path.read_bytes()


def _audio_block(wave: NDArray[np.float32], at: int, start_s: float) -> av.AudioFrame:
    block = av.AudioFrame.from_ndarray(wave[None, at : at + FRAME_SAMPLES], "fltp", "mono")
    block.sample_rate, block.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
    block.pts = at + round(start_s * SAMPLE_RATE_HZ)
    return block


def _gray_frame(number: int, start_s: float) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), number % 250, np.uint8))
    frame.pts = number + round(start_s * VIDEO_RATE)
    frame.time_base = Fraction(1, VIDEO_RATE)
    return frame


def find_tones(chunks: Iterable[AudioChunk]) -> list[Span]:
    """When there is a tone."""
    spans: list[Span] = []
    for time_s, samples in chunks:
        for index in np.flatnonzero(np.abs(samples) > 0.2):
            at = time_s + index / SAMPLE_RATE_HZ
            if spans and at - spans[-1][1] < 0.1:
                spans[-1] = (spans[-1][0], at)
            else:
                spans.append((at, at))
    return spans


def duration_s(chunks: Iterable[AudioChunk]) -> float:
    """The total length of chunks, in seconds."""
    return sum(len(samples) for _, samples in chunks) / SAMPLE_RATE_HZ


class ToneEngine:
    """Recognizes each tone as the word "tone"."""

    model_id = "fake"

    def recognize(self, samples: Samples) -> Iterator[Word]:
        loud = np.abs(samples) > 0.1
        loud = np.convolve(loud, np.ones(160), "same") > 0  # bridges the zeros of a wave
        edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
        for start, end in edges.reshape(-1, 2) / SAMPLE_RATE_HZ:
            yield Word(float(start), float(end), " tone")
