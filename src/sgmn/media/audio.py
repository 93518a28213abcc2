"""The audio track of a recording or a running stream, as speech recognition wants it."""

from __future__ import annotations

import logging
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

__all__ = ["SAMPLE_RATE_HZ", "AudioReader", "Samples", "read_audio"]

_LOG = logging.getLogger("sgmn.media")

SAMPLE_RATE_HZ = 16_000
Samples: TypeAlias = NDArray[np.float32]  # (N,), mono, 16 kHz, -1..1

_FULL = np.float32(32_768)  # of 16 bits
_SILENT = "has no sound that can be decoded; it goes on with pictures alone"


def read_audio(
    source: Path | str, start_s: float = 0.0, damage: list[str] | None = None
) -> Iterator[tuple[float, Samples]]:
    """Yield the sound of a recording from `start_s` on: seconds, and float32 (N,) at 16 kHz.

    Its first audio track, all channels mixed into one. Time 0 is where the source's earliest
    stream starts, as it is for pictures. What comes before `start_s` is decoded and left
    out. A source without sound gives nothing, and one line says so, in `damage` or the log;
    so does one line for what could not be decoded. Raises MediaError if the source cannot
    be opened.
    """
    faults: Counter[str] = Counter()
    if is_folder(source):
        return _report(f"{source}: {_SILENT}", damage)
    with open_container(source) as container:
        tracks = [s for s in container.streams.audio if s.codec_context is not None]
        if not tracks:
            return _report(f"{source}: {_SILENT}", damage)
        stream = tracks[0]
        origin_s = _origin_s(container, stream)
        for time_s, samples in _resampled(_decoded(container, stream, faults), faults):
            early = max(0, round((start_s - (time_s - origin_s)) * SAMPLE_RATE_HZ))
            if early < len(samples):
                yield time_s - origin_s + early / SAMPLE_RATE_HZ, samples[early:]
    if faults:
        listed = ", ".join(f"{what} ({n} times)" for what, n in faults.items())
        _report(f"{source}: its sound is damaged: {listed}; what can be heard is used", damage)


def _report(line: str, damage: list[str] | None) -> None:
    if damage is None:
        _LOG.warning(line)
    else:
        damage.append(line)


def _origin_s(container: InputContainer, stream: AudioStream) -> float:
    if container.start_time is not None:
        return container.start_time / av.time_base
    return float((stream.start_time or 0) * (stream.time_base or Fraction(1)))


def _decoded(
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


def _resampled(
    frames: Iterable[AudioFrame], faults: Counter[str]
) -> Iterator[tuple[float, Samples]]:
    """Seconds by the track's own clock."""
    resampling = _Resampling(faults)
    for frame in chain(frames, [None]):
        yield from resampling.take(frame)


class _Resampling:
    """Frames to pieces; a frame without a time stamp follows the last one."""

    def __init__(self, faults: Counter[str]) -> None:
        self._faults = faults
        self._resampler, self._end_s = _new_resampler(), 0.0
        self._setup: tuple[str, str, int] | None = None

    def take(self, frame: AudioFrame | None) -> Iterator[tuple[float, Samples]]:
        """The pieces that a frame completes; those that are left, for None."""
        found = None if frame is None else (frame.format.name, frame.layout.name, frame.sample_rate)
        if frame is not None and self._setup not in (None, found):
            self._resampler = _new_resampler()
        self._setup = found
        try:
            pieces = self._resampler.resample(frame)
        except LIBAV_ERRORS as error:
            self._faults[f"sound cannot be converted ({describe_error(error)})"] += 1
            return
        for piece in pieces:
            if piece.pts is not None and piece.time_base:
                self._end_s = float(piece.pts * piece.time_base)
            samples = np.asarray(piece.to_ndarray(), np.float32).reshape(-1) / _FULL
            yield self._end_s, samples
            self._end_s += len(samples) / SAMPLE_RATE_HZ


class AudioReader:
    """Hears one track of a connection to a running stream, packet by packet."""

    def __init__(self, track: AudioStream, faults: Counter[str]) -> None:
        self.index = track.index
        self._track, self._faults, self._resampling = track, faults, _Resampling(faults)
        self._waiting: list[tuple[float, Samples]] = []

    def hear(
        self, packet: Packet[AudioStream], origin_s: float | None
    ) -> Iterator[tuple[float, Samples]]:
        """What a packet sounds like: seconds of the stream, and float32 (N,) at 16 kHz.

        `origin_s` is the time stamp at the stream's time 0. As long as it is not known, sound
        waits; what was before time 0 is left out.
        """
        try:
            for frame in self._track.decode(packet):
                self._waiting += self._resampling.take(frame)
        except LIBAV_ERRORS as error:  # one bad packet does not end a track
            self._faults[f"a packet of sound cannot be decoded ({describe_error(error)})"] += 1
        if origin_s is not None:
            waiting, self._waiting = self._waiting, []
            yield from ((s - origin_s, samples) for s, samples in waiting if s >= origin_s)


def _new_resampler() -> AudioResampler:
    # Not float: there libav mixes channels to above 1, for whole numbers it does not.
    return AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
