"""Decode the audio track of a recording or a live stream to 16 kHz mono for speech recognition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from sgmn.media.container import LIBAV_ERRORS, describe_error, is_folder, open_container
from sgmn.media.damage import report_damage, summarize_faults

__all__ = ["SAMPLE_RATE_HZ", "AudioChunk", "AudioReader", "Samples", "read_audio"]

SAMPLE_RATE_HZ = 16_000
Samples: TypeAlias = NDArray[np.float32]  # (N,), mono, 16 kHz, -1..1
AudioChunk: TypeAlias = tuple[float, Samples]  # time of the first sample in seconds, samples

_INT16_SCALE = np.float32(32_768)
_NO_AUDIO = "has no audio that can be decoded; only its video is used"


def read_audio(
    source: Path | str, start_s: float = 0.0, damage: list[str] | None = None
) -> Iterator[AudioChunk]:
    """Yield the audio of a recording, from `start_s` on, in chunks of any length.

    Decodes the first audio track and mixes all its channels. Time 0 is the start of the
    earliest stream of the source, as for video. A source without audio yields nothing.

    Args:
        source: A path or URL.
        start_s: Start in seconds. Audio before it is decoded and discarded.
        damage: Receives a line if there is no audio, or if it is damaged; without it, the line
            is logged.

    Raises:
        MediaError: If the source cannot be opened.
    """
    faults: Counter[str] = Counter()
    if is_folder(source):
        return report_damage(f"{source}: {_NO_AUDIO}", damage)
    with open_container(source) as container:
        stream = find_audio_stream(container)
        if stream is None:
            return report_damage(f"{source}: {_NO_AUDIO}", damage)
        origin_s = _find_origin_s(container, stream)
        for time_s, samples in _resample(_decode(container, stream, faults), faults):
            skipped = max(0, round((start_s - (time_s - origin_s)) * SAMPLE_RATE_HZ))
            if skipped < len(samples):
                yield time_s - origin_s + skipped / SAMPLE_RATE_HZ, samples[skipped:]
    if faults:
        message = f"its audio is damaged: {summarize_faults(faults)}; the readable part is used"
        report_damage(f"{source}: {message}", damage)


def find_audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the first audio stream that can be decoded, or None."""
    streams = (stream for stream in container.streams.audio if stream.codec_context is not None)
    return next(streams, None)


def _find_origin_s(container: InputContainer, stream: AudioStream) -> float:
    if container.start_time is not None:
        return container.start_time / av.time_base
    return float((stream.start_time or 0) * (stream.time_base or Fraction(1)))


def _decode(
    container: InputContainer, stream: AudioStream, faults: Counter[str]
) -> Iterator[AudioFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except LIBAV_ERRORS as error:
            faults[f"reading stops early ({describe_error(error)})"] += 1
            return
        if packet is None:
            return
        try:
            yield from stream.decode(packet)
        except LIBAV_ERRORS as error:  # one bad packet does not end a track
            faults[f"a packet cannot be decoded ({describe_error(error)})"] += 1


def _resample(frames: Iterable[AudioFrame], faults: Counter[str]) -> Iterator[AudioChunk]:
    """Yield chunks with times by the track's own clock."""
    resampler = _Resampler(faults)
    for frame in chain(frames, [None]):
        yield from resampler.resample(frame)


class _Resampler:
    """Converts audio frames to chunks. A frame without a timestamp follows the previous one."""

    def __init__(self, faults: Counter[str]) -> None:
        self._faults = faults
        self._resampler, self._end_s = _new_resampler(), 0.0
        self._format: tuple[str, str, int] | None = None

    def resample(self, frame: AudioFrame | None) -> Iterator[AudioChunk]:
        """Yield the chunks that a frame completes; None flushes the remaining samples."""
        frame_format = (
            None if frame is None else (frame.format.name, frame.layout.name, frame.sample_rate)
        )
        if frame is not None and self._format not in (None, frame_format):
            self._resampler = _new_resampler()
        self._format = frame_format
        try:
            pieces = self._resampler.resample(frame)
        except LIBAV_ERRORS as error:
            self._faults[f"audio cannot be converted ({describe_error(error)})"] += 1
            return
        for piece in pieces:
            if piece.pts is not None and piece.time_base:
                self._end_s = float(piece.pts * piece.time_base)
            samples = np.asarray(piece.to_ndarray(), np.float32).reshape(-1) / _INT16_SCALE
            yield self._end_s, samples
            self._end_s += len(samples) / SAMPLE_RATE_HZ


class AudioReader:
    """Decodes one audio track of a live connection, packet by packet."""

    def __init__(self, stream: AudioStream, faults: Counter[str]) -> None:
        self.index = stream.index
        self._stream, self._faults, self._resampler = stream, faults, _Resampler(faults)
        self._pending: list[AudioChunk] = []

    def read(self, packet: Packet[AudioStream], origin_s: float | None) -> Iterator[AudioChunk]:
        """Yield the chunks of a packet, with times in seconds of the stream.

        `origin_s` is the timestamp, in seconds, at the stream's time 0. Chunks are held back
        while it is None. Audio before time 0 is discarded.
        """
        try:
            for frame in self._stream.decode(packet):
                self._pending += self._resampler.resample(frame)
        except LIBAV_ERRORS as error:  # one bad packet does not end a track
            self._faults[f"an audio packet cannot be decoded ({describe_error(error)})"] += 1
        if origin_s is not None:
            chunks, self._pending = self._pending, []
            yield from ((s - origin_s, samples) for s, samples in chunks if s >= origin_s)


def _new_resampler() -> AudioResampler:
    # Not float: libav mixes float channels to values above 1, but not integer channels.
    return AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
