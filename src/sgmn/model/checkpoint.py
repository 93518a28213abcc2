"""Config, weights and tokenizer together in one folder, loaded by its path alone.

    config.json          format, version of the format, the network's config, its calibration
    model.safetensors    weights; never a pickle
    tokenizer/           unless the text tower lies in a package of its own

`load` also takes "builtin", the model that comes with the package; a pretrained backbone (a hub
name or a folder of `transformers`), on which it gives a fresh SGMN; and "small", the small
composed model, untrained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sgmn.errors import CheckpointError
from sgmn.model import backbones
from sgmn.model.bundle import FORMAT, FORMAT_VERSION, Model, config_to_json
from sgmn.model.network import SGMN, Color, NetworkConfig
from sgmn.model.parts import PartsConfig

TEXT_TOWER = "towers.text."
BUILTIN = Path(__file__).parent.parent / "weights" / "builtin"


def save(model: Model, folder: Path, *, half: bool = False) -> None:
    """Write a checkpoint, with weights in half precision if so wanted.

    Each file is replaced as a whole: what is killed meanwhile leaves no half-written one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = model.network.state_dict()
    config = _told_apart(model.network.config, weights)
    kept = {
        name: _stored(tensor, half)
        for name, tensor in weights.items()
        if not (config.text_source and name.startswith(TEXT_TOWER))
    }
    fresh = folder / ".model.safetensors.tmp"
    save_file(kept, fresh)
    fresh.chmod(0o644)  # as any file: a service of another user may serve it
    fresh.replace(folder / "model.safetensors")
    if not config.text_source:
        model.tokenizer.save_pretrained(str(folder / "tokenizer"))
    _write_config(folder, config_to_json(config, model.calibration))


def _write_config(folder: Path, text: str) -> None:
    draft = folder / ".config.json.tmp"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / "config.json")


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint of ours."""
    path = folder / "config.json"
    return path.is_file() and _read_json(path).get("format") == FORMAT


def write_calibration(folder: Path, calibration: Mapping[str, Any]) -> None:
    """Replace the calibration of a checkpoint folder; its weights stay untouched."""
    config = _read_config(folder, _read_json(folder / "config.json"))
    _write_config(folder, config_to_json(config, calibration))


def _told_apart(config: NetworkConfig, weights: dict[str, Tensor]) -> NetworkConfig:
    """The config to store: a text tower that has learnt is no longer that of its package."""
    if not config.text_source:
        return config
    packaged = backbones.minilm_weights(TEXT_TOWER, set(weights))
    same = all(torch.equal(weights[name].cpu(), value) for name, value in packaged.items())
    return config if same else replace(config, text_source="")


def _stored(tensor: Tensor, half: bool) -> Tensor:
    kept = tensor.detach().cpu().contiguous()
    return kept.half() if half and kept.is_floating_point() else kept


def load(source: str | Path) -> Model:
    """A model from a checkpoint, or from a backbone's folder or hub name.

    By name: "builtin"; to train from, "small", "lite" and "lite1", see `backbones`.
    Raises CheckpointError naming the source, what is wrong with it and what would do.
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
        return backbones.load_pretrained(str(source))
    if not (folder / "config.json").is_file():
        raise CheckpointError("has no config.json", folder, "give a folder that `sgmn train` wrote")
    stored = _read_json(folder / "config.json")
    if stored.get("format") != FORMAT:
        return backbones.load_pretrained(str(source))
    return _load_checkpoint(folder, stored)


def _require_hub_name(source: str) -> None:
    """Refuse what can only be a path, rather than ask a hub for it."""
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise CheckpointError("does not exist", source, "give a checkpoint's folder")


def _load_checkpoint(folder: Path, stored: dict[str, Any]) -> Model:
    version = stored.get("format_version", 0)
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint format is {version}, but this version of sgmn reads {FORMAT_VERSION}",
            folder,
            "upgrade sgmn" if version > FORMAT_VERSION else "train the model again",
        )
    network = SGMN(_read_config(folder, stored))
    weights = _read_weights(folder / "model.safetensors")
    if network.config.text_source:
        weights |= backbones.minilm_weights(TEXT_TOWER, set(network.state_dict()))
    _fill(network, weights, folder)
    tokens = backbones.minilm_folder() if network.config.text_source else folder / "tokenizer"
    calibration = _read_calibration(folder, stored)
    return Model(network.eval(), backbones.load_tokenizer(tokens), str(folder.resolve()), calibration)


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
        raise CheckpointError(f"cannot be read ({error})", path, "restore the file") from error
    if not isinstance(stored, dict):
        raise CheckpointError("is no JSON object", path, "restore the file")
    return stored


def _read_config(folder: Path, stored: dict[str, Any]) -> NetworkConfig:
    try:
        config = NetworkConfig(**stored["network"])
        parts = PartsConfig(**stored["network"].get("parts", {}))
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"has a config that does not fit ({error})", folder, "restore it or upgrade sgmn"
        ) from error
    canvases = tuple((int(height), int(width)) for height, width in config.canvases)
    mean, std = (cast(Color, tuple(values)) for values in (config.mean, config.std))
    return replace(
        config,
        canvases=canvases,
        mean=mean,
        std=std,
        terms=tuple(config.terms),
        parts=replace(parts, enabled=tuple(parts.enabled)),
    )


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        pickles = sorted(
            p.name for p in path.parent.glob("*") if p.suffix in {".bin", ".pt", ".pth"}
        )
        what = f"has only pickled weights ({', '.join(pickles)})" if pickles else "has no weights"
        raise CheckpointError(
            what, path.parent, "give model.safetensors: pickles can run code and are not read"
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"is damaged ({error})", path, "restore the file") from error


def _fill(network: SGMN, weights: dict[str, Tensor], folder: Path) -> None:
    wanted = network.state_dict()
    wrong = sorted(
        name
        for name in wanted.keys() | weights.keys()
        if name not in wanted or name not in weights or wanted[name].shape != weights[name].shape
    )
    if wrong:
        raise CheckpointError(
            f"{len(wrong)} weights do not fit the config, such as {wrong[0]}",
            folder,
            "restore config.json and model.safetensors of one save",
        )
    network.load_state_dict({name: weights[name].to(wanted[name].dtype) for name in wanted})
