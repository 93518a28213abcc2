"""Open video files and URLs with PyAV: the video stream, its time origin and its length."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from sgmn.errors import MediaError, error_reason

# What PyAV raises on damaged input; its own checks do not raise FFmpegError.
LIBAV_ERRORS = (av.FFmpegError, ValueError, OSError, ArithmeticError)
MAX_PIXELS = 64_000_000
REEXPORT_REMEDY = "check that it plays completely, and export it again as MP4 (H.264)"

_LOG = logging.getLogger("sgmn.media")
_NETWORK_TIMEOUTS_S = (10.0, 30.0)  # to open, to read
_ROUNDING_S = 1e-3  # containers round times to milliseconds


@dataclass(frozen=True, slots=True)
class HardwareDecoder:
    """A video decoder of the graphics card.

    Attributes:
        name: Its name in FFmpeg, such as cuda.
        is_required: Fail for a video that it cannot decode, rather than let the CPU decode it.
    """

    name: str
    is_required: bool = True


def read_duration(source: Path | str) -> float:
    """Return the length in seconds that the container states, or 0.0 if it states none.

    Raises MediaError if the source cannot be opened.
    """
    with open_container(source) as container:
        return max(0.0, (container.duration or 0) / av.time_base)


def is_url(source: Path | str) -> bool:
    """Whether `source` is a URL rather than a path."""
    return isinstance(source, str) and "://" in source


def is_folder(source: Path | str) -> bool:
    """Whether `source` is a folder; False for a path that cannot be looked up."""
    try:
        return not is_url(source) and Path(source).is_dir()
    except OSError:
        return False


def describe_error(error: BaseException) -> str:
    """Return the text of an error, without its number and call."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def open_container(
    source: Path | str, hardware: HardwareDecoder | None = None
) -> Iterator[InputContainer]:
    """Open a file or URL as a context manager; `hardware` decodes it.

    Raises MediaError if it cannot be opened, or not by hardware that is required.
    """
    if not is_url(source):
        _require_file(Path(source))
    try:
        container = _open(source) if hardware is None else _open_with_hardware(source, hardware)
    except LIBAV_ERRORS as error:
        message = f"cannot be opened ({describe_error(error)})"
        raise MediaError(message, source, REEXPORT_REMEDY) from error
    with container:
        yield container


def _open_with_hardware(source: Path | str, hardware: HardwareDecoder) -> InputContainer:
    accelerator = HWAccel(hardware.name, allow_software_fallback=False)
    try:
        return _open(source, accelerator)
    except RuntimeError as error:  # the hardware does not know this codec
        message = f"cannot be decoded by {hardware.name} ({error})"
        if hardware.is_required:
            raise MediaError(message, source, "pass --hwaccel auto or none") from error
        _LOG.warning(f"{source}: {message}, so the CPU decodes it")
        return _open(source)


def _open(source: Path | str, accelerator: HWAccel | None = None) -> InputContainer:
    return av.open(
        os.fspath(source),
        "r",
        metadata_errors="replace",  # a title in an unknown encoding must not prevent decoding
        timeout=_NETWORK_TIMEOUTS_S if is_url(source) else None,
        hwaccel=accelerator,
    )


def _require_file(path: Path) -> None:
    try:
        if path.stat().st_size == 0:
            raise MediaError("is empty", path, "download or export the video again")
    except FileNotFoundError:
        raise MediaError("does not exist", path, "check the path of the video") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise MediaError(
            f"cannot be opened ({error_reason(error)})", path, "check the path"
        ) from error


def find_video_stream(container: InputContainer, source: Path | str) -> VideoStream:
    """Return the first video stream that is not a cover image. Raises MediaError if none."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise MediaError(f"has no video stream, only {kinds}", source, "pass a video file")
    stream = streams[0]
    if stream.codec_context is None:
        message = "uses a codec that this FFmpeg cannot decode"
        raise MediaError(message, source, REEXPORT_REMEDY)
    if stream.width * stream.height > MAX_PIXELS:
        size = f"{stream.width}x{stream.height}"
        message = f"is {size}, more than {MAX_PIXELS} pixels per frame"
        raise MediaError(message, source, "scale it down")
    return stream


def find_origin_pts(container: InputContainer, stream: VideoStream) -> int | None:
    """Return time 0 in ticks of the stream: its own start unless another stream starts earlier."""
    own_start, earliest_us = stream.start_time, container.start_time
    if own_start is None or earliest_us is None or not stream.time_base:
        return own_start
    delay_s = float(own_start * stream.time_base) - earliest_us / av.time_base
    if delay_s < _ROUNDING_S:
        return own_start
    return own_start - round(delay_s / stream.time_base)


def find_header_duration_s(container: InputContainer, stream: VideoStream) -> float:
    """Return the length in seconds that the header states, the shorter one if it states two."""
    lengths_s = [container.duration / av.time_base] if container.duration else []
    if stream.duration and stream.time_base:
        lengths_s.append(float(stream.duration * stream.time_base))
    return min(lengths_s, default=0.0)
