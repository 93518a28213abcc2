"""The HTML report of a watched stream: segments, confidence, and a comparison with ground truth.

The report is one file. It contains its images, fetches nothing and runs no scripts. Titles and
transcripts come from third parties, so the template escapes all text.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from numpy.typing import NDArray
from PIL import Image

from sgmn.records import Segment
from sgmn.report.formatting import format_percent, format_time
from sgmn.report.heatmap_overlay import heatmap_levels, overlay_layers
from sgmn.report.truth_comparison import compare_with_truth, find_differences

TEMPLATE = "report.html.j2"
GOLDEN_ANGLE = 137.508  # degrees between the hues of two consecutive products
TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
MAX_TICKS = 8
MIN_TIMELINE_PX = 320  # the width of a phone
MEAN_SEGMENT_PX = 24  # the timeline has at least this width per segment
SEGMENT_NUMBER_PX = 16


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """A frame of the stream.

    Attributes:
        time_s: Seconds into the stream.
        jpeg: The frame as a JPEG.
        heatmap: (h, w), of any size: where the model looked, as in `explanation.AttentionMap`.
    """

    time_s: float
    jpeg: bytes
    heatmap: NDArray[np.floating] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SegmentDetails:
    """A segment with its key frame, alternatives and transcript.

    Attributes:
        segment: The segment.
        frame: The frame at which the model is most confident; None if it cannot be read.
        alternatives: The other states with the most evidence, best first, with their
            probabilities; None means nothing on sale.
        transcript: What is said during the segment.
    """

    segment: Segment
    frame: KeyFrame | None = None
    alternatives: tuple[tuple[str | None, float], ...] = ()
    transcript: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class WatchReport:
    """The content of the report. Times are seconds; shares and probabilities are 0..1.

    Attributes:
        name: Name of the recording.
        duration_s: Duration of the recording.
        facts: Labels and texts about model, index and shop.
        details: The segments, in order.
        titles: Product titles by product id.
        product_images: JPEGs of the shop by product id.
        times_s: (W,) moments of the windows.
        confidence: (W,) how probable each window alone makes the recognized state of its moment.
        truth: The ground truth, if there is one.
        accuracy: Share of the time in which the segments match the ground truth.
        damage: One line for each part of the video that could not be read.
    """

    name: str
    duration_s: float
    facts: Mapping[str, str]
    details: tuple[SegmentDetails, ...]
    titles: Mapping[str, str]
    product_images: Mapping[str, bytes]
    times_s: NDArray[np.float64]
    confidence: NDArray[np.float64]
    truth: tuple[Segment, ...] = ()
    accuracy: float | None = None
    damage: tuple[str, ...] = ()

    @property
    def span_s(self) -> float:
        """Length of the timeline: the stream, or a ground truth that is longer."""
        return max(self.duration_s, *(segment.end for segment in self.truth), 0.0) or 1.0


def render_html(report: WatchReport) -> str:
    """Return the report as HTML text, to be written as UTF-8."""
    functions = (
        format_time,
        format_percent,
        data_uri,
        heatmap_uri,
        compare_with_truth,
        find_differences,
    )
    text = _load_template().render(
        {function.__name__: function for function in functions},
        report=report,
        layout=_Layout(report),
    )
    # A file name may contain bytes that are no text, which UTF-8 cannot encode.
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _load_template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)


class _Layout:
    """Positions, colors and labels of the report, for the template."""

    def __init__(self, report: WatchReport) -> None:
        self.report = report
        self.segments = tuple(details.segment for details in report.details)
        sold = [
            segment.product_id
            for segment in (*self.segments, *report.truth)
            if segment.product_id is not None
        ]
        unique = dict.fromkeys(sold)
        self._hues = {id_: index * GOLDEN_ANGLE % 360 for index, id_ in enumerate(unique)}
        with_product = (i for i, s in enumerate(self.segments) if s.product_id is not None)
        self.numbers = {index: number for number, index in enumerate(with_product, start=1)}
        self.product_count = len({segment.product_id for segment in self.segments} - {None})
        self.has_heatmap = any(
            details.frame is not None and details.frame.heatmap is not None
            for details in report.details
        )

    @property
    def timeline_px(self) -> int:
        """The minimum width of the timeline in pixels; it scrolls in a narrower window."""
        return max(MIN_TIMELINE_PX, MEAN_SEGMENT_PX * len(self.segments))

    def fits_number(self, segment: Segment) -> bool:
        """Whether a number fits above a segment at the minimum width."""
        share = (segment.end - segment.start) / self.report.span_s
        return share * self.timeline_px >= SEGMENT_NUMBER_PX

    def hue(self, product_id: str | None) -> str:
        """Return the hue of a product in degrees, the same wherever it appears."""
        return f"{self._hues.get(product_id or '', 0.0):.0f}"

    def title(self, product_id: str | None) -> str:
        """Return the title of a product, or its id."""
        if product_id is None:
            return "Nothing on sale"
        return " ".join(self.report.titles.get(product_id, "").split()) or product_id

    def product_image(self, product_id: str | None) -> str | None:
        """Return the shop image of a product as a data URI, if there is one."""
        jpeg = self.report.product_images.get(product_id) if product_id is not None else None
        return data_uri(jpeg) if jpeg else None

    def percent_of_span(self, seconds: float) -> str:
        """Return a time in percent of the length of the timeline."""
        return f"{100 * seconds / self.report.span_s:.3f}"

    def ticks_s(self) -> list[float]:
        """Return the times that the axis labels, in seconds."""
        span_s = self.report.span_s
        step_s = next((s for s in TICK_STEPS_S if span_s / s <= MAX_TICKS), TICK_STEPS_S[-1])
        return [float(tick_s) for tick_s in range(0, int(span_s) + 1, step_s)]

    def confidence_curve(self, segment: Segment) -> str:
        """Return the confidence during a segment as points "x,y x,y" in a box of 1000 by 100."""
        report = self.report
        inside = (report.times_s >= segment.start) & (report.times_s <= segment.end)
        if not inside.any():
            return ""
        times_s = [segment.start, *report.times_s[inside], segment.end]
        shares = report.confidence[inside]
        heights = [shares[0], *shares, shares[-1]]
        scale = 1000 / report.span_s
        points = zip(times_s, heights, strict=True)
        return " ".join(f"{t * scale:.1f},{100 * (1 - h):.1f}" for t, h in points)

    def curve_base(self, seconds: float) -> str:
        """Return the point "x,y" on the base line, where the area under the curve ends."""
        return f"{seconds * 1000 / self.report.span_s:.1f},100"


def heatmap_uri(heatmap: NDArray[np.floating]) -> str:
    """Return a heatmap (h, w) as a data URI of a PNG to lay over the frame."""
    transmission, glow = overlay_layers(heatmap_levels(heatmap))
    pixels = np.concatenate([glow / (1 - transmission), 255 * (1 - transmission)], -1)
    file = io.BytesIO()
    Image.fromarray(pixels.round().astype(np.uint8)).save(file, "PNG")
    return data_uri(file.getvalue(), "png")


def data_uri(image: bytes, kind: str = "jpeg") -> str:
    """Return the bytes of an image as a data URI."""
    return f"data:image/{kind};base64,{b64encode(image).decode()}"
