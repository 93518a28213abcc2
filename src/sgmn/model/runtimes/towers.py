"""Exported towers behind the interface of `TowerEncoder`, whatever engine runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sgmn.errors import CheckpointError
from sgmn.model.inputs import Canvas
from sgmn.model.runtimes.exporting import FINE_FILE, TEXT_FILE, Export
from sgmn.model.towers import ImageEncoding, TextEncoding, TowerEncoder

MIN_COSINE = 0.9999  # of vectors that an export computes in float32, and those of PyTorch
Arrays = Mapping[str, NDArray[np.generic]]
Run = Callable[[Arrays], Sequence[NDArray[np.float32]]]  # inputs by name -> outputs in order


class ExportedTowers:
    """Exported towers on the CPU. An engine opens a file when it is first needed.

    Args:
        folder: The folder of the export.
        open_file: Opens an ONNX file in an engine.
    """

    def __init__(self, folder: Path, open_file: Callable[[Path], Run]) -> None:
        self.export = Export.read(folder)
        self._folder, self._open_file = folder, open_file
        self._canvases = {item.canvas: item for item in self.export.canvases}
        self._engines: dict[Canvas, Run] = {}

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `TowerEncoder.encode_image`. Raises CheckpointError for an unknown canvas."""
        canvas = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        if canvas not in self._canvases:
            raise CheckpointError(f"has no canvas {canvas}", self._folder, "export the model again")
        if canvas not in self._engines:
            self._engines[canvas] = self._open_file(self._folder / self._canvases[canvas].file)
        outputs = map(_to_tensor, self._engines[canvas]({"pixels": pixels.numpy()}))
        pooled, patches, *fine = outputs
        grid = self._canvases[canvas].grid
        return ImageEncoding(pooled, patches, grid, fine[0] if fine else patches)

    def encode_fine(self, pixels: Tensor) -> Tensor:
        """See `TowerEncoder.encode_fine`."""
        return _to_tensor(self._fine({"pixels": pixels.numpy()})[0])

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """See `TowerEncoder.encode_text`."""
        pooled, words = map(_to_tensor, self._text({"ids": ids.numpy(), "mask": mask.numpy()}))
        return TextEncoding(pooled, words, mask)

    @cached_property
    def _fine(self) -> Run:
        return self._open_file(self._folder / FINE_FILE)

    @cached_property
    def _text(self) -> Run:
        return self._open_file(self._folder / TEXT_FILE)


def _to_tensor(array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.asarray(array, np.float32))


@torch.inference_mode()
def check_equal(
    towers: ExportedTowers, reference: TowerEncoder, min_cosine: float = MIN_COSINE
) -> None:
    """Raise CheckpointError unless exported towers equal those of PyTorch.

    Three images of noise for each canvas, that of fine patches too, and three texts of different
    lengths, none of which the export has seen, must have a cosine of `min_cosine` or more.
    """
    generator = torch.Generator().manual_seed(0)
    for item in towers.export.canvases:
        pixels = torch.randn(3, 3, item.height, item.width, generator=generator)
        found, expected = towers.encode_image(pixels), reference.encode_image(pixels)
        _require_equal(found.pooled, expected.pooled, item.file, min_cosine)
        _require_equal(found.patches, expected.patches, item.file, min_cosine)
        _require_equal(found.fine_patches, expected.fine_patches, item.file, min_cosine)
    if towers.export.fine_canvas is not None:
        pixels = torch.randn(3, 3, *towers.export.fine_canvas, generator=generator)
        found_fine, expected_fine = towers.encode_fine(pixels), reference.encode_fine(pixels)
        _require_equal(found_fine, expected_fine, FINE_FILE, min_cosine)
    length = min(5, towers.export.max_tokens)
    ids = torch.tensor([[1, 3, 4, 3, 2], [1, 4, 2, 0, 0], [1, 2, 0, 0, 0]])[:, :length]
    mask = ids > 0
    texts, expected_texts = towers.encode_text(ids, mask), reference.encode_text(ids, mask)
    _require_equal(texts.pooled, expected_texts.pooled, TEXT_FILE, min_cosine)
    _require_equal(texts.words[mask], expected_texts.words[mask], TEXT_FILE, min_cosine)


def _require_equal(found: Tensor, expected: Tensor, file: str, min_cosine: float) -> None:
    if found.shape != expected.shape:
        difference = f"the shape {tuple(found.shape)} instead of {tuple(expected.shape)}"
    elif (cosine := cosine_similarity(found, expected, dim=-1).min().item()) < min_cosine:
        difference = f"a cosine of {cosine:.4f} to the vectors of PyTorch"
    else:
        return
    raise CheckpointError(f"the exported tower has {difference}", file, "use the runtime torch")
