"""Throughput of training, against a bare loop of the same forward and backward passes.

    python benchmarks/training_throughput.py DATASET [--case NAME] [--steps 8] [--rounds 5]

The bare loop gets prepared batches from memory, runs the modules that the step trains with the same
loss, and steps a plain AdamW. `Trainer` also loads and decodes files or reads the token cache,
schedules, clips, averages weights, and logs. Measured with learning towers, where batches are
loaded by a worker process, and with frozen towers, where they come from the token cache. The bare
loop with frozen towers either runs the parts on tokens in memory, or encodes pixels in memory in
each step, as it must without a cache. Both sides take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from sgmn.data.dataset import read_dataset
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from sgmn.training.data.batches import Batch, Batches
from sgmn.training.run_setup import load_examples, prepare_run
from sgmn.training.trainer import Trainer
from sgmn.training.training_step import TrainingStep

CASES = {  # what is frozen, and whether the bare loop gets tokens
    "text": ("text", False),
    "towers": ("towers", True),
    "towers-encoded": ("towers", False),
}
PARTS = ("text_context", "text_pooling", "guidance", "graph", "instances")
TERMS = ("match", "instances", "text", "cross")


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    results = {}
    for name in options.case or CASES:
        freeze, gets_tokens = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            results[name] = compare(
                options, build_trainer(options, freeze, Path(folder)), gets_tokens
            )
    print("| frozen | bare loop, clips/s | training, clips/s | ratio (aim 0.85) | ratio of CPU |")
    print("|---|---|---|---|---|")
    for name, row in results.items():
        print(f"| {name} | {row['bare']:.1f} | {row['training']:.1f} |", end=" ")
        print(f"{row['ratio']:.2f} ({row['lowest']:.2f}–{row['highest']:.2f}) |", end=" ")
        print(f"{row['cpu_ratio']:.2f} |")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="a dataset with clips and products")
    parser.add_argument("--steps", type=int, default=8, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--case", action="append", choices=CASES, help="repeatable; default: all")
    parser.add_argument("--source", default="lite1", help="model to start from")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args()


def compare(options: argparse.Namespace, trainer: Trainer, gets_tokens: bool) -> dict[str, float]:
    """Let both sides take turns; returns clips per second and the median ratio."""
    steps = trainer._steps()
    bare = BareLoop(trainer, prepare_batches(trainer, gets_tokens))
    next(steps)  # starts the workers
    bare.run(1)
    turns = []
    for turn in range(options.rounds):
        sides = {"bare": lambda: bare.run(options.steps), "training": lambda: drain(steps, options)}
        order = list(sides) if turn % 2 else list(sides)[::-1]
        turns.append({name: timed(sides[name]) for name in order})
    clips = options.steps * options.batch_size
    ratios = [turn["bare"][0] / turn["training"][0] for turn in turns]
    return {
        "bare": clips / median(turn["bare"][0] for turn in turns),
        "training": clips / median(turn["training"][0] for turn in turns),
        "ratio": median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "cpu_ratio": median(turn["bare"][1] / turn["training"][1] for turn in turns),
    }


def build_trainer(options: argparse.Namespace, freeze: str, folder: Path) -> Trainer:
    """Build a trainer as `sgmn train` does."""
    data = DataConfig((options.dataset,), split="", frames_per_clip=4, cached_variants=1)
    train = TrainConfig(
        steps=10**6, batch_size=options.batch_size, workers=1, threads=1, ema_decay=0.98
    )
    run = RunConfig(
        ModelConfig(options.source, freeze, PARTS, TERMS),
        data,
        train,
        LossConfig(mining=False, triplet=0.0, pair=0.0),
    )
    model, batches, _ = prepare_run(run, load_examples(data, read_dataset), folder / "tokens")
    return Trainer(model, batches, replace(train, steps=10**6), folder, run.loss)


def prepare_batches(trainer: Trainer, gets_tokens: bool) -> list[Batch]:
    """Return the first batches of a run, as the trainer gets them or as pixels."""
    batches = trainer.batches
    if not gets_tokens:
        preprocessor = trainer.model.preprocessor
        batches = Batches(batches.examples, preprocessor, batches.data, batches.train)
    return [batches[spec] for spec in islice(trainer.remaining_batches(), 4)]


class BareLoop:
    """Forward, backward and optimizer on batches in memory."""

    def __init__(self, trainer: Trainer, batches: list[Batch]) -> None:
        self.step = TrainingStep(trainer.network, trainer.objective)
        self.batches = batches
        trained = [p for p in trainer.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-6)

    def run(self, steps: int) -> None:
        """Make some steps."""
        for number in range(steps):
            loss = self.step(self.batches[number % len(self.batches)]).loss
            torch.autograd.backward(loss)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)


def drain(steps: Any, options: argparse.Namespace) -> None:
    """Make some steps of the training loop."""
    for _ in range(options.steps):
        next(steps)


def timed(run: Any) -> tuple[float, float]:
    """Return the seconds of a turn, and the CPU seconds of this process."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
