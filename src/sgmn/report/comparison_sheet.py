"""A page of clips with the attention of a model and the first answers of several methods.

The page is one file that contains its images, fetches nothing and runs no scripts.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from sgmn.model.heatmap import Heatmap
from sgmn.records import ImageArray, Product
from sgmn.report.canvas import fit_size
from sgmn.report.heatmap_overlay import overlay_heatmap
from sgmn.report.html import data_uri

FRAME_SIDE, PRODUCT_SIDE = 200, 84  # pixels
STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#222}
section{border-top:1px solid #ccc;padding:1rem 0} h2{font-size:1rem} img{vertical-align:top}
.frames img{margin-right:6px} td,th{padding:4px 10px 4px 0;text-align:left;font-weight:normal}
td img{width:84px;height:84px;object-fit:contain;border:4px solid #ddd}
td img.true{border-color:#2a8f3c} q{color:#555}
"""


@dataclass(frozen=True, eq=False)
class SheetClip:
    """A clip of the sheet.

    Attributes:
        name: of the clip.
        text: the transcript.
        frames: some frames (H, W, 3), each with a heatmap, or None without guidance.
        truths: the true products.
        answers: the first products of each method, by its name.
    """

    name: str
    text: str
    frames: Sequence[tuple[ImageArray, Heatmap | None]]
    truths: frozenset[str]
    answers: Mapping[str, Sequence[Product]]


def write_sheet(
    path: Path,
    title: str,
    clips: Sequence[SheetClip],
    images: Mapping[tuple[str, str], ImageArray],
    drawn: str,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        title: heading.
        clips: the clips, in order.
        images: main images by `Product.key`; products without one show their title only.
        drawn: name of the method whose attention is drawn.
    """
    uris = {key: _encode(_shrink(image, PRODUCT_SIDE)) for key, image in images.items()}
    body = "\n".join(_section(clip, uris) for clip in clips)
    body = body or "<p>The first answers of all methods are right, or wrong, on the same clips.</p>"
    legend = f"Colors show where <b>{escape(drawn)}</b> looks."
    path.write_text(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n<h1>{escape(title)}</h1>\n<p>{legend} "
        f"True products have a green frame.</p>\n{body}\n</html>\n",
        encoding="utf-8",
    )


def _section(clip: SheetClip, uris: Mapping[tuple[str, str], str]) -> str:
    frames = "".join(
        f'<img alt="frame {number}" src="{_frame(*frame)}">'
        for number, frame in enumerate(clip.frames, start=1)
    )
    rows = "".join(
        f"<tr><th>{escape(method)}</th>"
        + "".join(_cell(product, clip.truths, uris) for product in products)
        + "</tr>"
        for method, products in clip.answers.items()
    )
    said = f"<q>{escape(clip.text)}</q>" if clip.text else "(no transcript)"
    return (
        f'<section><h2>{escape(clip.name)}</h2><p>{said}</p><p class="frames">{frames}</p>'
        f"<table>{rows}</table></section>"
    )


def _cell(product: Product, truths: frozenset[str], uris: Mapping[tuple[str, str], str]) -> str:
    title, is_true = escape(product.title or product.product_id), product.product_id in truths
    kind = ' class="true"' if is_true else ""
    uri = uris.get(product.key)
    mark = " ✓" if is_true else ""
    if uri is None:
        return f"<td>{title}{mark}</td>"
    return f'<td><img{kind} alt="{title}{mark}" title="{title}" src="{uri}"></td>'


def _frame(image: ImageArray, heatmap: Heatmap | None) -> str:
    size = fit_size(image, FRAME_SIDE, FRAME_SIDE)
    return _encode(overlay_heatmap(image, heatmap, size))


def _shrink(image: ImageArray, side: int) -> Image.Image:
    return Image.fromarray(image).resize(fit_size(image, side, side))


def _encode(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return data_uri(buffer.getvalue())
