"""Read timed RGB frames from a video or from a folder of images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator
from math import isfinite
from pathlib import Path

from sgmn.errors import MediaError, error_reason
from sgmn.media import container, image
from sgmn.media.damage import report_damage, summarize_faults
from sgmn.media.frame import Frame
from sgmn.media.rgb_conversion import UprightConverter
from sgmn.media.sampling import TIME_TOLERANCE_S, SamplingSchedule
from sgmn.media.video_decoding import DecodedFrame, decode_video

__all__ = ["Frame", "NoFramesError", "read_duration", "read_frames"]


class NoFramesError(MediaError):
    """A recording without a frame in the span of time that was asked for."""


def read_frames(
    source: Path | str,
    *,
    rate_hz: float = 1.0,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_side: int | None = None,
    damage: list[str] | None = None,
    key_frames_only: bool = False,
    hardware: container.HardwareDecoder | None = None,
) -> Generator[Frame, None, None]:
    """Yield the sampled frames from `start_s` to before `end_s`, in order of time.

    Sample k is the first frame at or after start_s + k / rate_hz, to the millisecond. A frame that
    is due twice, after a gap, is yielded once; frames after the last sample are not. Of a damaged
    video, everything that can be decoded is yielded.

    Args:
        source: A video, its URL, or a folder of images, which are sorted by name and are
            1 / rate_hz seconds apart.
        rate_hz: Frames per second.
        start_s: Start in seconds.
        end_s: End in seconds, exclusive; None for the end of the video.
        max_side: Maximum length of the longer side, in pixels. Nothing is enlarged.
        damage: Receives one line at the end if the video is damaged; without it, the line is
            logged.
        key_frames_only: Decode only key frames, which is far less work, and sample those. A
            folder has key frames only.
        hardware: Decodes instead of the CPU; see `hardware.find_hardware`.

    Raises:
        NoFramesError: No frame of this span can be read.
        MediaError: The source, or an image of a folder, cannot be read.
    """
    _require_valid_arguments(rate_hz, start_s, end_s, max_side)
    if container.is_folder(source):
        return _read_folder(Path(source), rate_hz, start_s, end_s, max_side)
    schedule = SamplingSchedule(start_s, rate_hz)
    faults: Counter[str] = Counter()
    decoded = decode_video(
        source, schedule, faults, key_frames_only=key_frames_only, hardware=hardware
    )
    return _read_video(source, decoded, schedule, faults, end_s, max_side, damage)


def read_duration(source: Path | str, rate_hz: float = 1.0) -> float:
    """Return the length in seconds that a video's container states, or 0.0 if it states none.

    The images of a folder are 1 / `rate_hz` seconds apart, as in `read_frames`. Raises
    MediaError if the source cannot be opened or is a folder without images.
    """
    _require_valid_arguments(rate_hz, 0.0, None, None)
    if container.is_folder(source):
        return len(_list_images(Path(source))) / rate_hz
    return container.read_duration(source)


def _require_valid_arguments(
    rate_hz: float, start_s: float, end_s: float | None, max_side: int | None
) -> None:
    if not (isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(f"rate_hz is {rate_hz}; pass a number of frames per second above 0")
    if not (isfinite(start_s) and start_s >= 0) or (end_s is not None and not end_s >= start_s):
        raise ValueError(f"{start_s}..{end_s} is not a valid time span; pass 0 <= start_s <= end_s")
    if max_side is not None and max_side < 1:
        raise ValueError(f"max_side is {max_side}; pass a number of pixels of at least 1")


def _read_video(
    source: Path | str,
    decoded: Iterator[DecodedFrame],
    schedule: SamplingSchedule,
    faults: Counter[str],
    end_s: float | None,
    max_side: int | None,
    damage: list[str] | None,
) -> Generator[Frame, None, None]:
    converter, frame_count, last_s = UprightConverter(max_side), 0, None
    try:
        for last_s, frame, pixel_aspect in decoded:
            if end_s is not None and last_s + TIME_TOLERANCE_S >= end_s:
                break
            if not schedule.is_due(last_s):
                continue
            try:
                rgb = converter.convert(frame, pixel_aspect)
            except container.LIBAV_ERRORS as error:
                faults[f"a frame cannot be converted ({container.describe_error(error)})"] += 1
                continue
            schedule.advance(last_s)
            frame_count += 1
            yield Frame(last_s, rgb)
        if not frame_count:
            raise _no_frames_error(source, schedule.start_s, end_s, last_s, faults)
    finally:
        if frame_count and faults:
            message = f"is damaged: {summarize_faults(faults)}; the readable part is used"
            report_damage(f"{source}: {message}", damage)


def _no_frames_error(
    source: Path | str,
    start_s: float,
    end_s: float | None,
    last_s: float | None,
    faults: Counter[str],
) -> NoFramesError:
    reason = f" ({summarize_faults(faults)})" if faults else ""
    if last_s is None:
        return NoFramesError(f"has no readable frame{reason}", source, container.REEXPORT_REMEDY)
    span = f"at or after {start_s} s" if end_s is None else f"from {start_s} to {end_s} s"
    return NoFramesError(
        f"has no frame {span}, the last one read is at {last_s:.2f} s{reason}",
        source,
        "pass a time span that contains a frame of the video",
    )


def _read_folder(
    folder: Path, rate_hz: float, start_s: float, end_s: float | None, max_side: int | None
) -> Generator[Frame, None, None]:
    schedule = SamplingSchedule(start_s, rate_hz)
    frame_count = 0
    for i, path in enumerate(_list_images(folder)):
        time_s = i / rate_hz
        if end_s is not None and time_s + TIME_TOLERANCE_S >= end_s:
            break
        if schedule.is_due(time_s):
            frame_count += 1
            yield Frame(time_s, image.read_image(path, max_side))
    if not frame_count:
        raise _no_frames_error(folder, start_s, end_s, time_s, Counter())


def _list_images(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise MediaError(
            f"cannot be listed ({error_reason(error)})", folder, "check its permissions"
        ) from error
    images = [path for path in paths if path.suffix.lower() in image.SUFFIXES]
    if not images:
        suffixes = ", ".join(image.SUFFIXES)
        raise MediaError("is a folder without images", folder, f"add files of type {suffixes}")
    return sorted(images, key=_natural_sort_key)


def _natural_sort_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort frame2 before frame10; names of equal length sort alphabetically."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(int(p), "") if p[0] in "0123456789" else (-1, p) for p in parts], path.name
