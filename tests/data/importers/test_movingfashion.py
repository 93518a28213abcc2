"""train.json and test.json of MovingFashion, with shared paths and tracklets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sgmn.data.importers.movingfashion import read_split
from sgmn.data.importers.movingfashion_clips import sample_tracklets
from sgmn.errors import RecordError


def product(image: str, *videos: str, source: int = 1, **more: Any) -> dict[str, Any]:
    return {"img_path": image, "video_paths": list(videos), "source": source, **more}


def write(folder: Path, products: dict[str, Any]) -> Path:
    path = folder / "test.json"
    path.write_text(json.dumps(products))
    return path


def test_equal_paths_become_one_item_or_query(tmp_path: Path) -> None:
    products = {
        "1": product("imgs/a.jpg", "videos/v.mp4"),
        "2": product("./imgs/a.jpg", "videos/w.mp4", "videos/w.mp4"),
        "3": product("imgs/b.jpg", "./videos/v.mp4", source=0),
    }
    split = read_split(write(tmp_path, products))
    assert [(i.product_id, i.path, i.source_ids) for i in split.images] == [
        ("1", "imgs/a.jpg", ("1", "2")),
        ("3", "imgs/b.jpg", ("3",)),
    ]
    assert [(v.clip_id, v.product_ids, v.source) for v in split.videos] == [
        ("v", ("1", "3"), "mixed"),
        ("w", ("1",), "regular"),
    ]
    assert (split.products, split.listed_videos) == (3, 3)


def test_tracklets_are_read_per_video(tmp_path: Path) -> None:
    tracklets = [{"0": [1, 2, 3, 4]}, {}]
    products = {"1": product("a.jpg", "v.mp4", "w.mp4", source=0, tracklets=tracklets)}
    first, second = read_split(write(tmp_path, products)).videos
    assert first.tracklets == ({0: (1.0, 2.0, 3.0, 4.0)},) and first.source == "hard"
    assert second.tracklets == ()


@pytest.mark.parametrize(
    "value, message",
    [
        ([], "is not an object"),
        (product("", "v.mp4"), "img_path ''"),
        (product("a.jpg"), r"video_paths \[\]"),
        (product("a.jpg", "v.mp4", source=2), "source 2"),
        (product("a.jpg", "v.mp4", source=True), "source True"),
        (product("a.jpg", "v.mp4", tracklets=[{}, {}]), "one tracklet for each"),
        (product("a.jpg", "v.mp4", tracklets=[{"x": [1, 2, 3, 4]}]), "not numbers"),
        (product("a.jpg", "v.mp4", tracklets=[{"1": [1, 2]}]), r"has the box \[1, 2\]"),
    ],
)
def test_an_invalid_product_is_an_error_with_its_id(
    tmp_path: Path, value: Any, message: str
) -> None:
    with pytest.raises(RecordError, match=rf"test\.json: product '7'.*{message}"):
        read_split(write(tmp_path, {"7": value}))


def test_boxes_are_those_of_the_nearest_tracked_frame() -> None:
    tracklet = {0: (1.0, 1.0, 2.0, 2.0), 11: (3.0, 3.0, 4.0, 4.0)}
    sets = sample_tracklets([tracklet, {10: (5.0, 5.0, 6.0, 6.0)}], 20, 4)  # at 0, 5, 10 and 15
    assert sets == [[tracklet[0]], [], [tracklet[11], (5.0, 5.0, 6.0, 6.0)], []]
