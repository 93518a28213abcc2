"""Write the datasets of a training job into its archive, with small images and few frames."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sgmn.data import dataset
from sgmn.data.dataset import Dataset, clip_to_row, product_to_row
from sgmn.media import clips, image
from sgmn.records import Clip, ImageArray, Product
from sgmn.training.config import DataConfig

Progress = Callable[[int, int], None]  # records packed so far, of how many
ROOT = Path("/")  # stands for a dataset's folder in the archive


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Sizes of the packed media.

    max_side_px: of an image's longer side. quality: of WebP, 1..100. frames: per clip, at most.
    images: per product, at most.
    """

    max_side_px: int = 224
    quality: int = 50
    frames: int = 4
    images: int = 1


def folder_names(config: DataConfig) -> dict[Path, str]:
    """Each folder of a run once, with its name in the archive."""
    folders = dict.fromkeys(config.folders)
    return {folder: f"data/{place}" for place, folder in enumerate(folders)}


def write_datasets(
    archive: zipfile.ZipFile,
    config: DataConfig,
    limits: MediaLimits,
    progress: Progress = lambda done, total: None,
) -> None:
    """Add the datasets, talking points and phrases of a run to an archive."""
    for place, path in enumerate(config.talking_points):
        archive.writestr(f"talking-points-{place}.jsonl", path.read_bytes())
    if config.phrases:
        archive.writestr("phrases.toml", config.phrases.read_bytes())
    datasets = [
        DatasetWriter(archive, name, _of_split(dataset.read_dataset(folder), config.split), limits)
        for folder, name in folder_names(config).items()
    ]
    total = sum(writer.record_count for writer in datasets)
    done = 0
    for writer in datasets:
        for _ in writer.write():
            done += 1
            progress(done, total)


def _of_split(data: Dataset, split: str) -> Dataset:
    return dataclasses.replace(
        data, clips=tuple(clip for clip in data.clips if clip.split in ("", split))
    )


class DatasetWriter:
    """Writes one dataset into a folder of an archive."""

    def __init__(
        self, archive: zipfile.ZipFile, folder: str, data: Dataset, limits: MediaLimits
    ) -> None:
        self.archive, self.folder, self.data, self.limits = archive, folder, data, limits

    @property
    def record_count(self) -> int:
        """Products, clips and photos together."""
        return len(self.data.products) + len(self.data.clips) + len(self.data.photos)

    def write(self) -> Iterator[None]:
        """Write all files; yields after each record."""
        files: Mapping[str, Iterator[dict[str, Any]]] = {
            "products.jsonl": self._products(),
            "clips.jsonl": self._clips(),
            "photos.jsonl": self._photos(),
        }
        for file, rows in files.items():
            lines = []
            for row in rows:
                lines.append(json.dumps(row) + "\n")
                yield
            if lines:
                self.archive.writestr(f"{self.folder}/{file}", "".join(lines))

    def _products(self) -> Iterator[dict[str, Any]]:
        for number, product in enumerate(self.data.products):
            paths = [
                ROOT / self._image_file(path, f"p{number}-{place}")
                for place, path in enumerate(product.image_paths[: self.limits.images])
            ]
            yield product_to_row(_with_images(product, paths), ROOT)

    def _clips(self) -> Iterator[dict[str, Any]]:
        """Rows of clips whose frames are in the archive; their boxes are left out."""
        limits = self.limits
        for number, clip in enumerate(self.data.clips):
            frames = clips.read_clip_frames(
                clip, max_frames=limits.frames, max_side=limits.max_side_px
            )
            paths = [
                ROOT / self._image(f"c{number}-{place}", frame)
                for place, frame in enumerate(frames)
            ]
            yield clip_to_row(_with_frames(clip, paths), ROOT)

    def _photos(self) -> Iterator[dict[str, Any]]:
        for number, photo in enumerate(self.data.photos):
            path = self._image_file(photo.path, f"f{number}")
            shop = {"shop_id": photo.shop_id} if photo.shop_id else {}
            yield {"path": path, "product_id": photo.product_id, **shop}

    def _image_file(self, path: Path, name: str) -> str:
        return self._image(name, image.read_image(path, self.limits.max_side_px))

    def _image(self, name: str, pixels: ImageArray) -> str:
        """Add an image to the archive; returns its path within the dataset."""
        path, file = f"media/{name}.webp", io.BytesIO()
        Image.fromarray(pixels).save(file, "WEBP", quality=self.limits.quality, method=4)
        self.archive.writestr(f"{self.folder}/{path}", file.getvalue(), zipfile.ZIP_STORED)
        return path


def _with_images(product: Product, paths: list[Path]) -> Product:
    first, others = (paths[0], tuple(paths[1:])) if paths else (None, ())
    return dataclasses.replace(product, image=first, images=others)


def _with_frames(clip: Clip, paths: list[Path]) -> Clip:
    return dataclasses.replace(clip, video=None, frames=tuple(paths), boxes=(), start=0.0, end=None)
