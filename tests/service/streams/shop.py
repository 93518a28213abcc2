"""A shop with a tiny model, built without fixtures, so that tools can use it too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sgmn.catalogue.index import Index
from sgmn.model import backbones, checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.service.streams.encoder_process import EncoderProcess
from tests.conftest import TINY_IMAGE_TOWER, _save_backbone
from tests.service.conftest import SHOP
from tests.service.streams.world import TIMELINE, StreamWorld, comparable
from tests.world import make_world

# With guidance, saliency decides whether anything is on sale.
GUIDED_TIMELINE = {**TIMELINE, "nothing_threshold": 0.02, "presence_weight": 2.0}


def build_index(folder: Path, guided: bool = False) -> Path:
    """Build a tiny model with random weights and the index of a shop; return the index.

    A guided model has guidance, and so heatmaps and a saliency of frames.
    """
    for name in ("bert", "world"):
        (folder / name).mkdir(parents=True)
    _save_backbone("bert", folder / "bert")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        tower = str(folder / "bert")
        canvases = ((32, 24), (32, 32))
        model = backbones.build_composed(TINY_IMAGE_TOWER, tower, 32, canvases)
        if guided:
            model = enable_guidance(model)
    timeline = GUIDED_TIMELINE if guided else TIMELINE
    checkpoint.save(replace(model, calibration={"timeline": timeline}), folder / "model")
    index = Index.create(folder / "index", folder / "model")
    index.add(make_world(folder / "world") / "products.jsonl", shop_id=SHOP)
    return folder / "index"


def enable_guidance(model: ModelBundle) -> ModelBundle:
    """The model with guidance of random weights, so that frames have a saliency."""
    config = model.network.config
    parts = replace(config.parts, enabled=("guidance",))
    network = model.network.with_parts(parts, config.terms)
    with torch.no_grad():
        for parameter in network.parts.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return replace(model, network=network)


def recognize_events(
    folder: Path, index: Path, video: Path, encoder: EncoderProcess | None = None
) -> list[tuple[Any, ...]]:
    """The events of a recording without any interruption."""
    streams = StreamWorld(folder, index, encoder=encoder)
    session = streams.add(video)
    with streams.supervise():
        streams.wait_for_state(session, "ended", "failed")
    return comparable(streams.events(session))
