"""The evidence of one window, and the settings of the timeline."""

from __future__ import annotations

from math import inf, log

import numpy as np
import pytest

from sgmn.errors import SettingsError
from sgmn.live.evidence import TimelineSettings, compute_evidence


def test_evidence_by_hand() -> None:
    chosen = TimelineSettings(nothing_threshold=0.4, window_s=8.0, hop_s=2.0)
    (row,) = compute_evidence(np.array([[log(6.0), log(3.0), log(1.0)]]), chosen)
    share = 0.4 + 0.6 / 3
    nothing = 0.4 * share / (1 - share)  # as likely as the best product if that has p = share
    expected = np.array([0.6, 0.3, 0.1, nothing]) / (1 + nothing)
    np.testing.assert_allclose(row, np.log(expected) * 2 / 8)
    moved = compute_evidence(np.array([[log(6.0), log(3.0), log(1.0)]]) + 90, chosen)
    np.testing.assert_allclose(moved[0], row)


@pytest.mark.parametrize(
    "name, value",
    [
        ("switch_cost", -1.0),
        ("switch_cost", float("nan")),
        ("nothing_threshold", 1.0),
        ("nothing_threshold", -0.1),
        ("window_s", 0.0),
        ("hop_s", 11.0),
        ("hop_s", 0.0),
        ("min_segment_s", inf),
        ("temperature", 0.0),
    ],
)
def test_impossible_settings_are_rejected(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} is {value}"):
        TimelineSettings(**{name: value})
