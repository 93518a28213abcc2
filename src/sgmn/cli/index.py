"""`sgmn index`: create or update the index of a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import ModelOption, ShopOption, flag
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index, UpdateProgress, UpdateReport


CatalogueArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="CATALOGUE",
        help="Products: a .jsonl, .csv or .tsv file, a folder with products.jsonl, "
        "or a folder of images named after their products.",
    ),
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Index to create or update.")
]
RemoveOption = Annotated[
    str, typer.Option("--remove", metavar="IDS", help="Product ids to remove, comma-separated.")
]
RemoveMissingOption = Annotated[
    bool, flag("--remove-missing", help="Remove products that the catalogue no longer lists.")
]
StrictOption = Annotated[
    bool,
    flag(
        "--strict",
        help="Reject products with a missing or unreadable image. Without this option, they "
        "are indexed with their other images or their title, and a warning is printed.",
    ),
]
BatchSizeOption = Annotated[
    int, typer.Option("--batch-size", min=1, metavar="N", help="Products to encode at once.")
]


def index(
    catalogue: CatalogueArgument = None,
    output: OutputOption = Path("index"),
    model: ModelOption = None,
    shop: ShopOption = None,
    remove: RemoveOption = "",
    remove_missing: RemoveMissingOption = False,
    strict: StrictOption = False,
    batch_size: BatchSizeOption = 32,
) -> None:
    """Create or update the index of a catalogue.

    Encodes only products that are new or have changed.
    """
    from sgmn.catalogue.index import Index

    if catalogue is None and not remove:
        remedy = "pass CATALOGUE, --remove or both"
        raise SgmnError("neither a catalogue to index nor products to remove", remedy=remedy)
    if remove:
        _remove(Index.open(output, model), remove, shop)
    if catalogue is not None:
        target = Index.open_or_create(output, model)
        report = _add(target, catalogue, shop or "", remove_missing, strict, batch_size)
        _print_report(report)
        typer.echo(f"{target.count()} products in {output}")


def _remove(target: Index, ids: str, shop: str | None) -> None:
    product_ids = [part.strip() for part in ids.split(",") if part.strip()]
    report = target.remove(product_ids, shop)
    typer.echo(f"{report.count} removed")
    for product_id in report.unknown_ids:
        typer.echo(f"unknown product: {product_id}")


def _add(
    target: Index,
    catalogue: Path,
    shop_id: str,
    remove_missing: bool,
    strict: bool,
    batch_size: int,
) -> UpdateReport:
    from sgmn.cli import console

    with console.progress_bar() as bar:
        task = bar.add_task("indexing", total=None, visible=False)

        def show_progress(progress: UpdateProgress) -> None:
            bar.update(task, completed=progress.done, total=progress.total, visible=True)

        return target.add(
            catalogue,
            shop_id=shop_id,
            remove_missing=remove_missing,
            strict=strict,
            batch_size=batch_size,
            progress=show_progress,
        )


def _print_report(report: UpdateReport) -> None:
    for issue in report.rejected_rows:
        typer.echo(f"rejected: {issue}", err=True)
    for issue in report.warnings:
        typer.echo(f"warning: {issue}", err=True)
    typer.echo(
        f"{report.added} added, {report.replaced} replaced, {report.unchanged} unchanged,"
        f" {report.removed} removed, {len(report.rejected_rows)} rejected,"
        f" {len(report.warnings)} warnings"
    )
