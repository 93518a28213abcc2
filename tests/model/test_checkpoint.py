"""A checkpoint is loaded by its path alone, bit for bit; what cannot be loaded says why."""

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

from sgmn.errors import CheckpointError
from sgmn.model import backbones, checkpoint
from sgmn.model.embedder import Embedder
from sgmn.records import ClipContent
from tests.conftest import noise


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip", "composed"])
def test_saved_and_loaded_by_path_is_the_same(
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
    again = checkpoint.load(tmp_path / "run")
    assert again.fingerprint() == model.fingerprint()
    clip = ClipContent((noise(rng),), "red milk for you")
    one, other = (Embedder(m).encode_clips([clip]) for m in (model, again))
    assert torch.equal(one.image, other.image) and torch.equal(one.text, other.text)


def test_two_automodel_towers_compose(
    backbone: Callable[[str], Path], rng: np.random.Generator
) -> None:
    model = backbones.build_composed(str(backbone("vit")), str(backbone("bert")), 16, ((32, 32),))
    found = Embedder(model).encode_clips([ClipContent((noise(rng),), "red milk")])
    assert found.image.shape == (1, 16) and found.text.shape == (1, 16)


def test_minilm_is_referred_to_not_copied(tmp_path: Path) -> None:
    model = backbones.build_small()
    parameters = sum(p.numel() for p in model.network.towers.image.parameters())
    assert parameters <= 5_000_000
    checkpoint.save(model, tmp_path / "small")
    assert (tmp_path / "small" / "model.safetensors").stat().st_size < 20e6
    again = checkpoint.load(tmp_path / "small")
    one, other = (Embedder(m).encode_texts(["a carton of milk"]).pooled for m in (model, again))
    assert torch.equal(one, other)
    assert str(Path.home()) not in (tmp_path / "small" / "config.json").read_text()


def test_a_text_tower_that_has_learnt_is_kept(tmp_path: Path) -> None:
    model = backbones.build_small()
    with torch.no_grad():
        model.network.towers.text.embeddings.word_embeddings.weight += 0.01
    checkpoint.save(model, tmp_path / "small")
    again = checkpoint.load(tmp_path / "small")
    assert again.network.config.text_source == ""
    one, other = (Embedder(m).encode_texts(["a carton of milk"]).pooled for m in (model, again))
    assert torch.equal(one, other)


def test_a_model_in_bfloat16_has_a_fingerprint(tiny: Callable[[], Any]) -> None:
    model = tiny()
    before = model.fingerprint()
    model.network.bfloat16()
    assert model.fingerprint() != before


def test_files_can_be_read_by_others(tiny: Callable[[], Any], tmp_path: Path) -> None:
    checkpoint.save(tiny(), tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o044 == 0o044


def test_fingerprint_changes_with_any_weight(tiny: Callable[[], Any]) -> None:
    model, other = tiny(), tiny()
    assert model.fingerprint() == other.fingerprint()
    with torch.no_grad():
        other.network.head.text += 1e-3
    assert model.fingerprint() != other.fingerprint()


def broken_version(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format_version": 99}))


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def half_of_the_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def another_width(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"dim": 32', '"dim": 16'))


def an_unknown_key(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["network"]["colour"] = "red"
    (folder / "config.json").write_text(json.dumps(config))


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (broken_version, "upgrade sgmn"),
        (only_pickles, "pickled"),
        (half_of_the_weights, "damaged"),
        (another_width, "do not fit"),
        (an_unknown_key, "colour"),
        (no_json, "cannot be read"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    harm: Callable[[Path], None], says: str, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    checkpoint.save(tiny(), folder)
    harm(folder)
    with pytest.raises(CheckpointError, match=says) as refused:
        checkpoint.load(folder)
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)


def test_a_backbone_with_pickles_only_is_refused(
    backbone: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(backbone("clip"), folder)
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        checkpoint.load(folder)


def test_half_precision_halves_the_file_and_keeps_the_ranking(
    tiny: Callable[[], Any], tmp_path: Path, rng: np.random.Generator
) -> None:
    model = tiny()
    checkpoint.save(model, tmp_path / "whole")
    checkpoint.save(model, tmp_path / "half", half=True)
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    pictures = [noise(rng) for _ in range(4)]
    one, other = (
        Embedder(m).encode_images(pictures).pooled for m in (model, checkpoint.load(tmp_path / "half"))
    )
    torch.testing.assert_close(one, other, atol=5e-3, rtol=0)


@pytest.mark.parametrize("source", ["no/such-model-anywhere", "bert", "./none", "/a/b/c"])
def test_no_backbone_says_so(source: str, backbone: Callable[[str], Path]) -> None:
    name = str(backbone("bert")) if source == "bert" else source
    with pytest.raises(CheckpointError) as refused:
        checkpoint.load(name)
    assert name in str(refused.value) and "\n" not in str(refused.value)
