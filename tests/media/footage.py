"""Tiny videos in which each frame displays its own number, so that tests can identify it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sgmn.media import video
from sgmn.media.frame import Frame
from sgmn.media.live_source import LiveFrame

WIDTH, HEIGHT, BITS, CELL_WIDTH = 64, 48, 8, 8
AUDIO_RATE_HZ, AUDIO_FRAME_SAMPLES = 8000, 1024


def draw_frame(number: int) -> NDArray[np.uint8]:
    """A frame (H, W, 3) whose top edge encodes `number` in black and white cells, MSB left."""
    rgb = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    for bit in range(BITS):
        value = 255 * (number >> (BITS - 1 - bit) & 1)
        rgb[:16, bit * CELL_WIDTH : (bit + 1) * CELL_WIDTH] = value
    return rgb


def read_frame_number(rgb: NDArray[np.uint8]) -> int:
    """The number encoded in a frame of any size."""
    height, width = rgb.shape[:2]
    row = rgb[height // 6, :, 1]
    cells = [int(row[int((bit + 0.5) * width / BITS)]) for bit in range(BITS)]
    return int("".join("1" if cell > 127 else "0" for cell in cells), 2)


def numbers_and_times(frames: Iterable[Frame | LiveFrame]) -> list[tuple[int, float]]:
    """The number that each frame displays, and its time in seconds."""
    return [(read_frame_number(frame.rgb), round(frame.time_s, 3)) for frame in frames]


def read_numbers(source: Path | str, **options: Any) -> list[tuple[int, float]]:
    """The numbers and times of the frames that `video.read_frames` yields."""
    return numbers_and_times(video.read_frames(source, **options))


def write_video(
    path: Path,
    times_s: Sequence[float],
    *,
    codec: str = "libx264",
    rate: int = 10,
    time_base: Fraction = Fraction(1, 1000),
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: float | None = None,
    is_mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    audio_start_s: float | None = None,
    audio_duration_s: float = 1.0,
    with_noise: bool = False,
) -> Path:
    """Write one numbered frame at each time, with a silent audio track if it has a start."""
    with av.open(path, "w", options=container_options or {}) as container:
        stream = add_video_stream(container, codec, rate)
        stream.options = {"bf": "2", "g": "20", **(codec_options or {})}
        stream.codec_context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=is_mirrored)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if audio_start_s is not None:
            # The audio stream must exist before the container's header is written.
            audio = add_audio_stream(container, AUDIO_RATE_HZ)
            for block in silent_audio_frames(audio_start_s, audio_duration_s):
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
        for number, time_s in enumerate(times_s):
            container.mux(stream.encode(video_frame(number, time_s, time_base, with_noise)))
        container.mux(stream.encode(None))
    return path


def add_video_stream(container: OutputContainer, codec: str, rate: int) -> VideoStream:
    """Add a video stream with the size of the numbered frames."""
    stream = container.add_stream(codec, rate=rate)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    return stream


def add_audio_stream(container: OutputContainer, rate_hz: int) -> AudioStream:
    """Add a mono AAC stream."""
    return container.add_stream("aac", rate=rate_hz, layout="mono")


def video_frame(
    number: int, time_s: float, time_base: Fraction, with_noise: bool = False
) -> av.VideoFrame:
    """The numbered frame, to be shown at `time_s`; noise makes its packets larger."""
    rgb = draw_frame(number)
    if with_noise:
        rgb[20:] = np.random.default_rng(number).integers(0, 255, rgb[20:].shape)
    frame = av.VideoFrame.from_ndarray(rgb)
    frame.pts, frame.time_base = round(time_s / time_base), time_base
    return frame


def silent_audio_frames(start_s: float, duration_s: float) -> list[av.AudioFrame]:
    """Silence of a given length, in frames of 1024 samples at 8 kHz."""
    blocks = []
    for i in range(round(duration_s * AUDIO_RATE_HZ / AUDIO_FRAME_SAMPLES)):
        silence = np.zeros((1, AUDIO_FRAME_SAMPLES), np.float32)
        block = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
        block.sample_rate, block.time_base = AUDIO_RATE_HZ, Fraction(1, AUDIO_RATE_HZ)
        block.pts = round(start_s * AUDIO_RATE_HZ) + i * AUDIO_FRAME_SAMPLES
        blocks.append(block)
    return blocks


def frame_times(duration_s: float, rate: int = 10, start_s: float = 0.0) -> list[float]:
    """The times in seconds of frames at a constant rate."""
    return [start_s + i / rate for i in range(round(duration_s * rate))]
