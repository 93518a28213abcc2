"""Files and warnings that `sgmn watch` writes for recordings and live streams alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import typer

from sgmn import outputs
from sgmn.cli.watch_options import WatchOptions
from sgmn.live.chapters import format_chapters, timeline_to_json
from sgmn.live.recognizer import StreamRecognizer
from sgmn.records import Segment, Utterance


def product_titles(recognizer: StreamRecognizer) -> dict[str, str]:
    """Return the titles of the products on a recognizer's shelf by product_id."""
    return {product.product_id: product.title for product in recognizer.shelf.products}


def write_timeline(
    options: WatchOptions, segments: Sequence[Segment], titles: Mapping[str, str]
) -> None:
    """Write the timeline as JSON and as WebVTT chapters, where requested."""
    if options.output is not None:
        content = json.dumps(timeline_to_json(segments, titles), indent=1)
        outputs.write_text(options.output, content + "\n")
    if options.vtt is not None:
        outputs.write_text(options.vtt, format_chapters(segments, titles))


def warn_late_utterances(utterances: Sequence[Utterance], end_s: float) -> None:
    """Warn about utterances that start after the end of the video."""
    late = sum(utterance.start >= end_s for utterance in utterances)
    if late:
        total = len(utterances)
        typer.echo(f"warning: {late} of {total} cues start after the video ends", err=True)
