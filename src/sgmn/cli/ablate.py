"""`sgmn ablate`: train and evaluate with single parts left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.config_options import ConfigArgument, ListRunConfigsOption, TrainOnOption
from sgmn.cli.datasets import read_dataset
from sgmn.cli.options import SkipInvalidOption, options_from
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.data.dataset import Dataset
    from sgmn.records import Product
    from sgmn.training.ablation.rows import Row
    from sgmn.training.ablation.study import AblationStudy
    from sgmn.training.ablation.table import Ranks


@dataclass(frozen=True, slots=True)
class AblateOptions:
    """The arguments of `sgmn ablate`."""

    config: ConfigArgument
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the runs and the table."),
    ]
    evaluate_on: Annotated[
        list[str],
        typer.Option(
            "--evaluate-on",
            metavar="DATASET",
            help="Dataset to evaluate on, as FOLDER or FOLDER:SPLIT. May be repeated.",
        ),
    ]
    dataset: TrainOnOption = None
    catalogue: Annotated[
        list[Path] | None,
        typer.Option(
            "--catalogue",
            metavar="FOLDER",
            help="Products for datasets that list none. May be repeated.",
        ),
    ] = None
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="Runs per variant.")] = 3
    row: Annotated[
        list[str] | None,
        typer.Option(
            "--row", metavar="NAME", help="Variant to run. May be repeated. Default: all."
        ),
    ] = None
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines",
            help="Run another set of variants: the backbone without training, RICE-style instance "
            "contrast, SEAM-style attention over frames, SGMN as published, the full model, and "
            "the model with a second glance, with and without hard mining. Each is compared with "
            "the last.",
        ),
    ] = False
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            metavar="FILE",
            help="Also write an HTML page with up to 12 clips of the first --evaluate-on that some "
            "variants answer right and others wrong: frames with the attention of the last variant "
            "that is not a published method, and the first five answers of each variant. Shows the "
            "first seed.",
        ),
    ] = None
    skip_invalid: SkipInvalidOption = False
    list_configs: ListRunConfigsOption = False


@options_from(AblateOptions)
def ablate(options: AblateOptions) -> None:
    """Train and evaluate variants of a model with parts added and left out one by one.

    The same command continues an interrupted run.
    """
    from sgmn.training.ablation.rows import comparison_rows, select_rows
    from sgmn.training.ablation.table import build_table, write_table

    rows = select_rows(options.row or [], comparison_rows() if options.baselines else None)
    if options.sheet is not None:
        _check_sheet(options.sheet, rows)
    study = _prepare(options, rows)
    ranks: dict[str, list[Ranks]] = {}
    for seed in range(options.seeds):
        for variant in rows:
            ranks.setdefault(variant.name, []).append(_run(study, variant, seed))
            write_table(build_table(ranks, rows), options.output)
    if options.sheet is not None:
        _write_sheet(options, rows, study)
    typer.echo((options.output / "table.md").read_text(encoding="utf-8"))


def _prepare(options: AblateOptions, rows: Sequence[Row]) -> AblationStudy:
    """Read the datasets and encode their items."""
    from sgmn.cli import console
    from sgmn.training.ablation.study import prepare_ablation
    from sgmn.training.config_file import read_config

    run = read_config(options.config, options.dataset or ())

    def read(folder: Path) -> Dataset:
        return read_dataset(folder, options.skip_invalid)

    products = [p for folder in options.catalogue or [] for p in read(folder).products]
    evaluated = [_read_split(name, products, read) for name in options.evaluate_on]
    with console.progress_bar() as bar:
        task = bar.add_task("encoding", total=None)

        def show_progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        study, damage = prepare_ablation(run, evaluated, options.output, read, show_progress, rows)
    for line in damage:
        typer.echo(f"warning: {line}", err=True)
    return study


def _check_sheet(path: Path, rows: Sequence[Row]) -> None:
    """Fail before hours of training rather than after them."""
    from sgmn.outputs import require_writable
    from sgmn.workflows.comparison import select_drawn_row

    require_writable(path)
    select_drawn_row(rows)


def _write_sheet(options: AblateOptions, rows: list[Row], study: AblationStudy) -> None:
    from sgmn.data.dataset import Dataset
    from sgmn.workflows.comparison import write_comparison

    assert options.sheet is not None
    name, validation = next(iter(study.validations.items()))
    data = Dataset(Path(), tuple(validation.products), tuple(validation.clips))
    for line in write_comparison(options.sheet, options.output, rows, name, data):
        typer.echo(f"warning: {line}", err=True)


def _run(study: AblationStudy, variant: Row, seed: int) -> Ranks:
    """Train and evaluate one variant. Exits with status 1 if a signal stops the run."""
    from sgmn.cli import console
    from sgmn.cli.signals import stop_on_signal

    typer.echo(f"{variant.name}, seed {seed}")
    with console.training_bar(study.config.train.steps) as bar, stop_on_signal(study.stop):
        ranks = study.run(variant, seed, bar)
    if ranks is None:
        typer.echo("Stopped; run the same command again to continue.")
        raise typer.Exit(1)
    return ranks


def _read_split(
    name: str, products: list[Product], read: Callable[[Path], Dataset]
) -> tuple[str, Dataset]:
    """Read the dataset "FOLDER" or "FOLDER:SPLIT" and return it with its name for tables.

    A dataset without products takes `products`. Raises SgmnError for a clip of a shop that
    has no products.
    """
    folder, _, split = name.partition(":")
    data = read(Path(folder))
    listed = data.products or tuple(products)
    clips = tuple(clip for clip in data.clips if not split or clip.split == split)
    shops = {product.shop_id for product in listed}
    for clip in clips:
        if clip.shop_id not in shops:
            where = f"{folder}: clip {clip.clip_id!r}"
            shop = f"shop {clip.shop_id!r}" if clip.shop_id else "its shop"
            raise SgmnError(f"{shop} lists no product", where, "pass its products by --catalogue")
    return name, replace(data, products=listed, clips=clips)
