"""Images with white boxes, and datasets and models for tests that train on boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from sgmn.data.dataset import Dataset
from sgmn.model.bundle import ModelBundle
from sgmn.model.inputs import choose_canvas, fit_to_canvas
from sgmn.records import Clip, ImageArray
from sgmn.training.config import LossConfig, TrainConfig
from sgmn.training.data.boxes import FrameBoxes, patches_in_boxes
from sgmn.training.data.examples import Examples

CANVASES = ((160, 120), (160, 160), (120, 240))  # with patches of 20 by 20 pixels
GRIDS = {canvas: (canvas[0] // 20, canvas[1] // 20) for canvas in CANVASES}
CORNERS = tuple(((x, y, x + 0.5, y + 0.5),) for y in (0.0, 0.5) for x in (0.0, 0.5))
TRAIN = TrainConfig(
    steps=2,
    batch_size=6,
    lr=1e-2,
    workers=0,
    log_every_steps=1,
    device="cpu",
    warmup_fraction=0.0,
    color_jitter=0.0,
)
GROUNDING_LOSS = LossConfig(text=0.0, triplet=0.0, pair=0.0, mining=False, grounding=10.0)


def paint(shape: tuple[int, int], boxes: FrameBoxes) -> ImageArray:
    """Return a black image that is white inside the boxes."""
    height, width = shape
    image = np.zeros((height, width, 3), np.uint8)
    for left, top, right, bottom in boxes:
        rows = slice(round(top * height), round(bottom * height))
        image[rows, round(left * width) : round(right * width)] = 255
    return image


def bright_patches(image: ImageArray) -> torch.Tensor:
    """Return which patches (N,) of an image on its canvas have a white center."""
    canvas = fit_to_canvas(image, choose_canvas(image, CANVASES), (0, 0, 0))
    return (canvas[0, 10::20, 10::20] > 127).flatten()


def box_mask(frames: list[list[ImageArray]], boxes: list[list[FrameBoxes]]) -> torch.Tensor:
    return patches_in_boxes(frames, boxes, CANVASES, GRIDS)


def examples_of(data: Dataset, clips: tuple[Clip, ...]) -> Examples:
    return Examples([replace(data, clips=clips)])


def guided(model: ModelBundle) -> ModelBundle:
    """Return the model with guidance and a text score only."""
    parts = replace(model.network.config.parts, enabled=("guidance",))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = model.network.with_parts(parts, ("text",))
    return ModelBundle(network, model.tokenizer, model.name)
