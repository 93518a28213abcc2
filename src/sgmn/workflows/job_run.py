"""Run a packed training job; needs torch, transformers, Pillow and SciPy, and no sgmn.

A job is resumed by running it again with the same output folder. Each stage gets a time limit:
a stage that would take longer takes fewer steps than its config says, and its learning rate
decays accordingly sooner.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import signal
import sys
import time
import zipfile
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event

from sgmn.data import dataset
from sgmn.errors import SgmnError
from sgmn.model import checkpoint
from sgmn.settings import parse_tables
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from sgmn.training.run_setup import load_examples, prepare_run
from sgmn.training.trainer import StepReport, Trainer
from sgmn.workflows.job_minilm import restore_minilm

RESERVE_S = 6.0  # of a stage, to write its last state and its weights
MIN_STEPS, RECENT_STEPS = 10, 60  # steps by which the speed is measured
Log = Callable[[str], None]


def run_job(
    pack: Path,
    output: Path,
    minutes: Sequence[float],
    log: Log = print,
    stop_event: Event | None = None,
) -> None:
    """Run all stages of a packed job, or the rest of an interrupted one.

    Writes OUTPUT/1, OUTPUT/2, ... like `sgmn train`, one folder per stage, and the weights of
    each stage in half precision to OUTPUT/N/small.

    Args:
        pack: the file written by `pack_job`.
        output: the folder of the run; the pack is unpacked into OUTPUT/pack.
        minutes: time limit of each stage.
        log: called with each line of progress.
        stop_event: saves and ends the run after the current step when it is set.

    Raises:
        SgmnError: the number of time limits differs from the number of stages, or the run was
            stopped.
    """
    start_s = time.monotonic()
    folder = unpack_job(pack, output / "pack")
    sys.path.insert(0, str(folder / "packages"))
    configs, source = sorted(folder.glob("config-*.json")), folder / "start"
    if len(minutes) != len(configs):
        remedy = f"pass one number per stage; this job has {len(configs)}"
        raise SgmnError(f"--minutes has {len(minutes)} numbers", pack, remedy)
    for stage, config in enumerate(configs, start=1):
        stage_folder = output / str(stage)
        if not (stage_folder / "small").exists():
            deadline_s = start_s + 60 * sum(minutes[:stage])
            run = read_config(folder, config, source)
            run_stage(run, stage_folder, deadline_s, log, stop_event)
        source = stage_folder / "checkpoint"


def run_stage(
    run: RunConfig,
    folder: Path,
    deadline_s: float,
    log: Log = print,
    stop_event: Event | None = None,
) -> None:
    """Train one stage, with as many steps as fit before the deadline (`time.monotonic`)."""
    examples = load_examples(run.data, dataset.read_dataset)
    log(f"{folder}: {examples.summary()}")
    model, batches, damage = prepare_run(run, examples, folder / "tokens")
    for line in damage:
        log(f"skipped: {line}")
    trainer = Trainer(model, batches, run.train, folder, run.loss, stop_event)
    if trainer.resume():
        log(f"resuming at step {trainer.step}")
    limit = StepLimit(trainer, deadline_s - RESERVE_S)

    def on_step(progress: StepReport) -> None:
        limit.update(progress.step)
        if progress.step % run.train.log_every_steps == 0:
            log(format_progress(progress))

    if not trainer.run(on_step):
        remedy = "run the same command again to resume"
        raise SgmnError(f"stopped at step {trainer.step}", folder, remedy)
    checkpoint.save(checkpoint.load(folder / "checkpoint"), folder / "small", half=True)
    log(f"{folder}: finished at step {trainer.step} of {run.train.steps} planned")


class StepLimit:
    """Reduces the steps of a run to those that fit before a deadline, at its recent speed."""

    def __init__(self, trainer: Trainer, deadline_s: float) -> None:
        self.trainer, self.deadline_s = trainer, deadline_s
        self.planned_steps = trainer.config.steps
        self.times_s: deque[float] = deque(maxlen=RECENT_STEPS)

    def update(self, step: int) -> None:
        """Call after each step. The first steps wait for the workers and are not measured."""
        self.times_s.append(time.monotonic())
        if len(self.times_s) < MIN_STEPS and self.times_s[-1] < self.deadline_s:
            return
        step_s = (self.times_s[-1] - self.times_s[0]) / max(1, len(self.times_s) - 1)
        last = step + int((self.deadline_s - self.times_s[-1]) / max(step_s, 1e-6))
        steps = max(step, min(self.planned_steps, last))
        self.trainer.config = dataclasses.replace(self.trainer.config, steps=steps)


def format_progress(progress: StepReport) -> str:
    """Step, loss, batch accuracy and speed in one line."""
    return (
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}"
        f"  right {progress.accuracy:.2f}  {progress.samples_per_s:.0f} clips/s"
    )


def unpack_job(pack: Path, folder: Path) -> Path:
    """Unpack a job into a folder, unless that is done already; returns the folder."""
    ready = folder / "ready"
    if not ready.exists():
        with zipfile.ZipFile(pack) as archive:
            archive.extractall(folder)
        restore_minilm(folder)
        ready.touch()
    return folder


def read_config(folder: Path, path: Path, source: Path) -> RunConfig:
    """The config of a stage that starts from `source`, with paths in the unpacked folder."""
    tables = json.loads(path.read_text(encoding="utf-8"))
    tables["model"]["source"] = str(source)
    for name in ("folders", "talking_points"):
        tables["data"][name] = [str(folder / file) for file in tables["data"][name]]
    if "phrases" in tables["data"]:
        tables["data"]["phrases"] = str(folder / tables["data"]["phrases"])
    types = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "loss": LossConfig}
    model, data, train, loss = parse_tables(types, tables, path)
    return RunConfig(model, data, train, loss)


def parse_minutes(text: str) -> tuple[float, ...]:
    """Time limits of stages from a list such as "4,12,6,2"; raises SgmnError."""
    try:
        minutes = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        remedy = "pass one number per stage, such as 4,12,6,2"
        raise SgmnError(f"--minutes is {text!r}", remedy=remedy) from error
    return minutes


def main(pack: str) -> None:
    """The command line of `python JOB.zip`."""
    parser = argparse.ArgumentParser(prog=f"python {pack}", description="Run a training job.")
    parser.add_argument("output", type=Path, help="folder of the run; resumed if it exists")
    parser.add_argument(
        "--minutes", required=True, help="time limit of each stage, such as 4,12,6,2"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    stop_event = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop_event.set())
    try:
        minutes = parse_minutes(options.minutes)
        log = partial(print, flush=True)
        run_job(Path(pack), options.output, minutes, log, stop_event)
    except SgmnError as error:
        sys.exit(f"sgmn: {error}")
