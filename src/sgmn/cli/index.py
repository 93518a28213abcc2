"""`sgmn index`: create or update the index of a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import AddressOption, EngineOption, ModelOption, RuntimeOption
from sgmn.errors import SgmnError
from sgmn.model.runtimes import TORCH
from sgmn.scale.engines import LOCAL, open_engine

if TYPE_CHECKING:
    from sgmn.catalogue.fetch.options import FetchOptions
    from sgmn.catalogue.index import Index, UpdateProgress, UpdateReport
    from sgmn.scale.engine import Engine


CatalogueArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="CATALOGUE",
        help="Products: a .csv, .tsv or .jsonl file, a Merchant Center, Shopify, WooCommerce or "
        "schema.org feed, the https:// address of one of these, a folder with products.jsonl, or a "
        "folder of images named after their products.",
    ),
]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Index to create or update: a folder, or an address such as s3://BUCKET/FOLDER.",
    ),
]
TargetShopOption = Annotated[
    str | None,
    typer.Option(
        "--shop",
        metavar="ID",
        help="Shop of the products that name no shop; with --remove, the only shop to remove from.",
    ),
]
RemoveOption = Annotated[
    str, typer.Option("--remove", metavar="IDS", help="Product ids to remove, comma-separated.")
]
SyncOption = Annotated[
    bool, typer.Option("--sync", help="Remove products that the catalogue no longer lists.")
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write rejected rows and warnings to this CSV file, with file, line and column.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Folder for downloaded images and feeds. Defaults to the user's cache folder.",
    ),
]
AllowPrivateOption = Annotated[
    bool,
    typer.Option(
        "--allow-private",
        help="Also download from private, loopback and link-local addresses.",
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Reject products with a missing or unreadable image. Without this option, they "
        "are indexed with their other images or their title, and a warning is printed.",
    ),
]
TextOption = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="FIELDS",
        help="Text of each product: title, title+attributes (also color, size and brand) or "
        "title+attributes+description. The longer ones help if titles do not tell products apart. "
        "Defaults to what the index stores, and to title for a new index.",
    ),
]
BatchSizeOption = Annotated[
    int, typer.Option("--batch-size", min=1, metavar="N", help="Products to encode at once.")
]
ProcessesOption = Annotated[
    int,
    typer.Option(
        "--processes",
        min=1,
        metavar="N",
        help="Processes that decode and encode images, one CPU core each. Each one loads the "
        "model.",
    ),
]
VectorIndexOption = Annotated[
    bool,
    typer.Option(
        "--vector-index",
        help="Build an approximate index of vectors for fast search across shops. Useful from "
        "50,000 products on; later updates keep it.",
    ),
]


def index(
    catalogue: CatalogueArgument = None,
    output: OutputOption = "index",
    model: ModelOption = None,
    text: TextOption = None,
    shop: TargetShopOption = None,
    remove: RemoveOption = "",
    sync: SyncOption = False,
    strict: StrictOption = False,
    report: ReportOption = None,
    cache: CacheOption = None,
    allow_private: AllowPrivateOption = False,
    batch_size: BatchSizeOption = 32,
    runtime: RuntimeOption = TORCH,
    engine: EngineOption = LOCAL,
    address: AddressOption = None,
    processes: ProcessesOption = 1,
    vector_index: VectorIndexOption = False,
) -> None:
    """Create or update the index of a catalogue.

    Downloads images that are given as addresses, and encodes only products that are new or have
    changed. If the command is interrupted, run it again to continue where it stopped.
    """
    from sgmn.catalogue import snapshot
    from sgmn.catalogue.fetch.options import FetchOptions, default_cache_folder
    from sgmn.catalogue.index import Index
    from sgmn.product_text import parse_text_fields

    text_fields = None if text is None else parse_text_fields(text, "--text")
    if catalogue is None and not remove and not vector_index:
        raise SgmnError("nothing to do", remedy="pass CATALOGUE, --remove or --vector-index")
    if remove:
        _remove(Index.open(output, model), remove, shop)
    if catalogue is not None:
        fetch = FetchOptions(cache or default_cache_folder(), allow_private)
        with open_engine(engine, address, processes) as cluster:
            target = Index.open_or_create(output, model, text_fields, runtime)
            options = (shop or "", fetch, sync, strict, batch_size)
            _print_report(_add(target, catalogue, *options, cluster), report)
        typer.echo(f"{target.count()} products in {output}")
    if vector_index:
        Index.open(output, model).build_vector_index()
        typer.echo("vector index built")
    snapshot.write(output)


def _remove(target: Index, ids: str, shop: str | None) -> None:
    product_ids = [part.strip() for part in ids.split(",") if part.strip()]
    report = target.remove(product_ids, shop)
    typer.echo(f"{report.count} removed")
    for product_id in report.unknown_ids:
        typer.echo(f"unknown product: {product_id}")


def _add(
    target: Index,
    catalogue: str,
    shop_id: str,
    fetch_options: FetchOptions,
    sync: bool,
    strict: bool,
    batch_size: int,
    engine: Engine | None,
) -> UpdateReport:
    from sgmn.cli import console

    with console.progress_bar() as bar:
        download = bar.add_task("downloading", total=None, visible=False)
        task = bar.add_task("indexing", total=None, visible=False)

        def show_download(done: int, total: int) -> None:
            bar.update(download, completed=done, total=total, visible=True)

        def show_progress(progress: UpdateProgress) -> None:
            bar.update(task, completed=progress.done, total=progress.total, visible=True)

        return target.add(
            catalogue,
            shop_id=shop_id,
            sync=sync,
            strict=strict,
            batch_size=batch_size,
            progress=show_progress,
            fetch_options=fetch_options,
            fetch_progress=show_download,
            engine=engine,
        )


def _print_report(report: UpdateReport, path: Path | None) -> None:
    """Print an update, and write its issues to a file if there is one."""
    from sgmn.catalogue.issue_report import write_issues

    if path is not None:
        write_issues(path, report)
    for issue in report.rejected_rows:
        typer.echo(f"rejected: {issue}", err=True)
    for issue in report.warnings:
        typer.echo(f"warning: {issue}", err=True)
    typer.echo(
        f"{report.added} added, {report.replaced} replaced, {report.unchanged} unchanged,"
        f" {report.removed} removed, {len(report.rejected_rows)} rejected,"
        f" {len(report.warnings)} warnings"
    )
