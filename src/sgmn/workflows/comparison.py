"""Collects what a sheet of an ablation shows: clips on which its methods disagree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sgmn.data.dataset import Dataset
from sgmn.errors import MediaError, SettingsError
from sgmn.media.clips import read_timed_clip_frames
from sgmn.media.image import read_image
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.explanation import compute_heatmap
from sgmn.records import Clip, ImageArray
from sgmn.report.comparison_sheet import SheetClip, write_sheet
from sgmn.training.ablation.rows import Row
from sgmn.training.ablation.study import ANSWERS_FILE

CLIPS, FRAMES, SIDE = 12, 4, 480  # clips of a sheet, frames of a clip, pixels
Answers = Mapping[str, Sequence[str]]  # of each clip


def write_comparison(
    path: Path, out: Path, rows: Sequence[Row], name: str, data: Dataset
) -> list[str]:
    """Write the sheet of the first seed for one dataset.

    Args:
        path: the HTML file.
        out: folder of the ablation.
        rows: its rows; the attention of one of them is drawn, see `select_drawn_row`.
        name: of the dataset in the ablation.
        data: the dataset.

    Returns:
        One line for each clip or image that cannot be read.
    """
    folders = {row.name: out / "runs" / row.slug / "0" for row in rows}
    answers = {method: _read_answers(f / ANSWERS_FILE, name) for method, f in folders.items()}
    drawn = select_drawn_row(rows).name
    embedder = Embedder(checkpoint.load(folders[drawn] / "checkpoint"))
    products = {product.key: product for product in data.products}
    sheet, damage, images = [], [], dict[tuple[str, str], ImageArray]()
    for clip in select_clips(data.clips, answers):
        found = {
            m: [products[clip.shop_id, i] for i in a[clip.clip_id]] for m, a in answers.items()
        }
        try:
            frames = read_timed_clip_frames(clip, FRAMES, 1.0, SIDE)
            for product in (p for row in found.values() for p in row if p.image is not None):
                if product.key not in images:
                    images[product.key] = read_image(product.image_paths[0], SIDE)
        except MediaError as error:
            damage.append(str(error))
            continue
        maps = [(frame.rgb, compute_heatmap(embedder, frame.rgb, clip.text)) for frame in frames]
        sheet.append(SheetClip(clip.clip_id, clip.text, maps, frozenset(clip.product_ids), found))
    title = f"{Path(name).name}: clips on which {len(rows)} methods disagree"
    write_sheet(path, title, sheet, images, drawn)
    return damage


def select_drawn_row(rows: Sequence[Row]) -> Row:
    """Return the row whose attention a sheet shows: the last one with a checkpoint.

    Raises SettingsError if all rows are published methods, which have none.
    """
    own = [row for row in rows if not row.baseline]
    if not own:
        remedy = "add --row with a variant of this project, whose attention the page shows"
        raise SettingsError("only published methods are run", "--sheet", remedy)
    return own[-1]


def _read_answers(path: Path, name: str) -> Answers:
    answers: dict[str, Answers] = json.loads(path.read_text(encoding="utf-8"))
    return answers[name]


def select_clips(clips: Sequence[Clip], answers: Mapping[str, Answers]) -> list[Clip]:
    """Select clips that some methods answer right and some wrong, evenly over the dataset."""
    disputed = []
    for clip in (clip for clip in clips if clip.product_ids):
        first = [a[clip.clip_id][:1] for a in answers.values()]
        if len({bool({*ids} & {*clip.product_ids}) for ids in first}) > 1:
            disputed.append(clip)
    step = max(1, len(disputed) // CLIPS)
    return disputed[::step][:CLIPS]
