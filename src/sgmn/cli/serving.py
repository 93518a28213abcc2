"""The verbs of the serving wing: index, watch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import IndexOption, ModelOption, ShopOption, UseOption
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.catalogue.feed import Feed


def index(
    catalogue: Annotated[
        Path | None, typer.Argument(help="A folder, .jsonl, .csv or .tsv, or pictures.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The index.")] = Path("index"),
    model: ModelOption = None,
    shop: ShopOption = None,
    remove: Annotated[str, typer.Option(help="Ids to remove, with commas between.")] = "",
    replace_all: Annotated[
        bool, typer.Option(help="Remove what the catalogue no longer lists.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Products that are encoded at once.")] = 32,
) -> None:
    """Make or update the index of a catalogue; unchanged products are not encoded again."""
    from sgmn import jobs, screen
    from sgmn.catalogue.index import Index

    if catalogue is None and not remove:
        raise SgmnError("no catalogue and nothing to remove", remedy="give CATALOGUE or --remove")
    used = jobs.embedder(jobs.model_of(output, model))
    if remove:
        gone = jobs.opened(output, used).remove(_listed(remove), shop)
        typer.echo(f"{gone.count} removed" + "".join(f"\nunknown: {i}" for i in gone.unknown))
    if catalogue is None:
        return
    read = _fed(catalogue, shop or "", replace_all)
    target = Index.create_or_open(output, jobs.stamp(used))
    with screen.bar() as bar:
        task = bar.add_task("indexing", total=len(read.products))
        report = target.update(
            read.products,
            used.products,
            replace_missing=replace_all,
            batch=batch,
            max_side=used.max_side,
            progress=lambda keys: bar.advance(task, len(keys)),
        )
        bar.update(task, completed=len(read.products))
    for refused in report.refused:
        typer.echo(f"refused: {refused}", err=True)
    typer.echo(
        f"{report.added} added, {report.replaced} replaced, {report.unchanged} unchanged,"
        f" {report.removed} removed, {len(read.refused) + len(report.refused)} refused:"
        f" {target.count()} products in {output}"
    )


def watch(
    source: Annotated[Path, typer.Argument(metavar="VIDEO", help="A recording.")],
    index: IndexOption,
    transcript: Annotated[
        Path | None, typer.Option("--transcript", "-t", help=".srt, .vtt, .json or .txt.")
    ] = None,
    model: ModelOption = None,
    shop: ShopOption = None,
    use: UseOption = "picture,words",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Timeline, JSON.")] = None,
    vtt: Annotated[Path | None, typer.Option(help="Chapters, WebVTT.")] = None,
    page: Annotated[
        Path | None, typer.Option("--html", help="A report with pictures, one HTML file.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="A JSON file with the true timeline.")] = None,
) -> None:
    """Watch a recording: which product is on sale, from when to when."""
    from sgmn import jobs, screen
    from sgmn.live.chapters import chapters, timeline_json
    from sgmn.live.page import html
    from sgmn.live.recognizer import Recognizer
    from sgmn.media import transcript as transcripts
    from sgmn.media import video

    modalities = jobs.modalities(use)
    jobs.require_writable(output, vtt, page)
    used = jobs.embedder(jobs.model_of(index, model))
    opened = jobs.opened(index, used)
    shelf = jobs.Shelves(opened, modalities)[jobs.only_shop(opened, shop)]
    duration_s = video.duration(source)
    said = transcripts.read(transcript, duration_s or transcripts.WHOLE_S) if transcript else ()
    true = jobs.read_truth(truth) if truth else ()
    titles = {product.product_id: product.title for product in shelf.products}
    with screen.watching(titles, duration_s) as live:
        recognizer = Recognizer(used, shelf, use=modalities)
        found = recognizer.watch(source, said, live)
        seconds = live.elapsed_s
    if output is not None:
        jobs.write_text(output, json.dumps(timeline_json(found.segments, titles), indent=1) + "\n")
    if vtt is not None:
        jobs.write_text(vtt, chapters(found.segments, titles))
    if page is not None:
        shown = jobs.page(source, found, recognizer, opened, said, true, seconds=seconds)
        jobs.write_text(page, html(shown))
    for line in found.damage:
        typer.echo(f"damaged: {line}", err=True)
    late = sum(cue.start >= found.duration_s for cue in said)
    if late:
        typer.echo(f"{late} of {len(said)} cues lie after the video's end", err=True)
    screen.out.print(screen.timeline(found.segments, titles, true))
    typer.echo(f"{found.duration_s:.0f} s in {seconds:.1f} s: {found.duration_s / seconds:.1f}x")
    if true:
        typer.echo(jobs.agreement_line(true, found.segments))


def _fed(catalogue: Path, shop: str, replace_all: bool) -> Feed:
    """What a catalogue lists; its refused rows are named, and are no reason to remove products."""
    from sgmn.catalogue import feed

    read = feed.read(catalogue, shop)
    for refused in read.refused:
        typer.echo(f"refused: {refused}", err=True)
    if not read.products:
        raise SgmnError("has no product that could be taken", catalogue, "mend its rows")
    if replace_all and read.refused:
        raise SgmnError(
            f"{len(read.refused)} rows are refused, whose products would go: {read.refused[0]}",
            catalogue,
            "mend them, or leave out --replace-all",
        )
    return read


def _listed(ids: str) -> list[str]:
    return [part.strip() for part in ids.split(",") if part.strip()]
