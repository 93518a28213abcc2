"""Parses the annotations of MovingFashion (Godi et al., WACV 2022): train.json and test.json.

Each is an object of products: `img_path`, `video_paths`, `source` (1 regular, 0 hard), and, in some
copies, `tracklets`, parallel to `video_paths`: frame index to [x1, y1, x2, y2].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sgmn.data.importers.lpr4m import PixelBox, to_box
from sgmn.data.importers.lpr4m_files import read_mapping
from sgmn.errors import RecordError

SPLITS = ("train", "test")
SOURCES = {1: "regular", 0: "hard"}
MIXED_SOURCE = "mixed"  # of a video of a regular and of a hard product

Tracklet = Mapping[int, PixelBox]  # by frame index


@dataclass(frozen=True, slots=True)
class ShopImage:
    """A gallery item: a shop image, and the ids of all products that have it."""

    product_id: str
    path: str
    source_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductVideo:
    """A query: a video, the products that it shows, and their tracklets.

    Attributes:
        product_ids: The gallery items.
        source: "regular", "hard" or "mixed".
        tracklets: Boxes by frame index, in pixels or shares; empty if there are none.
    """

    clip_id: str
    path: str
    product_ids: tuple[str, ...]
    source: str
    tracklets: tuple[Tracklet, ...]


@dataclass(frozen=True, slots=True)
class MovingFashionSplit:
    """The gallery items and queries of a split, and how many products and videos it lists."""

    images: tuple[ShopImage, ...]
    videos: tuple[ProductVideo, ...]
    products: int
    listed_videos: int


def read_split(path: Path) -> MovingFashionSplit:
    """Read train.json or test.json. Equal image or video paths become one item or query.

    Raises RecordError with the product.
    """
    images: dict[str, list[str]] = {}
    videos: dict[str, list[tuple[str, str, Tracklet]]] = {}
    products = read_mapping(path)
    for product_id, value in products.items():
        where = f"{path}: product {product_id!r}"
        image, own_videos, source, tracklets = _parse_product(value, where)
        images.setdefault(image, []).append(product_id)
        for video, tracklet in zip(own_videos, tracklets, strict=True):
            videos.setdefault(video, []).append((image, source, tracklet))
    items = {image: ids[0] for image, ids in images.items()}
    return MovingFashionSplit(
        images=tuple(ShopImage(ids[0], image, tuple(ids)) for image, ids in images.items()),
        videos=tuple(_merge_video(path, shown, items) for path, shown in videos.items()),
        products=len(products),
        listed_videos=sum(map(len, videos.values())),
    )


def _parse_product(value: Any, where: str) -> tuple[str, list[str], str, list[Tracklet]]:
    if not isinstance(value, dict):
        raise _invalid("is not an object", where)
    image, videos, source = (value.get(key) for key in ("img_path", "video_paths", "source"))
    if not isinstance(image, str) or not image:
        raise _invalid(f"has the img_path {image!r:.60}", where)
    if not isinstance(videos, list) or not videos or not all(isinstance(v, str) for v in videos):
        raise _invalid(f"has the video_paths {videos!r:.60}", where)
    if isinstance(source, bool) or source not in SOURCES:
        raise _invalid(f"has the source {source!r:.60}", where)
    videos = [_normalize(video) for video in videos]
    tracklets = value.get("tracklets") or [{}] * len(videos)
    if not isinstance(tracklets, list) or len(tracklets) != len(videos):
        raise _invalid("does not have one tracklet for each of its videos", where)
    parsed = [_parse_tracklet(tracklet, where) for tracklet in tracklets]
    unique = dict(zip(videos, parsed, strict=True))  # a product may list a video twice
    return _normalize(image), list(unique), SOURCES[source], list(unique.values())


def _normalize(path: str) -> str:
    """Equal paths may be written differently, such as ./imgs/1.jpg."""
    return str(PurePosixPath(path.replace("\\", "/").lstrip("/")))


def _parse_tracklet(value: Any, where: str) -> Tracklet:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(frame.isdecimal() for frame in value):
        raise _invalid("has a tracklet whose frames are not numbers", where)
    return {int(frame): to_box(box, where) for frame, box in value.items()}


def _merge_video(
    path: str, shown: Sequence[tuple[str, str, Tracklet]], items: Mapping[str, str]
) -> ProductVideo:
    sources = {source for _, source, _ in shown}
    return ProductVideo(
        clip_id=str(PurePosixPath(path).with_suffix("")).removeprefix("videos/"),
        path=path,
        product_ids=tuple(dict.fromkeys(items[image] for image, _, _ in shown)),
        source=sources.pop() if len(sources) == 1 else MIXED_SOURCE,
        tracklets=tuple(tracklet for _, _, tracklet in shown if tracklet),
    )


def _invalid(message: str, where: str) -> RecordError:
    remedy = "write img_path, video_paths [..] and source 0 or 1 (docs/how-to/benchmarks.md)"
    return RecordError(message, where=where, remedy=remedy)
