"""`sgmn check`: validate a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of the dataset.")],
    deep: Annotated[bool, typer.Option("--deep", help="Also open every image and video.")] = False,
) -> None:
    """Validate a dataset and count its contents.

    Prints a line for each problem.
    The exit status is 2 if there are errors.
    """
    from sgmn.data.inspection import inspect_dataset

    inspection = inspect_dataset(dataset, deep=deep)
    for finding in inspection.findings:
        typer.echo(str(finding))
    counts = inspection.counts
    typer.echo(
        f"{_count(counts.products, 'product')} in {_count(counts.shops, 'shop')},"
        f" {_count(counts.clips, 'clip')} ({counts.clips_with_text} with a transcript),"
        f" {_count(counts.photos, 'photo')},"
        f" {_count(counts.streams, 'stream')} ({counts.stream_hours:.2f} h)"
    )
    warnings = len(inspection.findings) - len(inspection.errors)
    typer.echo(f"{_count(len(inspection.errors), 'error')}, {_count(warnings, 'warning')}")
    raise typer.Exit(2 if inspection.errors else 0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
