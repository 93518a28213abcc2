"""Frames and words to a video file: sensor noise, H.264, and a track of sound if wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from sgmn.records import Picture, Utterance

SOUND_HZ = 16_000
_BLOCK = 1024  # samples of one AAC frame
_FPS_GRAIN = 1000


@dataclass(frozen=True, slots=True)
class Recorder:
    """How frames become a file. `crf` is x264's quality, 18 (clean) to 40 (blocks); `noise` the
    standard deviation of the sensor's noise in luma steps, 0..8.
    """

    size: tuple[int, int]
    fps: float
    crf: int
    noise: float
    seed: tuple[int, ...]

    def write(
        self, path: Path, pictures: Iterable[Picture], words: Sequence[Utterance] | None
    ) -> int:
        """Write the file, whole or not at all; how many frames it has.

        `words` None means no sound; else a hum while somebody speaks.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        try:
            with av.open(str(draft), "w", format="mp4") as container:
                count = self._film(container, pictures, words)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return count

    def _film(
        self,
        container: OutputContainer,
        pictures: Iterable[Picture],
        words: Sequence[Utterance] | None,
    ) -> int:
        rate = Fraction(round(self.fps * _FPS_GRAIN), _FPS_GRAIN)
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height = self.size
        video.pix_fmt = "yuv420p"
        video.thread_count = 1  # the same bytes on any number of cores, and one core a process
        # x264's macroblock tree gives other bytes from run to run, even with one thread.
        video.options = {"preset": "veryfast", "crf": str(self.crf), "x264-params": "mbtree=0"}
        sound = None
        if words is not None:
            sound = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
        # Rows of one small tile in a random order: far cheaper than fresh noise, and as lively.
        rng = np.random.default_rng(self.seed)
        tile = rng.normal(0, self.noise, (257, self.size[0])).astype(np.int16)
        count = 0
        for count, picture in enumerate(pictures, start=1):
            frame = self._grained(picture, tile[rng.integers(0, 257, self.size[1])])
            frame.pts, frame.time_base = count - 1, 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None and words is not None:
            for block in _blocks(hum(words, count / self.fps)):
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))
        return count

    def _grained(self, picture: Picture, grain: NDArray[np.int16]) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        if self.noise <= 0:
            return frame
        planes = frame.to_ndarray()
        high = picture.shape[0]
        planes[:high] = np.clip(planes[:high] + grain, 16, 235)
        return av.VideoFrame.from_ndarray(planes, "yuv420p")


def hum(words: Sequence[Utterance], length_s: float) -> NDArray[np.int16]:
    """A voice-like buzz while an utterance lasts, silence between: mono samples at SOUND_HZ."""
    time = np.arange(round(length_s * SOUND_HZ)) / SOUND_HZ
    loud = np.zeros(len(time))
    for cue in words:
        loud[round(cue.start * SOUND_HZ) : round(cue.end * SOUND_HZ)] = 1.0
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4.1 * time)
    pitch = 2 * np.pi * np.cumsum(150 + 20 * np.sin(2 * np.pi * 0.9 * time)) / SOUND_HZ
    voice = sum(np.sin(k * pitch) / k for k in range(1, 5))
    return np.asarray(loud * syllables * voice * 4000, np.int16)


def _blocks(samples: NDArray[np.int16]) -> Iterable[av.AudioFrame]:
    for start in range(0, len(samples), _BLOCK):
        part = np.ascontiguousarray(samples[None, start : start + _BLOCK])
        frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
        frame.sample_rate, frame.pts = SOUND_HZ, start
        frame.time_base = Fraction(1, SOUND_HZ)
        yield frame
