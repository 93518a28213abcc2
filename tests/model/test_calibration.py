"""A model's calibration: stored beside its weights, applied to its score, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.errors import CheckpointError, SettingsError
from sgmn.live.evidence import TimelineSettings
from sgmn.model import checkpoint
from sgmn.model.calibration import ScoreCalibration
from sgmn.model.embedder import Embedder
from sgmn.records import ClipContent, ProductContent
from sgmn.settings import read_toml
from tests.tools.scripts import TOOLS

CALIBRATION = {
    "score": {"temperature": 0.5, "text_weight": 0.25, "text_score_floor": 0.6},
    "timeline": {"switch_cost": 2.0},
}


def test_calibration_survives_saving_and_keeps_the_fingerprint(
    tiny: Callable[[], Any], tmp_path: Path
) -> None:
    model = tiny()
    checkpoint.save(replace(model, calibration=CALIBRATION), tmp_path / "model")
    loaded = checkpoint.load(tmp_path / "model")
    assert loaded.calibration == CALIBRATION
    assert loaded.fingerprint() == model.fingerprint()
    stored = json.loads((tmp_path / "model" / "config.json").read_text())
    assert stored["calibration"] == CALIBRATION and "calibration" not in stored["network"]


def test_writing_a_calibration_leaves_the_weights_untouched(
    tiny: Callable[[], Any], tmp_path: Path
) -> None:
    checkpoint.save(tiny(), tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    assert checkpoint.load(tmp_path).calibration == {}
    checkpoint.write_calibration(tmp_path, CALIBRATION)
    assert checkpoint.load(tmp_path).calibration == CALIBRATION
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    checkpoint.write_calibration(tmp_path, {})
    assert "calibration" not in json.loads((tmp_path / "config.json").read_text())


@pytest.mark.parametrize("broken", [3, {"score": [1]}])
def test_malformed_calibration_is_refused(
    tiny: Callable[[], Any], tmp_path: Path, broken: Any
) -> None:
    checkpoint.save(tiny(), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"calibration": broken}))
    with pytest.raises(CheckpointError, match="sgmn calibrate"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "'temperature' is 0.0.*use a number above 0"),
        ({"text_weight": -1.0}, "'text_weight' is -1.0"),
        ({"text_score_floor": 2.0}, "'text_score_floor' is 2.0.*use a cosine"),
        ({"temprature": 2.0}, "did you mean 'temperature'"),
    ],
)
def test_invalid_values_are_refused(
    tiny: Callable[[], Any], values: dict[str, float], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        ScoreCalibration.of(replace(tiny(), calibration={"score": values}))


def test_calibration_changes_scores_and_no_embedding(tiny: Callable[[], Any]) -> None:
    model = tiny()
    plain = Embedder(model, "cpu")
    calibrated = Embedder(replace(model, calibration=CALIBRATION), "cpu")
    image = torch.arange(32 * 32 * 3).reshape(32, 32, 3).remainder(255).to(torch.uint8).numpy()
    clips = [ClipContent((image,), "red milk"), ClipContent((image,), "green apple")]
    products = [ProductContent((image,), "red milk"), ProductContent((image[::-1],), "blue juice")]
    embedded = [
        (one.encode_clips(clips), one.encode_products(products)) for one in (plain, calibrated)
    ]
    for before, after in zip(*embedded, strict=True):
        assert torch.equal(before.image, after.image) and torch.equal(before.text, after.text)
    assert float(calibrated.ranker.weights.text) == 0.25
    assert float(calibrated.ranker.weights.text_score_floor) == pytest.approx(0.6)
    scales = [float(one.ranker.weights.logit_scale) for one in (plain, calibrated)]
    assert scales[1] == pytest.approx(2 * scales[0])
    before_scores, after_scores = (one.ranker.score(*embedded[0]) for one in (plain, calibrated))
    assert not torch.allclose(before_scores, after_scores)


def test_builtin_model_stores_the_timeline_of_its_recipe() -> None:
    stored = json.loads((checkpoint.BUILTIN / "config.json").read_text())
    expected = asdict(TimelineSettings(**read_toml(TOOLS / "train_builtin" / "timeline.toml")))
    assert stored["calibration"] == {"timeline": expected} and expected["temperature"] == 0.75
