"""How much of a video is decoded, and for which windows key frames are not enough.

Decoding every frame of a 1080p recording costs far more than recognizing one frame a second. Key
frames are decoded without the frames around them, so a first look at a recording is cheap. Where
that look leaves no doubt, all frames would not change the timeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SettingsError
from sgmn.live.decoder import LogProbs, smooth, viterbi
from sgmn.live.evidence import TimelineSettings
from sgmn.live.timeline import Belief
from sgmn.media import container
from sgmn.media.key_frames import read_key_frame_index

Effort = Literal["exact", "adaptive"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)

MAX_SPACING_S = 3.0  # seconds between key frames; with fewer, windows see too little
MIN_DOUBT = 0.02  # probability of another state below which all frames would change nothing
MAX_DENSE_SHARE = 0.25  # of a recording, beyond which more frames cost more than they gain
LEAD_S = 3.0  # seconds that are decoded before a span, on average: from the key frame on


@dataclass(frozen=True, slots=True)
class DecodingReport:
    """What was decoded of a recording.

    Attributes:
        effort: "exact" if all frames were decoded, which may be for a reason.
        dense_share: Share of the windows that were scored with all their frames, 0..1.
        reason: Why all frames were decoded although "adaptive" was asked for; else "".

    Example:
        >>> print(DecodingReport("adaptive", 0.25))
        25% of the recording decoded whole, key frames elsewhere
    """

    effort: Effort = "exact"
    dense_share: float = 1.0
    reason: str = ""

    def __str__(self) -> str:
        if self.effort == "adaptive":
            return f"{self.dense_share:.0%} of the recording decoded whole, key frames elsewhere"
        return f"all frames decoded, because {self.reason}" if self.reason else ""


ALL_FRAMES = DecodingReport()


def parse_effort(name: str) -> Effort:
    """Check the name of an effort. Raises SettingsError for any other name."""
    for effort in EFFORTS:
        if name == effort:
            return effort
    raise SettingsError(f"is {name!r}", "--effort", f"pass one of {', '.join(EFFORTS)}")


def find_obstacle(source: Path | str) -> str:
    """Return why all frames of a recording have to be decoded; "" if nothing speaks against less.

    Raises MediaError if the recording cannot be opened.
    """
    if container.is_url(source) or not Path(source).is_file():
        return "it is not a file on disk"
    index = read_key_frame_index(source)
    if index.spacing_s is None:
        return "it has no list of its key frames (MP4 and Matroska files have one)"
    if index.spacing_s > MAX_SPACING_S:
        return f"its key frames are {index.spacing_s:.1f} s apart, more than {MAX_SPACING_S:g} s"
    if abs(index.container_s - index.video_s) > MAX_SPACING_S:
        return "its video is not as long as its header says"
    return ""


def is_sure(belief: Belief) -> bool:
    """Whether a running stream leaves so little doubt that its key frames are enough."""
    return bool(belief.confidence > 1 - MIN_DOUBT)


def find_doubt(evidence: LogProbs, switch_cost: float) -> NDArray[np.float64]:
    """Return how probable it is that each window (W,) has another state than on the best path.

    Changes of the product are in doubt, because their moment is.
    """
    path = viterbi(evidence, switch_cost)
    log_probs = smooth(evidence, switch_cost)
    doubt: NDArray[np.float64] = -np.expm1(log_probs[np.arange(len(path)), path])
    return doubt


def choose_windows(
    doubt: NDArray[np.float64],
    required: NDArray[np.bool_],
    settings: TimelineSettings,
    max_share: float = MAX_DENSE_SHARE,
) -> NDArray[np.bool_]:
    """Choose the windows (W,) that are scored by all their frames: the most doubtful ones.

    Args:
        doubt: (W,) see `find_doubt`. Windows below `MIN_DOUBT` are not chosen.
        required: (W,) windows that are chosen in any case.
        settings: Length and distance of windows.
        max_share: Share of the recording that may be decoded for the others.
    """
    limit_s = max_share * len(doubt) * settings.hop_s
    chosen = _fill_gaps(required, settings)
    for window in np.argsort(-doubt, kind="stable"):
        if doubt[window] < MIN_DOUBT:
            break
        candidate = chosen.copy()
        candidate[window] = True
        candidate = _fill_gaps(candidate, settings)
        if _decoded_s(candidate, settings) <= limit_s:
            chosen = candidate
    return chosen


def _fill_gaps(chosen: NDArray[np.bool_], settings: TimelineSettings) -> NDArray[np.bool_]:
    """Also choose the windows between two chosen ones that share frames with both."""
    filled, places = chosen.copy(), np.flatnonzero(chosen)
    for before, after in pairwise(places):
        if (after - before) * settings.hop_s <= settings.window_s:
            filled[before:after] = True
    return filled


def _decoded_s(chosen: NDArray[np.bool_], settings: TimelineSettings) -> float:
    """Return the seconds that are decoded: each span from the key frame before it on."""
    span_count = int(chosen[0]) + int((np.diff(chosen.astype(int)) == 1).sum())
    edges_s = settings.window_s - settings.hop_s + LEAD_S
    return float(chosen.sum()) * settings.hop_s + span_count * edges_s
