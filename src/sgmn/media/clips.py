"""A clip, of a video or of pictures on disk, to the frames that are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgmn.errors import MediaError
from sgmn.media import image
from sgmn.media.sampling import pick
from sgmn.records import Clip, Picture


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, uint8 RGB (H, W, 3), and its time in seconds from the video's start."""

    time_s: float
    rgb: Picture


def clip_frames(
    clip: Clip,
    *,
    wanted: int = 10,
    rate_hz: float = 1.0,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> tuple[Picture, ...]:
    """Decode at most `wanted` frames of a clip, each uint8 RGB (H, W, 3), in order of time.

    A video is sampled at `rate_hz` between the clip's start and end and then picked from;
    of frames on disk only the picked ones are read. Damage is reported as by `frames`.
    Raises MediaError, naming the clip, if there is none or one cannot be read.
    """
    found = timed_clip_frames(clip, wanted, rate_hz, max_side, damage)
    return tuple(frame.rgb for frame in found)


def timed_clip_frames(
    clip: Clip,
    wanted: int,
    rate_hz: float,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> tuple[Frame, ...]:
    """The frames of `clip_frames` with their times; those on disk lie 1 / `rate_hz` s apart."""
    try:
        if clip.video is None:
            places = pick(len(clip.frames), wanted)
            return tuple(Frame(i / rate_hz, image.read(clip.frames[i], max_side)) for i in places)
        found = _sampled(clip.video, clip, rate_hz, max_side, damage)
    except MediaError as error:
        where = f"clip {clip.clip_id!r}: {error.where}"
        raise MediaError(error.what, where, error.remedy) from error
    return tuple(found[i] for i in pick(len(found), wanted))


def _sampled(
    source: Path, clip: Clip, rate_hz: float, max_side: int | None, damage: list[str] | None
) -> list[Frame]:
    """All frames of a clip's video; PyAV is imported here, as clips of pictures need none."""
    from sgmn.media import video

    return list(
        video.frames(
            source,
            rate_hz=rate_hz,
            start_s=clip.start,
            end_s=clip.end,
            max_side=max_side,
            damage=damage,
        )
    )
