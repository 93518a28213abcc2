"""A run learns, stops on request, and resumes as if it had not stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.errors import CheckpointError, SettingsError
from sgmn.training.config import DataConfig, LossConfig
from sgmn.training.data.batches import Batches
from sgmn.training.data.examples import Examples
from sgmn.training.trainer import StepReport, Trainer, require_new_run_folder
from tests.training.conftest import (
    TRAIN,
    MakeTrainer,
    read_losses,
    read_weights,
    stop_after,
)


def test_a_resumed_run_equals_an_uninterrupted_one(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert make_trainer(whole).run()
    first = make_trainer(parted)
    assert not first.run(stop_after(first, 3))
    assert first.step == 3 and len(read_losses(parted)) == 3
    second = make_trainer(parted)
    assert second.resume() and second.step == 3
    assert second.run()
    assert read_losses(parted) == read_losses(whole)
    for name, value in read_weights(whole).items():
        assert torch.equal(value, read_weights(parted)[name]), name


def test_a_run_in_a_thread_is_stopped_from_another(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """A signal handler cannot be installed there; `stop` needs none."""
    trainer, started = make_trainer(tmp_path, steps=10_000), Event()
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(trainer.run, lambda step: started.set())
        assert started.wait(60)
        trainer.stop()
        assert run.result(60) is False
    assert 0 < trainer.step < 10_000
    assert (tmp_path / "state.json").exists() and len(read_weights(tmp_path)) > 0
    assert len(read_losses(tmp_path)) == trainer.step


def test_a_run_learns_from_the_batches_of_its_order(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer = make_trainer(tmp_path, LossConfig(mining=False))
    trainer.batches.order = lambda count, seed, epoch: np.arange(count)[::-1]
    count = len(trainer.batches.examples.items)
    spec = next(trainer.remaining_batches())
    assert list(spec.positions) == list(range(count - 1, count - 1 - TRAIN.batch_size, -1))


def test_log_lines_after_the_saved_state_are_removed(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """A killed run logs steps that it does not save; they appear again, once."""
    trainer = make_trainer(tmp_path)
    trainer.run(stop_after(trainer, 2))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 3, "loss": 99.0}) + "\n" + '{"step": 4, "lo')
    again = make_trainer(tmp_path)
    again.resume()
    again.run()
    assert len(read_losses(tmp_path)) == TRAIN.steps and 99.0 not in read_losses(tmp_path)


def test_it_learns_to_distinguish_colors(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """On random batches: mined batches get harder as the model learns."""
    make_trainer(
        tmp_path,
        LossConfig(mining=False),
        0.0,
        steps=60,
        accumulation_steps=1,
        color_jitter=0.0,
        lr=1e-2,
        drop_transcript_prob=1.0,
        drop_title_prob=1.0,
        ema_decay=0.0,
    ).run()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"]["score"] for line in lines]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_the_checkpoint_holds_the_averaged_weights(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer = make_trainer(tmp_path)
    trainer.run()
    assert trainer.average is not None
    saved, name = read_weights(tmp_path), "towers.image_projection.weight"
    assert torch.equal(saved[name], trainer.average.network.state_dict()[name])
    assert not torch.equal(saved[name], trainer.network.state_dict()[name])


def test_an_unreadable_image_is_reported_and_does_not_end_the_run(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path / "world")
    (tmp_path / "world" / "p1-2.png").write_bytes(b"no image")
    examples = Examples([read_dataset(tmp_path / "world")])
    model = tiny()
    data = DataConfig((tmp_path,), frames_per_clip=2, clutter_prob=0.0)
    batches = Batches(examples, model.preprocessor, data, TRAIN)
    trainer = Trainer(model, batches, TRAIN, tmp_path / "run")
    assert trainer.run()
    assert trainer.read_errors and all("p1-2.png" in line for line in trainer.read_errors)
    assert all(torch.tensor(read_losses(tmp_path / "run")).isfinite())


def test_damaged_states_are_reported(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.run(stop_after(trainer, 1))
    with pytest.raises(CheckpointError, match="another config"):
        make_trainer(tmp_path, batch_size=5).resume()
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged state"):
        make_trainer(tmp_path).resume()


def test_a_run_is_neither_overwritten_nor_mixed_up(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer = make_trainer(tmp_path)
    trainer.run(stop_after(trainer, 1))
    with pytest.raises(SettingsError, match="--resume"):
        require_new_run_folder(tmp_path)
    other = make_trainer(tmp_path)
    other.network.head.register_parameter("more", torch.nn.Parameter(torch.zeros(())))
    with pytest.raises(CheckpointError, match="another config"):
        other.resume()


def test_confusable_products_are_added_to_their_batch(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    """With mining, the nearest products of the shop are candidates, also in a resumed run."""
    examples = Examples([read_dataset(world)])
    data = DataConfig((world,), frames_per_clip=2, clutter_prob=0.0, extra_negatives=2)
    config = replace(TRAIN, batch_size=2, accumulation_steps=1)

    def make() -> Trainer:
        model = tiny()
        batches = Batches(examples, model.preprocessor, data, config)
        return Trainer(model, batches, config, tmp_path)

    first, index = make(), examples.product_index
    specs = list(first.remaining_batches())
    for spec in specs:
        items = [examples.items[position] for position in spec.positions]
        sold = {index[key] for item in items for key in examples.product_keys(item)}
        assert spec.neighbors and not set(spec.neighbors) & sold
        candidates = first.batches[spec].candidates.tolist()
        assert set(candidates) == sold | set(spec.neighbors[:2])
    again = make()
    assert first.order is not None and again.order is not None
    again.order.orders = first.order.orders
    assert list(again.remaining_batches())[-1] == specs[-1]


def test_reports_are_made_after_every_step(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    reports: list[StepReport] = []
    assert make_trainer(tmp_path, steps=2).run(reports.append)
    assert [(report.step, report.steps) for report in reports] == [(1, 2), (2, 2)]
    assert all(0 <= report.accuracy <= 1 and report.samples_per_s > 0 for report in reports)
