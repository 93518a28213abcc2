"""Writing frames to a video file: sensor noise, H.264 and an optional audio track."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sgmn.records import ImageArray, Utterance

AUDIO_HZ = 16_000
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
        self, path: Path, images: Iterable[ImageArray], transcript: Sequence[Utterance] | None
    ) -> None:
        """Write a video file; the file appears only when it is complete.

        With a transcript, the audio track hums during each utterance. Without one, the file has
        no audio track.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.part")
        try:
            with av.open(str(unfinished), "w", format="mp4") as container:
                self._encode(container, images, transcript)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _encode(
        self,
        container: OutputContainer,
        images: Iterable[ImageArray],
        transcript: Sequence[Utterance] | None,
    ) -> None:
        video = self._add_video_stream(container)
        audio = None
        if transcript is not None:
            audio = container.add_stream("aac", rate=AUDIO_HZ, layout="mono")
        count = self._encode_video(container, video, images)
        if audio is not None and transcript is not None:
            for block in _split_blocks(synthesize_hum(transcript, count / self.fps)):
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))

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
    ) -> int:
        """Encode all frames and return their number."""
        # Random rows of one small tile cost far less than new noise and look the same.
        rng = np.random.default_rng(self.seed)
        tile = rng.normal(0, self.noise, (_NOISE_TILE_ROWS, self.size[0])).astype(np.int16)
        rate = Fraction(round(self.fps * _RATE_DENOMINATOR), _RATE_DENOMINATOR)
        count = 0
        for count, image in enumerate(images, start=1):
            rows = rng.integers(0, _NOISE_TILE_ROWS, self.size[1])
            frame = self._to_noisy_frame(image, tile[rows])
            frame.pts, frame.time_base = count - 1, 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        return count

    def _to_noisy_frame(self, image: ImageArray, noise: NDArray[np.int16]) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
        if self.noise <= 0:
            return frame
        planes = frame.to_ndarray()
        height = image.shape[0]
        planes[:height] = np.clip(planes[:height] + noise, 16, 235)
        return av.VideoFrame.from_ndarray(planes, "yuv420p")


def synthesize_hum(transcript: Sequence[Utterance], duration_s: float) -> NDArray[np.int16]:
    """Synthesize a voice-like hum during utterances and silence between them.

    Returns mono samples at AUDIO_HZ.
    """
    time = np.arange(round(duration_s * AUDIO_HZ)) / AUDIO_HZ
    volume = np.zeros(len(time))
    for utterance in transcript:
        volume[round(utterance.start * AUDIO_HZ) : round(utterance.end * AUDIO_HZ)] = 1.0
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4.1 * time)
    pitch = 2 * np.pi * np.cumsum(150 + 20 * np.sin(2 * np.pi * 0.9 * time)) / AUDIO_HZ
    voice = sum(np.sin(k * pitch) / k for k in range(1, 5))
    return np.asarray(volume * syllables * voice * 4000, np.int16)


def _split_blocks(samples: NDArray[np.int16]) -> Iterable[av.AudioFrame]:
    for start in range(0, len(samples), _BLOCK):
        block = np.ascontiguousarray(samples[None, start : start + _BLOCK])
        frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
        frame.sample_rate, frame.pts = AUDIO_HZ, start
        frame.time_base = Fraction(1, AUDIO_HZ)
        yield frame
