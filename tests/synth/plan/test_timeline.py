"""Planned presentations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sgmn.synth.plan.timeline import HIDDEN_FRACTION, PICKUP_S, SaleSlot, plan_presentations


@pytest.mark.parametrize("visible_fraction", [0.1, 0.4, 0.7, 0.95])
def test_products_are_visible_for_the_requested_fraction(visible_fraction: float) -> None:
    for seed in range(20):
        presentations = plan_presentations(
            SaleSlot(5, 35, 0),
            visible_fraction,
            [1],
            0.5,
            (0.1, 0.2),
            np.random.default_rng(seed),
        )
        own = [p for p in presentations if p.product == 0]
        hidden_s = 2 * PICKUP_S * HIDDEN_FRACTION * len(own)
        visible_s = sum(p.end - p.start for p in own) - hidden_s
        assert visible_s / 30 == pytest.approx(visible_fraction, abs=0.06)
        spans = sorted((p.start, p.end) for p in presentations)
        assert all(5 <= start < end <= 35.01 for start, end in spans)
        assert all(before[1] <= after[0] + 1e-6 for before, after in pairwise(spans))
