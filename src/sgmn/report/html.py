"""A watched stream as one page of HTML: what was found and when, how surely, beside the truth.

The page is one file: pictures are in it, nothing is fetched and nothing in it runs. Titles and
words come from strangers, so the template escapes whatever it is given.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from numpy.typing import NDArray
from PIL import Image

from sgmn.records import Segment
from sgmn.report.drawing import heat_levels, veil
from sgmn.report.formatting import clock, percent

TEMPLATE = "report.html.j2"
GOLDEN_ANGLE = 137.508  # degrees between one product's hue and the next one's
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
TICKS = 8  # on the axis, at most
STRIP_PX = 320  # the strip's width at least, a telephone's; and of each segment in the mean
SEGMENT_PX = 24
NUMBER_PX = 16  # what the number of a segment takes
SLIVER_S = 1.0  # what the truth has for less than this is the rounding of an edge


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """What the stream shows at `time_s`, a JPEG.

    `heat` (h, w), of any size, is where the model looked, as `explanation.Gaze.heat` has it.
    """

    time_s: float
    jpeg: bytes
    heat: NDArray[np.floating] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A segment with what speaks for it, and against it.

    `others` are the next best states, best first, with their probabilities (None is nothing
    on sale); `said` are the words of the time.
    """

    segment: Segment
    frame: KeyFrame | None = None
    others: tuple[tuple[str | None, float], ...] = ()
    said: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """All that the page shows. Times are seconds, shares and probabilities 0..1.

    facts: what there is to know of model, index and shop, as it is to be read. pictures: of
    the shop, JPEGs by product_id. times (W,), confidence (W,): how sure each window alone is
    of what was found at its time. right: share of the time in which the truth agrees.
    damage: what of the video could not be read, a line each.
    """

    name: str
    duration_s: float
    facts: Mapping[str, str]
    findings: tuple[Finding, ...]
    titles: Mapping[str, str]
    pictures: Mapping[str, bytes]
    times: NDArray[np.float64]
    confidence: NDArray[np.float64]
    truth: tuple[Segment, ...] = ()
    right: float | None = None
    damage: tuple[str, ...] = ()

    @property
    def span_s(self) -> float:
        """What the strip covers: the stream, and a truth that goes on after it."""
        return max(self.duration_s, *(true.end for true in self.truth), 0.0) or 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the truth says of a segment: the share that is right, and what else was on sale.

    `instead` are the other true products (None is nothing) with their seconds, in order.
    """

    right: float
    instead: tuple[tuple[str | None, float], ...] = ()


def html(page: Page) -> str:
    """The page as HTML text, ready for a file in UTF-8."""
    tools = (clock, percent, data_uri, heat_uri, verdict, differences)
    text = _template().render({tool.__name__: tool for tool in tools}, page=page, look=_Look(page))
    # The name of a file may hold bytes that are no text; no encoder takes those.
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _template() -> Template:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return found.get_template(TEMPLATE)


class _Look:
    """Where things lie on the page and which colour they have; the template asks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        found = tuple(finding.segment for finding in page.findings)
        sold = (s.product_id for s in (*found, *page.truth) if s.product_id is not None)
        self._hues = {p: i * GOLDEN_ANGLE % 360 for i, p in enumerate(dict.fromkeys(sold))}
        self.found = found
        places = (i for i, segment in enumerate(found) if segment.product_id is not None)
        self.sales = {place: number for number, place in enumerate(places, start=1)}
        self.products = len({s.product_id for s in found} - {None})
        self.has_heat = any(f.frame and f.frame.heat is not None for f in page.findings)

    @property
    def strip_px(self) -> int:
        """The least width of the strip in pixels; a narrower window scrolls it."""
        return max(STRIP_PX, SEGMENT_PX * len(self.found))

    def has_room(self, segment: Segment) -> bool:
        """Whether a number fits above a segment, however narrow the window is."""
        share = (segment.end - segment.start) / self.page.span_s
        return share * self.strip_px >= NUMBER_PX

    def hue(self, product_id: str | None) -> str:
        """Degrees on the colour wheel, the same for a product wherever it appears."""
        return f"{self._hues.get(product_id or '', 0.0):.0f}"

    def title(self, product_id: str | None) -> str:
        """A product as a person knows it."""
        if product_id is None:
            return "Nothing on sale"
        return " ".join(self.page.titles.get(product_id, "").split()) or product_id

    def picture(self, product_id: str | None) -> str | None:
        """The shop's picture as a data URI, if there is one."""
        jpeg = self.page.pictures.get(product_id) if product_id is not None else None
        return data_uri(jpeg) if jpeg else None

    def percent_of_span(self, seconds: float) -> str:
        """Where a time lies on the strip, in percent of its width."""
        return f"{100 * seconds / self.page.span_s:.3f}"

    def ticks(self) -> list[float]:
        """Seconds that the axis names."""
        span = self.page.span_s
        step = next((s for s in STEPS_S if span / s <= TICKS), STEPS_S[-1])
        return [float(at) for at in range(0, int(span) + 1, step)]

    def curve(self, segment: Segment) -> str:
        """The confidence in a segment as points of a line, "x,y x,y", in a box of 1000 by 100."""
        inside = (self.page.times >= segment.start) & (self.page.times <= segment.end)
        if not inside.any():
            return ""
        times = [segment.start, *self.page.times[inside], segment.end]
        shares = self.page.confidence[inside]
        heights = [shares[0], *shares, shares[-1]]
        scale = 1000 / self.page.span_s
        return " ".join(
            f"{t * scale:.1f},{100 * (1 - h):.1f}" for t, h in zip(times, heights, strict=True)
        )

    def foot(self, seconds: float) -> str:
        """The point "x,y" under a moment, where the curve's area ends."""
        return f"{seconds * 1000 / self.page.span_s:.1f},100"


def verdict(segment: Segment, truth: Sequence[Segment]) -> Verdict | None:
    """Hold a segment against a truth; None where the truth covers none of it.

    >>> verdict(Segment(0, 10, "a"), [Segment(0, 8, "a"), Segment(8, 20, None)])
    Verdict(right=0.8, instead=((None, 2.0),))
    """
    shared: dict[str | None, float] = {}
    for true in truth:
        both = float(min(segment.end, true.end) - max(segment.start, true.start))
        if both > 0:
            shared[true.product_id] = shared.get(true.product_id, 0.0) + both
    if not shared:
        return None
    total, right = sum(shared.values()), shared.pop(segment.product_id, 0.0)
    return Verdict(right / total, tuple((p, s) for p, s in shared.items() if s >= SLIVER_S))


def differences(found: Sequence[Segment], truth: Sequence[Segment]) -> list[tuple[float, float]]:
    """The times, start and end, for which `found` says something else than `truth`.

    What the truth does not cover is not judged; what was not found counts as nothing.

    >>> differences([Segment(0, 6, "a")], [Segment(0, 4, "a"), Segment(4, 9, "b")])
    [(4, 6), (6, 9)]
    """
    edges = sorted({edge for s in (*found, *truth) for edge in (s.start, s.end)})
    return [
        (start, end)
        for start, end in pairwise(edges)
        if (true := _at(truth, start)) is not None
        and true.product_id != getattr(_at(found, start), "product_id", None)
    ]


def _at(timeline: Sequence[Segment], time_s: float) -> Segment | None:
    return next((s for s in timeline if s.start <= time_s < s.end), None)


def heat_uri(heat: NDArray[np.floating]) -> str:
    """A heat-map (h, w) as a data URI: a PNG to be laid over the frame, see `drawing.veil`."""
    light, glow = veil(heat_levels(heat))
    pixels = np.concatenate([glow / (1 - light), 255 * (1 - light)], -1)
    file = io.BytesIO()
    Image.fromarray(pixels.round().astype(np.uint8)).save(file, "PNG")
    return data_uri(file.getvalue(), "png")


def data_uri(picture: bytes, kind: str = "jpeg") -> str:
    """A picture's bytes as an address that holds them."""
    return f"data:image/{kind};base64,{b64encode(picture).decode()}"
