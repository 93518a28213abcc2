"""The verbs of the learning wing: check, train, evaluate, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import IndexOption, ModelOption, SkipOption, UseOption

if TYPE_CHECKING:
    from sgmn.data.dataset import Dataset
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport


def check(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    deep: Annotated[bool, typer.Option(help="Open every picture and video too.")] = False,
) -> None:
    """Validate a dataset: what is wrong, a line each, then counts. Status 2 if anything is."""
    from sgmn.data.inspection import inspect

    found = inspect(dataset, deep=deep)
    for finding in found.findings:
        typer.echo(str(finding))
    counts = found.counts
    typer.echo(
        f"{counts.products} products of {counts.shops} shops, {counts.clips} clips"
        f" ({counts.clips_with_words} with words), {counts.photos} photos,"
        f" {counts.streams} streams ({counts.stream_hours:.2f} h)"
    )
    warnings = len(found.findings) - len(found.errors)
    typer.echo(f"{len(found.errors)} errors, {warnings} warnings")
    raise typer.Exit(2 if found.errors else 0)


def train(
    config: Annotated[Path, typer.Argument(help="A TOML file; see configs/.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The run's folder.")],
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint there.")] = False,
    skip_bad: SkipOption = False,
) -> None:
    """Learn from a dataset's clips and photos; writes OUTPUT/checkpoint."""
    from sgmn import screen
    from sgmn.model import checkpoint
    from sgmn.training import config as configs
    from sgmn.training.batches import Batches, Examples
    from sgmn.training.trainer import Trainer, require_fresh

    run = configs.read(config)
    if not resume:
        require_fresh(output)
    examples = Examples([_read(folder, skip_bad) for folder in run.data.folders], run.data.split)
    typer.echo(examples.summary())
    model = checkpoint.load(run.model.source)
    if run.model.freeze_text:
        model.network.freeze_text()
    batches = Batches(examples, model.preparation, run.data, run.train)
    trainer = Trainer(model, batches, run.train, output)
    if resume and trainer.resume():
        typer.echo(f"going on from step {trainer.step}")
    with screen.training(run.train.steps) as bar:
        finished = trainer.run(bar)
    if trainer.damaged:
        typer.echo(f"{len(trainer.damaged)} pictures or clips could not be read", err=True)
    end = "finished" if finished else "stopped; go on with --resume"
    typer.echo(f"{end} at step {trainer.step}: {output / 'checkpoint'}")


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder with clips or streams.")],
    index: IndexOption,
    model: ModelOption = None,
    use: UseOption = "picture,words",
    split: Annotated[str, typer.Option(help="Only clips of this split; all by default.")] = "",
    skip_bad: SkipOption = False,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Rank the shop for every clip, and watch every stream, against the truth."""
    from sgmn import jobs, screen
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport
    from sgmn.live.recognizer import Recognizer

    modalities = jobs.modalities(use)
    jobs.require_writable(json_out)
    data = _read(dataset, skip_bad)
    clips, streams, unlabelled = jobs.labelled(data, split)
    used = jobs.embedder(jobs.model_of(index, model))
    opened = jobs.opened(index, used)
    shelves = jobs.Shelves(opened, modalities)
    about = {"dataset": dataset.name, "split": split, "use": use, "model": used.model.name}
    about["fingerprint"] = opened.model.fingerprint
    if unlabelled:
        typer.echo(f"{unlabelled} clips or streams have no truth and are left out", err=True)
    damage: list[str] = []
    if clips:
        ranks = jobs.ranked(clips, opened, used, modalities, damage)
        report = Report(tuple(screen.counted(ranks, "ranking", len(clips))), seed, about)
        _show(report, markdown, json_out)
    if streams:
        results = jobs.watched(
            streams, lambda shop: Recognizer(used, shelves[shop], use=modalities), damage
        )
        found = tuple(screen.counted(results, "watching", len(streams)))
        _show(StreamReport(found, meta=about), markdown, jobs.streams_beside(json_out, data))
    for line in damage:
        typer.echo(f"damaged: {line}", err=True)


def compare(
    a: Annotated[Path, typer.Argument(help="A report of `sgmn evaluate --json`.")],
    b: Annotated[Path, typer.Argument(help="Another, on the same clips.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the tests.")] = 0,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Compare two runs clip by clip, with paired tests."""
    from sgmn import jobs, screen
    from sgmn.evaluation import comparison

    found = comparison.compare(jobs.read_report(a), jobs.read_report(b), seed)
    if markdown:
        typer.echo(found.markdown())
    else:
        screen.out.print(found.table())


def _read(folder: Path, skip_bad: bool) -> Dataset:
    """A dataset; with `skip_bad` its malformed lines are named and counted, not fatal."""
    from sgmn.data import dataset

    data = dataset.read(folder, skip_bad=skip_bad)
    for refusal in data.refused:
        typer.echo(f"skipped: {refusal}", err=True)
    if data.refused:
        typer.echo(f"{len(data.refused)} lines of {folder} skipped", err=True)
    return data


def _show(report: Report | StreamReport, markdown: bool, json_out: Path | None) -> None:
    """Write a report where it was wanted, then print it."""
    from sgmn import jobs, screen

    if json_out is not None:
        jobs.write_text(json_out, report.to_json() + "\n")
    if markdown:
        typer.echo(report.markdown())
    else:
        screen.out.print(report.table())
