"""Writing frames to a video file: sensor noise, H.264 and an optional audio track."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sgmn.records import ImageArray

AUDIO_HZ = 16_000
AudioTrack = NDArray[np.int16]  # (N,), mono, AUDIO_HZ
_BLOCK = 1024  # samples of one AAC frame
_RATE_DENOMINATOR = 1000
_NOISE_TILE_ROWS = 257


@dataclass(frozen=True, slots=True)
class VideoWriter:
    """Encodes frames of `size` (width, height) to an MP4 file.

    `crf` is the quality of x264, 15 (best) to 45 (worst); `noise` the standard deviation of the
    sensor noise in luma levels, 0..8.
    """

    size: tuple[int, int]
    fps: float
    crf: int
    noise: float
    seed: tuple[int, ...]

    def write(
        self, path: Path, images: Iterable[ImageArray], audio: AudioTrack | None = None
    ) -> None:
        """Write a video file, with or without an audio track; it appears only when complete."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.part")
        try:
            with av.open(str(unfinished), "w", format="mp4") as container:
                self._encode(container, images, audio)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _encode(
        self,
        container: OutputContainer,
        images: Iterable[ImageArray],
        audio: AudioTrack | None,
    ) -> None:
        video = self._add_video_stream(container)
        track = None
        if audio is not None:
            track = container.add_stream("aac", rate=AUDIO_HZ, layout="mono")
        self._encode_video(container, video, images)
        if track is not None and audio is not None:
            for block in _split_blocks(audio):
                container.mux(track.encode(block))
            container.mux(track.encode(None))

    def _add_video_stream(self, container: OutputContainer) -> VideoStream:
        rate = Fraction(round(self.fps * _RATE_DENOMINATOR), _RATE_DENOMINATOR)
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height = self.size
        video.pix_fmt = "yuv420p"
        video.thread_count = 1  # the bytes must not depend on the number of cores
        # The macroblock tree of x264 is not deterministic, even with one thread.
        video.options = {"preset": "veryfast", "crf": str(self.crf), "x264-params": "mbtree=0"}
        return video

    def _encode_video(
        self, container: OutputContainer, video: VideoStream, images: Iterable[ImageArray]
    ) -> None:
        # Random rows of one small tile cost far less than new noise and look the same.
        rng = np.random.default_rng(self.seed)
        tile = rng.normal(0, self.noise, (_NOISE_TILE_ROWS, self.size[0])).astype(np.int16)
        rate = Fraction(round(self.fps * _RATE_DENOMINATOR), _RATE_DENOMINATOR)
        for number, image in enumerate(images):
            rows = rng.integers(0, _NOISE_TILE_ROWS, self.size[1])
            frame = self._to_noisy_frame(image, tile[rows])
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))

    def _to_noisy_frame(self, image: ImageArray, noise: NDArray[np.int16]) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
        if self.noise <= 0:
            return frame
        planes = frame.to_ndarray()
        height = image.shape[0]
        planes[:height] = np.clip(planes[:height] + noise, 16, 235)
        return av.VideoFrame.from_ndarray(planes, "yuv420p")


def _split_blocks(samples: AudioTrack) -> Iterable[av.AudioFrame]:
    for start in range(0, len(samples), _BLOCK):
        block = np.ascontiguousarray(samples[None, start : start + _BLOCK])
        frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
        frame.sample_rate, frame.pts = AUDIO_HZ, start
        frame.time_base = Fraction(1, AUDIO_HZ)
        yield frame
