"""`tools/train_builtin/set_score.py`: the score becomes part of the weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.model import checkpoint
from tests.model.part_cases import enable_all_parts
from tests.tools.scripts import TOOLS, import_tool

script = import_tool("set_score", "train_builtin")


def test_text_weight_floor_and_temperature_are_written(
    tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tiny()
    with torch.no_grad():
        model.network.head.match.fill_(0.5)
    checkpoint.save(model, tmp_path / "model")
    words = [str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--text-ratio", "0.3"]
    words += ["--floor", "0.5", "--temperature", "0.5", "--weight", "instances=0.25"]
    words += ["--timeline", str(TOOLS / "train_builtin" / "timeline.toml")]
    monkeypatch.setattr(sys, "argv", ["set_score.py", *words])
    script.main()
    changed = checkpoint.load(tmp_path / "out")
    with torch.no_grad():
        before, after = model.network.head(), changed.network.head()
    assert float(after.text) == pytest.approx(0.3 * 1.75) and float(after.text_score_floor) == 0.5
    assert float(after.instances) == 0.25 and float(after.match) == 0.5
    assert float(after.logit_scale) == pytest.approx(2 * float(before.logit_scale))
    assert changed.calibration == checkpoint.load("builtin").calibration
    assert changed.fingerprint() != model.fingerprint()


def test_a_canvas_of_fine_patches_is_written(
    tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkpoint.save(enable_all_parts(tiny()), tmp_path / "model")
    words = [str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--text-ratio", "0.3"]
    for options, canvas in (([], None), (["--fine-side", "64"], (64, 64))):
        monkeypatch.setattr(sys, "argv", ["set_score.py", *words, *options])
        script.main()
        changed = checkpoint.load(tmp_path / "out")
        assert changed.network.config.fine_canvas == canvas
        assert changed.preprocessor.fine_canvas == canvas
        assert ("fine_canvas" in (tmp_path / "out" / "config.json").read_text()) == bool(canvas)


def test_a_floor_of_late_interaction_is_written_and_instances_are_left_out(
    tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkpoint.save(enable_all_parts(tiny()), tmp_path / "model")
    words = [str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--text-ratio", "0.3"]
    words += ["--late-floor", "0.5", "--weight", "instances=0", "--weight", "late=2"]
    monkeypatch.setattr(sys, "argv", ["set_score.py", *words])
    script.main()
    changed = checkpoint.load(tmp_path / "out").network
    with torch.no_grad():
        weights = changed.head()
    assert float(weights.late) == 2.0 and float(weights.late_score_floor) == 0.5
    assert changed.config.late_score_floor == 0.5 and "late" in changed.config.terms
    assert "instances" not in (*changed.config.parts.enabled, *changed.config.terms)
