"""Music and noise behind generated speech."""

from __future__ import annotations

import numpy as np
import pytest

from sgmn.synth.speech.background import synthesize_background


@pytest.mark.parametrize("count", [1, 100, 16_000])
def test_background_has_a_power_of_one_and_repeats_with_its_seed(count: int) -> None:
    first, second = (
        synthesize_background(count, 16_000, np.random.default_rng(3)) for _ in range(2)
    )
    assert first.shape == (count,) and np.array_equal(first, second)
    if count > 1000:
        assert np.mean(first**2) == pytest.approx(1, abs=0.1)
