"""`tools/streams.py`: the timelines that it compares."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.live.events import segments_from_events
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import events_from_result
from sgmn.model.embedder import Embedder
from sgmn.records import Segment
from sgmn.workflows import loading
from tests.tools.scripts import import_tool
from tests.workflows.conftest import embedder as embedder  # a fixture
from tests.workflows.conftest import index as index  # a fixture

streams = import_tool("streams")


def test_each_method_is_what_its_name_says(index: Index, embedder: Embedder, stream: Path) -> None:
    recognizer = StreamRecognizer(embedder, loading.ShelfCache(index)[""])
    labeled = dataset.read_stream(stream / "streams" / "s.json")
    timelines = streams.build_timelines(recognizer, labeled)
    assert list(timelines) == ["windows alone", "online", "online, lag", "offline"]
    result = recognizer.watch(labeled.video, labeled.transcript)
    assert timelines["offline"] == result.segments
    assert timelines["online, lag"] == segments_from_events(tuple(events_from_result(result)))
    for timeline in timelines.values():
        assert timeline[0].start == 0 and abs(timeline[-1].end - result.duration_s) < 1e-6
        assert all(a.end == b.start for a, b in pairwise(timeline))
        assert all(a.product_id != b.product_id for a, b in pairwise(timeline))


def test_beliefs_last_half_way_to_their_neighbors() -> None:
    beliefs = [(1.0, "a"), (3.0, "a"), (5.0, None), (7.0, "b")]
    segments = list(streams.segments_from_beliefs(beliefs, 8.0))
    assert segments == [Segment(0, 4, "a"), Segment(4, 6, None), Segment(6, 8, "b")]
