"""Heatmaps over images: even color steps, one absolute scale, the same look in HTML."""

from __future__ import annotations

import io
from base64 import b64decode

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sgmn.report.heatmap_overlay import (
    blend_heatmap,
    heatmap_colors,
    heatmap_levels,
    overlay_heatmap,
)
from sgmn.report.html import heatmap_uri
from tests.report.illustrations import GREEN, corner_heatmap, solid_image

Floats = NDArray[np.float64]


def to_cielab(colors: Floats) -> Floats:
    """Return sRGB (..., 3) in 0..255 as CIELAB under D65, where equal steps look equal."""
    share = colors / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = light @ np.array(to_xyz).T / [0.9505, 1.0, 1.089]
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def test_equal_steps_look_equal_and_get_lighter() -> None:
    lab = to_cielab(heatmap_colors(np.linspace(0, 1, 65)))
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 1.3 * steps.min()
    assert (np.diff(lab[:, 0]) > 0).all()


@pytest.mark.parametrize("color", [(40, 40, 40), (255, 255, 255)])
@pytest.mark.parametrize("size", [(64, 36), (16, 8), (640, 360)])
def test_a_heatmap_stands_out_at_any_resolution_and_on_any_background(
    color: tuple[int, int, int], size: tuple[int, int]
) -> None:
    image = overlay_heatmap(solid_image(color), corner_heatmap(*size), (180, 320))
    pixels = np.asarray(image, np.float64)
    hot, cold = pixels[300:, 160:].mean((0, 1)), pixels[:200].mean((0, 1))
    assert np.linalg.norm(to_cielab(hot) - to_cielab(cold)) > 30
    assert np.ptp(pixels[:200], axis=(0, 1)).max() <= 1  # and nothing else does


def test_uniform_attention_adds_no_color_and_no_heatmap_changes_nothing() -> None:
    uniform = np.full((64, 36), 1 / (64 * 36))
    pixels = np.asarray(overlay_heatmap(solid_image(GREEN), uniform, (36, 64)), np.float64)
    np.testing.assert_allclose(pixels / pixels.max(), solid_image(GREEN) / 160, atol=0.02)
    unchanged = np.asarray(overlay_heatmap(solid_image(GREEN), None, (36, 64)))
    assert np.array_equal(unchanged, solid_image(GREEN))


def test_all_heatmaps_share_one_scale() -> None:
    """A smaller share of the attention looks less hot than all of it."""

    def brightness(heatmap: Floats) -> int:
        image = overlay_heatmap(solid_image((0, 0, 0)), heatmap, (36, 64))
        return int(np.asarray(image)[60, 33].sum())

    sharp = np.asarray(corner_heatmap(), np.float64)
    assert brightness(sharp) > brightness(0.2 * sharp + 0.8 / (64 * 36)) > 0


def in_browser(image: NDArray[np.uint8], heatmap: Floats) -> NDArray[np.int64]:
    """Return an image with a heatmap over it, as a browser shows it."""
    layer = Image.open(io.BytesIO(b64decode(heatmap_uri(heatmap).split(",")[1])))
    assert layer.mode == "RGBA" and layer.size == heatmap.shape[::-1]
    composite = Image.alpha_composite(Image.fromarray(image).convert("RGBA"), layer)
    return np.asarray(composite.convert("RGB")).astype(np.int64)


def test_a_heatmap_in_html_looks_like_one_in_an_image(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    heatmap = rng.dirichlet(np.full(48, 0.3)).reshape(6, 8)
    blended = blend_heatmap(image.astype(float), heatmap_levels(heatmap)).astype(int)
    difference = np.abs(in_browser(image, heatmap) - blended)
    assert difference.max() <= 3  # of 255: a PNG holds integers


def test_heatmaps_in_html_share_one_scale() -> None:
    """Uniform attention has no color, weak attention less than sharp attention."""
    gray = np.full((4, 4, 3), 128, np.uint8)
    sharp = np.zeros((4, 4))
    sharp[0, 0] = 1.0
    hot, warm, uniform, none = (
        in_browser(gray, heatmap)
        for heatmap in (sharp, 0.2 * sharp + 0.05, np.full((4, 4), 1 / 16), np.zeros((4, 4)))
    )
    assert hot[0, 0].sum() > warm[0, 0].sum() > warm[1, 1].sum()
    assert np.ptp(uniform) == 0 and np.array_equal(uniform, none)
    assert hot[1, 1].max() < 128  # low levels are dimmed, but still visible
    assert hot[1, 1].min() > 64
