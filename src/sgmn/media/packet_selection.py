"""Leaves out the packets of a video that no due frame needs.

Of a group of pictures, only the frames up to the last due one have to be decoded: the next group
starts anew with its key frame. So packets before the next due time are held back until it is clear
whether a key frame or a due frame comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from av.packet import Packet
from av.video.stream import VideoStream

from sgmn.media.sampling import TIME_TOLERANCE_S

VideoPacket: TypeAlias = "Packet[VideoStream] | None"
_MAX_STEP_BACK_S = 1.0  # frames are reordered by less; otherwise the clock was set anew
_MAX_HELD = 1000  # a bound on memory: at 60 frames a second, 16 s


class SelectedPacket(NamedTuple):
    """A packet to decode, its time, and whether its frame comes before the next due time."""

    packet: VideoPacket
    time_s: float | None
    is_early: bool


@dataclass
class PacketSelector:
    """Decides which packets are decoded.

    Attributes:
        dropped_s: Time of the latest packet that was left out, in seconds.
    """

    dropped_s: float = 0.0
    _held: list[SelectedPacket] = field(default_factory=list)
    _newest_s: float = 0.0
    _key_s: float | None = None  # of the key frame before which packets were left out
    _is_active: bool = True
    _has_released: bool = False

    def select(
        self, packet: VideoPacket, time_s: float | None, due_s: float
    ) -> list[SelectedPacket]:
        """Return the packets that are to be decoded now, in order.

        Args:
            packet: The next packet; None or an empty one at the end of the video.
            time_s: Time of its frame; None if it is unknown.
            due_s: Time of the next due frame.
        """
        is_early = time_s is not None and time_s < due_s - TIME_TOLERANCE_S
        selected = SelectedPacket(packet, time_s, is_early)
        if packet is None or not packet.size:
            if self._has_released:
                self._drop_held()
            return self._release(selected)  # one frame at least, which says where the video ends
        if time_s is None or time_s < self._newest_s - _MAX_STEP_BACK_S:
            self._is_active = False
        self._newest_s = max(self._newest_s, time_s or 0.0)
        if not self._is_active or len(self._held) >= _MAX_HELD:
            return self._release(selected)
        is_reached = time_s is not None and time_s < due_s + TIME_TOLERANCE_S
        if packet.is_keyframe and self._held and is_reached:
            self._drop_held()
            self._key_s = time_s
        elif self._key_s is not None and time_s is not None and time_s < self._key_s:
            return []  # it needs the packets that were left out
        if is_early:
            self._held.append(selected)
            return []
        return self._release(selected)

    def _release(self, selected: SelectedPacket) -> list[SelectedPacket]:
        packets, self._held, self._has_released = [*self._held, selected], [], True
        return packets

    def _drop_held(self) -> None:
        times_s = [held.time_s for held in self._held if held.time_s is not None]
        self.dropped_s = max(self.dropped_s, *times_s, 0.0)
        self._held = []
