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
def test_select_evenly_by_exact_fractions(count, wanted):
    found = select_evenly(count, wanted)
    if count <= wanted:
        assert found == [*range(count)]
    else:
        assert found == [Fraction(i * count, wanted).__floor__() for i in range(wanted)]
        assert len(set(found)) == wanted and found[0] == 0 and found[-1] < count


@given(
    st.lists(st.floats(0, 50), min_size=1, max_size=60),
    st.floats(0.2, 9),
    st.floats(0, 20),
)
def test_the_schedule_follows_its_definition(steps, rate_hz, start_s):
    times = sorted(steps)
    due, found = SamplingSchedule(start_s, rate_hz), []
    for t in times:
        if due.is_due(t):
            found.append(t)
            due.advance(t)
    expected = []
    for k in range(600):
        first = next((t for t in times if t + 1e-6 >= start_s + k / rate_hz), None)
        if first is not None and (not expected or first > expected[-1] + 1e-6):
            expected.append(first)
    assert found == pytest.approx(expected, abs=2e-6)
