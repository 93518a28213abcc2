"""A video file to decoded frames with their times; damage is counted, not hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from enum import Enum, auto
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sgmn.media.container import (
    LIBAV_ERRORS,
    describe_error,
    find_header_duration_s,
    find_origin_pts,
    find_video_stream,
    open_container,
)
from sgmn.media.frame_clock import FrameClock
from sgmn.media.sampling import TIME_TOLERANCE_S, SamplingSchedule

_Packet: TypeAlias = "Packet[VideoStream] | None"
_SEEK_MARGIN_S = 2.0  # frames right after a seek may lean on frames that were jumped over
_SHORTFALL_S = 1.0  # containers round, and sound often ends later than pictures


class DecodedFrame(NamedTuple):
    """A decoded frame, its time in seconds, and the width of one of its pixels over its height."""

    time_s: float
    frame: VideoFrame
    pixel_aspect: Fraction | None


def decode_video(
    source: Path | str, due: SamplingSchedule, faults: Counter[str]
) -> Iterator[DecodedFrame]:
    """Yield frames in order of time, from at or before `due.start_s` on.

    Every frame that is due is among them; of the others, those that no frame leans on may
    be left out. Time 0 is where the file's earliest stream starts, so that pictures and
    words agree; times never fall. What cannot be decoded is counted in `faults`.
    Raises MediaError if the source cannot be opened or holds no video stream.
    """
    reading = _Reading(source, due, faults)
    end = yield from reading.run(due.start_s, "AUTO")
    if end is _End.OVERSHOT:
        faults.clear()
        end = yield from reading.run(0.0, "AUTO")
    if end is _End.CUT_SHORT:
        reading.faults = Counter()  # the first run has counted them
        yield from reading.run(reading.last_s, "SLICE")
    missing_s = reading.promised_s - reading.end_s
    if missing_s > max(_SHORTFALL_S, reading.promised_s / 20):
        faults[f"its pictures end at {reading.end_s:.1f} s of {reading.promised_s:.1f} s"] += 1


class _End(Enum):
    REACHED = auto()
    OVERSHOT = auto()  # a seek landed behind what was asked for, as it may without an index
    CUT_SHORT = auto()  # frame threads met damage at the end and kept frames that they held


class _Reading:
    """One or more runs through a source, that together yield every frame once."""

    def __init__(self, source: Path | str, due: SamplingSchedule, faults: Counter[str]) -> None:
        self.source, self.due, self.faults = source, due, faults
        self.last_s, self.end_s, self.promised_s = -1.0, 0.0, 0.0
        self._awaited_s = -1.0  # the latest time of what went into the decoder

    def run(
        self, from_s: float, threads: Literal["AUTO", "SLICE"]
    ) -> Generator[DecodedFrame, None, _End]:
        """Yield the frames after `last_s`, jumping close before `from_s` where that saves work."""
        self._awaited_s = -1.0
        with open_container(self.source) as container:
            stream = find_video_stream(container, self.source)
            stream.thread_type = threads
            self.promised_s = find_header_duration_s(container, stream)
            start = find_origin_pts(container, stream)
            clock = FrameClock(stream, start, self.faults)
            unproven = _seek(container, stream, start, from_s)
            for frame in self._pictures(container, stream, clock):
                time_s = clock.read(frame)
                if unproven and (frame.pts is None or time_s > from_s):
                    return _End.OVERSHOT
                unproven = False
                self.end_s = clock.end_s
                if time_s > self.last_s:
                    self.last_s = time_s
                    yield DecodedFrame(time_s, frame, stream.sample_aspect_ratio)
        if unproven:
            return _End.OVERSHOT
        return _End.CUT_SHORT if self._awaited_s > self.last_s + TIME_TOLERANCE_S else _End.REACHED

    def _pictures(
        self, container: InputContainer, stream: VideoStream, clock: FrameClock
    ) -> Iterator[VideoFrame]:
        for packet in self._packets(container, stream):
            at_s = None if packet is None else clock.seconds(packet.pts)
            # Saves a third of the work for the usual H.264, and is exact: what comes before
            # the next due time is never due, and on these frames no other one leans.
            early = at_s is not None and at_s < self.due.next_s - TIME_TOLERANCE_S
            stream.codec_context.skip_frame = "NONREF" if early else "DEFAULT"
            if at_s is not None and not early:
                self._awaited_s = max(self._awaited_s, at_s)
            try:
                frames = stream.decode(packet)
            except LIBAV_ERRORS as error:  # one bad packet does not end a stream
                self.faults[f"a packet cannot be decoded ({describe_error(error)})"] += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.faults["a frame is corrupt"] += 1
                else:
                    yield frame

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[_Packet]:
        """Every packet; the last is empty or None: for it the decoder gives what it held back."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except LIBAV_ERRORS as error:
                self.faults[f"reading stops early ({describe_error(error)})"] += 1
                yield None
                return
            if packet is None:
                return
            if packet.is_corrupt:
                self.faults["a packet is incomplete"] += 1
            yield packet


def _seek(container: InputContainer, stream: VideoStream, zero: int | None, from_s: float) -> bool:
    """Jump to a key frame well before `from_s` if that can save anything; say whether tried."""
    if from_s <= _SEEK_MARGIN_S or zero is None or not stream.time_base:
        return False
    target = zero + int((from_s - _SEEK_MARGIN_S) / stream.time_base)
    try:
        container.seek(target, stream=stream, backward=True)
    except LIBAV_ERRORS:
        return True  # where it stands now is unknown; the first frame tells
    return True
