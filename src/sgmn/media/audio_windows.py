"""Overlapping windows of audio for speech recognition.

A recognizer misrecognizes words that the edge of its input cuts off. Therefore windows overlap,
and each contributes only the words of its own part, which ends in the middle of the overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from sgmn.media.audio import SAMPLE_RATE_HZ, AudioChunk, Samples

_MAX_GAP_S = 0.3  # a larger gap in the audio starts a new series; less is jitter of timestamps


class AudioWindow(NamedTuple):
    """Audio to recognize at once, and the part of it whose words count.

    Attributes:
        start_s: Time of the first sample, in seconds.
        samples: float32 (N,), mono, 16 kHz.
        own_start_s: Start of the part whose words count.
        own_end_s: End of that part.
    """

    start_s: float
    samples: Samples
    own_start_s: float
    own_end_s: float


def cut_audio_windows(
    chunks: Iterable[AudioChunk], window_s: float, hop_s: float
) -> Iterator[AudioWindow]:
    """Cut audio into windows of `window_s`, one every `hop_s`; the last ones are shorter.

    The parts that count are adjacent, without gaps or overlaps. A gap in the audio starts a new
    series of windows.
    """
    buffer: _WindowBuffer | None = None
    for time_s, samples in chunks:
        if buffer is not None and abs(time_s - buffer.end_s) > _MAX_GAP_S:
            yield from buffer.flush()
            buffer = None
        buffer = buffer or _WindowBuffer(time_s, window_s, hop_s)
        buffer.add(samples)
        while buffer.is_full:
            yield buffer.next_window()
    if buffer is not None:
        yield from buffer.flush()


class _WindowBuffer:
    """Contiguous audio for the next windows. It counts samples, so that times do not drift."""

    def __init__(self, start_s: float, window_s: float, hop_s: float) -> None:
        self._start_s = start_s
        self._window, self._hop = (round(s * SAMPLE_RATE_HZ) for s in (window_s, hop_s))
        self._first, self._own_start = 0, 0  # sample numbers: of the buffer, of the own part
        self._pieces: list[Samples] = []
        self._count = 0

    @property
    def end_s(self) -> float:
        return self._to_seconds(self._first + self._count)

    @property
    def is_full(self) -> bool:
        return self._count >= self._window

    def add(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._count += len(samples)

    def next_window(self) -> AudioWindow:
        """Return the next full window, and keep what the following one needs."""
        samples = np.concatenate(self._pieces)
        own_end = self._first + (self._window + self._hop) // 2
        window = self._create_window(samples[: self._window], own_end)
        self._pieces, self._count = [samples[self._hop :]], len(samples) - self._hop
        self._first, self._own_start = self._first + self._hop, own_end
        return window

    def flush(self) -> Iterator[AudioWindow]:
        """Yield the last, shorter window, if its own part is not empty."""
        end = self._first + self._count
        if end > self._own_start:
            yield self._create_window(np.concatenate(self._pieces), end)

    def _create_window(self, samples: Samples, own_end: int) -> AudioWindow:
        own_start_s, own_end_s = self._to_seconds(self._own_start), self._to_seconds(own_end)
        return AudioWindow(self._to_seconds(self._first), samples, own_start_s, own_end_s)

    def _to_seconds(self, sample: int) -> float:
        return self._start_s + sample / SAMPLE_RATE_HZ
