"""Measure what each step from windows to timelines contributes, on streams with a true timeline.

    python tools/streams.py DATASET --index INDEX [--model MODEL] [--json OUT.json]

windows alone    each window by itself
online           the belief at each moment, from the windows up to it
online, lag      the same after corrections within the lag of `sgmn watch`, from its events
offline          the exact best path through all windows

If the model has the part "interaction", all are repeated with the graph of the stream: online with
past windows, offline with windows on both sides. A running stream is reported half a window later,
which the delays here do not include.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

from sgmn import outputs
from sgmn.catalogue.index import Index
from sgmn.cli import console
from sgmn.data import dataset
from sgmn.data.dataset import Stream
from sgmn.evaluation.stream_report import StreamReport, StreamResult
from sgmn.evaluation.tables import markdown_table
from sgmn.live.events import segments_from_events
from sgmn.live.frame_buffer import FrameBuffer
from sgmn.live.presence import ScoredWindow
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
from sgmn.live.session import events_from_result
from sgmn.live.timeline import OnlineDecoder, decode_segments
from sgmn.live.windows import Window
from sgmn.records import Segment
from sgmn.workflows import evaluation, loading

Timelines = dict[str, tuple[Segment, ...]]
HEADER = ["method", "time right", "precision", "recall", "F1", "delay s", "missed"]


class PastOnlyRecognizer(StreamRecognizer):
    """A recognizer whose windows are influenced by earlier windows only, in recordings too."""

    def score_windows(
        self,
        windows: Iterable[Window],
        frame_buffer: FrameBuffer,
        batch_size: int,
        windows_after: int = 0,
    ) -> Iterator[ScoredWindow]:
        return super().score_windows(windows, frame_buffer, batch_size, 0)


def main() -> None:
    options = parse_arguments()
    outputs.require_writable(options.json)
    index = Index.open(options.index, options.model)
    _, streams, _ = evaluation.select_labeled(dataset.read_dataset(options.dataset), "")
    reports = build_reports(index, streams)
    rows = [_cells(method, report) for method, report in reports.items()]
    caption = f"{len(streams)} streams; shares in %, segments match at an overlap of half."
    print(markdown_table(HEADER, rows, caption))
    if options.json:
        content = {method: json.loads(report.to_json()) for method, report in reports.items()}
        outputs.write_text(options.json, json.dumps(content, indent=1) + "\n")


def build_reports(index: Index, streams: Sequence[Stream]) -> dict[str, StreamReport]:
    """The report of each method over all streams."""
    shelves, results = loading.ShelfCache(index), dict[str, list[StreamResult]]()
    for stream in console.track(streams, "watching", len(streams)):
        recognizer = StreamRecognizer(index.embedder, shelves[stream.shop_id])
        for method, timeline in build_timelines(recognizer, stream).items():
            result = StreamResult(stream.stream_id, stream.timeline, timeline)
            results.setdefault(method, []).append(result)
    return {method: StreamReport(tuple(own)) for method, own in results.items()}


def build_timelines(recognizer: StreamRecognizer, stream: Stream) -> Timelines:
    """The timeline of a stream by each method."""
    alone = replace(recognizer, context_windows=0).watch(stream.video, stream.transcript)
    timelines = {"windows alone": _decode(alone, recognizer, switch_cost=0.0)}
    timelines |= _decode_online(alone, recognizer, "")
    timelines["offline"] = _decode(alone, recognizer)
    parts = recognizer.embedder.ranker.parts
    if parts is not None and parts.interaction is not None:
        timelines |= _build_graph_timelines(recognizer, stream)
    return timelines


def _build_graph_timelines(recognizer: StreamRecognizer, stream: Stream) -> Timelines:
    past = PastOnlyRecognizer(
        recognizer.embedder,
        recognizer.shelf,
        recognizer.settings,
        recognizer.modalities,
        recognizer.context_windows,
    ).watch(stream.video, stream.transcript)
    both = recognizer.watch(stream.video, stream.transcript)
    return {
        **_decode_online(past, recognizer, " + stream graph"),
        "windows + stream graph": _decode(both, recognizer, switch_cost=0.0),
        "offline + stream graph": _decode(both, recognizer),
    }


def _decode(
    result: RecognitionResult, recognizer: StreamRecognizer, **changes: float
) -> tuple[Segment, ...]:
    settings = replace(recognizer.settings, **changes)
    span_s, products = (0.0, result.duration_s), result.product_ids
    return decode_segments(
        result.times_s, result.scores, products, settings, span_s, result.saliency
    )


def _decode_online(
    result: RecognitionResult, recognizer: StreamRecognizer, suffix: str
) -> Timelines:
    decoder = OnlineDecoder(result.product_ids, recognizer.settings)
    beliefs = [
        (time_s, decoder.push(time_s, row, saliency).product_id)
        for time_s, row, saliency in result.windows
    ]
    events = events_from_result(result, recognizer.settings)
    return {
        f"online{suffix}": tuple(segments_from_beliefs(beliefs, result.duration_s)),
        f"online, lag{suffix}": segments_from_events(events),
    }


def segments_from_beliefs(
    beliefs: Sequence[tuple[float, str | None]], end_s: float
) -> Iterator[Segment]:
    """Each belief lasts half-way to its neighbors; equal neighbors are one segment.

    Args:
        beliefs: seconds and product, in order of time.
        end_s: the end of the stream.
    """
    turns = [(one[0] + two[0]) / 2 for one, two in pairwise(beliefs) if one[1] != two[1]]
    products = [product_id for product_id, _ in groupby(beliefs, key=itemgetter(1))]
    for (start, end), product_id in zip(pairwise([0.0, *turns, end_s]), products, strict=True):
        yield Segment(start, end, product_id)


def _cells(method: str, report: StreamReport) -> list[str]:
    row = report.overall
    shares = (row.time.accuracy, row.segments.precision, row.segments.recall, row.segments.f1)
    delay_s = row.delay.mean_s
    delay = "-" if delay_s is None else f"{delay_s:.1f}"
    return [method, *(f"{100 * share:.1f}" for share in shares), delay, str(row.delay.missed)]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--model", help="the model that created the index, if it has moved")
    parser.add_argument("--json", type=Path, help="write the reports to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
