"""Builds the HTML report of a watched recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgmn.catalogue.index import Index
from sgmn.evaluation.timeline_metrics import time_weighted_accuracy
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
from sgmn.model.explanation import compute_heatmap
from sgmn.model.heatmap import Heatmap
from sgmn.records import ImageArray, Segment, Utterance
from sgmn.report.html import WatchReport
from sgmn.report.segment_details import build_segment_details, window_confidence


def build_watch_report(
    source: Path,
    result: RecognitionResult,
    recognizer: StreamRecognizer,
    index: Index,
    utterances: Sequence[Utterance] = (),
    truth: Sequence[Segment] = (),
    *,
    elapsed_s: float,
) -> WatchReport:
    """Return the report of a recording; its key frames are read here.

    Args:
        source: The recording.
        result: The result of watching it.
        recognizer: The recognizer that watched it.
        index: The index with the shelf of the recognizer.
        utterances: What is said.
        truth: The ground truth, if there is one.
        elapsed_s: How long watching took, in seconds.
    """
    products = recognizer.shelf.products

    def heatmap_of(image: ImageArray, /, text: str) -> Heatmap | None:
        uses_text = "text" in recognizer.modalities
        return compute_heatmap(recognizer.embedder, image, text if uses_text else "")

    return WatchReport(
        name=source.name,
        duration_s=result.duration_s,
        facts={
            **_describe(recognizer),
            "Decoding": str(result.decoding) or "all frames",
            "Processing time": _describe_speed(result.duration_s, elapsed_s),
            "Index": str(index.path),
        },
        details=build_segment_details(result, source, utterances, recognizer.settings, heatmap_of),
        titles={product.product_id: product.title for product in products},
        product_images=index.thumbnails(products[0].shop_id),
        times_s=result.times_s,
        confidence=window_confidence(result, recognizer.settings),
        truth=tuple(truth),
        accuracy=time_weighted_accuracy(truth, result.segments) if truth else None,
        damage=result.damage,
    )


def _describe_speed(duration_s: float, elapsed_s: float) -> str:
    return f"{elapsed_s:.1f} s ({duration_s / elapsed_s:.0f}x real time)"


def _describe(recognizer: StreamRecognizer) -> dict[str, str]:
    """Return labels and texts about the shop and the model."""
    shelf = recognizer.shelf
    shop_id = shelf.products[0].shop_id
    return {
        "Shop": f"{shop_id or '(unnamed)'}, {len(shelf)} products",
        "Model": recognizer.embedder.model.name,
        "Modalities": " and ".join(recognizer.modalities),
    }
