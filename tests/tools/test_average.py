"""`tools/train_builtin/average.py`: the average of two models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.model import checkpoint
from tests.tools.scripts import import_tool

script = import_tool("average", "train_builtin")


def test_each_weight_is_between_those_of_both_models(
    tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, after = tiny(), tiny()
    with torch.no_grad():
        for weight in after.network.parameters():
            weight.add_(1.0)
    score = {"temperature": 2.0, "text_weight": 0.5, "text_score_floor": 0.4}
    timeline = {"switch_cost": 3.0}
    checkpoint.save(replace(before, calibration={"timeline": timeline}), tmp_path / "before")
    checkpoint.save(replace(after, calibration={"score": score}), tmp_path / "after")
    words = [str(tmp_path / "before"), str(tmp_path / "after"), "--share", "0.25"]
    monkeypatch.setattr(sys, "argv", ["average.py", *words, "-o", str(tmp_path / "out")])
    script.main()
    mixed = checkpoint.load(tmp_path / "out")
    assert mixed.calibration == {"timeline": timeline}
    first, second, found = (
        dict(checkpoint.load(tmp_path / name).network.named_parameters())
        for name in ("before", "after", "out")
    )
    for name, weight in found.items():
        if name not in ("head.text", "head.log_logit_scale"):  # calibrated first
            expected = 0.75 * first[name] + 0.25 * second[name]
            torch.testing.assert_close(weight, expected)
    text = 0.75 * first["head.text"].item() + 0.25 * 0.5
    assert found["head.text"].item() == pytest.approx(text)
