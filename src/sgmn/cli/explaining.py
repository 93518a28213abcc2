"""The verb that says why: explain."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from sgmn.cli.options import IndexOption, ModelOption, ShopOption
from sgmn.errors import MediaError, SgmnError
from sgmn.records import Clip, ClipContent, Picture, Product, ProductContent, Utterance

if TYPE_CHECKING:
    from rich.table import Table

    from sgmn.media.video import Frame
    from sgmn.model.explanation import Explanation
    from sgmn.report.drawing import Scene

SUFFIXES = (".png", ".mp4")
LISTED, DRAWN = 3, 2  # products, best first
DRAWN_SIDE = 480  # pixels of what is drawn; the model may see less


def explain(
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="A video; a clip's id in DATASET.")],
    index: IndexOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png, or .mp4 for a film.")],
    dataset: Annotated[Path | None, typer.Option(help="The folder of the dataset.")] = None,
    transcript: Annotated[
        Path | None, typer.Option("--transcript", "-t", help=".srt, .vtt, .json or .txt.")
    ] = None,
    start: Annotated[float | None, typer.Option(help="Where in the video, seconds.")] = None,
    end: Annotated[float | None, typer.Option(help="To where in the video, seconds.")] = None,
    model: ModelOption = None,
    shop: ShopOption = None,
) -> None:
    """Show why a clip gets its product: where the model looks, what it hears, how it scores."""
    from sgmn import outputs
    from sgmn.cli import console
    from sgmn.model import explanation
    from sgmn.report import contact_sheet, overlay_video
    from sgmn.workflows import opening

    _require_kind(output)
    outputs.require_writable(output)
    meant = _meant(clip, dataset, transcript, start, end)
    if dataset is not None and shop is None:
        shop = meant.shop_id
    used = opening.embedder(opening.model_of(index, model))
    opened = opening.opened(index, used)
    shelf = opened.shelf(opening.only_shop(opened, shop))
    damage: list[str] = []
    frames = _frames(meant, used.max_side, damage)
    content = ClipContent(tuple(frame.rgb for frame in frames), meant.words)
    matches = shelf.best(used.clips([content]), used.ranker, len(shelf))[0]
    ranking = [shelf.product_ids.index(match.product_id) for match in matches]
    best = [shelf.products[place] for place in ranking[:LISTED]]
    small = opened.thumbnails(best[0].shop_id)
    shown = [_content(product, small.get(product.product_id), damage) for product in best]
    contents = dict(zip(ranking, shown, strict=False))
    found = explanation.explain(used, content, shelf.vectors, contents)
    drawn = overlay_video if output.suffix.lower() == ".mp4" else contact_sheet
    drawn.write(_scene(meant, frames, found, best, shown), output)
    console.out.print(_table(found, best))
    for true in meant.product_ids:
        typer.echo(_placed(true, [match.product_id for match in matches]))
    for line in damage:
        typer.echo(f"damaged: {line}", err=True)


def _require_kind(output: Path) -> None:
    if output.suffix.lower() not in SUFFIXES:
        raise SgmnError("is neither a picture nor a film", output, "name a .png or .mp4")


def _meant(
    clip: str,
    dataset: Path | None,
    transcript: Path | None,
    start: float | None,
    end: float | None,
) -> Clip:
    """The clip of a dataset that has this id, or a span of the video at this path."""
    if dataset is None:
        return _of_video(Path(clip), transcript, start or 0.0, end)
    if transcript is None and start is None and end is None:
        return _of_dataset(dataset, clip)
    raise SgmnError("knows the span and words of its clips", dataset, "give only CLIP")


def _of_video(source: Path, transcript: Path | None, start: float, end: float | None) -> Clip:
    """The span of a video, and what is said in it."""
    from sgmn.media import transcript as transcripts
    from sgmn.media import video

    clip = Clip(source.name or str(source), source, start=start, end=end)
    last = video.duration(source) or transcripts.WHOLE_S
    said = transcripts.read(transcript, last) if transcript else ()
    words = transcripts.between(said, start, last if end is None else end)
    return replace(clip, transcript=(Utterance(start, start, words),))


def _of_dataset(folder: Path, clip_id: str) -> Clip:
    from sgmn.data import dataset

    for clip in dataset.read(folder).clips:
        if clip.clip_id == clip_id:
            return clip
    raise SgmnError(f"has no clip {clip_id!r}", folder, "take a clip_id of its clips.jsonl")


def _frames(clip: Clip, max_side: int, damage: list[str]) -> list[Frame]:
    """The frames that evaluation takes of a clip, with their times; see `clips.clip_frames`."""
    from sgmn.media import image, video
    from sgmn.workflows.evaluation import FRAMES

    if clip.video is None:
        picked = video.pick(len(clip.frames), FRAMES)
        return [video.Frame(float(i), image.read(clip.frames[i], max_side)) for i in picked]
    found = list(_sampled(clip, max_side, damage))
    return [found[i] for i in video.pick(len(found), FRAMES)]


def _sampled(clip: Clip, max_side: int, damage: list[str]) -> Iterator[Frame]:
    from sgmn.media import video

    assert clip.video is not None
    return video.frames(
        clip.video, start_s=clip.start, end_s=clip.end, max_side=max_side, damage=damage
    )


def _drawn(clip: Clip, frames: Sequence[Frame]) -> tuple[Picture, ...]:
    """The same frames, of a size that is good to look at."""
    if clip.video is None:
        return tuple(frame.rgb for frame in _frames(clip, DRAWN_SIDE, []))
    times = {frame.time_s for frame in frames}
    return tuple(f.rgb for f in _sampled(clip, DRAWN_SIDE, []) if f.time_s in times)


def _content(product: Product, small: bytes | None, damage: list[str]) -> ProductContent:
    """What a product shows: its pictures, or the one that the index has kept."""
    from sgmn.media import record_content

    try:
        return record_content.product_content(product, max_side=DRAWN_SIDE)
    except MediaError as error:
        damage.append(f"{error.where}: {error.what}; the index's small picture is shown")
    return ProductContent(() if small is None else (_decoded(small),), product.title)


def _decoded(jpeg: bytes) -> Picture:
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as image:
        return np.array(image.convert("RGB"))


def _scene(
    clip: Clip,
    frames: Sequence[Frame],
    found: Explanation,
    best: Sequence[Product],
    shown: Sequence[ProductContent],
) -> Scene:
    """What is drawn of an explanation."""
    from sgmn.report.drawing import Listing, Scene

    times = [frame.time_s for frame in frames]
    lasts_s = times[-1] - times[-2] if len(times) > 1 else 1.0
    end_s = times[-1] + lasts_s
    listings = [
        Listing(product.product_id, product.title, content.pictures)
        for product, content in zip(best, shown, strict=True)
    ]
    return Scene(
        clip.clip_id,
        tuple(times),
        end_s if clip.end is None else min(clip.end, end_s),
        _drawn(clip, frames),
        replace(found, comparisons=found.comparisons[:DRAWN]),
        tuple(listings[:DRAWN]),
    )


def _placed(true: str, ranking: Sequence[str]) -> str:
    """Where a true product came, in a line."""
    if true not in ranking:
        return f"the true product {true} is not on the shelf"
    return f"the true product {true} comes {ranking.index(true) + 1}. of {len(ranking)}"


def _table(found: Explanation, best: Sequence[Product]) -> Table:
    """The best products with their scores, and what each term adds to them."""
    from rich.markup import escape
    from rich.table import Table

    from sgmn.report.contact_sheet import added

    rows = [added(compared) for compared in found.comparisons]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table("", "product", "id", *names)
    for rank, (product, row) in enumerate(zip(best, rows, strict=True), start=1):
        values = [row.get(name) for name in names]
        shown = ["" if value is None else f"{value:+.3f}" for value in values]
        table.add_row(str(rank), escape(product.title), escape(product.product_id), *shown)
    return table
