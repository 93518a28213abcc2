"""`sgmn import lpr4m` and `sgmn import movingfashion`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from sgmn.workflows.import_benchmark import (
        BenchmarkImport,
        BenchmarkImportSettings,
        Progress,
    )

    Import = Callable[[Path, Path, BenchmarkImportSettings, Progress], BenchmarkImport]

SourceArgument = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="Folder with the annotations and the media.")
]
OutputArgument = Annotated[
    Path,
    typer.Argument(metavar="OUTPUT", help="Folder to write: new, or of the interrupted import."),
]
SubsetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--subset",
        metavar="NAME=VALUE",
        help="Import only a part: live=ID, category=NAME (of training clips), or count=N, the "
        "first N clips of each split. May be repeated.",
    ),
]
ProcessesOption = Annotated[
    int,
    typer.Option("--processes", min=0, metavar="N", help="Processes; 0 uses one per core."),
]


def lpr4m(
    source: SourceArgument,
    output: OutputArgument,
    subset: SubsetOption = None,
    frames: Annotated[
        int,
        typer.Option(
            "--frames", min=0, metavar="N", help="Evenly spaced frames per training clip; 0: all."
        ),
    ] = 10,
    processes: ProcessesOption = 0,
) -> None:
    """Convert LPR4M or LPR750K. Media stay where they are.

    Frames and images may be shards of img2dataset (folders or tar files), or the folders of
    LPR750K.

    Writes the datasets OUTPUT/train and OUTPUT/test. Their file issues.jsonl names everything
    that is missing. The same command continues an interrupted import.
    """
    from sgmn.data.importers.subset import parse_subset
    from sgmn.workflows.import_benchmark import BenchmarkImportSettings
    from sgmn.workflows.import_lpr4m import import_lpr4m

    settings = BenchmarkImportSettings(parse_subset(subset or ()), frames, processes)
    _run(import_lpr4m, source, output, settings)


def movingfashion(
    source: SourceArgument,
    output: OutputArgument,
    subset: SubsetOption = None,
    processes: ProcessesOption = 0,
) -> None:
    """Convert MovingFashion. Media stay where they are.

    Writes the datasets OUTPUT/train and OUTPUT/test. Their file issues.jsonl names everything
    that is missing. The same command continues an interrupted import.
    """
    from sgmn.data.importers.subset import parse_subset
    from sgmn.workflows.import_benchmark import BenchmarkImportSettings
    from sgmn.workflows.import_movingfashion import import_movingfashion

    settings = BenchmarkImportSettings(parse_subset(subset or ()), processes=processes)
    _run(import_movingfashion, source, output, settings)


def _run(run_import: Import, source: Path, output: Path, settings: BenchmarkImportSettings) -> None:
    from sgmn.cli import console
    from sgmn.data.importers.subset import Subset

    with console.progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def show_progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done)

        report = run_import(source, output, settings, show_progress)
    for line in report.lines():
        typer.echo(line)
    if not any(counts["clips"] for counts in report.counts.values()):
        where = "check --subset" if settings.subset != Subset() else "see issues.jsonl"
        typer.echo(f"warning: no clip was imported; {where}", err=True)
    typer.echo(f"{', '.join(str(output / split) for split in report.counts)} written")
