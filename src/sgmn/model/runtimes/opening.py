"""Opens exported towers: those that this package keeps for a model, or those of a user."""

from __future__ import annotations

from pathlib import Path

import torch
from platformdirs import user_cache_path

from sgmn.errors import CheckpointError
from sgmn.model.bundle import ModelBundle
from sgmn.model.runtimes import ONNX, OPENVINO, OPENVINO_BF16
from sgmn.model.runtimes.engines import file_opener, is_installed
from sgmn.model.runtimes.exporting import FORMAT_VERSION, MANIFEST, Export, export_towers
from sgmn.model.runtimes.towers import MIN_COSINE, ExportedTowers, check_equal

MIN_BF16_COSINE = 0.99  # of vectors in bfloat16


def open_exported(model: ModelBundle, engine: str) -> ExportedTowers:
    """Open the exported towers of a model in an engine.

    Exports them the first time, and checks them the first time that the engine runs them. Raises
    as `loading.load_towers` does.
    """
    open_file = file_opener(engine, torch.get_num_threads())
    folder = find_cached_export(model)
    if not (folder / MANIFEST).is_file():
        export_towers(model, folder)
    towers = ExportedTowers(folder, open_file)
    checked = folder / f"{engine}.checked"
    if not checked.is_file():
        min_cosine = MIN_BF16_COSINE if engine == OPENVINO_BF16 else MIN_COSINE
        check_equal(towers, model.network.towers, min_cosine)
        checked.touch()
    return towers


def find_cached_export(model: ModelBundle) -> Path:
    """The folder of a model's export in the user's cache folder; it need not exist."""
    version = torch.__version__.partition("+")[0]
    name = f"{model.fingerprint()}-{FORMAT_VERSION}-torch-{version}"
    return user_cache_path("sgmn") / "exports" / name


def open_folder(model: ModelBundle, folder: Path) -> ExportedTowers:
    """Open the export of a user, in OpenVINO or else ONNX Runtime.

    OpenVINO 2026.4.1 returns zeros for all images of a batch but the first in int8.
    """
    is_int8 = Export.read(folder).precision == "int8"
    engine = OPENVINO if is_installed(OPENVINO) and not is_int8 else ONNX
    towers = ExportedTowers(folder, file_opener(engine, torch.get_num_threads()))
    fingerprint = model.fingerprint()
    if towers.export.fingerprint != fingerprint:
        message = f"was exported from model {towers.export.fingerprint}, not from {fingerprint}"
        raise CheckpointError(message, folder, "export the model that you use")
    return towers
