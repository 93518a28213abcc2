"""Checkpoints load by path and preserve every bit; errors say why a model cannot be loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sgmn.errors import CheckpointError
from sgmn.model import backbones, checkpoint
from sgmn.model.bundle import FORMAT_VERSION
from sgmn.model.embedder import Embedder
from sgmn.model.uninitialized import SkipInitialization
from sgmn.records import ClipContent
from tests.conftest import noise


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip", "composed"])
def test_a_saved_model_loads_unchanged(
    family: str,
    backbone: Callable[[str], Path],
    tiny: Callable[[], Any],
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    model = tiny() if family == "composed" else checkpoint.load(backbone(family))
    with torch.no_grad():
        model.network.head.match.fill_(0.25)
    checkpoint.save(model, tmp_path / "run")
    loaded = checkpoint.load(tmp_path / "run")
    assert loaded.fingerprint() == model.fingerprint()
    clip = ClipContent((noise(rng),), "red milk for you")
    before, after = (Embedder(m).encode_clips([clip]) for m in (model, loaded))
    assert torch.equal(before.image, after.image) and torch.equal(before.text, after.text)


def test_loading_the_builtin_model_draws_no_random_numbers() -> None:
    """And it leaves no arbitrary value that `SkipInitialization` may have given."""
    state = torch.random.get_rng_state()
    first, second = checkpoint.load("builtin"), checkpoint.load("builtin")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.fingerprint() == second.fingerprint()
    assert all(parameter.requires_grad for parameter in first.network.towers.parameters())


def test_initialization_skips_random_weights_and_keeps_constants() -> None:
    torch.manual_seed(0)
    with SkipInitialization():
        norm = nn.LayerNorm(5)
        skipped = [nn.Linear(7, 5), nn.Embedding(9, 5), nn.Conv2d(3, 4, 2)]
        constant = nn.init.constant_(torch.empty(3), 2.0)
    drawn = torch.randn(4)
    torch.manual_seed(0)
    assert torch.equal(torch.randn(4), drawn)
    assert [module.weight.shape for module in skipped] == [(5, 7), (9, 5), (4, 3, 2, 2)]
    assert torch.equal(norm.weight, torch.ones(5))
    assert torch.equal(constant, torch.full((3,), 2.0))


def test_a_file_can_be_overwritten_while_its_model_is_in_use(
    tiny: Callable[[], Any], tmp_path: Path
) -> None:
    checkpoint.save(tiny(), tmp_path)
    loaded = checkpoint.load(tmp_path)
    weights = tmp_path / "model.safetensors"
    with weights.open("r+b") as file:  # in place, as `cp` does
        file.write(bytes(weights.stat().st_size))
    assert loaded.fingerprint() == tiny().fingerprint()


def test_two_automodel_towers_can_be_composed(
    backbone: Callable[[str], Path], rng: np.random.Generator
) -> None:
    model = backbones.build_composed(str(backbone("vit")), str(backbone("bert")), 16, ((32, 32),))
    vectors = Embedder(model).encode_clips([ClipContent((noise(rng),), "red milk")])
    assert vectors.image.shape == (1, 16) and vectors.text.shape == (1, 16)


def test_minilm_is_not_copied_into_the_checkpoint(tmp_path: Path) -> None:
    model = backbones.build_small()
    towers: Any = model.network.towers
    parameters = sum(p.numel() for p in towers.image.parameters())
    assert parameters <= 5_000_000
    checkpoint.save(model, tmp_path / "small")
    assert (tmp_path / "small" / "model.safetensors").stat().st_size < 20e6
    loaded = checkpoint.load(tmp_path / "small")
    texts = ["a carton of milk"]
    before, after = (Embedder(m).encode_texts(texts).pooled for m in (model, loaded))
    assert torch.equal(before, after)
    assert str(Path.home()) not in (tmp_path / "small" / "config.json").read_text()


def test_a_trained_text_tower_is_stored(tmp_path: Path) -> None:
    model = backbones.build_small()
    towers: Any = model.network.towers
    with torch.no_grad():
        towers.text.embeddings.word_embeddings.weight += 0.01
    checkpoint.save(model, tmp_path / "small")
    loaded = checkpoint.load(tmp_path / "small")
    assert loaded.network.config.text_source == ""
    texts = ["a carton of milk"]
    before, after = (Embedder(m).encode_texts(texts).pooled for m in (model, loaded))
    assert torch.equal(before, after)


def test_a_model_in_bfloat16_has_a_fingerprint(tiny: Callable[[], Any]) -> None:
    model = tiny()
    before = model.fingerprint()
    model.network.bfloat16()
    assert model.fingerprint() != before


def test_other_users_can_read_the_files(tiny: Callable[[], Any], tmp_path: Path) -> None:
    checkpoint.save(tiny(), tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o044 == 0o044


def test_the_fingerprint_changes_with_any_weight(tiny: Callable[[], Any]) -> None:
    model, other = tiny(), tiny()
    assert model.fingerprint() == other.fingerprint()
    with torch.no_grad():
        other.network.head.text += 1e-3
    assert model.fingerprint() != other.fingerprint()


def write_format_version(folder: Path, version: int) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format_version": version}))


def use_newer_format(folder: Path) -> None:
    write_format_version(folder, FORMAT_VERSION + 1)


def use_older_format(folder: Path) -> None:
    write_format_version(folder, FORMAT_VERSION - 1)


def keep_only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def truncate_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def change_width(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"dim": 32', '"dim": 16'))


def add_unknown_key(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["network"]["color"] = "red"
    (folder / "config.json").write_text(json.dumps(config))


def damage_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (use_newer_format, "upgrade sgmn"),
        (use_older_format, "has format 2, .* reads format 3; train the model again"),
        (keep_only_pickles, "no weights except pickles"),
        (truncate_weights, "damaged"),
        (change_width, "do not match its config"),
        (add_unknown_key, "color"),
        (damage_config, "cannot be read"),
    ],
)
def test_an_error_says_why_a_checkpoint_cannot_be_loaded(
    damage: Callable[[Path], None], message: str, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    checkpoint.save(tiny(), folder)
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as raised:
        checkpoint.load(folder)
    assert str(folder) in str(raised.value) and "\n" not in str(raised.value)


def test_a_backbone_without_safetensors_is_refused(
    backbone: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(backbone("clip"), folder)
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        checkpoint.load(folder)


def test_half_precision_halves_the_file_and_hardly_changes_vectors(
    tiny: Callable[[], Any], tmp_path: Path, rng: np.random.Generator
) -> None:
    model = tiny()
    checkpoint.save(model, tmp_path / "full")
    checkpoint.save(model, tmp_path / "half", half=True)
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    images = [noise(rng) for _ in range(4)]
    full, half = (
        Embedder(m).encode_images(images).pooled
        for m in (model, checkpoint.load(tmp_path / "half"))
    )
    torch.testing.assert_close(half, full, atol=5e-3, rtol=0)


@pytest.mark.parametrize("source", ["no/such-model-anywhere", "bert", "./none", "/a/b/c"])
def test_an_error_names_a_source_that_is_no_backbone(
    source: str, backbone: Callable[[str], Path]
) -> None:
    name = str(backbone("bert")) if source == "bert" else source
    with pytest.raises(CheckpointError) as raised:
        checkpoint.load(name)
    assert name in str(raised.value) and "\n" not in str(raised.value)


def test_the_shipped_model_loads_and_contains_no_old_name() -> None:
    config = (checkpoint.BUILTIN / "config.json").read_text()
    network = checkpoint.load("builtin").network
    names = config + "".join(network.state_dict())
    old = ("picture", "words", "word_floor", "reading", "emphasis", "kept", "worth", "telling")
    assert [name for name in old if name in names] == []
    assert network.config.parts.enabled[:2] == ("text_context", "text_pooling")
