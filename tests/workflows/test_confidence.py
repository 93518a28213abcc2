"""Confidences of clips, moments and segments, against what the decoders say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.evaluation.calibration import expected_calibration_error
from sgmn.live.events import segments_from_events
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import events_from_result
from sgmn.live.timeline import Belief, decode_segments
from sgmn.model.embedder import Embedder
from sgmn.records import Segment
from sgmn.workflows.calibration_data import ClipLogits, StreamWatcher, WatchedStream, pad_logits
from sgmn.workflows.confidence import (
    confidence_table,
    measure,
    predict_alone,
    predict_moments,
    predict_segments,
    reliability_diagram,
)
from sgmn.workflows.loading import ShelfCache
from tests.workflows.watched_streams import watched_by_hand

SETTINGS = TimelineSettings()


@pytest.fixture
def watcher(index: Index, embedder: Embedder) -> StreamWatcher:
    return StreamWatcher(embedder, ShelfCache(index), [])


def test_moments_are_the_beliefs_of_the_stream(
    stream: Path, index: Index, embedder: Embedder, watcher: StreamWatcher
) -> None:
    beliefs: list[Belief] = []
    [labeled] = dataset.read_dataset(stream).streams
    recognizer = StreamRecognizer(embedder, index.shelf())
    recognizer.watch(labeled.video, labeled.transcript, beliefs.append)
    [watched] = watcher.watch([labeled])
    predictions = predict_moments([watched], SETTINGS)
    assert predictions.confidences == pytest.approx([belief.confidence for belief in beliefs])
    truths = ["p0" if belief.time_s < 20 else "p3" for belief in beliefs]
    correct = [belief.product_id == true for belief, true in zip(beliefs, truths, strict=True)]
    assert predictions.correct == correct
    assert len(watched.window_logits) == len(beliefs) == 20
    hot = replace(SETTINGS, temperature=50.0)
    assert predict_moments([watched], hot).confidences[3] < predictions.confidences[3]


@pytest.mark.parametrize("is_live", [False, True])
def test_each_moment_has_the_confidence_of_its_segment(is_live: bool) -> None:
    watched = watched_by_hand()
    result = watched.result
    decoded = decode_segments(result.times_s, result.scores, result.product_ids, span_s=(0.0, 16.0))
    from_events = segments_from_events(events_from_result(result, SETTINGS))
    assert from_events != decoded  # or one could be mistaken for the other
    timeline = from_events if is_live else decoded
    predictions = predict_segments([watched, watched], SETTINGS, is_live)
    inside = [next(s for s in timeline if s.start <= t < s.end) for t in result.times_s]
    assert predictions.confidences == [segment.confidence for segment in inside] * 2
    correct = [s.product_id == watched.truths[row] for row, s in enumerate(inside)]
    assert predictions.correct == correct * 2
    assert predictions.groups is not None and len(set(predictions.groups)) == 2 * len(timeline)
    assert predictions.log_loss is None


def test_only_what_the_truth_covers_is_judged(stream: Path, watcher: StreamWatcher) -> None:
    [labeled] = dataset.read_dataset(stream).streams
    timeline = (Segment(0, 10, "p0"), Segment(20, 30, None))
    [watched] = watcher.watch([replace(labeled, timeline=timeline)])
    assert [*watched.truths.values()] == ["p0"] * 5 + [None] * 5
    assert len(watched.window_logits) == 5
    assert len(predict_moments([watched], SETTINGS).confidences) == 10


def test_best_scored_truth_counts_and_unknown_truth_is_wrong() -> None:
    clips = [
        ClipLogits(np.array([0.0, 2.0, 1.0]), (0, 2)),
        ClipLogits(np.array([3.0, 0.0]), (0,)),
        ClipLogits(np.array([3.0, 0.0]), ()),
    ]
    logits, truth = pad_logits(clips)
    assert truth.tolist() == [2, 0] and logits[1].tolist() == [3, 0, -np.inf]
    predictions = predict_alone(clips)
    assert predictions.correct == [False, True, False]
    assert predictions.confidences[1] == pytest.approx(1 / (1 + np.exp(-3)))
    assert predict_alone(clips, 100.0).confidences[1] == pytest.approx(0.5, abs=0.01)


def test_logits_are_divided_by_a_temperature() -> None:
    watched = watched_by_hand()
    divided = watched.divided_by(3.0)
    assert np.allclose(3 * divided.result.scores, watched.result.scores)
    hot = replace(SETTINGS, temperature=3.0)
    assert predict_segments([divided], SETTINGS) == predict_segments([watched], hot)


def test_measurement_has_all_kinds_and_the_time_that_is_right() -> None:
    measurement = measure([ClipLogits(np.array([1.0, 0.0]), (0,))], [watched_by_hand()], SETTINGS)
    kinds = ["clips", "windows", "moments", "segments", "live segments"]
    assert list(measurement.predictions) == kinds
    assert measurement.time_right == pytest.approx(6 / 16)  # the timeline is "a" throughout
    nothing: list[WatchedStream] = []
    clips_only = measure([ClipLogits(np.array([1.0, 0.0]), (0,))], nothing, SETTINGS)
    assert list(clips_only.predictions) == ["clips"] and clips_only.time_right is None


def test_table_and_diagram_show_each_measurement() -> None:
    measurement = measure([], [watched_by_hand()], SETTINGS)
    table = confidence_table({"before": measurement, "after": measurement})
    rows = [line.split("|")[1:] for line in table.splitlines() if line.startswith("| segments")]
    assert [row[1].strip() for row in rows] == ["before", "after"]
    predictions = measurement.predictions["segments"]
    error = expected_calibration_error(predictions.confidences, predictions.correct)
    assert rows[0][6].strip() == f"{100 * error:.1f}" and rows[0][5].strip() == ""
    plot = reliability_diagram({"before": measurement, "after": measurement})
    names = [f"{k}, {n}" for n in ("before", "after") for k in ("moments", "segments")]
    assert {*names} <= {line.name for line in plot.lines}
