"""A watched stream with logits made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sgmn.data.dataset import Stream
from sgmn.live.recognizer import RecognitionResult
from sgmn.records import Segment
from sgmn.workflows.calibration_data import WatchedStream

TRUTH = (Segment(0, 6, "a"), Segment(6, 16, "b"))


def watched_by_hand() -> WatchedStream:
    """Eight windows: "a" for four of them, then "b", which is certain only in the last two."""
    scores = np.array([[9.0, 0, 0]] * 4 + [[0, 1.0, 0.5]] * 2 + [[0, 9.0, 0]] * 2)
    times_s = np.arange(1.0, 17.0, 2.0)
    result = RecognitionResult((), 16.0, times_s, scores, ("a", "b", "c"))
    truths: dict[int, str | None] = dict(enumerate(["a"] * 3 + ["b"] * 5))
    return WatchedStream(result, truths, Stream("s", Path("s.mp4"), timeline=TRUTH))
