"""Finds the frames and images of a benchmark, however its media were downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from sgmn.data.importers.lpr4m import split_image_id
from sgmn.data.importers.media_index import IndexedImage, MediaIndex
from sgmn.errors import MediaError
from sgmn.media.image import SUFFIXES, read_size

_FRAME_FOLDERS = ("frames", "query", "training_video_*")
_IMAGE_FOLDERS = ("images", "training_image")
MEDIA_FOLDERS = (*_FRAME_FOLDERS, *_IMAGE_FOLDERS, "gallery")


class MediaFinder:
    """Finds media by their ids or paths below a folder.

    Frames and images lie in shards of img2dataset (see `MediaIndex`), at the paths that a row
    names, or in folders: `frames/`, `query/` or `training_video_*/` with a folder per video,
    `images/` or `training_image/`, and `gallery/` with a folder per live.
    """

    def __init__(self, root: Path, index: MediaIndex | None) -> None:
        self.root, self.index = root.absolute(), index
        self._frame_folders = self._folders(_FRAME_FOLDERS)
        self._image_folders = self._folders(_IMAGE_FOLDERS)

    def _folders(self, patterns: Sequence[str]) -> list[Path]:
        found = (path for pattern in patterns for path in sorted(self.root.glob(pattern)))
        return [path for path in found if path.is_dir()]

    def find_frames(self, video_id: str, names: Sequence[str]) -> dict[str, IndexedImage]:
        """Return the frames with some ids or paths, as far as they exist."""
        found = self._find_paths([name for name in names if is_path(name)])
        ids = [name for name in names if not is_path(name)]
        if ids and self.index is not None:
            found |= self.index.find(ids)
        missing = [name for name in ids if name not in found]
        if missing:
            folder = self._frames_in_folders(video_id)
            found |= {name: folder[name] for name in missing if name in folder}
        return found

    def list_frames(self, video_id: str) -> dict[str, IndexedImage]:
        """Return all frames of a video by id, sorted by name."""
        found = self._frames_in_folders(video_id)
        if self.index is not None:
            found |= self.index.find_prefix(video_id)
        return dict(sorted(found.items()))

    def find_image(self, image_id: str, path: str = "") -> IndexedImage | None:
        """Return a shop image by its path or its id."""
        found = self._find_paths([path]) if path else {}
        if not found and self.index is not None:
            found = self.index.find([image_id])
        for folder in [] if found else self._image_folders:
            found = {p.stem: IndexedImage(p, None) for p in _list_images(folder, image_id)}
            if found:
                break
        return next(iter(found.values()), None)

    def find_views(self, live_id: str, image_id: str) -> dict[int, IndexedImage]:
        """Return the views of an image in the gallery of a live, by their numbers."""
        folder = _list_gallery(self.root / "gallery" / live_id)
        found = {n: IndexedImage(path, None) for n, path in folder.get(image_id, {}).items()}
        if self.index is not None:
            indexed = self.index.find([image_id]) | self.index.find_prefix(image_id)
            views = {split_image_id(name): image for name, image in indexed.items()}
            found |= {number: image for (name, number), image in views.items() if name == image_id}
        return dict(sorted(found.items()))

    def original_size(self, image: IndexedImage) -> tuple[int, int] | None:
        """Return the original width and height of an image in pixels.

        They are those of its sidecar, or its own if it has none; None if it cannot be read.
        """
        if image.size is not None:
            return image.size
        sidecar = image.path.with_suffix(".json")
        if sidecar.is_file():
            values = json.loads(sidecar.read_bytes())
            if "original_width" in values and "original_height" in values:
                return int(values["original_width"]), int(values["original_height"])
        try:
            return read_size(image.path)
        except MediaError:  # the frame itself is reported when it is used
            return None

    def _frames_in_folders(self, video_id: str) -> dict[str, IndexedImage]:
        for folder in self._frame_folders:
            images = _list_folder(folder / video_id)
            if images:
                return {
                    Path(name).stem: IndexedImage(folder / video_id / name, None) for name in images
                }
        return {}

    def _find_paths(self, names: Sequence[str]) -> dict[str, IndexedImage]:
        """A whole folder is listed at once: a network file system is slow at single files."""
        paths = {name: self.root / name for name in names}
        return {
            name: IndexedImage(path, None)
            for name, path in paths.items()
            if path.name in _list_folder(path.parent)
        }


def is_path(name: str) -> bool:
    """Whether a frame is named by its path rather than its id."""
    return "/" in name or Path(name).suffix.lower() in SUFFIXES


@lru_cache(maxsize=64)
def _list_folder(folder: Path) -> frozenset[str]:
    """Return the names of the images in a folder; none if it does not exist."""
    if not folder.is_dir():
        return frozenset()
    return frozenset(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _list_images(folder: Path, image_id: str) -> list[Path]:
    names = _list_folder(folder)
    return [folder / f"{image_id}{s}" for s in SUFFIXES if f"{image_id}{s}" in names][:1]


@lru_cache(maxsize=4)
def _list_gallery(folder: Path) -> dict[str, dict[int, Path]]:
    """Return the images of a gallery folder: their paths by image id and number of the view."""
    images: dict[str, dict[int, Path]] = {}
    for name in sorted(_list_folder(folder)):
        image_id, number = split_image_id(Path(name).stem)
        images.setdefault(image_id, {})[number] = folder / name
    return images
