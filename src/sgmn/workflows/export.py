"""Exports the towers of a model for use in other programs, in float32 or int8."""

from __future__ import annotations

from pathlib import Path

import torch

from sgmn.errors import SgmnError
from sgmn.media.image import SUFFIXES, read_image
from sgmn.media.sampling import select_evenly
from sgmn.model.bundle import ModelBundle
from sgmn.model.inputs import fit_to_canvas
from sgmn.model.runtimes import ONNX, quantization
from sgmn.model.runtimes.engines import file_opener, require_installed
from sgmn.model.runtimes.exporting import Export, export_towers
from sgmn.model.runtimes.quantization import MIN_PICTURES, QuantizationCost
from sgmn.model.runtimes.towers import ExportedTowers, check_equal

MAX_PICTURES = 250  # 200 of them calibrate; more change the ranges of activations little


def export_model(
    model: ModelBundle, folder: Path, pictures: Path | None = None
) -> tuple[Export, QuantizationCost | None]:
    """Export the towers and the tokenizer of a model into a new folder.

    The files are compared with the towers of PyTorch.

    Args:
        model: The model, on the CPU.
        folder: The folder to create.
        pictures: A folder of pictures that calibrate int8; None exports float32.

    Returns:
        The export, and what int8 costs.

    Raises:
        SgmnError: The folder exists, or there are too few pictures.
        SettingsError: The packages of ONNX Runtime are not installed.
        CheckpointError: The towers cannot be exported.
        MediaError: A picture cannot be read.
    """
    require_installed(ONNX)
    if folder.exists():
        raise SgmnError("already exists", folder, "choose another folder")
    paths = [] if pictures is None else find_pictures(pictures)
    export = export_towers(model, folder)
    model.tokenizer.save_pretrained(str(folder / "tokenizer"))
    towers = ExportedTowers(folder, file_opener(ONNX, torch.get_num_threads()))
    check_equal(towers, model.network.towers)
    if pictures is None:
        return export, None
    return export, _quantize(model, folder, paths)


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder and its subfolders, MAX_PICTURES at most, evenly chosen.

    Raises SgmnError if there are fewer than MIN_PICTURES.
    """
    if not folder.is_dir():
        raise SgmnError("is not a folder", folder, "pass a folder with pictures")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(paths) < MIN_PICTURES:
        message = f"has {len(paths)} pictures, but int8 needs {MIN_PICTURES} or more"
        raise SgmnError(message, folder, "add frames of your streams and photos of your products")
    return [paths[place] for place in select_evenly(len(paths), MAX_PICTURES)]


def _quantize(model: ModelBundle, folder: Path, paths: list[Path]) -> QuantizationCost:
    config = model.network.config
    max_side = max(max(canvas) for canvas in config.canvases)
    images = [read_image(path, max_side) for path in paths]
    pixels = {
        place: torch.stack([fit_to_canvas(image, canvas, config.fill_color) for image in images])
        for place, canvas in enumerate(config.canvases)
    }
    return quantization.quantize_export(folder, model.network, pixels)
