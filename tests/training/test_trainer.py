"""A run learns, stops when told, and goes on as if it had never stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.data import dataset
from sgmn.errors import CheckpointError, SettingsError
from sgmn.model import backbones, checkpoint
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from sgmn.training.config import read as read_config
from sgmn.training.data.batches import Batches
from sgmn.training.data.examples import Examples
from sgmn.training.run_setup import started, starting_model
from sgmn.training.trainer import Progress, Trainer, optimizer, require_fresh

TRAIN = TrainConfig(
    steps=8, batch=6, lr=3e-3, ema=0.9, workers=0, log_every=1, device="cpu", accumulate=2
)


ALONE = replace(TRAIN, drop_transcript=0.0, accumulate=1, ema=0.0)


@pytest.fixture
def trainer(world: Path, tiny: Callable[[], Any]) -> Callable[..., Trainer]:
    examples = Examples([dataset.read(world)])

    def make(
        folder: Path, loss: LossConfig | None = None, clutter: float = 0.5, **changes: Any
    ) -> Trainer:
        config = replace(TRAIN, **changes)
        model = tiny()
        model.network.freeze_text()
        data = DataConfig((world,), frames=2, clutter=clutter)
        batches = Batches(examples, model.preparation, data, config)
        return Trainer(model, batches, config, folder, loss)

    return make


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(folder / "checkpoint").network.state_dict()


def stop_after(run: Trainer, step: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return report


def test_a_resumed_run_equals_an_uninterrupted_one(
    trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert trainer(whole).run()
    first = trainer(parted)
    assert not first.run(stop_after(first, 3))
    assert first.step == 3 and len(losses(parted)) == 3
    second = trainer(parted)
    assert second.resume() and second.step == 3
    assert second.run()
    assert losses(parted) == losses(whole)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(parted)[name]), name


def test_a_run_learns_from_the_batches_of_its_order(
    trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    run = trainer(tmp_path, LossConfig(mining=False))
    run.batches.order = lambda count, seed, epoch: np.arange(count)[::-1]
    count = len(run.batches.examples.items)
    _, places, _ = next(run._draws())
    assert list(places) == list(range(count - 1, count - 1 - TRAIN.batch, -1))


def test_lines_after_the_checkpoint_are_cut(
    trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    """A killed run logged steps that it never saved; they come again, once."""
    run = trainer(tmp_path)
    run.run(stop_after(run, 2))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 3, "loss": 99.0}) + "\n" + '{"step": 4, "lo')
    again = trainer(tmp_path)
    again.resume()
    again.run()
    assert len(losses(tmp_path)) == TRAIN.steps and 99.0 not in losses(tmp_path)


def test_it_learns_to_tell_colours_apart(trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    """On plain batches: hard ones get harder as the model learns."""
    plain = LossConfig(mining=False)
    silent = {"drop_transcript": 1.0, "drop_title": 1.0, "ema": 0.0}
    trainer(tmp_path, plain, 0.0, steps=60, accumulate=1, jitter=0.0, lr=1e-2, **silent).run()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    found = [json.loads(line)["parts"]["score"] for line in lines]
    assert sum(found[-10:]) < 0.5 * sum(found[:10])


def test_the_checkpoint_holds_the_averaged_weights(
    trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    run = trainer(tmp_path)
    run.run()
    assert run.average is not None
    saved, name = weights(tmp_path), "towers.picture_projection.weight"
    assert torch.equal(saved[name], run.average.module.state_dict()[name])
    assert not torch.equal(saved[name], run.network.state_dict()[name])


def test_the_scalars_of_the_score_have_a_rate_of_their_own(tiny: Callable[[], Any]) -> None:
    network = tiny().network
    groups = optimizer(network, replace(TRAIN, lr=1e-3, head_times=7.0)).param_groups
    rates = {id(p): group["peak_lr"] for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in network.head.parameters()} == {7e-3}
    assert rates[id(network.towers.text_projection.weight)] == 1e-3


def test_norms_and_gains_do_not_decay_and_backbones_learn_slowly(
    tiny: Callable[[], Any],
) -> None:
    network = tiny().network
    groups = optimizer(network, replace(TRAIN, lr=1e-3, backbone_lr=1e-5)).param_groups
    kind = {id(p): (g["peak_lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(kind) == sum(1 for _ in network.parameters())
    for name, parameter in network.named_parameters():
        rate = 1e-5 if name.startswith("towers.text.") else 1e-3
        decay = TRAIN.weight_decay if parameter.dim() > 1 else 0.0
        assert kind[id(parameter)] == (rate, decay), name


def test_pretrained_picture_towers_learn_slowly_too(backbone: Callable[[str], Path]) -> None:
    towers = [str(backbone("vit")), str(backbone("bert"))]
    network = backbones.composed(towers[0], towers[1], 16, ((32, 32),)).network
    groups = optimizer(network, replace(TRAIN, lr=1e-3, backbone_lr=1e-5)).param_groups
    rate = {id(p): g["peak_lr"] for g in groups for p in g["params"]}
    assert rate[id(next(network.towers.picture.parameters()))] == 1e-5
    assert rate[id(network.towers.picture_projection.weight)] == 1e-3


def test_an_unreadable_picture_is_named_and_does_not_end_the_run(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path / "world")
    (tmp_path / "world" / "p1-2.png").write_bytes(b"no picture")
    examples = Examples([dataset.read(tmp_path / "world")])
    model = tiny()
    data = DataConfig((tmp_path,), frames=2, clutter=0.0)
    batches = Batches(examples, model.preparation, data, TRAIN)
    run = Trainer(model, batches, TRAIN, tmp_path / "run")
    assert run.run()
    assert run.damaged and all("p1-2.png" in line for line in run.damaged)
    assert all(torch.tensor(losses(tmp_path / "run")).isfinite())


def test_a_signal_to_the_whole_group_still_saves(world: Path, tmp_path: Path) -> None:
    """As service managers send it: the workers must outlive it until the trainer has saved."""
    config = tmp_path / "run.toml"
    config.write_text(f'[data]\nfolders = ["{world}"]\n[train]\nsteps = 10000\nbatch = 4\n')
    command = [sys.executable, "-m", "sgmn.cli", "train", str(config), "-o", str(tmp_path / "run")]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE) as run:
        log = tmp_path / "run" / "log.jsonl"
        while run.poll() is None and not (log.exists() and log.read_text()):
            time.sleep(0.2)
        os.killpg(run.pid, signal.SIGTERM)
        said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 0, said
    assert (tmp_path / "run" / "state.json").exists() and "Traceback" not in said


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_workers_end_with_a_trainer_that_was_killed(world: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f'[data]\nfolders = ["{world}"]\n[train]\nsteps = 10000\nbatch = 4\nworkers = 2\n'
    )
    command = [sys.executable, "-m", "sgmn.cli", "train", str(config), "-o", str(tmp_path / "run")]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as run:
        log = tmp_path / "run" / "log.jsonl"
        while run.poll() is None and not (log.exists() and log.read_text()):
            time.sleep(0.2)
        assert len(of_session(run.pid)) > 2  # it, and those that prepare batches
        run.kill()
    ends = time.monotonic() + 20
    while of_session(run.pid) and time.monotonic() < ends:
        time.sleep(0.2)
    left = of_session(run.pid)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def of_session(leader: int) -> list[int]:
    """The processes of a session that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(path.parent.name))
    return found


def test_damaged_states_are_named(trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.run(stop_after(run, 1))
    with pytest.raises(CheckpointError, match="another config"):
        trainer(tmp_path, batch=5).resume()
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged state"):
        trainer(tmp_path).resume()


def test_a_run_is_not_overwritten_nor_mixed_up(
    trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    run = trainer(tmp_path)
    run.run(stop_after(run, 1))
    with pytest.raises(SettingsError, match="--resume"):
        require_fresh(tmp_path)
    other = trainer(tmp_path)
    other.network.head.register_parameter("more", torch.nn.Parameter(torch.zeros(())))
    with pytest.raises(CheckpointError, match="another config"):
        other.resume()


def test_confusable_products_are_listed_with_their_batch(
    world: Path, tiny: Callable[[], Any], tmp_path: Path
) -> None:
    """With mining, the catalogue's nearest products come in, also for a run that goes on."""
    examples = Examples([dataset.read(world)])
    data = DataConfig((world,), frames=2, clutter=0.0, negatives=2)
    config = replace(TRAIN, batch=2, accumulate=1)

    def run() -> Trainer:
        model = tiny()
        return Trainer(model, Batches(examples, model.preparation, data, config), config, tmp_path)

    first = run()
    draws = list(first._draws())
    for index, places, near in draws:
        sold = {examples.numbers[k] for p in places for k in examples.sold(examples.items[p])}
        assert near and not set(near) & sold
        batch = first.batches[index, places, near]
        listed = batch.listed.tolist()
        assert set(listed) == sold | set(near[:2])
    assert first.order is not None
    again = run()
    assert again.order is not None
    again.order.held = first.order.held
    assert list(again._draws())[-1] == draws[-1]


@pytest.mark.parametrize(("frames", "freeze"), [(0, "text"), (2, "")])
def test_what_is_not_to_learn_stays_as_it_is(
    frames: int, freeze: str, world: Path, tmp_path: Path, tiny: Callable[[], Any]
) -> None:
    checkpoint.save(tiny(), tmp_path / "tiny")
    parts = ("reading", "emphasis", "guidance", "graph", "instances")
    model = ModelConfig(str(tmp_path / "tiny"), freeze, parts, learn=("reading", "emphasis"))
    loss = LossConfig(mining=False, telling=1.0, triplet=0.0, pair=0.0)
    run = RunConfig(model, DataConfig((world,), frames=frames), ALONE, loss)
    before = {n: v.clone() for n, v in starting_model(model).network.state_dict().items()}
    learning, batches, _ = started(run, Examples([dataset.read(world)]), tmp_path / "tokens")
    assert Trainer(learning, batches, ALONE, tmp_path / "run", loss).run()
    assert not learning.network.towers.text_backbone().training  # held still: no dropout either
    changed = {n for n, v in weights(tmp_path / "run").items() if not torch.equal(v, before[n])}
    assert changed and all(n.startswith(("parts.reading.", "parts.emphasis.")) for n in changed)
    assert {"parts.reading.out.weight", "parts.emphasis.importance.weight"} <= changed


def test_a_batch_that_teaches_nothing_that_may_learn_is_gone_past(
    world: Path, tmp_path: Path, tiny: Callable[[], Any]
) -> None:
    """All clips are silent, and only the reading of words may learn."""
    checkpoint.save(tiny(), tmp_path / "tiny")
    model = ModelConfig(str(tmp_path / "tiny"), parts=("reading",), learn=("reading",))
    loss = LossConfig(mining=False, triplet=0.0, pair=0.0)
    silent = replace(ALONE, drop_transcript=1.0, steps=2)
    run = RunConfig(model, DataConfig((world,), frames=2), silent, loss)
    learning, batches, _ = started(run, Examples([dataset.read(world)]), tmp_path / "tokens")
    assert Trainer(learning, batches, silent, tmp_path / "run", loss).run()


def test_only_a_part_that_is_there_can_learn() -> None:
    for part in ("graph", "instances"):
        with pytest.raises(SettingsError, match=r"'learn' is .*that can: emphasis, guidance$"):
            ModelConfig(parts=("emphasis", "guidance", "instances"), learn=(part,))


@pytest.mark.parametrize(
    ("tables", "wrong"),
    [
        ("[data]\nframes = 0", "'drop_transcript' is 0.5.*set drop_transcript = 0"),
        ("[data]\nframes = 0\n[model]\nfreeze = 'towers'", "'freeze' is .*set freeze = \"text\""),
        ("[model]\nparts = []\n[loss]\ntelling = 1.0", "'telling' is 1.0.*add \"emphasis\""),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    tables: str, wrong: str, tmp_path: Path
) -> None:
    text = tables if "[data]" in tables else f"{tables}\n[data]"
    (tmp_path / "run.toml").write_text(text.replace("[data]", '[data]\nfolders = ["here"]'))
    with pytest.raises(SettingsError, match=wrong) as refused:
        read_config(tmp_path / "run.toml")
    assert "run.toml" in str(refused.value)
