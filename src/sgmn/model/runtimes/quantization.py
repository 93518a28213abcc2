"""Image towers in int8: the ranges of their activations are measured on pictures of the user."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from sgmn.model.network import SGMN
from sgmn.model.runtimes import ONNX
from sgmn.model.runtimes.engines import file_opener
from sgmn.model.runtimes.exporting import Export
from sgmn.model.runtimes.towers import ExportedTowers
from sgmn.model.towers import TowerEncoder

INT8 = "int8"
REPORT = "int8.json"
HELD_OUT = 5  # every fifth picture measures the cost and calibrates nothing
MIN_PICTURES = 2 * HELD_OUT
_BATCH = 8
_ORT_WARNING, _ORT_ERROR = 2, 3  # severities of ONNX Runtime


@dataclass(frozen=True)
class QuantizationCost:
    """What int8 costs on pictures that calibrated nothing, compared with PyTorch in float32.

    Attributes:
        calibrated: Number of pictures that calibrated.
        measured: Number of pictures that measured.
        median_cosine: The median cosine of a picture's vectors in int8 and float32.
        min_cosine: The least such cosine.
        same_nearest: The share of measured pictures whose nearest other picture is the same.
    """

    calibrated: int
    measured: int
    median_cosine: float
    min_cosine: float
    same_nearest: float


def quantize_export(folder: Path, network: SGMN, pictures: dict[int, Tensor]) -> QuantizationCost:
    """Quantize the image towers of an export in place; the text tower keeps its precision.

    Args:
        folder: The folder of the export.
        network: The network that was exported, on the CPU.
        pictures: For each canvas, by its place in the export, pixels (n, 3, H, W) uint8: the same
            n pictures, at least MIN_PICTURES.

    Returns:
        The cost; it is also written to REPORT in the folder.
    """
    export = Export.read(folder)
    pixels = {place: _normalize(network, values) for place, values in pictures.items()}
    for place, item in enumerate(export.canvases):
        rows = [row for row in range(len(pixels[place])) if row % HELD_OUT]
        _quantize(folder / item.file, pixels[place][rows])
    replace(export, precision=INT8).write(folder)
    cost = _measure(folder, network, [values[::HELD_OUT] for values in pixels.values()])
    cost = replace(cost, calibrated=len(pixels[0]) - cost.measured)
    (folder / REPORT).write_text(json.dumps(asdict(cost), indent=1) + "\n", encoding="utf-8")
    return cost


def _normalize(network: SGMN, pixels: Tensor) -> Tensor:
    normalized: Tensor = (pixels.float() - network.mean.cpu()) / network.std.cpu()
    return normalized


def _quantize(path: Path, pixels: Tensor) -> None:
    """Quantize an ONNX file: int8 weights per channel, int8 activations per tensor."""
    from onnxruntime import quantization

    quantized = path.with_suffix(".int8.tmp")
    with _quiet():
        quantization.quantize_static(
            path,
            quantized,
            _reader(pixels),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
        )
    quantized.replace(path)


def _reader(pixels: Tensor) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter(torch.split(pixels, _BATCH))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"pixels": batch.numpy()}

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice that these towers do not need, and a line per constant that is not used."""
    import onnxruntime

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(_ORT_ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        onnxruntime.set_default_logger_severity(_ORT_WARNING)


def _measure(folder: Path, network: SGMN, held_out: Sequence[Tensor]) -> QuantizationCost:
    """Compare the quantized towers with those of PyTorch, on each canvas."""
    towers = ExportedTowers(folder, file_opener(ONNX, torch.get_num_threads()))
    cosines, same = [], []
    for pixels in held_out:
        expected, found = _encode(network.towers, pixels), _encode(towers, pixels)
        cosines.append(cosine_similarity(expected, found))
        same.append(_nearest(expected) == _nearest(found))
    joined = torch.cat(cosines)
    share = torch.cat(same).float().mean().item()
    return QuantizationCost(0, len(held_out[0]), joined.median().item(), joined.min().item(), share)


@torch.inference_mode()
def _encode(towers: TowerEncoder, pixels: Tensor) -> Tensor:
    vectors = [towers.encode_image(batch).pooled for batch in torch.split(pixels, _BATCH)]
    return normalize(torch.cat(vectors), dim=-1)


def _nearest(vectors: Tensor) -> Tensor:
    """The nearest other row of each row."""
    return (vectors @ vectors.T).fill_diagonal_(-2.0).argmax(1)
