"""An explanation on one sheet: bars are as long as they say, and nothing runs over the edge."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgmn.report import contact_sheet, drawing
from sgmn.report.contact_sheet import added
from tests.live.scenes import BLUE, GREEN, RED, alike, comparison, odd_scenes, scene


def test_frames_are_drawn_in_order_with_bars_of_their_shares() -> None:
    shown = np.asarray(contact_sheet.picture(alike(scene())), np.int64)
    lefts = [int(np.nonzero((shown == colour).all(-1))[1].min()) for colour in (RED, GREEN, BLUE)]
    assert lefts == sorted(lefts)
    bars = (shown == drawing.BARS[0]).all(-1)
    row = bars[np.nonzero(bars.any(1))[0][0]]
    edges = [*lefts, contact_sheet.WIDTH]
    lengths = [row[a:b].sum() for a, b in pairwise(edges)]
    assert np.array(lengths) / sum(lengths) == pytest.approx([0.2, 0.5, 0.3], abs=0.01)


def test_terms_that_dropped_out_are_told_apart() -> None:
    assert added(comparison(0, 0.8)) == {
        "picture": pytest.approx(0.7),
        "frame by frame": None,
        "as a pair": 0.1,
        "score": 0.8,
    }


@pytest.mark.parametrize("name", list(odd_scenes()))
def test_odd_scenes_are_drawn(name: str) -> None:
    found = odd_scenes()[name]
    image = contact_sheet.picture(found)
    assert image.width == contact_sheet.WIDTH and 400 < image.height < 2000
    margin = np.asarray(image)[:, -contact_sheet.MARGIN // 2 :]
    assert (margin == 255).all()  # nothing runs over the edge


def test_a_model_that_looks_at_everything_alike_says_so() -> None:
    """Where the scale would stand, there are words instead."""
    guided, unguided = contact_sheet.picture(scene()), contact_sheet.picture(alike(scene()))
    hottest = tuple(np.asarray(guided)[-contact_sheet.MARGIN - 8].max(0))
    foot = np.asarray(unguided)[-contact_sheet.MARGIN - 20 :].astype(int)
    assert hottest == (255, 255, 255)
    assert (foot < 200).any() and (np.ptp(foot, axis=-1) < 16).all()


def test_a_picture_is_written(tmp_path: Path) -> None:
    contact_sheet.write(scene(), tmp_path / "out.PNG")
    with Image.open(tmp_path / "out.PNG") as image:
        assert image.format == "PNG" and image.width == contact_sheet.WIDTH
