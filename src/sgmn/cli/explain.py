"""`sgmn explain`: show why a clip gets its product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import IndexOption, ModelOption, ShopOption, options_from
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from rich.table import Table

    from sgmn.records import Clip
    from sgmn.workflows.clip_explanation import ExplainedClip

SUFFIXES = (".png", ".mp4")


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """The arguments of `sgmn explain`."""

    clip: Annotated[
        str, typer.Argument(metavar="CLIP", help="Video file, or a clip_id of --dataset.")
    ]
    index: IndexOption
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Image (.png) or video (.mp4) to write."
        ),
    ]
    dataset: Annotated[
        Path | None,
        typer.Option("--dataset", metavar="FOLDER", help="Dataset that contains CLIP."),
    ] = None
    transcript: Annotated[
        Path | None,
        typer.Option(
            "--transcript", "-t", metavar="FILE", help="Transcript: .srt, .vtt, .json or .txt."
        ),
    ] = None
    start: Annotated[
        float | None,
        typer.Option("--start", metavar="SECONDS", help="Start of the clip in the video."),
    ] = None
    end: Annotated[
        float | None, typer.Option("--end", metavar="SECONDS", help="End of the clip in the video.")
    ] = None
    model: ModelOption = None
    shop: ShopOption = None


@options_from(ExplainOptions)
def explain(options: ExplainOptions) -> None:
    """Show why the model chooses a product for a clip.

    Shows the image regions, words and score terms that decide.
    """
    from sgmn import outputs
    from sgmn.catalogue.index import Index
    from sgmn.workflows import loading
    from sgmn.workflows.clip_explanation import explain_clip

    _require_suffix(options.output)
    outputs.require_writable(options.output)
    clip = _select_clip(options)
    shop_id = clip.shop_id if options.dataset and options.shop is None else options.shop
    index = Index.open(options.index, options.model)
    explained = explain_clip(clip, index, loading.resolve_shop(index, shop_id))
    _write(explained, options.output)
    _print(explained, clip)


def _write(explained: ExplainedClip, output: Path) -> None:
    from sgmn.report.contact_sheet import write_contact_sheet
    from sgmn.report.overlay_video import write_overlay_video

    write = write_overlay_video if output.suffix.lower() == ".mp4" else write_contact_sheet
    write(explained.illustration, output)


def _print(explained: ExplainedClip, clip: Clip) -> None:
    from sgmn.cli import console

    console.out.print(_score_table(explained))
    for product_id in clip.product_ids:
        typer.echo(_format_rank(product_id, explained.ranking))
    for line in explained.damage:
        typer.echo(f"warning: {line}", err=True)


def _require_suffix(output: Path) -> None:
    if output.suffix.lower() not in SUFFIXES:
        raise SgmnError("has an unknown suffix", output, "pass a .png or .mp4 file")


def _select_clip(options: ExplainOptions) -> Clip:
    """Return the clip of a dataset with this id, or a span of the video at this path."""
    start, end, transcript = options.start, options.end, options.transcript
    if options.dataset is None:
        return _clip_of_video(Path(options.clip), transcript, start or 0.0, end)
    if transcript is None and start is None and end is None:
        return _clip_of_dataset(options.dataset, options.clip)
    raise SgmnError(
        "already defines the span and the transcript of its clips",
        options.dataset,
        "remove --transcript, --start and --end",
    )


def _clip_of_video(path: Path, transcript: Path | None, start: float, end: float | None) -> Clip:
    """Return the span of a video as a clip, with the part of the transcript within it."""
    from sgmn.media import transcript as transcripts
    from sgmn.media import video
    from sgmn.records import Clip, Utterance

    clip = Clip(path.name or str(path), path, start=start, end=end)
    duration_s = video.read_duration(path) or transcripts.DEFAULT_DURATION_S
    utterances = transcripts.read_transcript(transcript, duration_s) if transcript else ()
    text = transcripts.select_text(utterances, start, duration_s if end is None else end)
    return replace(clip, transcript=(Utterance(start, start, text),))


def _clip_of_dataset(folder: Path, clip_id: str) -> Clip:
    from sgmn.data import dataset

    for clip in dataset.read_dataset(folder).clips:
        if clip.clip_id == clip_id:
            return clip
    raise SgmnError(f"has no clip {clip_id!r}", folder, "pass a clip_id from its clips.jsonl")


def _format_rank(product_id: str, ranking: Sequence[str]) -> str:
    if product_id not in ranking:
        return f"The true product {product_id} is not in the index."
    rank = ranking.index(product_id) + 1
    return f"The true product {product_id} has rank {rank} of {len(ranking)}."


def _score_table(explained: ExplainedClip) -> Table:
    """Build the table of the best products with the contribution of each score term."""
    from rich.markup import escape
    from rich.table import Table

    from sgmn.report.contact_sheet import score_contributions

    rows = [score_contributions(product) for product in explained.explanation.products]
    terms = list(dict.fromkeys(term for row in rows for term in row))
    table = Table("", "product", "id", *terms)
    for rank, (product, row) in enumerate(zip(explained.products, rows, strict=True), start=1):
        values = [row.get(term) for term in terms]  # None for a term that dropped out
        cells = ["" if value is None else f"{value:+.3f}" for value in values]
        table.add_row(str(rank), escape(product.title), escape(product.product_id), *cells)
    return table
