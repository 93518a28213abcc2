"""The contents of a generated world: consistent, disjoint between splits, and annotated."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest

from sgmn.data.inspection import inspect_dataset
from sgmn.media import container, video
from sgmn.records import Utterance
from tests.synth.conftest import World

SPLITS = ("train", "val", "test")


@pytest.mark.parametrize("split", SPLITS)
def test_a_deep_inspection_reports_no_error(world: World, split: str) -> None:
    report = inspect_dataset(world.root / split, deep=True)
    assert not report.errors
    assert report.counts.products == 9
    assert report.counts.clips == 2


def test_no_product_brand_or_image_is_in_two_splits(world: World) -> None:
    for kind in ("product_id", "shop_id", "title"):
        values = [{getattr(p, kind) for p in world.splits[name].products} for name in SPLITS]
        assert sum(map(len, values)) == len(set.union(*values)), kind
    brands = [{p.attributes["brand"] for p in world.splits[name].products} for name in SPLITS]
    assert sum(map(len, brands)) == len(set.union(*brands))
    images = [
        {
            hashlib.sha256(p.image.read_bytes()).digest()
            for p in world.splits[name].products
            if p.image
        }
        for name in SPLITS
    ]
    assert sum(map(len, images)) == len(set.union(*images)) >= 20


def test_each_clip_names_products_of_its_own_shop(world: World) -> None:
    for data in world.splits.values():
        product_keys = {product.key for product in data.products}
        for clip in data.clips:
            assert clip.product_ids
            assert {(clip.shop_id, i) for i in clip.product_ids} <= product_keys
            assert clip.split == data.root.name


def test_every_box_lies_inside_the_frame_and_has_an_area(world: World) -> None:
    boxes = [
        box
        for data in world.splits.values()
        for extra in [row.extra for row in data.clips] + [row.extra for row in data.streams]
        for frame in extra["shown"]
        for box in frame["boxes"].values()
    ]
    assert len(boxes) > 100
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


def test_boxes_of_a_clip_are_those_of_its_products(world: World) -> None:
    for data in world.splits.values():
        for clip in data.clips:
            frames = [frame["boxes"] for frame in clip.extra["shown"]]
            assert len(frames) == len(clip.boxes)
            for boxes, frame in zip(clip.boxes, frames, strict=True):
                own = [tuple(frame[i]) for i in frame if i in clip.product_ids]
                assert sorted(boxes) == sorted(own)


def test_products_on_sale_are_visible_for_the_requested_fraction(world: World) -> None:
    clips = [clip for data in world.splits.values() for clip in data.clips]
    assert len(clips) == 6
    for clip in clips:
        fraction = sum(bool(boxes) for boxes in clip.boxes) / len(clip.boxes)
        assert fraction == pytest.approx(clip.extra["visible_wanted"], abs=0.1)
        assert fraction == pytest.approx(clip.attributes["visible_share"], abs=1e-3)


def assert_ordered(utterances: tuple[Utterance, ...], end: float) -> None:
    assert utterances
    assert utterances[0].start >= 0
    assert utterances[-1].end <= end
    assert all(before.end <= after.start for before, after in pairwise(utterances))
    assert all(u.end > u.start and u.text for u in utterances)


def test_utterances_are_ordered_and_within_the_clip(world: World) -> None:
    for data in world.splits.values():
        for clip in data.clips:
            assert clip.end is not None
            assert_ordered(clip.transcript, clip.end)


def test_timelines_cover_the_stream_without_overlap(world: World) -> None:
    streams = [stream for data in world.splits.values() for stream in data.streams]
    assert len(streams) == 1
    for stream in streams:
        assert stream.timeline[0].start == 0
        assert all(before.end == after.start for before, after in pairwise(stream.timeline))
        duration_s = container.read_duration(stream.video)
        assert stream.timeline[-1].end == pytest.approx(duration_s, abs=0.01)
        assert_ordered(stream.transcript, stream.timeline[-1].end)
        ids = [span.product_id for span in stream.timeline]
        assert None in ids
        assert len(set(ids)) >= 3


def test_of_the_products_that_a_stream_sells_only_the_current_one_is_visible(world: World) -> None:
    (stream,) = (stream for data in world.splits.values() for stream in data.streams)
    on_sale = {span.product_id for span in stream.timeline} - {None}
    for frame in stream.extra["shown"]:
        current = next(s.product_id for s in stream.timeline if s.start <= frame["time"] < s.end)
        assert set(frame["boxes"]) & on_sale <= {current}


def test_videos_have_the_requested_size_rate_and_duration(world: World) -> None:
    clip = world.splits["train"].clips[0]
    assert clip.video is not None
    frames = list(video.read_frames(clip.video, rate_hz=4.0))
    assert frames[0].rgb.shape == (128, 72, 3)
    assert clip.end is not None
    assert len(frames) == round(clip.end * 4)
