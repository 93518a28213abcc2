"""A video, or a folder of pictures, to timed RGB frames; and which frames to take."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from av.video.reformatter import VideoReformatter

from sgmn.errors import MediaError
from sgmn.media import image
from sgmn.media.clips import Frame
from sgmn.media.container import LIBAV_ERRORS, REEXPORT_REMEDY, describe_error, is_folder
from sgmn.media.container import read_duration as stated_duration
from sgmn.media.rgb_conversion import convert_to_upright_rgb
from sgmn.media.sampling import TIME_TOLERANCE_S, SamplingSchedule, select_evenly
from sgmn.media.video_decoding import decode_video

__all__ = ["Frame", "read_duration", "read_frames", "select_evenly"]

_LOG = logging.getLogger("sgmn.media")


def read_frames(
    source: Path | str,
    *,
    rate_hz: float = 1.0,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_side: int | None = None,
    damage: list[str] | None = None,
) -> Iterator[Frame]:
    """Yield the frames that are due between `start_s` and before `end_s`, in order of time.

    Frame k is the first at or after start_s + k / rate_hz; a frame that is due twice (after
    a gap) comes once. `source` is a video, its URL, or a folder whose pictures, sorted by
    name, lie 1 / rate_hz seconds apart. `max_side` (pixels) bounds the longer side, aspect
    kept, nothing enlarged.

    Of a damaged video, what can be read is given, and one line is added to `damage` (or
    logged) when it ends. Raises MediaError if nothing can be read at all, or nothing in
    this span; and for any unreadable picture of a folder.
    """
    _require_span(rate_hz, start_s, end_s, max_side)
    if is_folder(source):
        return _folder_frames(Path(source), rate_hz, start_s, end_s, max_side)
    return _video_frames(source, SamplingSchedule(start_s, rate_hz), end_s, max_side, damage)


def read_duration(source: Path | str, rate_hz: float = 1.0) -> float:
    """Length in seconds as a video's container states it, 0.0 where it states none.

    The pictures of a folder lie 1 / `rate_hz` seconds apart, as for `frames`. Raises
    MediaError if the source cannot be opened, or is a folder without pictures.
    """
    _require_span(rate_hz, 0.0, None, None)
    if is_folder(source):
        return len(_pictures_in(Path(source))) / rate_hz
    return stated_duration(source)


def _require_span(
    rate_hz: float, start_s: float, end_s: float | None, max_side: int | None
) -> None:
    if not (isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(f"rate_hz is {rate_hz}; give frames a second above 0")
    if not (isfinite(start_s) and start_s >= 0) or (end_s is not None and not end_s >= start_s):
        raise ValueError(f"{start_s}..{end_s} is no span of time; give 0 <= start_s <= end_s")
    if max_side is not None and max_side < 1:
        raise ValueError(f"max_side is {max_side}; give a number of pixels of at least 1")


def _video_frames(
    source: Path | str,
    due: SamplingSchedule,
    end_s: float | None,
    max_side: int | None,
    damage: list[str] | None,
) -> Iterator[Frame]:
    faults: Counter[str] = Counter()
    reformatter, given, last_s = VideoReformatter(), 0, None
    try:
        for last_s, frame, aspect in decode_video(source, due, faults):
            if end_s is not None and last_s + TIME_TOLERANCE_S >= end_s:
                break
            if not due.is_due(last_s):
                continue
            try:
                rgb = convert_to_upright_rgb(
                    frame, reformatter, pixel_aspect=aspect, max_side=max_side
                )
            except LIBAV_ERRORS as error:
                faults[f"a frame cannot be converted ({describe_error(error)})"] += 1
                continue
            due.advance(last_s)
            given += 1
            yield Frame(last_s, rgb)
        if not given:
            raise _nothing(source, due.start_s, end_s, last_s, faults)
    finally:
        if given and faults:
            _report(f"{source}: is damaged: {_listed(faults)}; what can be read is used", damage)


def _nothing(
    source: Path | str,
    start_s: float,
    end_s: float | None,
    last_s: float | None,
    faults: Counter[str],
) -> MediaError:
    reason = f" ({_listed(faults)})" if faults else ""
    if last_s is None:
        return MediaError(f"holds no frame that can be read{reason}", source, REEXPORT_REMEDY)
    span = f"at or after {start_s} s" if end_s is None else f"from {start_s} to {end_s} s"
    return MediaError(
        f"has no frame {span}, the last one read is at {last_s:.2f} s{reason}",
        source,
        "give a span within the video that holds a frame",
    )


def _listed(faults: Counter[str]) -> str:
    return ", ".join(f"{what} ({n} times)" if n > 1 else what for what, n in faults.items())


def _report(line: str, damage: list[str] | None) -> None:
    if damage is None:
        _LOG.warning(line)
    else:
        damage.append(line)


def _folder_frames(
    folder: Path, rate_hz: float, start_s: float, end_s: float | None, max_side: int | None
) -> Iterator[Frame]:
    due = SamplingSchedule(start_s, rate_hz)
    given = 0
    for i, path in enumerate(_pictures_in(folder)):
        time_s = i / rate_hz
        if end_s is not None and time_s + TIME_TOLERANCE_S >= end_s:
            break
        if due.is_due(time_s):
            given += 1
            yield Frame(time_s, image.read_image(path, max_side))
    if not given:
        raise _nothing(folder, start_s, end_s, time_s, Counter())


def _pictures_in(folder: Path) -> list[Path]:
    try:
        names = [p for p in folder.iterdir() if not p.name.startswith(".")]
    except OSError as error:
        raise MediaError(f"cannot be listed ({error})", folder, "check its rights") from error
    found = [p for p in names if p.suffix.lower() in image.SUFFIXES]
    if not found:
        known = ", ".join(image.SUFFIXES)
        raise MediaError("is a folder without pictures", folder, f"put files of {known} into it")
    return sorted(found, key=_numbers_as_numbers)


def _numbers_as_numbers(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorts frame2 before frame10; for names of one length it is the order of the alphabet."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(int(p), "") if p[0] in "0123456789" else (-1, p) for p in parts], path.name
