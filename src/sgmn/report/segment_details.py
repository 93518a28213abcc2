"""Details of the segments of a recording: a key frame, alternatives and the transcript.

The frames are read again, a few around one moment of each segment, so that a long stream needs no
more memory than a short one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgmn.errors import MediaError
from sgmn.live.decoder import LogProbs, Probabilities, rank_alternatives, smooth
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import RecognitionResult
from sgmn.live.windows import FRAME_RATE_HZ
from sgmn.media import video
from sgmn.media.transcript import select_text
from sgmn.model.heatmap import Heatmap
from sgmn.records import ImageArray, Segment, Utterance
from sgmn.report.html import KeyFrame, SegmentDetails

FRAME_SIDE = 480  # pixels, the longer side of a key frame
MAX_ALTERNATIVES = 3


class HeatmapFunction(Protocol):
    """Computes where a model looks in an image while a text is spoken."""

    def __call__(self, image: ImageArray, /, text: str) -> Heatmap | None:
        """Return the heatmap (h, w); None if the model has no guidance."""


def build_segment_details(
    result: RecognitionResult,
    source: Path | str,
    utterances: Sequence[Utterance] = (),
    settings: TimelineSettings | None = None,
    compute_heatmap: HeatmapFunction | None = None,
) -> tuple[SegmentDetails, ...]:
    """Return the details of each segment of a recognized recording.

    Args:
        result: The result of watching `source`.
        source: The video file or folder of frames.
        utterances: What is said.
        settings: The timeline settings of the recognizer.
        compute_heatmap: Computes the heatmaps of the key frames; without it there are none.
    """
    settings = settings or TimelineSettings()
    log_probs = result.compute_evidence(settings)
    probabilities = np.exp(smooth(log_probs, settings.switch_cost))
    reach_s = settings.window_s / 2

    def read_frame(segment: Segment) -> KeyFrame | None:
        time_s = _most_confident_s(result, log_probs, segment)
        text = select_text(utterances, time_s - reach_s, time_s + reach_s)
        heatmap = partial(compute_heatmap, text=text) if compute_heatmap else None
        return read_key_frame(source, time_s, reach_s, heatmap)

    return tuple(
        SegmentDetails(
            segment,
            read_frame(segment),
            _alternatives_of(segment, result, log_probs, probabilities),
            select_text(utterances, segment.start, segment.end),
        )
        for segment in result.segments
    )


def window_confidence(
    result: RecognitionResult, settings: TimelineSettings | None = None
) -> NDArray[np.float64]:
    """Return (W,) how probable each window alone makes the recognized state of its moment."""
    settings = settings or TimelineSettings()
    log_probs = result.compute_evidence(settings) * (settings.window_s / settings.hop_s)
    confidence = np.zeros(len(result.times_s))
    for segment in result.segments:
        windows = _windows_of(segment, result)
        confidence[windows] = np.exp(log_probs[windows, _column_of(segment.product_id, result)])
    return confidence


def read_key_frame(
    source: Path | str,
    time_s: float,
    reach_s: float,
    compute_heatmap: Callable[[ImageArray], Heatmap | None] | None = None,
) -> KeyFrame | None:
    """Return the first frame from `time_s` on, else the last one before it.

    Returns None if there is no frame within `reach_s`, or the video cannot be read.
    """
    frame = None
    frames = video.read_frames(
        source,
        rate_hz=FRAME_RATE_HZ,
        start_s=max(0.0, time_s - reach_s),
        end_s=time_s + reach_s,
        max_side=FRAME_SIDE,
        damage=[],
    )
    try:
        for frame in frames:
            if frame.time_s >= time_s:
                break
    except MediaError:  # the fault was reported while the video was watched
        return None
    if frame is None:
        return None
    heatmap = compute_heatmap(frame.rgb) if compute_heatmap else None
    return KeyFrame(frame.time_s, _encode_jpeg(frame.rgb), heatmap)


def _encode_jpeg(image: ImageArray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=82)
    return file.getvalue()


def _most_confident_s(result: RecognitionResult, log_probs: LogProbs, segment: Segment) -> float:
    """Return the moment of the window with the most evidence for the segment."""
    windows = _windows_of(segment, result)
    best = log_probs[windows, _column_of(segment.product_id, result)].argmax()
    return float(result.times_s[windows][best])


def _alternatives_of(
    segment: Segment,
    result: RecognitionResult,
    log_probs: LogProbs,
    probabilities: Probabilities,
) -> tuple[tuple[str | None, float], ...]:
    """Return the other states with the most evidence, with their mean probabilities."""
    windows = _windows_of(segment, result)
    alternatives = rank_alternatives(
        log_probs[windows].sum(axis=0),
        probabilities[windows].mean(axis=0),
        _column_of(segment.product_id, result),
        MAX_ALTERNATIVES,
    )
    states = (*result.product_ids, None)
    return tuple((states[column], probability) for column, probability in alternatives)


def _windows_of(segment: Segment, result: RecognitionResult) -> NDArray[np.bool_]:
    """Return (W,) which windows belong to a segment."""
    # The last window may represent the very end of the stream.
    is_last = segment.end == result.duration_s
    before_end = result.times_s <= segment.end if is_last else result.times_s < segment.end
    return (result.times_s >= segment.start) & before_end


def _column_of(product_id: str | None, result: RecognitionResult) -> int:
    """Return the column of a product in the evidence; the last one is nothing on sale."""
    product_ids = result.product_ids
    return len(product_ids) if product_id is None else product_ids.index(product_id)
