"""Fixtures for all tests: tiny models with random weights, a tiny dataset and a stream."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.command import run as run  # a fixture
from tests.world import make_stream, make_world

pytest_plugins = ("tests.distribution", "tests.garbage", "tests.messages", "tests.slow_tests")

# A slow machine is not a failure, and each run must try the same examples.
settings.register_profile(
    "sgmn", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sgmn")

WORDS = ("hello", "this", "is", "the", "red", "green", "blue", "milk", "apple", "juice", "today")
WORDS_OF_HOST = ("we", "have", "for", "you")
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 16,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
TINY_IMAGE_TOWER = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[BOS]", "[EOS]", "[UNK]"]
    vocabulary = {word: index for index, word in enumerate([*special, *WORDS, *WORDS_OF_HOST])}
    tokens = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        unk_token="[UNK]",
        model_max_length=16,
    ).save_pretrained(str(folder))


def _pair_config(family: str) -> Any:
    from transformers import ChineseCLIPConfig, CLIPConfig, SiglipConfig

    if family == "clip":
        return CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)
    if family == "siglip":
        return SiglipConfig(text_config=TEXT, vision_config=VISION)
    return ChineseCLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny backbone: "clip", "siglip", "chinese_clip", "bert" or "vit"."""
    folders: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in folders:
            folders[family] = tmp_path_factory.mktemp(family)
            _save_backbone(family, folders[family])
        return folders[family]

    return folder


def _save_backbone(family: str, folder: Path) -> None:
    from transformers import AutoModel, BertConfig, ViTConfig

    configs = {"bert": lambda: BertConfig(**TEXT), "vit": lambda: ViTConfig(**VISION)}
    config = configs[family]() if family in configs else _pair_config(family)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        AutoModel.from_config(config).save_pretrained(folder)
    save_tokenizer(folder)


@pytest.fixture(scope="session")
def tiny(backbone: Callable[[str], Path]) -> Callable[[], Any]:
    """A function that builds a tiny model of a convolutional image tower and a tiny BERT."""
    from sgmn.model import backbones

    def build() -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return backbones.build_composed(
                TINY_IMAGE_TOWER, str(backbone("bert")), 32, ((32, 24), (32, 32))
            )

    return build


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of six products that differ in color; see tests/world.py."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of product 0 and then product 3, its truth and its transcript."""
    return make_stream(tmp_path_factory.mktemp("stream"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def noise(rng: np.random.Generator, height: int = 40, width: int = 30) -> Any:
    """A random image, (height, width, 3)."""
    return rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
