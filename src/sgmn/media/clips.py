"""A clip, of a video or of pictures on disk, to the frames that are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgmn.errors import MediaError
from sgmn.media import image
from sgmn.media.sampling import select_evenly
from sgmn.records import Clip, ImageArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, uint8 RGB (H, W, 3), and its time in seconds from the video's start."""

    time_s: float
    rgb: ImageArray


def read_clip_frames(
    clip: Clip,
    *,
    max_frames: int = 10,
    rate_hz: float = 1.0,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> tuple[ImageArray, ...]:
    """Decode at most `max_frames` frames of a clip, each uint8 RGB (H, W, 3), in order of time.

    A video is sampled at `rate_hz` between the clip's start and end and then picked from;
    of frames on disk only the picked ones are read. Damage is reported as by `frames`.
    Raises MediaError, naming the clip, if there is none or one cannot be read.
    """
    found = read_timed_clip_frames(clip, max_frames, rate_hz, max_side, damage)
    return tuple(frame.rgb for frame in found)


def read_timed_clip_frames(
    clip: Clip,
    max_frames: int,
    rate_hz: float,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> tuple[Frame, ...]:
    """The frames of `clip_frames` with their times; those on disk lie 1 / `rate_hz` s apart."""
    try:
        if clip.video is None:
            places = select_evenly(len(clip.frames), max_frames)
            return tuple(
                Frame(i / rate_hz, image.read_image(clip.frames[i], max_side)) for i in places
            )
        found = _sampled(clip.video, clip, rate_hz, max_side, damage)
    except MediaError as error:
        where = f"clip {clip.clip_id!r}: {error.where}"
        raise MediaError(error.message, where, error.remedy) from error
    return tuple(found[i] for i in select_evenly(len(found), max_frames))


def _sampled(
    source: Path, clip: Clip, rate_hz: float, max_side: int | None, damage: list[str] | None
) -> list[Frame]:
    """All frames of a clip's video; PyAV is imported here, as clips of pictures need none."""
    from sgmn.media import video

    return list(
        video.read_frames(
            source,
            rate_hz=rate_hz,
            start_s=clip.start,
            end_s=clip.end,
            max_side=max_side,
            damage=damage,
        )
    )
