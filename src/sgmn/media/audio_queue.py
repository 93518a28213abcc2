"""A bounded queue of audio between a decoder and a consumer in another thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition

from sgmn.media.audio import SAMPLE_RATE_HZ, AudioChunk, Samples


class AudioQueue:
    """Passes audio from one thread to another. Adding never blocks.

    If the consumer is too slow, the oldest audio is dropped. If the consumer has failed,
    `discard` drops all audio.

    Args:
        max_s: Maximum length of the queued audio, in seconds.
    """

    def __init__(self, max_s: float) -> None:
        self._max_samples = round(max_s * SAMPLE_RATE_HZ)
        self._queued_samples = self._dropped_samples = 0
        self._chunks: deque[AudioChunk] = deque()
        self._is_closed = self._is_discarding = False
        self._changed = Condition()

    @property
    def dropped_s(self) -> float:
        """Length of the dropped audio, in seconds."""
        return self._dropped_samples / SAMPLE_RATE_HZ

    def put(self, time_s: float, samples: Samples) -> None:
        """Add a chunk, dropping the oldest audio if the queue is full."""
        with self._changed:
            if self._is_closed:
                return
            self._chunks.append((time_s, samples))
            self._queued_samples += len(samples)
            self._drop_excess()
            self._changed.notify_all()

    def chunks(self) -> Iterator[AudioChunk]:
        """Yield the chunks in order until the queue is closed and empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._chunks or self._is_closed)
                if not self._chunks:
                    return
                time_s, samples = self._chunks.popleft()
                self._queued_samples -= len(samples)
            yield time_s, samples

    def discard(self) -> None:
        """Drop the queued audio and everything that is added later."""
        with self._changed:
            self._is_discarding = True
            self._drop_excess()

    def close(self, *, drain: bool) -> None:
        """End `chunks`: after the queued audio if `drain`, otherwise at once."""
        with self._changed:
            self._is_closed = True
            if not drain:
                self._chunks.clear()
                self._queued_samples = 0
            self._changed.notify_all()

    def _drop_excess(self) -> None:
        limit = 0 if self._is_discarding else self._max_samples
        while self._queued_samples > limit:
            dropped = len(self._chunks.popleft()[1])
            self._queued_samples -= dropped
            self._dropped_samples += dropped
