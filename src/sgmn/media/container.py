"""A video file or address, opened: its stream of pictures, its time 0, its length."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from sgmn.errors import MediaError

# What PyAV raises on damaged input; FFmpegError alone misses its own checks.
LIBAV_ERRORS = (av.FFmpegError, ValueError, OSError, ArithmeticError)
MAX_PIXELS = 64_000_000
REEXPORT_REMEDY = "play it to see whether it is whole, and export it anew as MP4 (H.264)"

_NETWORK_TIMEOUT_S = (10.0, 30.0)  # to open, to read


def read_duration(source: Path | str) -> float:
    """Length in seconds as the container states it, 0.0 where it states none.

    Raises MediaError if the source cannot be opened.
    """
    with open_container(source) as container:
        return max(0.0, (container.duration or 0) / av.time_base)


def is_url(source: Path | str) -> bool:
    """Whether `source` is a URL rather than a path."""
    return isinstance(source, str) and "://" in source


def is_folder(source: Path | str) -> bool:
    """Whether `source` is a folder; what cannot even be looked up is refused on opening."""
    try:
        return not is_url(source) and Path(source).is_dir()
    except OSError:
        return False


def describe_error(error: BaseException) -> str:
    """An error's own words, without number and call."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def open_container(source: Path | str) -> Iterator[InputContainer]:
    """Open a file or address for the length of a `with`; MediaError says why it cannot be."""
    remote = is_url(source)
    if not remote:
        _require_file(Path(source))
    try:
        # A title in an unknown encoding is no reason to refuse the pictures.
        container = av.open(
            os.fspath(source),
            "r",
            metadata_errors="replace",
            timeout=_NETWORK_TIMEOUT_S if remote else None,
        )
    except LIBAV_ERRORS as error:
        raise MediaError(
            f"cannot be opened ({describe_error(error)})", source, REEXPORT_REMEDY
        ) from error
    with container:
        yield container


def _require_file(path: Path) -> None:
    try:
        if path.stat().st_size == 0:
            raise MediaError("is empty", path, "fetch or export the video anew")
    except FileNotFoundError:
        raise MediaError("does not exist", path, "check the video's path") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise MediaError(f"cannot be opened ({error})", path, "check the path") from error


def find_video_stream(container: InputContainer, source: Path | str) -> VideoStream:
    """The first stream of moving pictures (the cover of a song is none); MediaError if none."""
    found = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not found:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise MediaError(f"has no video stream, only {kinds}", source, "give a file with pictures")
    stream = found[0]
    if stream.codec_context is None:
        raise MediaError("is in a codec that this FFmpeg cannot decode", source, REEXPORT_REMEDY)
    if stream.width * stream.height > MAX_PIXELS:
        size = f"{stream.width}x{stream.height}"
        raise MediaError(f"is {size}, above {MAX_PIXELS} pixels a frame", source, "scale it down")
    return stream


def find_origin_pts(container: InputContainer, stream: VideoStream) -> int | None:
    """Time 0 in ticks of the stream: its own start unless another stream starts earlier."""
    own, earliest_us = stream.start_time, container.start_time
    if own is None or earliest_us is None or not stream.time_base:
        return own
    lead_s = float(own * stream.time_base) - earliest_us / av.time_base
    # Containers round to milliseconds, so a smaller lead is none.
    return own if lead_s < 1e-3 else own - round(lead_s / stream.time_base)


def find_header_duration_s(container: InputContainer, stream: VideoStream) -> float:
    """Length that the header states; the shorter where it states two."""
    lengths = [container.duration / av.time_base] if container.duration else []
    if stream.duration and stream.time_base:
        lengths.append(float(stream.duration * stream.time_base))
    return min(lengths, default=0.0)
