"""Checkpoints: config, weights and tokenizer in one folder, loaded by its path.

    config.json          format, format version, network config, calibration
    model.safetensors    weights; never a pickle
    tokenizer/           unless a Python package provides the text tower

`load` also accepts "builtin", the model in this package; a pretrained backbone (a hub name or a
folder of `transformers`), which becomes an untrained SGMN; and the untrained models of `backbones`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sgmn.errors import CheckpointError, error_reason
from sgmn.model import backbones, hub
from sgmn.model.bundle import FORMAT, FORMAT_VERSION, ModelBundle, config_to_json
from sgmn.model.inputs import Canvas
from sgmn.model.network import SGMN, Color, NetworkConfig
from sgmn.model.parts import PartsConfig
from sgmn.model.uninitialized import SkipInitialization

TEXT_TOWER = "towers.text."
BUILTIN = Path(__file__).parent.parent / "weights" / "builtin"


def save(model: ModelBundle, folder: Path, *, half: bool = False) -> None:
    """Write a checkpoint.

    Each file is replaced atomically, so an interrupted process leaves no partial file.

    Args:
        model: The model to save.
        folder: The target folder; it is created if necessary.
        half: Whether to store the weights in half precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = model.network.state_dict()
    config = _update_text_source(model.network.config, weights)
    stored = {
        name: _to_stored(tensor, half)
        for name, tensor in weights.items()
        if not (config.text_source and name.startswith(TEXT_TOWER))
    }
    draft = folder / ".model.safetensors.tmp"
    save_file(stored, draft)
    draft.chmod(0o644)  # safetensors writes 0600, but a service of another user may read it
    draft.replace(folder / "model.safetensors")
    if not config.text_source:
        model.tokenizer.save_pretrained(str(folder / "tokenizer"))
    _write_config(folder, config_to_json(config, model.calibration))


def _write_config(folder: Path, text: str) -> None:
    draft = folder / ".config.json.tmp"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / "config.json")


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is a checkpoint of sgmn."""
    path = folder / "config.json"
    return path.is_file() and _read_json(path).get("format") == FORMAT


def write_calibration(folder: Path, calibration: Mapping[str, Any]) -> None:
    """Replace the calibration of a checkpoint folder and keep its weights."""
    config = _read_config(folder, _read_json(folder / "config.json"))
    _write_config(folder, config_to_json(config, calibration))


def _update_text_source(config: NetworkConfig, weights: dict[str, Tensor]) -> NetworkConfig:
    """The config to store: a trained text tower differs from that of its package."""
    if not config.text_source:
        return config
    packaged = backbones.load_minilm_weights(TEXT_TOWER, set(weights))
    same = all(torch.equal(weights[name].cpu(), value) for name, value in packaged.items())
    return config if same else replace(config, text_source="")


def _to_stored(tensor: Tensor, half: bool) -> Tensor:
    stored = tensor.detach().cpu().contiguous()
    return stored.half() if half and stored.is_floating_point() else stored


def load(source: str | Path) -> ModelBundle:
    """Load a model.

    Args:
        source: A checkpoint folder or its name on the hub (see `hub`), "builtin", the folder or
            hub name of a pretrained backbone, or an untrained model by name: "small", "lite" or
            "lite1", see `backbones`.

    Raises CheckpointError if there is no such model or it cannot be read.
    """
    folder = Path(source)
    if str(source) == "small":
        return backbones.build_small()
    if str(source) in backbones.LITE_SIZES:
        return backbones.build_lite(str(source))
    if str(source) == "builtin":
        return replace(load(BUILTIN), name="builtin")
    if not folder.is_dir():
        _require_hub_name(str(source))
        pulled = hub.pull(str(source))
        return load(pulled) if pulled else backbones.load_pretrained(str(source))
    if not (folder / "config.json").is_file():
        raise CheckpointError("has no config.json", folder, "pass a folder written by `sgmn train`")
    stored = _read_json(folder / "config.json")
    if stored.get("format") != FORMAT:
        return backbones.load_pretrained(str(source))
    return _load_checkpoint(folder, stored)


def _require_hub_name(source: str) -> None:
    """Raise CheckpointError for a path, so that it is not requested from the hub."""
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise CheckpointError("does not exist", source, "pass a checkpoint folder")


def _load_checkpoint(folder: Path, stored: dict[str, Any]) -> ModelBundle:
    version = stored.get("format_version", 0)
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"has format {version}, but this version of sgmn reads format {FORMAT_VERSION}",
            folder,
            "upgrade sgmn" if version > FORMAT_VERSION else "train the model again",
        )
    with SkipInitialization():
        network = SGMN(_read_config(folder, stored))
    weights = _read_weights(folder / "model.safetensors")
    is_packaged = bool(network.config.text_source)
    if is_packaged:
        weights |= backbones.load_minilm_weights(TEXT_TOWER, set(network.state_dict()))
    _load_weights(network, weights, folder)
    tokenizer = backbones.find_minilm_folder() if is_packaged else folder / "tokenizer"
    calibration = _read_calibration(folder, stored)
    return ModelBundle(
        network.eval(), backbones.load_tokenizer(tokenizer), str(folder.resolve()), calibration
    )


def _read_calibration(folder: Path, stored: dict[str, Any]) -> dict[str, Any]:
    tables = stored.get("calibration", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        remedy = "restore config.json, or run `sgmn calibrate` again"
        raise CheckpointError("'calibration' does not consist of JSON objects", folder, remedy)
    return tables


def _read_json(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"cannot be read ({error_reason(error)})", path, "restore the file"
        ) from error
    if not isinstance(stored, dict):
        raise CheckpointError("is not a JSON object", path, "restore the file")
    return stored


def _read_config(folder: Path, stored: dict[str, Any]) -> NetworkConfig:
    try:
        config = NetworkConfig(**stored["network"])
        parts = PartsConfig(**stored["network"].get("parts", {}))
        canvases = tuple(map(_to_canvas, config.canvases))
        fine_canvas = None if config.fine_canvas is None else _to_canvas(config.fine_canvas)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"has an invalid network config ({error})", folder, "restore it or upgrade sgmn"
        ) from error
    mean, std = (cast(Color, tuple(values)) for values in (config.mean, config.std))
    return replace(
        config,
        canvases=canvases,
        fine_canvas=fine_canvas,
        mean=mean,
        std=std,
        terms=tuple(config.terms),
        parts=replace(parts, enabled=tuple(parts.enabled)),
    )


def _to_canvas(values: Sequence[Any]) -> Canvas:
    height, width = map(int, values)
    return height, width


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read weights into memory of their own, so that the file can be overwritten."""
    if not path.is_file():
        pickles = sorted(
            p.name for p in path.parent.glob("*") if p.suffix in {".bin", ".pt", ".pth"}
        )
        names = f" except pickles ({', '.join(pickles)})" if pickles else ""
        remedy = "provide model.safetensors; pickles are not read because they can run code"
        raise CheckpointError(f"has no weights{names}", path.parent, remedy)
    try:
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"is damaged ({error})", path, "restore the file") from error


def _load_weights(network: SGMN, weights: dict[str, Tensor], folder: Path) -> None:
    expected = network.state_dict()
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    expected_shapes = {name: tensor.shape for name, tensor in expected.items()}
    names = expected.keys() | weights.keys()
    wrong = sorted(name for name in names if shapes.get(name) != expected_shapes.get(name))
    if wrong:
        raise CheckpointError(
            f"has {len(wrong)} weights that do not match its config, such as {wrong[0]}",
            folder,
            "restore config.json and model.safetensors from the same checkpoint",
        )
    loaded = {name: weights[name].to(tensor.dtype) for name, tensor in expected.items()}
    network.load_state_dict(loaded, assign=True)
