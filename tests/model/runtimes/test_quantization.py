"""Image towers in int8, calibrated on pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from sgmn.model.embedder import Embedder
from sgmn.model.inputs import fit_to_canvas
from sgmn.model.runtimes.exporting import Export, export_towers
from sgmn.model.runtimes.quantization import MIN_PICTURES, QuantizationCost, quantize_export
from tests.conftest import noise


def draw_pixels(model: Any, rng: np.random.Generator, count: int) -> dict[int, torch.Tensor]:
    images, config = [noise(rng, 40, 30) for _ in range(count)], model.network.config
    return {
        place: torch.stack([fit_to_canvas(image, canvas, config.fill_color) for image in images])
        for place, canvas in enumerate(config.canvases)
    }


def test_an_export_in_int8_is_close_and_says_how_close(
    tiny: Callable[[], Any], rng: np.random.Generator, tmp_path: Path
) -> None:
    model, folder = tiny(), tmp_path / "export"
    export_towers(model, folder)
    cost = quantize_export(folder, model.network, draw_pixels(model, rng, MIN_PICTURES))
    assert (cost.calibrated, cost.measured) == (8, 2)
    assert 0.95 < cost.min_cosine <= cost.median_cosine < 1 and cost.same_nearest == 1
    assert QuantizationCost(**json.loads((folder / "int8.json").read_text())) == cost
    assert Export.read(folder).precision == "int8"
    for item in Export.read(folder).canvases:
        graph = onnx.load(folder / item.file).graph
        weights = [tensor for tensor in graph.initializer if len(tensor.dims) == 4]
        assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.INT8}


@pytest.mark.parametrize("count", [1, 5])
def test_an_int8_folder_is_a_runtime(
    count: int, tiny: Callable[[], Any], rng: np.random.Generator, tmp_path: Path
) -> None:
    model, folder = tiny(), tmp_path / "export"
    export_towers(model, folder)
    quantize_export(folder, model.network, draw_pixels(model, rng, MIN_PICTURES))
    images = [noise(rng, 40, 30) for _ in range(count)]
    exact = Embedder(model, "cpu").encode_images(images).pooled
    found = Embedder(model, "cpu", runtime=str(folder)).encode_images(images).pooled
    cosines = (exact * found).sum(1)
    assert not torch.equal(exact, found) and cosines.min() > 0.95
