"""Confidences of clips, windows, moments and segments, and whether they are calibrated.

The confidence of a clip is the softmax over its shelf. A stream has four kinds: that of a window
alone, where something is on sale; that of the online decoder at each moment; that of the segment
in which a moment lies, for a recording; and the same as the events of a running stream tell it.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean

import numpy as np
from scipy.special import softmax

from sgmn.evaluation import calibration
from sgmn.evaluation.stream_report import StreamReport, StreamResult, StreamRow
from sgmn.evaluation.tables import markdown_table
from sgmn.live.events import segments_from_events
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import RecognitionResult
from sgmn.live.session import events_from_result
from sgmn.live.timeline import OnlineDecoder, decode_segments
from sgmn.records import Segment
from sgmn.report.line_plot import Axis, Line, LinePlot
from sgmn.workflows.calibration_data import ClipLogits, WatchedStream, pad_logits

HEADER = ["confidence of", "model", "n", "correct", "mean", "log loss", "ECE", "if calibrated"]
HEADER += ["ECE, equal width", "if calibrated"]
CAPTION = (
    "Shares in %, log loss in nats, ECE over 15 bins of equal mass and of equal width. If"
    " calibrated: the mean ECE, and the value that 95 % stay below, if every confidence were true"
    " and a segment were correct or wrong as a whole. Windows and moments of a stream depend on"
    " each other, so their ECE varies more by chance."
)
DIAGRAM_BINS = 10
BINNINGS: tuple[calibration.Binning, ...] = ("mass", "width")


@dataclass(frozen=True, slots=True)
class Predictions:
    """Confidences (N,), which predictions are correct (N,), and the log loss of the truths.

    log_loss: None where the truths have no probability. groups: (N,) names of what is correct or
    wrong as a whole; None if each prediction stands alone.
    """

    confidences: list[float]
    correct: list[bool]
    log_loss: float | None
    groups: list[str] | None = None

    @property
    def error(self) -> float:
        """The expected calibration error, 15 bins of equal mass."""
        return calibration.expected_calibration_error(self.confidences, self.correct)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The predictions of each kind, and the share of the streams' time that is right, if any."""

    predictions: Mapping[str, Predictions]
    time_right: float | None


def measure(
    clips: Sequence[ClipLogits], streams: Sequence[WatchedStream], settings: TimelineSettings
) -> Measurement:
    """Measure all kinds of confidence that the data have."""
    windows = [window for stream in streams for window in stream.window_logits]
    predictions = {}
    if clips:
        predictions["clips"] = predict_alone(clips)
    if windows:
        predictions["windows"] = predict_alone(windows, settings.temperature)
    if streams:
        predictions["moments"] = predict_moments(streams, settings)
        predictions["segments"] = predict_segments(streams, settings)
        predictions["live segments"] = predict_segments(streams, settings, is_live=True)
    time_right = judge_timelines(streams, settings).time.accuracy if streams else None
    return Measurement(predictions, time_right)


def predict_alone(clips: Sequence[ClipLogits], temperature: float = 1.0) -> Predictions:
    """The best product of each clip or window, and its share of the softmax."""
    shares = [softmax(clip.logits / temperature) for clip in clips]
    best = [int(share.argmax()) for share in shares]
    confidences = [float(share[column]) for share, column in zip(shares, best, strict=True)]
    correct = [column in clip.true_columns for column, clip in zip(best, clips, strict=True)]
    logits, truths = pad_logits(clips)
    loss = calibration.log_loss(logits, truths, temperature) if truths.size else None
    return Predictions(confidences, correct, loss)


def predict_moments(streams: Sequence[WatchedStream], settings: TimelineSettings) -> Predictions:
    """The belief of the online decoder at each moment; nothing on sale is a state too."""
    confidences, correct, losses = [], [], []
    for result, truths, _ in streams:
        states = (*result.product_ids, None)
        decoder = OnlineDecoder(result.product_ids, settings)
        for row, (time_s, logits, saliency) in enumerate(result.windows):
            belief = decoder.push(time_s, logits, saliency)
            if row not in truths:
                continue
            confidences.append(belief.confidence)
            correct.append(belief.product_id == truths[row])
            if truths[row] in states:
                losses.append(-log(belief.probabilities[states.index(truths[row])]))
    return Predictions(confidences, correct, fmean(losses) if losses else None)


def predict_segments(
    streams: Sequence[WatchedStream], settings: TimelineSettings, is_live: bool = False
) -> Predictions:
    """The confidence of the segment of each moment."""
    confidences, correct, groups = [], [], []
    for number, (result, truths, _) in enumerate(streams):
        timeline = decode_timeline(result, settings, is_live)
        starts = [segment.start for segment in timeline]
        for row, truth in truths.items():
            place = bisect(starts, result.times_s[row]) - 1
            confidences.append(timeline[place].confidence)
            correct.append(timeline[place].product_id == truth)
            groups.append(f"{number}: {place}")
    return Predictions(confidences, correct, None, groups)


def decode_timeline(
    result: RecognitionResult, settings: TimelineSettings, is_live: bool = False
) -> tuple[Segment, ...]:
    """The segments of a recording, or those of its events if it were a running stream."""
    if is_live:
        return segments_from_events(events_from_result(result, settings))
    span_s = (0.0, result.duration_s)
    return decode_segments(
        result.times_s, result.scores, result.product_ids, settings, span_s, result.saliency
    )


def judge_timelines(streams: Sequence[WatchedStream], settings: TimelineSettings) -> StreamRow:
    """Compare the timelines of all streams together with the true ones."""
    results = [
        StreamResult(
            watched.stream.stream_id,
            watched.stream.timeline,
            decode_timeline(watched.result, settings),
        )
        for watched in streams
    ]
    return StreamReport(tuple(results)).overall


def confidence_table(measurements: Mapping[str, Measurement]) -> str:
    """Each kind of confidence of each named measurement, as Markdown."""
    kinds = dict.fromkeys(kind for one in measurements.values() for kind in one.predictions)
    rows = [
        _cells(kind, name, one.predictions[kind])
        for kind in kinds
        for name, one in measurements.items()
        if kind in one.predictions
    ]
    return markdown_table(HEADER, rows, CAPTION)


def _cells(kind: str, name: str, predictions: Predictions) -> list[str]:
    confidences, correct = predictions.confidences, predictions.correct
    cells = [kind, name, str(len(confidences))]
    cells += [f"{100 * np.mean(correct):.1f}", f"{100 * np.mean(confidences):.1f}"]
    cells.append("" if predictions.log_loss is None else f"{predictions.log_loss:.3f}")
    for equal in BINNINGS:
        error = calibration.expected_calibration_error(confidences, correct, binning=equal)
        mean, high = calibration.expected_error_by_chance(
            confidences, binning=equal, groups=predictions.groups
        )
        cells += [f"{100 * error:.1f}", f"{100 * mean:.1f} ({100 * high:.1f})"]
    return cells


def reliability_diagram(measurements: Mapping[str, Measurement]) -> LinePlot:
    """The reliability of each kind but single windows, in bins of equal mass.

    The 95 % intervals are drawn only where each prediction is correct or wrong for itself.
    """
    lines = [
        _reliability_line(f"{kind}, {name}" if len(measurements) > 1 else kind, predictions)
        for name, one in measurements.items()
        for kind, predictions in one.predictions.items()
        if kind != "windows"
    ]
    return LinePlot("Reliability", Axis("confidence"), "share correct", lines, has_diagonal=True)


def _reliability_line(name: str, predictions: Predictions) -> Line:
    bins = calibration.compute_reliability_bins(
        predictions.confidences, predictions.correct, bins=DIAGRAM_BINS
    )
    alone = predictions.groups is None
    return Line(
        name,
        [one.confidence for one in bins],
        [one.accuracy for one in bins],
        [one.low if alone else one.accuracy for one in bins],
        [one.high if alone else one.accuracy for one in bins],
    )
