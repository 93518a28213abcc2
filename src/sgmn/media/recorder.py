"""Record a live stream as MP4 without encoding it again.

Each connection, and each jump of its timestamps, begins a new part: `0001.mp4`, `0002.mp4`, …
A part is written in fragments, so that a killed process leaves what it has recorded, and becomes
an ordinary MP4 when it ends. Beside it, `0001.json` says where it is in the stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from sgmn.media.audio import find_audio_stream
from sgmn.media.container import LIBAV_ERRORS, describe_error
from sgmn.media.stream_clock import StreamClock

VIDEO_CODECS = ("h264", "hevc", "av1", "vp9")
AUDIO_CODECS = ("aac", "mp3", "opus", "flac", "ac3")
FRAGMENT_S = 2.0
_MAX_JUMP_S = 10.0  # of timestamps within a part
_OPTIONS = {
    "movflags": "frag_keyframe+hybrid_fragmented+default_base_moof+negative_cts_offsets",
    "frag_duration": str(round(FRAGMENT_S * 1e6)),
    "flush_packets": "1",
}


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """A part of a recording.

    Attributes:
        number: From 1, in the order of recording. A later part replaces earlier ones where they
            overlap: a file that is read again after a crash is recorded again.
        start_s: Time of the stream at its start.
        end_s: Time of the stream up to which it is on the disk.
        is_complete: Whether it has ended regularly.
    """

    number: int
    start_s: float
    end_s: float
    is_complete: bool


def list_parts(folder: Path) -> list[RecordedPart]:
    """Return the parts in a folder, in the order of recording."""
    parts = []
    for path in sorted(folder.glob("*.json")):
        with suppress(FileNotFoundError):  # deleted meanwhile by its age
            content = json.loads(path.read_text(encoding="utf-8"))
            if path.with_suffix(".mp4").is_file():
                parts.append(RecordedPart(int(path.stem), **content))
    return parts


def part_path(folder: Path, number: int) -> Path:
    """Return the file of a part."""
    return folder / f"{number:04d}.mp4"


def delete_part(folder: Path, number: int) -> None:
    """Delete a part."""
    for suffix in (".json", ".mp4"):
        part_path(folder, number).with_suffix(suffix).unlink(missing_ok=True)


class StreamRecorder:
    """Writes the packets of one connection after another to a folder.

    A fault of the recording never reaches the stream: it ends the recording, and is reported.

    Args:
        folder: Receives the parts.
        on_problem: Called once with the reason if the stream cannot be recorded (any more).
        shift: Converts times of the source to times of its consumer; None if not known yet.
    """

    def __init__(
        self,
        folder: Path,
        on_problem: Callable[[str], None],
        shift: Callable[[float], float | None] = lambda time_s: time_s,
    ) -> None:
        self._folder, self._on_problem, self._shift = folder, on_problem, shift
        self._inputs: list[Stream] = []
        self._video: VideoStream | None = None
        self._clock: StreamClock | None = None
        self._part: _PartWriter | None = None
        self._has_failed = False

    def begin_connection(
        self, container: InputContainer, stream: VideoStream, clock: StreamClock
    ) -> None:
        """Record the packets of an open connection from now on."""
        self.end_connection()
        codec = stream.codec_context.name
        if codec not in VIDEO_CODECS:
            known = ", ".join(VIDEO_CODECS)
            self._fail(f"its video codec {codec} cannot be recorded without re-encoding ({known})")
            return
        self._video, self._clock, self._inputs = stream, clock, [stream]
        audio = find_audio_stream(container)
        if audio is not None and audio.codec_context.name in AUDIO_CODECS:
            self._inputs.append(audio)

    def write(self, packet: Packet[Any]) -> None:
        """Record a packet, unless it cannot be decoded without an earlier one."""
        if self._has_failed or self._video is None or packet.dts is None or packet.pts is None:
            return
        if all(packet.stream.index != stream.index for stream in self._inputs):
            return
        try:
            self._write(packet)
        except LIBAV_ERRORS as error:
            self._fail(f"the recording cannot be written ({describe_error(error)})")

    def end_connection(self) -> None:
        """End the part of a connection."""
        part, self._part, self._video = self._part, None, None
        if part is None:
            return
        try:
            part.close()
            self._delete_covered(part.number)
        except LIBAV_ERRORS as error:
            self._fail(f"the recording cannot be written ({describe_error(error)})")

    def _write(self, packet: Packet[Any]) -> None:
        assert self._video is not None
        is_video = packet.stream.index == self._video.index
        if self._part is not None and is_video and self._part.is_jump(packet):
            self._part.close()
            self._part = None
        if self._part is None:
            if not (is_video and packet.is_keyframe):
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            numbers = [int(path.stem) for path in self._folder.glob("*.mp4")]
            self._part = _PartWriter(
                self._folder, max(numbers, default=0) + 1, self._inputs, packet
            )
        self._part.write(packet)
        if is_video and self._clock is not None:
            self._part.place(self._clock, self._shift)

    def _delete_covered(self, number: int) -> None:
        """Delete earlier parts whose time has been recorded again."""
        parts = {part.number: part for part in list_parts(self._folder)}
        newest = parts.pop(number, None)
        for part in parts.values():
            if newest and newest.start_s <= part.start_s and part.end_s <= newest.end_s:
                delete_part(self._folder, part.number)

    def _fail(self, reason: str) -> None:
        self._part, self._video = None, None
        if not self._has_failed:
            self._has_failed = True
            self._on_problem(reason)


class _PartWriter:
    """Writes one part, which begins with a key frame.

    Args:
        folder: Receives the files.
        number: Of the part.
        inputs: The streams to record.
        first: The key frame.
    """

    def __init__(
        self, folder: Path, number: int, inputs: Iterable[Stream], first: Packet[Any]
    ) -> None:
        self.number = number
        self._path = part_path(folder, number)
        self._output: OutputContainer = av.open(
            str(self._path), "w", format="mp4", options=_OPTIONS
        )
        self._outputs = {s.index: self._output.add_stream_from_template(s) for s in inputs}
        assert first.pts is not None and first.dts is not None
        self._first_pts = first.pts
        self._base_s = self._end_s = float(first.pts * first.time_base)
        self._last_s = float(first.dts * first.time_base)
        self._origin_s: float | None = None  # time of the stream at `_base_s`
        self._noted_s = -FRAGMENT_S

    def is_jump(self, packet: Packet[Any]) -> bool:
        """Whether the timestamp of a packet does not continue this part."""
        assert packet.dts is not None
        step_s = float(packet.dts * packet.time_base) - self._last_s
        return step_s < 0 or step_s > _MAX_JUMP_S

    def write(self, packet: Packet[Any]) -> None:
        """Write a copy of a packet, since writing changes it."""
        assert packet.dts is not None and packet.pts is not None
        base = round(self._base_s / packet.time_base)
        if packet.pts < base:  # from before the key frame
            return
        copy = Packet(bytes(packet))
        copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
        copy.pts, copy.dts, copy.duration = packet.pts - base, packet.dts - base, packet.duration
        copy.stream = self._outputs[packet.stream.index]
        time_s = float(packet.dts * packet.time_base)
        self._output.mux(copy)
        if packet.stream.type == "video":
            self._last_s = time_s
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._end_s = max(self._end_s, end_s)

    def place(self, clock: StreamClock, shift: Callable[[float], float | None]) -> None:
        """Note where the part is in the stream, as soon as it is known, and how far it reaches."""
        if self._origin_s is None:
            source_s = clock.pts_to_s(self._first_pts)
            self._origin_s = None if source_s is None else shift(source_s)
        if self._origin_s is not None and self._last_s - self._noted_s >= FRAGMENT_S:
            self._note(is_complete=False)

    def close(self) -> None:
        """End the part: it becomes an ordinary MP4."""
        self._output.close()
        if self._origin_s is None:  # no frame could be decoded
            self._path.unlink()
            return
        self._note(is_complete=True)

    def _note(self, *, is_complete: bool) -> None:
        assert self._origin_s is not None
        self._noted_s = self._last_s
        end_s = self._origin_s + self._end_s - self._base_s
        content = asdict(RecordedPart(0, round(self._origin_s, 3), round(end_s, 3), is_complete))
        del content["number"]
        temporary = self._path.with_suffix(".part")
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(self._path.with_suffix(".json"))
