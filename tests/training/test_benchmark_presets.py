"""The configs of the benchmarks train, here on tiny towers of the same families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.errors import SettingsError
from sgmn.training.config import RunConfig
from sgmn.training.config_file import read_config
from sgmn.training.run_setup import checkpoint_towers, load_examples, prepare_run
from sgmn.training.trainer import Trainer
from sgmn.training.training_step import SeparateBatches

PRESETS = {  # name: family of the tiny towers, clips in a step
    "lpr4m-clip-b32": ("clip", 128),
    "lpr4m-chinese-clip-b16": ("chinese_clip", 128),
    "lpr4m-siglip2-b16": ("siglip", 128),
    "movingfashion-clip-b32": ("clip", 96),
    "movingfashion-siglip2-b16": ("siglip", 96),
}


def shrink(run: RunConfig, backbone: Path, world: Path) -> RunConfig:
    """The same run with tiny towers, few steps and small batches."""
    model = replace(run.model, source=str(backbone))
    data = replace(run.data, folders=(world,), frames_per_clip=2)
    train = replace(run.train, steps=2, batch_size=3, workers=0, device="cpu", lr=1e-2)
    return RunConfig(model, data, train, run.loss)


def build_trainer(run: RunConfig, folder: Path) -> Trainer:
    examples = load_examples(run.data, read_dataset)
    model, batches, _ = prepare_run(run, examples, folder / "tokens")
    return Trainer(model, batches, run.train, folder, run.loss)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains(
    name: str, backbone: Callable[[str], Path], world: Path, tmp_path: Path
) -> None:
    family, clips = PRESETS[name]
    run = read_config(name)
    assert run.train.batch_size * run.train.accumulation_steps == clips
    assert (run.data.frames_per_clip, run.train.steps) == (10, 5000)
    trainer = build_trainer(shrink(run, backbone(family), world), tmp_path)
    image_tower = trainer.network.towers.backbone()[0]
    before = [p.clone() for p in image_tower.parameters() if p.requires_grad]
    losses: list[float] = []
    assert trainer.run(lambda step: losses.append(step.loss))
    after = [p for p in image_tower.parameters() if p.requires_grad]
    assert len(losses) == 2 and all(0 < loss < 20 for loss in losses)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def gradients(run: RunConfig, folder: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """How often the first layer of the image tower runs in a step, and all gradients."""
    trainer = build_trainer(run, folder)
    trainer.network.train()
    calls: list[int] = []
    layer = next(
        module
        for name, module in trainer.network.towers.named_modules()
        if "vision" in name and name.endswith("layers.0")
    )
    # Of a part of the layer, as transformers recomputes what is inside a layer; and before the
    # part, as a recomputation ends as soon as it has what it needs.
    next(layer.children()).register_forward_pre_hook(lambda *_: calls.append(1))
    torch.manual_seed(0)  # of dropout
    SeparateBatches(trainer.network, trainer.objective).backward([trainer.batches[0]])
    grads = {n: p.grad for n, p in trainer.network.named_parameters() if p.grad is not None}
    return len(calls), grads


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
def test_recomputed_activations_give_the_same_gradients(
    family: str, backbone: Callable[[str], Path], world: Path, tmp_path: Path
) -> None:
    run = shrink(read_config("lpr4m-chinese-clip-b16"), backbone(family), world)
    plain = replace(run, train=replace(run.train, gradient_checkpointing=False))
    calls, expected = gradients(plain, tmp_path / "plain")
    recomputed_calls, computed = gradients(run, tmp_path / "recomputed")
    assert calls > 0 and recomputed_calls == 2 * calls
    assert computed.keys() == expected.keys() and len(expected) > 20
    for name, gradient in expected.items():
        torch.testing.assert_close(computed[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_towers_that_cannot_recompute_are_refused() -> None:
    from sgmn.model.backbones import build_lite

    network = build_lite().network
    network.towers.text = torch.nn.Identity()
    with pytest.raises(SettingsError, match=r"\[train\]: the towers cannot recompute"):
        checkpoint_towers(network)
