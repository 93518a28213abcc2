"""Packets that no due frame needs are not decoded, and the sampled frames stay the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.media import video_decoding
from sgmn.media.packet_selection import PacketSelector, SelectedPacket, VideoPacket
from tests.media.footage import frame_times, read_numbers, write_video
from tests.media.test_video import select_by_definition


@pytest.mark.parametrize("start_s", [0.0, 0.3, 0.5, 1.7])
@pytest.mark.parametrize("params", ["open-gop=0:scenecut=0", "open-gop=1:bframes=4:b-pyramid=2"])
@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_frames_stay_those_of_the_definition(
    video_folder: Path, name: str, params: str, start_s: float
) -> None:
    """Wherever the samples lie between key frames, and whatever frames refer to."""
    path = video_folder / f"{params.count('open-gop=1')}-{name}"
    if not path.exists():
        write_video(path, frame_times(9), codec_options={"g": "20", "x264-params": params})
    damage: list[str] = []
    frames = read_numbers(path, start_s=start_s, damage=damage)
    assert frames == select_by_definition(path, 1.0, start_s) and damage == []


def test_half_of_each_group_is_left_out(video_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples at 0 and 1 s need nothing of the second half of a group of two seconds."""
    decoded: list[float] = []

    class CountingSelector(PacketSelector):
        def select(
            self, packet: VideoPacket, time_s: float | None, due_s: float
        ) -> list[SelectedPacket]:
            packets = super().select(packet, time_s, due_s)
            decoded.extend(p.time_s for p in packets if p.time_s is not None)
            return packets

    monkeypatch.setattr(video_decoding, "PacketSelector", CountingSelector)
    assert read_numbers(video_path) == [(10 * k, float(k)) for k in range(12)]
    assert 60 <= len(decoded) < 105  # of 120; the decoder delays frames by a few packets
    assert len(decoded) == len(set(decoded))
