"""What each step from windows to timelines is worth, on streams with a true timeline.

    python tools/streams.py DATASET --index INDEX [--model MODEL] [--json OUT.json]

windows alone    every window for itself
online           what is believed at each moment, from the windows up to it
online, lag      the same after corrections within the lag of `sgmn watch`, as its events tell it
offline          the exact best path through all windows
With a model that has the part "interaction", all again with the graph of the stream: online with
past windows, offline with those on both sides. A moment of a running stream is told half a window
later, which the delays here do not hold.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

from sgmn import outputs
from sgmn.cli import console
from sgmn.data import dataset
from sgmn.data.dataset import Stream
from sgmn.evaluation.stream_report import StreamReport, StreamResult
from sgmn.evaluation.tables import markdown_table
from sgmn.live.events import segments_of
from sgmn.live.recognizer import Recognition, Recognizer
from sgmn.live.session import events_of
from sgmn.live.timeline import OnlineDecoder, segments
from sgmn.records import Segment
from sgmn.workflows import evaluation, opening

Timelines = dict[str, tuple[Segment, ...]]
HEADER = ["way", "time right", "precision", "recall", "F1", "delay s", "missed"]


class PastOnly(Recognizer):
    """Its windows see those before them, also in a recording."""

    def scored(self, cut, reel, together, ahead=0):  # type: ignore[no-untyped-def]
        """As in `Recognizer`, with nothing ahead."""
        return super().scored(cut, reel, together, 0)


def main() -> None:
    given = parsed()
    outputs.require_writable(given.json)
    used = opening.embedder(opening.model_of(given.index, given.model))
    shelves = opening.Shelves(opening.opened(given.index, used))
    _, streams, _ = evaluation.labelled(dataset.read(given.dataset), "")
    found: dict[str, list[StreamResult]] = {}
    for stream in console.counted(iter(streams), "watching", len(streams)):
        for way, timeline in timelines(Recognizer(used, shelves[stream.shop_id]), stream).items():
            result = StreamResult(stream.stream_id, stream.timeline, timeline)
            found.setdefault(way, []).append(result)
    reports = {way: StreamReport(tuple(results)) for way, results in found.items()}
    caption = f"{len(streams)} streams; shares in %, segments match at an overlap of half."
    print(markdown_table(HEADER, [_cells(way, report) for way, report in reports.items()], caption))
    if given.json:
        rows = {way: json.loads(report.to_json()) for way, report in reports.items()}
        outputs.write_text(given.json, json.dumps(rows, indent=1) + "\n")


def timelines(recognizer: Recognizer, stream: Stream) -> Timelines:
    """The timeline of a stream by each way."""
    used, shelf, reach = recognizer.embedder, recognizer.shelf, recognizer.reach
    alone = replace(recognizer, reach=0).watch(stream.video, stream.transcript)
    found = {"windows alone": _decoded(alone, recognizer, switch_cost=0.0)}
    found |= _online(alone, recognizer, "")
    found["offline"] = _decoded(alone, recognizer)
    parts = used.ranker.parts
    if parts is None or parts.interaction is None:
        return found
    past = PastOnly(used, shelf, recognizer.settings, recognizer.use, reach)
    found |= _online(past.watch(stream.video, stream.transcript), recognizer, " + stream graph")
    around = recognizer.watch(stream.video, stream.transcript)
    found["windows + stream graph"] = _decoded(around, recognizer, switch_cost=0.0)
    found["offline + stream graph"] = _decoded(around, recognizer)
    return found


def _decoded(found: Recognition, recognizer: Recognizer, **changed: float) -> tuple[Segment, ...]:
    settings = replace(recognizer.settings, **changed)
    span = (0.0, found.duration_s)
    return segments(found.times, found.scores, found.product_ids, settings, span)


def _online(found: Recognition, recognizer: Recognizer, graph: str) -> Timelines:
    decoder = OnlineDecoder(found.product_ids, recognizer.settings)
    moments = zip(found.times, found.scores, strict=True)
    beliefs = [(float(t), decoder.push(float(t), row).product_id) for t, row in moments]
    told = tuple(events_of(found, recognizer.settings))
    return {
        f"online{graph}": tuple(_held(beliefs, found.duration_s)),
        f"online, lag{graph}": segments_of(told),
    }


def _held(beliefs: Iterable[tuple[float, str | None]], end_s: float) -> Iterator[Segment]:
    """Each belief holds half-way to its neighbours; equal ones are one segment."""
    known = list(beliefs)
    turns = [(one[0] + two[0]) / 2 for one, two in pairwise(known) if one[1] != two[1]]
    names = [product_id for product_id, _ in groupby(known, key=itemgetter(1))]
    for (start, end), product_id in zip(pairwise([0.0, *turns, end_s]), names, strict=True):
        yield Segment(start, end, product_id)


def _cells(way: str, report: StreamReport) -> list[str]:
    row = report.overall
    shares = (row.time.accuracy, row.segments.precision, row.segments.recall, row.segments.f1)
    delay = row.delay.mean_s
    shown = "-" if delay is None else f"{delay:.1f}"
    return [way, *(f"{100 * share:.1f}" for share in shares), shown, str(row.delay.missed)]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--model", help="the model that made the index, where it has moved")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
