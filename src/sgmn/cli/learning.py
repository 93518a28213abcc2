"""The verbs of the learning wing: check, train, ablate, evaluate, compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import IndexOption, ModelOption, SkipOption, UseOption
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.data.dataset import Dataset
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport
    from sgmn.records import Product


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
    from sgmn.cli import console
    from sgmn.training import config as configs
    from sgmn.training import distributed
    from sgmn.training.run_setup import examples_of, started
    from sgmn.training.trainer import Trainer, require_fresh

    run = configs.read(config)
    if not resume:
        require_fresh(output)
    distributed.join(run.train.device)
    examples = examples_of(run.data, lambda folder: _read(folder, skip_bad))
    typer.echo(examples.summary())
    with console.bar() as bar:
        task = bar.add_task("encoding", visible=False)

        def encoded(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        model, batches, damage = started(run, examples, output / "tokens", encoded)
    for line in damage:
        typer.echo(f"left out: {line}", err=True)
    trainer = Trainer(model, batches, run.train, output, run.loss)
    if trainer.duplicates.count:
        typer.echo(f"{trainer.duplicates.count} products are listed twice, no negatives there")
    if resume and trainer.resume():
        typer.echo(f"going on from step {trainer.step}")
    with console.training(run.train.steps) as steps:
        finished = trainer.run(steps)
    if trainer.damaged:
        typer.echo(f"{len(trainer.damaged)} pictures or clips could not be read", err=True)
    end = "finished" if finished else "stopped; go on with --resume"
    typer.echo(f"{end} at step {trainer.step}: {output / 'checkpoint'}")


def ablate(
    config: Annotated[Path, typer.Argument(help="A TOML file as for train; see configs/.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Runs and the table.")],
    dataset: Annotated[
        list[Path], typer.Option(help="To evaluate on: DATASET or DATASET:SPLIT; may be repeated.")
    ],
    catalogue: Annotated[
        list[Path] | None,
        typer.Option(help="Products for datasets that list none. May be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option(help="Rows by name; all by default. May be repeated.")
    ] = None,
    skip_bad: SkipOption = False,
) -> None:
    """Train and evaluate with parts added and left out one by one; goes on where it stopped."""
    from sgmn.cli import console
    from sgmn.training import ablation
    from sgmn.training.ablation_setup import prepared

    wanted = ablation.chosen(only or [])
    listed = [p for folder in catalogue or [] for p in _read(folder, skip_bad).products]
    read = [_read_split(given, listed, skip_bad) for given in dataset]
    with console.bar() as bar:
        task = bar.add_task("encoding", total=None)

        def encoded(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        ready, damage = prepared(config, read, output, lambda f: _read(f, skip_bad), encoded)
    for line in damage:
        typer.echo(f"left out: {line}", err=True)
    found: dict[str, list[ablation.Ranks]] = {}
    for seed in range(seeds):
        for row in wanted:
            typer.echo(f"{row.name}, seed {seed}")
            with console.training(ready.config.train.steps) as steps:
                ranks = ready.run(row, seed, steps)
            if ranks is None:
                typer.echo("stopped; the same command goes on")
                raise typer.Exit(1)
            found.setdefault(row.name, []).append(ranks)
            ablation.write(ablation.lines(found, wanted), output)
    typer.echo((output / "table.md").read_text(encoding="utf-8"))


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
    from sgmn import outputs
    from sgmn.cli import console
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport
    from sgmn.live.recognizer import Recognizer
    from sgmn.workflows import evaluation, opening

    modalities = opening.modalities(use)
    outputs.require_writable(json_out)
    data = _read(dataset, skip_bad)
    clips, streams, unlabelled = evaluation.labelled(data, split)
    used = opening.embedder(opening.model_of(index, model))
    opened = opening.opened(index, used)
    shelves = opening.Shelves(opened, modalities)
    about = {"dataset": dataset.name, "split": split, "use": use, "model": used.model.name}
    about["fingerprint"] = opened.model.fingerprint
    if unlabelled:
        typer.echo(f"{unlabelled} clips or streams have no truth and are left out", err=True)
    damage: list[str] = []
    if clips:
        ranks = evaluation.ranked(clips, opened, used, modalities, damage)
        report = Report(tuple(console.counted(ranks, "ranking", len(clips))), seed, about)
        _show(report, markdown, json_out)
    if streams:
        results = evaluation.watched(
            streams, lambda shop: Recognizer(used, shelves[shop], use=modalities), damage
        )
        found = tuple(console.counted(results, "watching", len(streams)))
        _show(StreamReport(found, meta=about), markdown, evaluation.streams_beside(json_out, data))
    for line in damage:
        typer.echo(f"damaged: {line}", err=True)


def compare(
    a: Annotated[Path, typer.Argument(help="A report of `sgmn evaluate --json`.")],
    b: Annotated[Path, typer.Argument(help="Another, on the same clips.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the tests.")] = 0,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Compare two runs clip by clip, with paired tests."""
    from sgmn.cli import console
    from sgmn.evaluation import comparison
    from sgmn.workflows import evaluation

    found = comparison.compare(evaluation.read_report(a), evaluation.read_report(b), seed)
    if markdown:
        typer.echo(found.markdown())
    else:
        console.out.print(found.table())


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
    from sgmn import outputs
    from sgmn.cli import console

    if json_out is not None:
        outputs.write_text(json_out, report.to_json() + "\n")
    if markdown:
        typer.echo(report.markdown())
    else:
        console.out.print(report.table())


def _read_split(given: Path, listed: list[Product], skip_bad: bool) -> tuple[str, Dataset]:
    """A dataset of "FOLDER" or "FOLDER:SPLIT", with a name for tables.

    One without products takes those `listed`; each clip's shop must have some.
    """
    folder, _, split = str(given).partition(":")
    data = _read(Path(folder), skip_bad)
    products = data.products or tuple(listed)
    clips = tuple(clip for clip in data.clips if not split or clip.split == split)
    shops = {product.shop_id for product in products}
    for clip in clips:
        if clip.shop_id not in shops:
            where = f"{folder}: clip {clip.clip_id!r}"
            shop = f"the shop {clip.shop_id!r}" if clip.shop_id else "its shop"
            raise SgmnError(f"{shop} lists no product", where, "name it with --catalogue")
    return str(given), replace(data, products=products, clips=clips)
