"""`tools/train_builtin/add_fine_patches.py`: late interaction starts anew, all else stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tests.model.part_cases import build_tiny_lite, enable_all_parts
from tests.tools.scripts import import_tool

script = import_tool("add_fine_patches", "train_builtin")


def test_only_late_interaction_is_new(backbone: Callable[[str], Path]) -> None:
    model = enable_all_parts(build_tiny_lite(backbone("bert")), randomize=True)
    changed = script.add_fine_patches(model)
    before, after = model.network.state_dict(), changed.network.state_dict()
    assert changed.network.towers.has_fine_patches and not model.network.towers.has_fine_patches
    assert before.keys() == after.keys() and float(after["head.late"]) == script.LATE
    layers = {"projection.weight", "projection.bias", "importance.weight"}
    new = {name for name in before if not torch.equal(before[name], after[name])}
    assert new == {"head.late", *(f"parts.glance.{layer}" for layer in layers)}
