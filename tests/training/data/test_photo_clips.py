"""Clips of photos: how often other products and other surroundings appear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sgmn.data.dataset import Photo
from sgmn.training.config import DataConfig
from sgmn.training.data import photo_clips
from sgmn.training.data.examples import Examples
from sgmn.training.data.photo_clips import NEW_SURROUNDINGS_PROB, PhotoClips
from tests.training.data.conftest import TRAIN

WHITE, BLACK = np.full((80, 80, 3), 255, np.uint8), np.zeros((80, 80, 3), np.uint8)


@pytest.fixture
def clips(examples: Examples, tmp_path: Path) -> PhotoClips:
    return PhotoClips(examples, DataConfig((tmp_path,), frames_per_clip=3), TRAIN, 32)


def reads(image: NDArray[np.uint8], paths: set[Path]) -> Callable[..., NDArray[np.uint8]]:
    """A reader that returns an image for some paths, and black for all others."""
    return lambda path, max_side: image if path in paths else BLACK


def test_the_product_is_replaced_as_often_as_configured(clips: PhotoClips) -> None:
    """Up to three quarters of four frames, so 0 to 3, and never all of them."""
    rng, photos = np.random.default_rng(4), clips.examples.photos_by_product
    key = next(iter(photos))
    others = [k for k in photos if k != key][:2]
    white = [np.full((40, 40, 3), 255, np.uint8)] * 4
    bright = []
    for _ in range(300):
        frames = clips.compose(white, others, rng)
        bright.append(sum(bool((f.image.min(-1) > 240).mean() > 0.03) for f in frames))
    shares = np.bincount(bright, minlength=5) / len(bright)
    assert shares[0] < 0.02 and (shares[1:] > 0.08).all()
    assert 4 - np.mean(bright) == pytest.approx(1.5, abs=0.25)


def test_photos_are_warped_and_get_new_surroundings_as_often_as_configured(
    clips: PhotoClips, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """The product's photos are white in a red frame, those of all others black."""
    keys, photos = clips.examples.photographed_by_shop[""], clips.examples.photos_by_product
    framed = WHITE.copy()
    framed[[0, -1], :, 1:] = framed[:, [0, -1], 1:] = 0
    own = {photo.path for photo in photos[keys[0]]}
    monkeypatch.setattr(photo_clips, "read_cached_image", reads(framed, own))
    loaded = [clips.load_photo(photos[keys[0]][0], rng) for _ in range(400)]
    changed = np.mean([bool((image.max(-1) < 50).any()) for image in loaded])
    expected = NEW_SURROUNDINGS_PROB * (len(keys) - 1) / len(keys)
    assert changed == pytest.approx(expected, abs=0.08)
    red = [((image[..., 0] > 200) & (image[..., 1] < 50)).mean() for image in loaded]
    assert np.mean(red) < 0.5 * ((framed[..., 1] == 0).mean())


def test_product_images_never_get_new_surroundings(
    clips: PhotoClips, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Surroundings with a similar product would be a reason to take it for that product."""
    product = clips.examples.products["", "p0"]
    photos = [
        Photo(product.image_paths[0], "p0"),
        *clips.examples.photos_by_product["", "p0"],
    ]
    own = {photo.path for photo in photos}
    monkeypatch.setattr(photo_clips, "read_cached_image", reads(WHITE, own))
    darkest = [min(clips.load_photo(photo, rng).min() for _ in range(40)) for photo in photos[:2]]
    assert darkest == [255, 0]
