"""A run on a large dataset that stops in two processes goes on in one or in four."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.multiprocessing.spawn import start_processes

from sgmn.data.dataset import write_jsonl
from sgmn.data.tables import open_tables
from sgmn.model import checkpoint
from sgmn.training.config import DataConfig, LossConfig, TrainConfig
from sgmn.training.data.batches import Batch, Batches, BatchSpec
from sgmn.training.data.table_examples import TableExamples
from sgmn.training.distributed import worker_start_method
from sgmn.training.trainer import Trainer

pytestmark = pytest.mark.slow

BATCH_SIZE, CLIPS, EPOCHS = 4, 14, 2  # the fourth batch spans both epochs
LOSS = LossConfig(mining=False, triplet=0.0, pair=0.0)


class RecordedBatches(Batches):
    """Batches that note the examples they were made of."""

    seen: list[tuple[int, ...]]

    def __getitem__(self, spec: int | BatchSpec) -> Batch:
        assert isinstance(spec, BatchSpec)
        self.seen.append((spec.number, *spec.positions))
        return super().__getitem__(spec)


def build_trainer(source: Path, world: Path, folder: Path) -> Trainer:
    """Build a trainer on the tables of a dataset, for two epochs."""
    data = DataConfig((world,), split="", frames_per_clip=1)
    examples = TableExamples(open_tables(world), data.split)
    steps = EPOCHS * len(examples.items) // BATCH_SIZE
    train = TrainConfig(steps, BATCH_SIZE, ema_decay=0.5, workers=0, threads=1, device="cpu")
    model = checkpoint.load(source)
    batches = RecordedBatches(examples, model.preprocessor, data, train)
    batches.seen = []
    return Trainer(model, batches, train, folder, LOSS)


def work(rank: int, count: int, source: Path, world: Path, folder: Path, last: int) -> None:
    """One process of a run: resume, train until a step, and write down what was seen."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}.meeting"
    timeout = timedelta(seconds=90)  # a process that waits for the others fails instead
    distributed.init_process_group("gloo", meeting, timeout, world_size=count, rank=rank)
    trainer = build_trainer(source, world, folder)
    trainer.resume()
    if last:
        trainer.run(lambda step: trainer.stop() if step.step == last else None)
    else:
        trainer.run()
    torch.save(trainer.batches.seen, f"{folder}.{rank}.pt")  # type: ignore[attr-defined]
    distributed.destroy_process_group()


def run_processes(count: int, source: Path, world: Path, folder: Path, last: int = 0) -> list[Any]:
    """Run some processes until a step, or to the end; returns what each of them has seen."""
    method = worker_start_method()
    start_processes(work, (count, source, world, folder, last), count, start_method=method)
    return [torch.load(f"{folder}.{rank}.pt") for rank in range(count)]


@pytest.fixture(scope="module")
def clips(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of clips of one frame, with its tables."""
    folder = tmp_path_factory.mktemp("clips") / "clips"
    shutil.copytree(world, folder)
    rows = [
        {"clip_id": f"c{n}", "frames": [f"p{n % 6}-1.png"], "product_ids": [f"p{n % 6}"]}
        for n in range(CLIPS)
    ]
    write_jsonl(folder / "clips.jsonl", rows)
    (folder / "photos.jsonl").unlink()
    open_tables(folder)
    return folder


@pytest.fixture(scope="module")
def source(tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    checkpoint.save(tiny(), folder)
    return folder


@pytest.fixture(scope="module")
def interrupted(source: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a run that stopped in two processes, and the examples of each batch."""
    folder = tmp_path_factory.mktemp("run") / "interrupted"
    return folder, run_processes(2, source, clips, folder, last=2)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("count", [1, 4])
def test_every_example_of_an_epoch_is_seen_once(
    count: int, interrupted: Any, source: Path, clips: Path, tmp_path: Path
) -> None:
    """In the batches that a run in one process has."""
    stopped, before = interrupted
    folder = tmp_path / "resumed"
    shutil.copytree(stopped, folder)
    whole = list(build_trainer(source, clips, tmp_path / "whole").remaining_batches())
    after = run_processes(count, source, clips, folder)
    seen: dict[int, Counter[int]] = {}
    for number, *positions in (row for rows in [*before, *after] for row in rows):
        seen.setdefault(number, Counter()).update(positions)
    assert seen == {spec.number: Counter(spec.positions) for spec in whole}
    epochs = sum(seen.values(), Counter())
    assert epochs == Counter(dict.fromkeys(range(CLIPS), EPOCHS))
    assert json.loads((folder / "state.json").read_text())["step"] == len(whole)
