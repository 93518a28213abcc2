"""`sgmn train`: train a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.config_options import (
    ChangeOption,
    ConfigArgument,
    ListRunConfigsOption,
    TrainOnOption,
)
from sgmn.cli.datasets import read_dataset, read_tables
from sgmn.cli.options import SkipInvalidOption

if TYPE_CHECKING:
    from sgmn.training.config import RunConfig
    from sgmn.training.trainer import StepReport, Trainer


def train(
    config: ConfigArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the run.")
    ],
    dataset: TrainOnOption = None,
    change: ChangeOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint of the run.")
    ] = False,
    skip_invalid: SkipInvalidOption = False,
    list_configs: ListRunConfigsOption = False,
) -> None:
    """Train a model on the clips and photos of datasets.

    Writes the model to the folder "checkpoint" of the run.
    Ctrl-C saves the run and stops it; --resume continues it.
    """
    from sgmn.training import distributed
    from sgmn.training.config_file import read_config
    from sgmn.training.model_card import write_card
    from sgmn.training.trainer import require_new_run_folder

    run = read_config(config, dataset or (), change or ())
    if not resume:
        require_new_run_folder(output)
    distributed.join_process_group(run.train.device)
    trainer = _prepare_trainer(run, output, skip_invalid)
    if trainer.duplicates.count:
        count = trainer.duplicates.count
        typer.echo(f"{count} products are listed twice and are not used as negatives of each other")
    if resume and trainer.resume():
        typer.echo(f"Resuming at step {trainer.step}.")
    accuracy = _run(trainer, run.train.steps)
    if distributed.is_first_process():
        command = ["sgmn", *sys.argv[1:]]
        summary = trainer.batches.examples.summary()
        write_card(output / "checkpoint", run, summary, command, accuracy)
        if run.train.keep_better and trainer.step == run.train.steps:
            _keep_better(run, output, skip_invalid)


def _prepare_trainer(run: RunConfig, output: Path, skip_invalid: bool) -> Trainer:
    """Read the datasets and build the trainer; encodes items that the config caches."""
    from sgmn.cli import console
    from sgmn.training.run_setup import load_examples, prepare_run
    from sgmn.training.trainer import Trainer

    examples = load_examples(
        run.data,
        lambda folder: read_dataset(folder, skip_invalid),
        lambda folder: read_tables(folder, skip_invalid),
    )
    typer.echo(examples.summary())
    with console.progress_bar() as bar:
        task = bar.add_task("encoding", visible=False)

        def show_progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        model, batches, damage = prepare_run(run, examples, output / "tokens", show_progress)
    for line in damage:
        typer.echo(f"warning: {line}", err=True)
    return Trainer(model, batches, run.train, output, run.loss)


def _run(trainer: Trainer, steps: int) -> str:
    """Train; returns one line about the result."""
    from sgmn.cli import console
    from sgmn.cli.signals import stop_on_signal

    accuracies: list[float] = []
    with console.training_bar(steps) as bar, stop_on_signal(trainer.stop):

        def show(step: StepReport) -> None:
            accuracies.append(step.accuracy)
            bar(step)

        finished = trainer.run(show)
    if trainer.read_errors:
        typer.echo(f"warning: cannot read {len(trainer.read_errors)} images or clips", err=True)
    checkpoint = trainer.folder / "checkpoint"
    if finished:
        typer.echo(f"Training finished ({trainer.step} steps): {checkpoint}")
    else:
        typer.echo(f"Training stopped at step {trainer.step}; continue with --resume: {checkpoint}")
    last = accuracies[-20:]
    in_batches = f"; batch accuracy {100 * sum(last) / len(last):.0f}%" if last else ""
    return f"{trainer.step} of {steps} steps{in_batches}."


def _keep_better(run: RunConfig, output: Path, skip_invalid: bool) -> None:
    """Put the starting model back into the run's checkpoint unless training has improved it."""
    from sgmn.cli import console
    from sgmn.model import checkpoint
    from sgmn.workflows import start_comparison as workflow

    datasets = [read_dataset(folder, skip_invalid) for folder in run.data.folders]
    clips = [c for d in datasets for c in d.clips if c.split == workflow.HELD_OUT and c.product_ids]
    if not clips:
        text = f'warning: no labeled clip has "split": "{workflow.HELD_OUT}", so the model is not'
        typer.echo(f"{text} compared with {run.model.source}, from which it started", err=True)
        return
    start, trained = checkpoint.load(run.model.source), checkpoint.load(output / "checkpoint")
    products = [product for data in datasets for product in data.products]
    with console.progress_bar() as bar:
        task = bar.add_task("comparing", total=None)
        result = workflow.compare_with_start(
            start, trained, clips, products, lambda n, m: bar.update(task, completed=n, total=m)
        )
    for line in result.damage:
        typer.echo(f"warning: {line}", err=True)
    typer.echo(str(result))
    if not result.is_better:
        worse = workflow.keep_start(output, start)
        typer.echo(
            f"Training did not improve {run.model.source}: {output / 'checkpoint'} is the model"
            f" that it started from, and {worse} the trained one."
        )
