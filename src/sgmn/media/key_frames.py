"""Where a recording has key frames: those that can be decoded without any other frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import av

from sgmn.media.container import find_header_duration_s, find_video_stream, open_container


@dataclass(frozen=True, slots=True)
class KeyFrameIndex:
    """What the header of a recording says about its key frames.

    Attributes:
        spacing_s: Mean seconds between key frames, the end of the video included; None if they
            are not listed. Without such a list, finding one means reading all that comes before.
        video_s: Length of the video, in seconds.
        container_s: Length of the whole recording, which may have a longer sound track.
    """

    spacing_s: float | None
    video_s: float
    container_s: float


def read_key_frame_index(source: Path | str) -> KeyFrameIndex:
    """Read what the header of a recording says about its key frames, and nothing else of it.

    MP4, MOV, Matroska and WebM files list their key frames.

    Raises:
        MediaError: The source cannot be opened or has no video stream.
    """
    with open_container(source) as container:
        stream = find_video_stream(container, source)
        tick_s, video_s = float(stream.time_base or 0), find_header_duration_s(container, stream)
        if "matroska" in container.format.name:
            container.seek(container.duration or 0)  # libav reads the list only to seek
        times_s = [e.timestamp * tick_s for e in stream.index_entries if e.is_keyframe]
        container_s = (container.duration or 0) / av.time_base
    return KeyFrameIndex(_mean_spacing_s(times_s, video_s), video_s, container_s)


def _mean_spacing_s(times_s: list[float], video_s: float) -> float | None:
    if not times_s or not video_s:
        return None
    gaps_s = [later - earlier for earlier, later in pairwise(times_s)]
    last_gap_s = video_s - (times_s[-1] - times_s[0])
    # Of a file without a list, libav lists what it happens to read while it opens the file.
    if gaps_s and last_gap_s > 2 * max(gaps_s) + 1:
        return None
    return fmean([*gaps_s, last_gap_s])
