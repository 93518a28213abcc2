"""The timeline of a stream as a table for the terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from sgmn.report.formatting import format_time

if TYPE_CHECKING:
    from sgmn.records import Segment

NO_PRODUCT = "nothing on sale"


def format_product(product_id: str | None, titles: Mapping[str, str]) -> str:
    """Return the title of a product as Rich markup, or its id if it has no title."""
    if product_id is None:
        return f"[dim]{NO_PRODUCT}[/dim]"
    return escape(titles.get(product_id) or product_id)


def timeline_table(
    segments: Sequence[Segment], titles: Mapping[str, str], truth: Sequence[Segment] = ()
) -> Table:
    """Build the table of a timeline.

    With a true timeline, a column shows the product that was on sale for most of each segment.
    """
    columns = ("from", "to", "product", "confidence", "runner-up")
    table = Table(*columns, *(["truth"] if truth else []))
    for segment in segments:
        row = [
            format_time(segment.start),
            format_time(segment.end),
            format_product(segment.product_id, titles),
            f"{segment.confidence:.0%}",
            format_product(segment.runner_up, titles) if segment.runner_up else "",
        ]
        table.add_row(*row, *([_format_truth(segment, truth, titles)] if truth else []))
    return table


def _format_truth(segment: Segment, truth: Sequence[Segment], titles: Mapping[str, str]) -> str:
    """Name the true product of most of a segment and mark whether the segment agrees."""
    overlap_s: defaultdict[str | None, float] = defaultdict(float)
    for true_segment in truth:
        start, end = max(segment.start, true_segment.start), min(segment.end, true_segment.end)
        overlap_s[true_segment.product_id] += max(0.0, end - start)
    product_id = max(overlap_s, key=lambda product_id: overlap_s[product_id])
    mark = "[green]✓[/green]" if product_id == segment.product_id else "[red]✗[/red]"
    return f"{mark} {format_product(product_id, titles)}"
