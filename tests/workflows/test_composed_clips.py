"""Composed clips: what is held up when and where, as planned and as rendered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgmn.records import Product
from sgmn.workflows.composed_clips import (
    BOX_RATE_HZ,
    FPS,
    HEIGHT_PX,
    MAX_DISTRACTORS,
    WIDTH_PX,
    PhotoStock,
    compose_clip,
)

GREEN, RED = (0, 200, 0), (200, 0, 0)
DURATION_S = 10.0


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> PhotoStock:
    """Photos of green are held up, photos of red are held up instead; the rest is black."""
    folder = tmp_path_factory.mktemp("stock")
    products = {f"p{number}": Product(f"p{number}", f"product {number}") for number in range(8)}
    colors = {"p0": GREEN, "p1": RED, "p2": RED}
    for product_id in products:
        color = colors.get(product_id, (0, 0, 0))
        Image.new("RGB", (60, 80), color).save(folder / f"{product_id}.png")
    paths = {product_id: [folder / f"{product_id}.png"] for product_id in products}
    shown = {product_id: paths[product_id] for product_id in colors}
    clutter = {name: path for name, path in paths.items() if name not in colors}
    return PhotoStock(products, shown, clutter, {})


def test_boxes_enclose_what_is_held_up(stock: PhotoStock) -> None:
    clip = compose_clip(stock, "p0", DURATION_S, np.random.default_rng(3))
    assert {product_id for product_id, _ in clip.boxes()} > {"p0"}
    frames = [*clip.frames()][:: FPS // BOX_RATE_HZ]
    assert len(frames) == len(clip.boxes()) == DURATION_S * BOX_RATE_HZ
    for frame, (product_id, (left, top, right, bottom)) in zip(frames, clip.boxes(), strict=True):
        assert frame.shape == (HEIGHT_PX, WIDTH_PX, 3)
        channel, other = (1, 0) if product_id == "p0" else (0, 1)
        is_own = (frame[..., channel] > 100) & (frame[..., other] < 60)
        rows, columns = np.nonzero(is_own)
        assert rows.min() / HEIGHT_PX == pytest.approx(top, abs=0.01)
        assert (rows.max() + 1) / HEIGHT_PX == pytest.approx(bottom, abs=0.01)
        assert columns.min() / WIDTH_PX == pytest.approx(left, abs=0.01)
        assert (columns.max() + 1) / WIDTH_PX == pytest.approx(right, abs=0.01)


def test_shots_follow_one_another_and_the_product_is_visible_in_one_span(
    stock: PhotoStock,
) -> None:
    for seed in range(30):
        clip = compose_clip(stock, "p0", DURATION_S, np.random.default_rng(seed))
        assert clip.shots[0].start == 0 and clip.frame_count == DURATION_S * FPS
        starts = [shot.start for shot in clip.shots[1:]]
        assert starts == [shot.end for shot in clip.shots[:-1]]
        start_s, end_s = clip.visible_span()
        places = [place for place, (name, _) in enumerate(clip.boxes()) if name == "p0"]
        times = [place / BOX_RATE_HZ for place in places]
        assert 0.24 <= (end_s - start_s) / DURATION_S <= 1
        assert start_s <= times[0] < start_s + 0.51 and end_s - 0.51 < times[-1] < end_s
        assert places == [*range(places[0], places[-1] + 1)]


def test_attributes_say_how_large_how_long_and_among_how_many(stock: PhotoStock) -> None:
    counts: dict[str, Counter[object]] = {"scale": Counter(), "visible": Counter()}
    products = set()
    for seed in range(90):
        clip = compose_clip(stock, "p0", DURATION_S, np.random.default_rng(seed))
        attributes = clip.attributes()
        start_s, end_s = clip.visible_span()
        is_long, is_short = end_s - start_s > 7.52, end_s - start_s < 4.52
        assert attributes["visible"] == ("long" if is_long else "short" if is_short else "medium")
        for name, counter in counts.items():
            counter[attributes[name]] += 1
        products.add(attributes["products"])
        assert attributes["products"] == 1 + len(clip.distractors)
        assert "p0" not in clip.other_ids and set(clip.distractors) <= set(clip.other_ids)
    assert all(15 < count < 45 for counter in counts.values() for count in counter.values())
    assert [len(counter) for counter in counts.values()] == [3, 3]
    assert products == set(range(1, 2 + MAX_DISTRACTORS))


def test_products_of_the_same_category_are_held_up_more_often(stock: PhotoStock) -> None:
    categories = {"p0": "apple", "p1": "apple", "p2": "milk"}
    products = {
        name: Product(name, product.title, category=categories.get(name, ""))
        for name, product in stock.products.items()
    }
    similar = PhotoStock(products, stock.product_photos, stock.clutter_photos, {})
    counts = Counter(
        shot.product_id
        for seed in range(60)
        for shot in compose_clip(similar, "p0", DURATION_S, np.random.default_rng(seed)).shots
    )
    assert counts["p1"] > 1.5 * counts["p2"] > 0


def test_a_clip_is_rendered_alike_each_time(stock: PhotoStock, tmp_path: Path) -> None:
    first, second = (compose_clip(stock, "p0", 1.0, np.random.default_rng(5)) for _ in range(2))
    frames = [np.stack([*clip.frames()]) for clip in (first, first, second)]
    assert np.array_equal(frames[0], frames[1]) and np.array_equal(frames[0], frames[2])
