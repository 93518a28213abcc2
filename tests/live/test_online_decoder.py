"""The current belief of a running stream."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings

from sgmn.errors import SgmnError
from sgmn.live.evidence import TimelineSettings, compute_evidence
from sgmn.live.timeline import OnlineDecoder
from tests.live.score_rows import (
    SHELF,
    STEADY,
    planted_rows,
    random_rows,
    sizes,
    timeline_settings,
)


@given(sizes, timeline_settings)
@settings(max_examples=40, deadline=None)
def test_the_belief_is_that_of_the_textbook_filter(
    size: tuple[int, int, int], chosen: TimelineSettings
) -> None:
    times, scores, shelf = random_rows(*size)
    decoder = OnlineDecoder(shelf, chosen)
    belief = [decoder.push(t, row) for t, row in zip(times, scores, strict=True)][-1]
    logs = compute_evidence(scores, chosen)
    forward = np.exp(logs[0])
    for row in logs[1:]:
        q = exp(-chosen.switch_cost)
        forward = ((1 - q) * forward + q * forward.sum()) * np.exp(row)
    np.testing.assert_allclose(belief.probabilities, forward / forward.sum(), atol=1e-9)
    assert belief.confidence == belief.probabilities.max()
    assert belief.time_s == times[-1]


def test_the_belief_follows_changes_and_ignores_one_wrong_window() -> None:
    times, scores = planted_rows([0, 3, None])
    decoder = OnlineDecoder(SHELF, STEADY)
    products = [decoder.push(t, row).product_id for t, row in zip(times, scores, strict=True)]
    assert products[9] == "a" and products[19] == "d" and products[29] is None
    assert products.index("d") - 10 <= 8  # not later than 8 windows after the switch
    other = OnlineDecoder(SHELF, STEADY)
    for time, row in zip(times[:9], scores[:9], strict=True):
        other.push(time, row)
    assert other.push(50.0, np.array([0, 0, 6.0, 0, 0])).product_id == "a"


def test_windows_are_pushed_in_order() -> None:
    decoder = OnlineDecoder(SHELF)
    decoder.push(3.0, np.zeros(5))
    with pytest.raises(SgmnError, match=r"3\.0 s comes after 3\.0 s"):
        decoder.push(3.0, np.zeros(5))
    with pytest.raises(SgmnError, match="finite logits"):
        decoder.push(4.0, np.full(5, np.nan))
    assert decoder.push(4.0, np.zeros(5)).time_s == 4.0
