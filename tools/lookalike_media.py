"""Media of the look-alikes: small images and videos of one color, as folders, shards or tars."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from PIL import Image

ORIGINAL_SIZE = (540, 960)  # width and height that sidecars state, in pixels
FRAME_SIZE = (36, 64)
HOST = "https://media.example/lpr4m/"
Color = tuple[int, int, int]


def color_of(number: int) -> Color:
    """A color of its own for each product, as far as 8 bits allow."""
    rng = np.random.default_rng(number)
    red, green, blue = rng.integers(20, 236, 3)
    return int(red), int(green), int(blue)


def encode_image(color: Color, seed: int, size: tuple[int, int] = FRAME_SIZE) -> bytes:
    """A JPEG of one color with noise."""
    noise = np.random.default_rng(seed).normal(0, 12, (size[1], size[0], 3))
    pixels = (np.array(color) + noise).clip(0, 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def write_video(path: Path, color: Color, frames: int, size: tuple[int, int] = (48, 64)) -> None:
    """An H.264 video of one color at 4 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as video:
        track = video.add_stream("libx264", rate=4, options={"preset": "ultrafast"})
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            image = Image.open(BytesIO(encode_image(color, number, size)))
            video.mux(track.encode(av.VideoFrame.from_ndarray(np.asarray(image), "rgb24")))
        video.mux(track.encode())


@dataclass
class ShardWriter:
    """Writes images as img2dataset does: shards of samples with sidecars, as folders or tars."""

    folder: Path
    kind: str  # "files" or "tar"
    shard_size: int = 500
    written: int = 0
    _tar: tarfile.TarFile | None = None

    def add(self, name: str, content: bytes) -> None:
        """Add an image whose address ends with `name`."""
        key = f"{self.written // self.shard_size:05}{self.written % self.shard_size:04}"
        width, height = ORIGINAL_SIZE
        sidecar: dict[str, object] = {"url": f"{HOST}{name}.jpg", "key": key, "status": "success"}
        # The README of LPR4M shows numbers as strings; img2dataset writes numbers.
        to_value = int if self.written % 2 else str
        sidecar |= {"original_width": to_value(width), "original_height": to_value(height)}
        if self.written % self.shard_size == 0:
            self._open_shard(self.written // self.shard_size)
        self._write(f"{key}.jpg", content)
        self._write(f"{key}.json", json.dumps(sidecar).encode())
        self.written += 1

    def close(self) -> None:
        """Finish the last shard."""
        if self._tar is not None:
            self._tar.close()

    def _open_shard(self, number: int) -> None:
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{number:05}"
        if self.kind == "tar":
            self._tar = tarfile.open(path.with_suffix(".tar"), "w")  # noqa: SIM115
        else:
            path.mkdir()

    def _write(self, name: str, content: bytes) -> None:
        if self._tar is None:
            (self.folder / name[:5] / name).write_bytes(content)
            return
        info = tarfile.TarInfo(name)
        info.size = len(content)
        self._tar.addfile(info, BytesIO(content))
