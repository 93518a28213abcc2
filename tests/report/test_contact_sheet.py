"""Contact sheets: bars have the right lengths, and nothing crosses the margin."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgmn.report import contact_sheet
from sgmn.report.contact_sheet import (
    draw_contact_sheet,
    score_contributions,
    write_contact_sheet,
)
from sgmn.report.illustration import RANK_COLORS
from tests.report.illustrations import (
    BLUE,
    GREEN,
    RED,
    explain_product,
    illustrate,
    unusual_illustrations,
    without_guidance,
)


def test_frames_are_drawn_in_order_with_bars_of_their_weights() -> None:
    pixels = np.asarray(draw_contact_sheet(without_guidance(illustrate())), np.int64)
    lefts = [int(np.nonzero((pixels == color).all(-1))[1].min()) for color in (RED, GREEN, BLUE)]
    assert lefts == sorted(lefts)
    bars = (pixels == RANK_COLORS[0]).all(-1)
    row = bars[np.nonzero(bars.any(1))[0][0]]
    edges = [*lefts, contact_sheet.SHEET_WIDTH]
    lengths = [row[a:b].sum() for a, b in pairwise(edges)]
    assert np.array(lengths) / sum(lengths) == pytest.approx([0.2, 0.5, 0.3], abs=0.01)


def test_terms_that_are_not_available_are_none() -> None:
    assert score_contributions(explain_product(0, 0.8)) == {
        "image": pytest.approx(0.7),
        "frame by frame": None,
        "pairwise score": 0.1,
        "score": 0.8,
    }


@pytest.mark.parametrize("name", list(unusual_illustrations()))
def test_unusual_explanations_are_drawn(name: str) -> None:
    image = draw_contact_sheet(unusual_illustrations()[name])
    assert image.width == contact_sheet.SHEET_WIDTH and 400 < image.height < 2000
    margin = np.asarray(image)[:, -contact_sheet.MARGIN // 2 :]
    assert (margin == 255).all()  # nothing crosses the margin


def test_a_note_replaces_the_color_scale_if_the_model_has_no_guidance() -> None:
    guided, unguided = (
        draw_contact_sheet(illustrate()),
        draw_contact_sheet(without_guidance(illustrate())),
    )
    hottest = tuple(np.asarray(guided)[-contact_sheet.MARGIN - 8].max(0))
    foot = np.asarray(unguided)[-contact_sheet.MARGIN - 20 :].astype(int)
    assert hottest == (255, 255, 255)
    assert (foot < 200).any() and (np.ptp(foot, axis=-1) < 16).all()


def test_the_format_follows_the_file_extension(tmp_path: Path) -> None:
    write_contact_sheet(illustrate(), tmp_path / "out.PNG")
    with Image.open(tmp_path / "out.PNG") as image:
        assert image.format == "PNG" and image.width == contact_sheet.SHEET_WIDTH
