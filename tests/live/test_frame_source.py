"""A recording that plays in real time."""

from __future__ import annotations

import pytest

from sgmn.live.frame_source import PacedSource
from tests.live.color_streams import ColorStream


def test_a_paced_source_yields_each_frame_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]

    def advance(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("sgmn.live.frame_source.time", lambda: now[0])
    monkeypatch.setattr("sgmn.live.frame_source.sleep", advance)
    frames = [(f.time_s, f.wall_s, now[0]) for f in PacedSource(ColorStream(["red"] * 4))]
    assert [time_s for time_s, _, _ in frames] == [0, 1, 2, 3]
    assert [wall_s for _, wall_s, _ in frames] == [50, 51, 52, 53]
    assert [at_s for _, _, at_s in frames] == pytest.approx([50, 51, 52, 53])


def test_closing_a_paced_source_ends_its_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ColorStream(["red"] * 4)
    paced = PacedSource(source)
    monkeypatch.setattr("sgmn.live.frame_source.sleep", lambda seconds: paced.close())
    assert [frame.time_s for frame in paced] == [0.0]
    assert source.is_closed


def test_a_paced_source_reports_the_state_of_the_underlying_source() -> None:
    source = ColorStream([])
    paced = PacedSource(source)
    assert (paced.damage, paced.dropped_frames, paced.reconnects) == (source.damage, 3, 1)
