"""Decode a video file to frames with their times; damage is counted, not hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from enum import Enum, auto
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sgmn.media.container import (
    LIBAV_ERRORS,
    HardwareDecoder,
    describe_error,
    find_header_duration_s,
    find_origin_pts,
    find_video_stream,
    open_container,
)
from sgmn.media.frame_clock import FrameClock
from sgmn.media.packet_selection import PacketSelector, SelectedPacket, VideoPacket
from sgmn.media.sampling import TIME_TOLERANCE_S, SamplingSchedule

_SEEK_MARGIN_S = 2.0  # frames right after a seek may reference frames that were skipped
_MIN_SHORTFALL_S = 1.0  # containers round, and audio often ends later than video


class DecodedFrame(NamedTuple):
    """A decoded frame, its time in seconds, and the width / height of one of its pixels."""

    time_s: float
    frame: VideoFrame
    pixel_aspect: Fraction | None


def decode_video(
    source: Path | str,
    schedule: SamplingSchedule,
    faults: Counter[str],
    *,
    key_frames_only: bool = False,
    hardware: HardwareDecoder | None = None,
) -> Iterator[DecodedFrame]:
    """Yield frames in order of time, starting at or before `schedule.start_s`.

    Every frame that is due is among them. Other frames may be omitted if no frame references
    them. Time 0 is the start of the earliest stream of the file, so that video and transcript
    agree. Times never decrease.

    Args:
        source: A path or URL.
        schedule: The times to sample. The caller advances it.
        faults: Counts what could not be decoded, by description.
        key_frames_only: Leave out all frames that need others to be decoded.
        hardware: Decodes instead of the CPU.

    Raises:
        MediaError: If the source cannot be opened or has no video stream.
    """
    decoder = _Decoder(source, schedule, faults, key_frames_only, hardware)
    end = yield from decoder.run(schedule.start_s, "AUTO")
    if end is _End.OVERSHOT:
        faults.clear()
        end = yield from decoder.run(0.0, "AUTO")
    if end is _End.CUT_SHORT:
        decoder.faults = Counter()  # the first run has counted them
        yield from decoder.run(decoder.last_s, "SLICE")
    missing_s = decoder.header_duration_s - decoder.end_s
    if missing_s > max(_MIN_SHORTFALL_S, decoder.header_duration_s / 20):
        fault = f"its video ends at {decoder.end_s:.1f} s of {decoder.header_duration_s:.1f} s"
        faults[fault] += 1


class _End(Enum):
    REACHED = auto()
    OVERSHOT = auto()  # a seek landed after its target, which happens without an index
    CUT_SHORT = auto()  # the input ends with damage, and frame threads did not return all frames


class _Decoder:
    """Reads a source in one or more runs that together yield every frame once."""

    def __init__(
        self,
        source: Path | str,
        schedule: SamplingSchedule,
        faults: Counter[str],
        key_frames_only: bool,
        hardware: HardwareDecoder | None,
    ) -> None:
        self.source, self.schedule, self.faults = source, schedule, faults
        self._key_frames_only, self._hardware = key_frames_only, hardware
        self.last_s, self.end_s, self.header_duration_s = -1.0, 0.0, 0.0
        self._pending_s = -1.0  # the latest time sent to the decoder

    def run(
        self, start_s: float, thread_type: Literal["AUTO", "SLICE"]
    ) -> Generator[DecodedFrame, None, _End]:
        """Yield the frames after `last_s`; seek close to `start_s` if that saves work."""
        self._pending_s = -1.0
        with open_container(self.source, self._hardware) as container:
            stream = find_video_stream(container, self.source)
            stream.thread_type = thread_type
            self.header_duration_s = find_header_duration_s(container, stream)
            origin_pts = find_origin_pts(container, stream)
            clock = FrameClock(stream, origin_pts, self.faults)
            is_unverified = _seek(container, stream, origin_pts, start_s)
            for frame in self._frames(container, stream, clock):
                time_s = clock.advance(frame)
                if is_unverified and (frame.pts is None or time_s > start_s):
                    return _End.OVERSHOT
                is_unverified = False
                self.end_s = max(self.end_s, clock.end_s)
                if time_s > self.last_s:
                    self.last_s = time_s
                    yield DecodedFrame(time_s, frame, stream.sample_aspect_ratio)
        if is_unverified:
            return _End.OVERSHOT
        is_cut_short = self._pending_s > self.last_s + TIME_TOLERANCE_S
        return _End.CUT_SHORT if is_cut_short else _End.REACHED

    def _frames(
        self, container: InputContainer, stream: VideoStream, clock: FrameClock
    ) -> Iterator[VideoFrame]:
        selector = PacketSelector()
        for packet in self._packets(container, stream):
            time_s = None if packet is None else clock.pts_to_s(packet.pts)
            if self._key_frames_only and packet is not None and _needs_others(packet):
                self.end_s = max(self.end_s, time_s or 0.0)
                continue
            for selected in selector.select(packet, time_s, self.schedule.next_s):
                yield from self._decode(selected, stream)
            self.end_s = max(self.end_s, selector.dropped_s)

    def _decode(self, selected: SelectedPacket, stream: VideoStream) -> Iterator[VideoFrame]:
        # Skipping saves a third of the work for typical H.264. It is exact: frames before
        # the next due time are never due, and no other frame references the skipped ones.
        stream.codec_context.skip_frame = "NONREF" if selected.is_early else "DEFAULT"
        if selected.time_s is not None and not selected.is_early:
            self._pending_s = max(self._pending_s, selected.time_s)
        try:
            frames = stream.decode(selected.packet)
        except LIBAV_ERRORS as error:  # one bad packet does not end a stream
            self.faults[f"a packet cannot be decoded ({describe_error(error)})"] += 1
            return
        for frame in frames:
            if frame.is_corrupt:
                self.faults["a frame is corrupt"] += 1
            else:
                yield frame

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
        """Yield every packet, then an empty one or None, which flushes the decoder."""
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


def _needs_others(packet: Packet[VideoStream]) -> bool:
    """Whether a packet holds a frame that cannot be decoded alone; not so the one that flushes."""
    return packet.pts is not None and not packet.is_keyframe


def _seek(
    container: InputContainer, stream: VideoStream, origin_pts: int | None, start_s: float
) -> bool:
    """Seek to a key frame well before `start_s` if that saves work; return whether it was tried."""
    if start_s <= _SEEK_MARGIN_S or origin_pts is None or not stream.time_base:
        return False
    target = origin_pts + int((start_s - _SEEK_MARGIN_S) / stream.time_base)
    try:
        container.seek(target, stream=stream, backward=True)
    except LIBAV_ERRORS:
        return True  # the position is unknown now; the first frame verifies it
    return True
