"""Runs with frozen towers read ahead; a resumed run equals an uninterrupted one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.errors import CheckpointError
from sgmn.model.bundle import ModelBundle
from sgmn.model.parts import PartsConfig
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.batch_loader import load_batches
from sgmn.training.data.batches import BatchSpec
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.trainer import Trainer
from sgmn.training.weight_average import WeightAverage
from tests.training.conftest import read_weights, stop_after

TRAIN = TrainConfig(steps=8, batch_size=4, lr=3e-3, ema_decay=0.9, workers=1, device="cpu")
MakeRun = Callable[[Path], Trainer]


@pytest.fixture
def make_run(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> MakeRun:
    """A function that builds a trainer of the parts above frozen towers."""
    examples = Examples([read_dataset(world)])
    assert len(examples.items) < TRAIN.steps * TRAIN.batch_size  # an epoch ends within the run

    def make(folder: Path) -> Trainer:
        model = tiny()
        model.network.towers.requires_grad_(False)
        parts = PartsConfig(("text_pooling", "graph"), heads=2)
        network = model.network.with_parts(parts, model.network.config.terms)
        model = ModelBundle(network, model.tokenizer, model.name)
        data = DataConfig((world,), frames_per_clip=2, cached_variants=1)
        batches = CachedBatches(examples, model, data, TRAIN, tmp_path / "tokens")
        assert batches.fill() == []
        return Trainer(model, batches, TRAIN, folder)

    return make


@pytest.mark.parametrize("step", [1, 4])
def test_a_resumed_run_equals_an_uninterrupted_one(
    step: int, make_run: MakeRun, tmp_path: Path
) -> None:
    """Also where the order of the next epoch was mined ahead of the interruption."""
    torch.manual_seed(0)
    assert make_run(tmp_path / "whole").run()
    torch.manual_seed(0)
    first = make_run(tmp_path / "parted")
    assert not first.run(stop_after(first, step))
    second = make_run(tmp_path / "parted")
    assert second.resume() and second.step == step
    assert second.run()
    for name, value in read_weights(tmp_path / "whole").items():
        assert torch.equal(value, read_weights(tmp_path / "parted")[name]), name


def test_batches_are_read_ahead_in_order(make_run: MakeRun, tmp_path: Path) -> None:
    """In a thread; the specs are drawn where the network is used."""
    batches = make_run(tmp_path / "run").batches
    drawn: list[int] = []

    def specs() -> Iterator[BatchSpec]:
        for number in range(6):
            assert threading.current_thread() is threading.main_thread()
            drawn.append(number)
            yield BatchSpec(number, batches.positions(number, batches.order))

    ahead = load_batches(batches, specs(), workers=1)
    for number, batch in enumerate(ahead):
        expected = batches[number]
        assert torch.equal(batch.targets, expected.targets)
        assert torch.equal(batch.clips.patches, expected.clips.patches)  # type: ignore[union-attr]
        assert drawn == list(range(min(number + 3, 6)))
    assert number == 5


def test_a_damaged_entry_ends_the_run_with_its_name(make_run: MakeRun, tmp_path: Path) -> None:
    trainer = make_run(tmp_path / "run")
    for path in (tmp_path / "tokens").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="safetensors: damaged cache entry"):
        trainer.run()


def test_only_what_is_trained_is_averaged(make_run: MakeRun, tmp_path: Path) -> None:
    """The average of each trained weight w is 0.9·average + 0.1·w, beginning with the first w."""
    trainer = make_run(tmp_path / "run")
    assert trainer.average is not None
    network, averaged = trainer.network, trainer.average.network
    averages = {name: p.detach().clone() for name, p in averaged.named_parameters()}
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert 0 < len(frozen) < len(averages)
    for number, _ in zip(range(3), trainer._steps(), strict=False):
        for name, p in network.named_parameters():
            if name not in frozen:
                own = p.detach() if number == 0 else 0.9 * averages[name] + 0.1 * p.detach()
                averages[name] = own.clone()
    for name, p in averaged.named_parameters():
        torch.testing.assert_close(p.detach(), averages[name])


def test_whole_numbers_are_copied_to_the_average(make_run: MakeRun, tmp_path: Path) -> None:
    network = make_run(tmp_path / "run").network
    network.register_buffer("positions", torch.tensor([0, 1]))
    average = WeightAverage(network, 0.9)
    for positions in ([0, 1], [2, 5], [7, 3]):
        network.get_buffer("positions").copy_(torch.tensor(positions))
        average.update_parameters(network)
        assert average.network.get_buffer("positions").tolist() == positions
