"""`sgmn import`: convert a public dataset to the dataset layout of this package."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.import_benchmarks import lpr4m, movingfashion
from sgmn.cli.options import Command, Group, help_text

if TYPE_CHECKING:
    from rich.progress import TaskID

    from sgmn.workflows.import_grocery import GroceryImport, GroceryImportSettings

app = typer.Typer(
    cls=Group, help="Convert a public dataset to the dataset layout of sgmn.", no_args_is_help=True
)


def grocery(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Checkout of github.com/marcusklasson/GroceryStoreDataset."
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="Folder to write: new, or from an earlier import."),
    ],
    clips: Annotated[
        int, typer.Option("--clips", min=0, metavar="N", help="Validation clips to compose.")
    ] = 118,
    streams: Annotated[
        int,
        typer.Option(
            "--streams", min=0, metavar="N", help="Validation streams to compose, 200 s each."
        ),
    ] = 1,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, metavar="N", help="Random seed; equal seeds give equal files."
        ),
    ] = 0,
) -> None:
    """Convert the Grocery Store Dataset to a catalogue, photos and composed clips.

    Writes OUTPUT/catalogue, OUTPUT/photos.jsonl and OUTPUT/val.
    Skips files that are missing or unreadable, and names each of them.
    The same command continues an interrupted import.
    """
    from sgmn.workflows.import_grocery import GroceryImportSettings

    report = _import_grocery(folder, output, GroceryImportSettings(clips, streams, seed))
    for issue in report.issues:
        typer.echo(f"warning: {issue}", err=True)
    for kind, count in Counter(issue.kind for issue in report.issues).items():
        typer.echo(f"{kind}: {count}")
    typer.echo(
        f"{report.products} products, {report.photos} photos, {report.clips} clips and"
        f" {report.streams} streams in {output}"
    )


for command in (grocery, lpr4m, movingfashion):
    app.command(cls=Command, help=help_text(command))(command)


def _import_grocery(folder: Path, output: Path, settings: GroceryImportSettings) -> GroceryImport:
    from sgmn.cli import console
    from sgmn.workflows.import_grocery import import_grocery

    with console.progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def show_progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done)

        return import_grocery(folder, output, settings, show_progress)
