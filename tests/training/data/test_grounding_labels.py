"""Labels as tensors: the right patches, frames and boxes on the canvas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sgmn.model.inputs import choose_canvas, fit_to_canvas
from sgmn.records import Clip
from sgmn.training.data.boxes import other_boxes_at_times, visible_at_times
from sgmn.training.data.grounding_labels import GroundingLabels, build_labels
from tests.training.painting import CANVASES, GRIDS, box_mask, paint


@pytest.mark.parametrize("shape", [(320, 180), (200, 200), (240, 320), (150, 450)])
def test_boxes_are_fractions_of_the_canvas(shape: tuple[int, int]) -> None:
    """Compared with the white area of an image that is scaled and padded like any other."""
    box = (0.52, 0.23, 0.97, 0.57)
    image = paint(shape, (box,))
    canvas = fit_to_canvas(image, choose_canvas(image, CANVASES), (0, 0, 0))[0].numpy() > 127
    rows, columns = np.flatnonzero(canvas.any(1)), np.flatnonzero(canvas.any(0))
    height, width = canvas.shape
    sides = [columns[0] / width, rows[0] / height]
    sides += [(columns[-1] + 1) / width, (rows[-1] + 1) / height]
    labels = build_labels([[image]], [((box,),)], [()], CANVASES, GRIDS)
    torch.testing.assert_close(labels.boxes[0, 0], torch.tensor(sides).float(), atol=0.01, rtol=0)


def test_labels_have_the_shape_of_the_tokens_and_are_zero_at_padding() -> None:
    high, square = paint((160, 120), ()), paint((32, 32), ())
    small, large = (0.0, 0.0, 0.2, 0.2), (0.5, 0.5, 1.0, 1.0)
    frames = [[high, square, high], [square]]
    boxes = [((small, large), (), (small,)), ()]
    labels = build_labels(frames, boxes, [(True, False, True), ()], CANVASES, GRIDS)
    assert torch.equal(labels.box_mask, box_mask(frames, [list(b) for b in boxes]))
    assert labels.visible.tolist() == [[True, False, True], [False] * 3]
    torch.testing.assert_close(labels.boxes[0, 0], torch.tensor(large))
    assert not labels.boxes[0, 1].any() and not labels.boxes[1].any()
    cropped = labels.crop(1, 5)
    assert cropped.box_mask.shape == (2, 1, 5) and cropped.boxes.shape == (2, 1, 4)
    both = GroundingLabels.cat([cropped, labels])
    assert both.box_mask.shape == (4, 3, 64) and not both.visible[0, 1:].any()


def test_frames_are_visible_within_the_span_or_where_they_have_a_box() -> None:
    spanned = Clip("c", video=Path("v.mp4"), extra={"visible_span": [1.0, 2.5]})
    assert visible_at_times(spanned, (0.5, 1.0, 2.0, 3.0), ()) == (False, True, True, False)
    box = ((0.0, 0.0, 1.0, 1.0),)
    boxed = Clip("c", video=Path("v.mp4"), boxes=((), box))
    assert visible_at_times(boxed, (0.5, 1.0), ((), box)) == (False, True)
    assert visible_at_times(Clip("c", video=Path("v.mp4")), (0.5,), ()) == ()


def test_boxes_of_other_products_are_those_nearest_in_time() -> None:
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    shown = [
        {"time": 0.0, "boxes": {"a": left}},
        {"time": 1.0, "boxes": {"a": left, "own": left, "b": right}},
        {"time": 2.0, "boxes": {}},
        {"time": 3.0, "boxes": {"never": left}},
    ]
    clip = Clip("c", video=Path("v.mp4"), product_ids=("own",), extra={"shown": shown})
    assert other_boxes_at_times(clip, (0.2, 0.9, 2.1), 1.0) == {
        "a": ((left,), (left,), ()),
        "b": ((), (right,), ()),
    }
    assert other_boxes_at_times(Clip("c", video=Path("v.mp4")), (0.0,), 1.0) == {}


def test_boxes_of_products_that_are_held_instead_follow_the_sets_of_boxes() -> None:
    box = (0.0, 0.0, 0.5, 1.0)
    held = {"held_instead": [None, ["a", list(box)], ["b", list(box)], None]}
    frames = (Path("f.png"),) * 4
    clip = Clip("c", frames=frames, boxes=((box,), (), (), (box,)), extra=held)
    assert other_boxes_at_times(clip, (0.0, 1.0, 3.0), 1.0) == {"a": ((), (box,), ())}
