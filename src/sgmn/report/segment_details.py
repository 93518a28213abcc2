"""What a page shows of a recognition: for each segment a frame, its rivals and its words.

Frames are read again, a few around one moment a segment, so that a long stream needs no more
memory than a short one.
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
from sgmn.live.decoder import LogProbs, rivals, smoothed
from sgmn.live.evidence import TimelineSettings, evidence
from sgmn.live.recognizer import RATE_HZ, Recognition
from sgmn.media import video
from sgmn.media.transcript import between
from sgmn.records import Picture, Segment, Utterance
from sgmn.report.html import Finding, KeyFrame

Heat = NDArray[np.floating]


class Look(Protocol):
    """Where a model looks at a picture while something is said; None if everywhere alike."""

    def __call__(self, picture: Picture, /, said: str) -> Heat | None:
        """The heat-map (h, w)."""


FRAME_SIDE = 480  # pixels, the longer side of a key frame
RIVALS = 3  # next best states of a segment


def findings(
    found: Recognition,
    source: Path | str,
    said: Sequence[Utterance] = (),
    settings: TimelineSettings | None = None,
    look: Look | None = None,
) -> tuple[Finding, ...]:
    """The segments of a recognition of `source`, each with frame, rivals and words.

    `settings` are those of the recognizer, and `look` tells where its model looks. A segment
    whose frame cannot be read has none.
    """
    chosen = settings or TimelineSettings()
    logs = evidence(found.scores, chosen)
    chances = np.exp(smoothed(logs, chosen.switch_cost))
    reach_s = chosen.window_s / 2

    def frame(segment: Segment) -> KeyFrame | None:
        time_s = _surest_s(found, logs, segment)
        heard = between(said, time_s - reach_s, time_s + reach_s)
        return key_frame(source, time_s, reach_s, partial(look, said=heard) if look else None)

    return tuple(
        Finding(
            segment,
            frame(segment),
            _rivals(found, logs, chances, segment),
            between(said, segment.start, segment.end),
        )
        for segment in found.segments
    )


def confidence(found: Recognition, settings: TimelineSettings | None = None) -> NDArray[np.float64]:
    """(W,) the probability that each window, by itself, gives to what was found at its time."""
    chosen = settings or TimelineSettings()
    alone = evidence(found.scores, chosen) * (chosen.window_s / chosen.hop_s)
    chances = np.zeros(len(found.times))
    for segment in found.segments:
        rows = _rows(found, segment)
        chances[rows] = np.exp(alone[rows, _state(found, segment.product_id)])
    return chances


def key_frame(
    source: Path | str,
    time_s: float,
    reach_s: float,
    look: Callable[[Picture], Heat | None] | None = None,
) -> KeyFrame | None:
    """The frame at `time_s` or soon after, else the last one before; None beyond `reach_s`."""
    shown = None
    around = video.frames(
        source,
        rate_hz=RATE_HZ,
        start_s=max(0.0, time_s - reach_s),
        end_s=time_s + reach_s,
        max_side=FRAME_SIDE,
        damage=[],
    )
    try:
        for shown in around:
            if shown.time_s >= time_s:
                break
    except MediaError:  # whatever is wrong with the video was told while it was watched
        return None
    if shown is None:
        return None
    return KeyFrame(shown.time_s, _jpeg(shown), look(shown.rgb) if look else None)


def _jpeg(frame: video.Frame) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame.rgb).save(file, "JPEG", quality=82)
    return file.getvalue()


def _surest_s(found: Recognition, logs: LogProbs, segment: Segment) -> float:
    rows = _rows(found, segment)
    best = logs[rows, _state(found, segment.product_id)].argmax()
    return float(found.times[rows][best])


def _rivals(
    found: Recognition, logs: LogProbs, chances: NDArray[np.float64], segment: Segment
) -> tuple[tuple[str | None, float], ...]:
    """The states of the next best evidence, as `rivals` has them, with their chances."""
    rows, own = _rows(found, segment), _state(found, segment.product_id)
    best = rivals(logs[rows].sum(axis=0), chances[rows].mean(axis=0), own, RIVALS)
    names = (*found.product_ids, None)
    return tuple((names[state], chance) for state, chance in best)


def _rows(found: Recognition, segment: Segment) -> NDArray[np.bool_]:
    """(W,) which windows speak for a segment; the last one may speak for its very end."""
    last = segment.end == found.duration_s
    after = found.times <= segment.end if last else found.times < segment.end
    return (found.times >= segment.start) & after


def _state(found: Recognition, product_id: str | None) -> int:
    """The column of a product in the evidence; that of nothing is the last."""
    ids = found.product_ids
    return len(ids) if product_id is None else ids.index(product_id)
