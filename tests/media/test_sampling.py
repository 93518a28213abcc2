"""Sampling by its definition."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.media.sampling import SamplingSchedule, select_evenly


def test_select_evenly_by_hand():
    assert select_evenly(5, 10) == [0, 1, 2, 3, 4]
    assert select_evenly(10, 4) == [0, 2, 5, 7]
    assert select_evenly(0, 3) == []
    with pytest.raises(ValueError, match="at least one"):
        select_evenly(5, 0)


@given(st.integers(0, 10_000), st.integers(1, 200))
def test_select_evenly_by_exact_fractions(count, max_frames):
    indices = select_evenly(count, max_frames)
    if count <= max_frames:
        assert indices == [*range(count)]
    else:
        assert indices == [Fraction(i * count, max_frames).__floor__() for i in range(max_frames)]
        assert len(set(indices)) == max_frames and indices[0] == 0 and indices[-1] < count


@given(
    st.lists(st.floats(0, 50), min_size=1, max_size=60),
    st.floats(0.2, 9),
    st.floats(0, 20),
)
def test_the_schedule_follows_its_definition(unsorted_times, rate_hz, start_s):
    times = sorted(unsorted_times)
    schedule = SamplingSchedule(start_s, rate_hz)
    sampled: list[float] = []
    for t in times:
        if schedule.is_due(t):
            sampled.append(t)
            schedule.advance(t)
    expected: list[float] = []
    for k in range(600):
        first = next((t for t in times if t + 1e-3 >= start_s + k / rate_hz), None)
        if first is not None and (not expected or first > expected[-1] + 1e-6):
            expected.append(first)
    assert sampled == pytest.approx(expected, abs=2e-6)
