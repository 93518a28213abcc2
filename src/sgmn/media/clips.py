"""Decode the sampled frames of a clip, from a video or from images on disk."""

from __future__ import annotations

from pathlib import Path

from sgmn.errors import MediaError
from sgmn.media.frame import Frame
from sgmn.media.image import read_image
from sgmn.media.sampling import select_evenly
from sgmn.records import Clip, ImageArray


def read_clip_frames(
    clip: Clip,
    *,
    max_frames: int = 10,
    rate_hz: float = 1.0,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> tuple[ImageArray, ...]:
    """Decode at most `max_frames` frames of a clip, in order of time.

    A video is sampled at `rate_hz` from the clip's start to its end, and frames are selected
    evenly from the samples. Of frames on disk, only the selected ones are read.

    Args:
        clip: The clip to decode.
        max_frames: Maximum number of frames.
        rate_hz: Sampled frames per second.
        max_side: Maximum length of the longer side, in pixels.
        damage: Receives one line if the video is damaged; without it, the line is logged.

    Returns:
        The frames, each uint8 RGB (H, W, 3).

    Raises:
        MediaError: With the clip's id, if it has no frames or one cannot be read.
    """
    frames = read_timed_clip_frames(clip, max_frames, rate_hz, max_side, damage)
    return tuple(frame.rgb for frame in frames)


def read_timed_clip_frames(
    clip: Clip,
    max_frames: int,
    rate_hz: float,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> tuple[Frame, ...]:
    """Decode as `read_clip_frames`, with times. Frames on disk are 1 / `rate_hz` s apart."""
    try:
        if clip.video is None:
            indices = select_evenly(len(clip.frames), max_frames)
            return tuple(Frame(i / rate_hz, read_image(clip.frames[i], max_side)) for i in indices)
        frames = _sample_video(clip.video, clip, rate_hz, max_side, damage)
    except MediaError as error:
        where = f"clip {clip.clip_id!r}: {error.where}"
        raise MediaError(error.message, where, error.remedy) from error
    return tuple(frames[i] for i in select_evenly(len(frames), max_frames))


def _sample_video(
    source: Path, clip: Clip, rate_hz: float, max_side: int | None, damage: list[str] | None
) -> list[Frame]:
    """All sampled frames of a clip's video."""
    from sgmn.media import video  # here, because clips of images need no PyAV

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
